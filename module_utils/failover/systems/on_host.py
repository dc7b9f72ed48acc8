# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the fault agent beside a member asks of its system. No client goes along to a member's host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..shapes import LabError

# A member that does not tell its role within this time is of unknown role, in s.
PROBE_TIMEOUT_S = 0.5


class Probe(Protocol):
    """Tells a member's role at a moment; quick, so that a fault is not late for the look before it."""

    def read(self) -> dict[str, Any]:
        """Return ``role`` (leader, follower, unknown), ``member_id``, ``leader_id``, ``term`` and ``error``.

        And what :class:`..director.quorum.MajorityKept` asks for, where the system tells it: ``votes`` (whether it is a
        voting member), ``committed`` (newest entry that it knows to be) and ``sees`` (state of each member by its id).
        """


class Keeper(Protocol):
    """Brings a member back into its group, once its server runs again."""

    steps: list[dict[str, Any]]  # what was done: act, why, wall_ns

    def ensure(self, timeout_s: float) -> Any:
        """Act until the member is a full one; LabError with the reason where the time is over before."""


class Reach(Protocol):
    """Tells how far a member's data reaches, before its power is cut and when its server runs again.

    Facts are by name, as ``{"gtid_executed": "..."}``. What a server told may be safe with the other members although
    its own disk does not have it: a majority acknowledges.
    """

    missing_of: str  # what is counted where some of it is missing: "transactions"

    def told(self) -> dict[str, Any]:
        """Return how far the server says that its data reaches; OSError or LabError where it does not."""

    def found(self, told: Mapping[str, Any], since_wall_ns: int) -> Found:
        """Return what its disk had, once its server was started again, and before others gave it anything.

        OSError or LabError where that is not to be known. Also asked where the server ended again.

        :param told: what :meth:`told` returned before; empty where it did not
        :param since_wall_ns: when that was, by the wall clock
        """


@dataclass(frozen=True)
class Found:
    """What the disk of a member had."""

    had: dict[str, Any]
    missing: int | None = None  # how much of what it had told it has not; None where nobody knows
    which: str | None = None  # the missing ones, where they have names


@dataclass(frozen=True)
class Home:
    """What a fault agent tells of the member beside it."""

    member: str
    address: str  # where it serves clients: its client URL, or "host:port"
    member_file: str  # what the system's role wrote for it beside the agent's own configuration; empty for nothing
    is_alive: Callable[[], bool]  # whether its process lives
    journal: Callable[[int], list[str]] = lambda lines: []  # the newest lines that its server wrote there
    ca: str = ""  # file with the certificate of the authority that signs the members'; empty: they speak no TLS


class OnHost(Protocol):
    """A member as the fault agent beside it knows it. Standard library only; a driver is imported when it is used."""

    def probe(self, home: Home) -> Probe:
        """Return a probe with connections of its own."""

    def keeper(self, home: Home) -> Keeper | None:
        """Return what brings the member back into its group; None for a system that does that by itself."""
        return None

    def reach(self, home: Home) -> Reach | None:
        """Return what tells how far the member's data reaches; None for a system of which that is not known."""
        return None

    def force(self, home: Home) -> None:
        """Have the member go on alone, without the majority that it lost; LabError where it does not, or cannot."""
        raise LabError(f"{home.member} cannot be forced: its system goes on with a majority only")

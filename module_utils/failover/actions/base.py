# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an action is: one kind of fault, how it is done and undone, and every fact of it that the lab goes by.

An action is a file of this folder and a row in ``registry``. The agent on the member's host injects and heals it; the
plan, the director, the checks and the report read its facts. So nothing here imports more than the standard library,
``host`` and the records.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from ..host.disk import Disk
from ..host.network import Network
from ..host.packets import Isolation
from ..host.power import Power
from ..host.service import MainProcess, Service
from ..host.volume import Volume
from ..host.wall_clock import WallClock
from ..shapes import LabError
from ..systems.on_host import Reach
from .options import Choice, Number, Option, Share, Word
from .record import FaultRecord


@dataclass(frozen=True)
class Host:
    """What actions work with on the member's host."""

    service: Service
    isolation: Isolation
    disk: Disk
    network: Network
    volume: Volume
    power: Power
    wall_clock: WallClock
    force: Callable[[], None]  # has the member go on without a majority; LabError where it cannot
    reach: Reach | None = None  # how far the member's data reaches, where its system tells


class Action(ABC):
    """One kind of fault. What an action does not say of itself is as it stands here."""

    name: str  # in a fault's data and in every record
    past: str  # what was done to the member, as in "etcd2 was killed"
    signal: str | None = None  # that its process gets
    options: tuple[Option, ...] = ()  # keys that belong to it alone
    caveat: str = ""  # what it is not, though its name may promise it: a sentence for the report
    ends_process: bool = True
    may_end_process: bool = False  # what the server does about it is its own affair
    ended_from_outside: bool = False  # systemd would start the unit again, if it were told to
    comes_back: bool = False  # the injection itself brings the member back
    says_goodbye: bool = False  # the member tells the others that it leaves: nobody waits until its silence is noticed
    stays_with_peers: bool = False  # the others still hear from it in time: it counts for a majority
    has_measured_effect: bool = False  # the record's ``effect`` has the kernel's own word of it
    # Every machine can do it: random faults draw it unless they are told which. One more changes what every seed draws.
    drawable: bool = False

    # ------------------------------------------------------------ on the member's host

    def problem(self, host: Host, record: FaultRecord) -> str | None:
        """Return why this host cannot do what a record asks for, None where it can."""
        return None

    def prepare(self, host: Host, record: FaultRecord) -> None:  # noqa: B027 - most have nothing to note
        """Note in the record what its heal will have to know; it is on disk before anything is done."""

    @abstractmethod
    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Do it, waiting for nothing, and note in the record what belongs there; return the way that was taken."""

    def step(self, host: Host, process: MainProcess, record: FaultRecord, step: Mapping[str, Any]) -> None:
        """Do one step of a fault that has some; what was done before is in the record."""
        raise LabError(f"a {self.name} has no steps")

    def effect(self, host: Host, process: MainProcess, record: FaultRecord) -> str | None:
        """Return what can be said of its effect once it is done, None where nothing was to be felt."""
        return record.effect

    def heal(self, host: Host, record: FaultRecord, timeout_s: float) -> None:
        """Undo it; return when the member's server runs as before. May be asked again, and by an agent that is new.

        :param record: what was done, also where an earlier agent did it
        """
        host.service.start(timeout_s)

    def taken_up(self, record: FaultRecord) -> None:  # noqa: B027 - most have nothing to go on with
        """Go on with a fault that an earlier agent of this boot of the host did and still held."""

    # ------------------------------------------------------------ in a fault's data

    def resolve(self, name: str, fault: Mapping[str, Any], members: Sequence[str]) -> dict[str, Any]:
        """Return the fields of FaultSpec with the options of a fault; LabError names what is wrong with them.

        :param name: of the fault, as messages begin
        :param members: names of those that the system has
        """
        chosen = {option.field: option.read(name, fault) for option in self.options if isinstance(option, Choice)}
        numbers = {
            option.key: option.read(name, fault) for option in self.options if isinstance(option, Number | Share | Word)
        }
        return {**chosen, "options": {key: value for key, value in numbers.items() if value is not None}}

    def draw(self, source: Random, members: int) -> dict[str, Any]:
        """Return the keys of its own that a random fault has."""
        return {}

    def blocks_clients(self, fault: Mapping[str, Any]) -> bool:
        """Whether no client may get through although the others keep the member as their leader.

        :param fault: as data, like all keys of its own
        """
        return False

    # ------------------------------------------------------------ of a fault's record

    def takes_away(self, record: FaultRecord) -> bool:
        """Whether it keeps the member from its peers while it is held."""
        return not self.stays_with_peers

    def doubts(self, record: FaultRecord) -> list[str]:
        """Say which effect, without which the fault shows nothing, was not seen."""
        doubts = []
        if self.ends_process and record.process_gone_wall_ns is None:
            doubts.append(f"the process on {record.member} was not seen to end")
        if self.has_measured_effect and not record.effect:
            doubts.append(f"the kernel of {record.member} was not seen to do it")
        return doubts

    def took_unsynced(self, record: FaultRecord) -> bool:
        """Whether what the server did not have the kernel write to the disk is gone."""
        return False

    def told(self, who: str, record: FaultRecord) -> str:
        """Say in one clause what was done to ``who``."""
        return f"{record.signal} went to {who}"

    def compared(self, *, replicated: bool) -> str:
        """Say what has to be known before its outages are compared with those of other faults, empty for nothing.

        :param replicated: it struck a system in which others can take over
        """
        return ""

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..fault_names import OTHERS, towards
from ..host.service import MainProcess
from ..shapes import LabError
from .base import Action, Host
from .options import Listed, Number, Share
from .record import FaultRecord

# Delay of one that says neither its delay nor its rate, in ms: that between continents.
DELAY_MS = 100


class SlowNetwork(Action):
    """Packets that the member's host sends come late, at random or never, or so many bits a second and no more."""

    name = "slow_network"
    past = "given a slow network"
    # Beyond these bounds fault agent and ssh would not be reached any more, either.
    options = (
        Number("delay_ms", 1, 5_000),
        Number("rate_kbit", 64, 1_000_000),
        Number("jitter_ms", 1, 5_000),
        Share("loss"),
        Share("duplicate"),
        Share("reorder"),
        Listed("to", "to"),
    )
    caveat = (
        "A slow network is one for everything the host sends, the fault agent included, or with a to for what it sends "
        "to some, and for nothing it receives."
    )
    ends_process = False
    stays_with_peers = True
    has_measured_effect = True

    def problem(self, host: Host, record: FaultRecord) -> str | None:
        """Return why the interface cannot be slowed down so."""
        try:
            return host.network.problem(record.options, self._addresses(host, record))
        except LabError as error:
            return str(error)

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Slow down what the host sends, or what of it goes to some."""
        record.effect = host.network.slow(record.options, self._addresses(host, record))
        return "tc"

    def heal(self, host: Host, record: FaultRecord, timeout_s: float) -> None:
        """Give the interface its own discipline back."""
        host.network.hasten()
        super().heal(host, record, timeout_s)

    def resolve(self, name: str, fault: Mapping[str, Any], members: Sequence[str]) -> dict[str, Any]:
        """Return the rate, or what becomes of packets: the usual delay where nothing is said or one is needed."""
        fields = super().resolve(name, fault, members)
        options = fields["options"] or {"delay_ms": DELAY_MS}
        others = [key for key in options if key != "rate_kbit"]
        if "rate_kbit" in options and others:
            raise LabError(f"{name} has both {others[0]} and rate_kbit. Give one of them.")
        # What comes later by chance, or overtakes what waits, needs a delay.
        if "delay_ms" not in options and ("jitter_ms" in options or "reorder" in options):
            options = {"delay_ms": DELAY_MS, **options}
        if options.get("jitter_ms", 0) > options.get("delay_ms", 0):
            raise LabError(f"{name} has a jitter_ms larger than its delay_ms: nothing comes before it is sent.")
        return {**fields, "options": options, "to": _read_to(name, fault, members)}

    def told(self, who: str, record: FaultRecord) -> str:
        """Give the kernel's word for it."""
        return f"the network of {who}{towards(record.to)} was slowed down ({record.effect})"

    @staticmethod
    def _addresses(host: Host, record: FaultRecord) -> list[str] | None:
        """Return the addresses to which packets are slowed down, None where it is all."""
        return host.network.addresses(record.to, record.addresses) if record.to else None


def _read_to(name: str, fault: Mapping[str, Any], members: Sequence[str]) -> list[str]:
    """Return to whom packets are slowed down, in the order of the members; nobody means everybody.

    The target has no way to itself: it is left out where it is known, and one that is not known yet (a role) when the
    fault strikes.
    """
    given, target = fault.get("to"), fault.get("target")
    if given is None:
        return []
    words = [given] if isinstance(given, str) else given
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, str) for word in words):
        raise LabError(f"{name}: to is {given!r}, and has to be {', '.join(OTHERS)}, or names of members.")
    for word in words:
        if word not in (*OTHERS, *members):
            raise LabError(f"{name} has the unknown to {word!r}. Known are {', '.join([*OTHERS, *members])}.")
    if "peers" in words and len(members) < 2:
        raise LabError(f"{name} is slow to peers, and a system of one member has none. Try to: clients.")
    struck = members[0] if len(members) == 1 else target
    to = [word for word in (*OTHERS, *members) if word in words and word != struck]
    alone = to[0] if len(to) == 1 and to[0] in members else None
    if not to or (target == "all" and alone):
        raise LabError(f"{name} is slow from {alone or struck} to itself, where no packet goes. Name others in to.")
    return to

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..host.service import MainProcess
from ..shapes import LabError
from .base import Action, Host
from .options import Number, Share
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
    )
    caveat = "A slow network is one for everything the host sends, the fault agent included, and nothing it receives."
    ends_process = False
    stays_with_peers = True
    has_measured_effect = True

    def problem(self, host: Host, options: Mapping[str, float]) -> str | None:
        """Return why the interface cannot be slowed down so."""
        return host.network.problem(options)

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Slow down what the host sends."""
        record.effect = host.network.slow(record.options)
        return "tc"

    def heal(self, host: Host, record: FaultRecord, timeout_s: float) -> None:
        """Give the interface its own discipline back."""
        host.network.hasten()
        super().heal(host, record, timeout_s)

    def resolve(self, name: str, fault: Mapping[str, Any], members: int) -> dict[str, Any]:
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
        return {**fields, "options": options}

    def told(self, who: str, record: FaultRecord) -> str:
        """Give the kernel's word for it."""
        return f"the network of {who} was slowed down ({record.effect})"

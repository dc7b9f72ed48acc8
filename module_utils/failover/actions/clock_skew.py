# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..clock import CLOCK, wall_less_raw_ns
from ..host.service import MainProcess
from ..shapes import LabError
from .base import Action, Host
from .options import Number
from .record import FaultRecord

MS = 1_000_000
# Of one that says neither its jump nor its drift, in ms: longer than leases and timeouts of seconds.
JUMP_MS = 5_000
# How long the pace of a clock is measured, in s; and what of a jump or a drift has to be seen.
MEASURED_S = 2.0
FELT_SHARE = 0.8


class ClockSkew(Action):
    """The member's host has a wrong clock: it jumps once, or gains or loses so many millionths from now on.

    A jump is one of the wall clock alone. A drift is one of the whole clock, as of a bad crystal: timers of the host
    go too fast or too slow with it, those of the server as well.
    """

    name = "clock_skew"
    past = "given a wrong clock"
    # An hour either way; the kernel's clock takes a tenth more or less.
    options = (Number("jump_ms", -3_600_000, 3_600_000), Number("drift_ppm", -99_000, 99_000))
    caveat = (
        "A clock that is wrong stamps the server's own log wrongly, too: this report moves those lines by what was "
        "measured."
    )
    ends_process = False
    stays_with_peers = True
    has_measured_effect = True

    def problem(self, host: Host, record: FaultRecord) -> str | None:
        """Return why the clock is not this host's own, or may not be set."""
        return host.wall_clock.problem()

    def resolve(self, name: str, fault: Mapping[str, Any], members: Sequence[str]) -> dict[str, Any]:
        """Return the jump or the drift, whichever is given, else the usual jump."""
        fields = super().resolve(name, fault, members)
        options = fields["options"] or {"jump_ms": JUMP_MS}
        if len(options) > 1:
            raise LabError(f"{name} has both jump_ms and drift_ppm. Give one of them.")
        if 0 in options.values():
            raise LabError(f"{name}: {next(iter(options))} is 0, and the clock would stay right.")
        return {**fields, "options": options}

    def prepare(self, host: Host, record: FaultRecord) -> None:
        """Note how far the clock is ahead of the one that nobody sets: what the heal brings back."""
        record.clock_before_ns = wall_less_raw_ns()

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Set the clock, or its pace."""
        if "jump_ms" in record.options:
            host.wall_clock.set_by(int(record.options["jump_ms"] * MS))
        else:
            host.wall_clock.drift(record.options["drift_ppm"])
            CLOCK.allow_for(record.options["drift_ppm"])
        return "adjtimex"

    def effect(self, host: Host, process: MainProcess, record: FaultRecord) -> str | None:
        """Say how far the clock went off, or how fast it does, by the kernel's raw clock; None where it does not."""
        if "jump_ms" in record.options:
            gained_ms = (wall_less_raw_ns() - (record.clock_before_ns or 0)) / MS
            felt = gained_ms / record.options["jump_ms"]
            return f"its clock went from right to {gained_ms:+,.1f} ms" if felt >= FELT_SHARE else None
        before_ns, began = wall_less_raw_ns(), time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
        time.sleep(MEASURED_S)
        gained_ns = wall_less_raw_ns() - before_ns
        gained_ppm = gained_ns / (time.clock_gettime(time.CLOCK_MONOTONIC_RAW) - began) / 1000
        felt = gained_ppm / record.options["drift_ppm"]
        return f"its clock gains {gained_ppm:+,.0f} millionths" if felt >= FELT_SHARE else None

    def heal(self, host: Host, record: FaultRecord, timeout_s: float) -> None:
        """Give the clock its pace back, and take from it what it gained."""
        if "drift_ppm" in record.options:
            host.wall_clock.drift(0)
            CLOCK.allow_for(0)
        if record.clock_before_ns is not None:
            gained_ns = wall_less_raw_ns() - record.clock_before_ns
            host.wall_clock.set_by(-gained_ns)
            left_ms = (wall_less_raw_ns() - record.clock_before_ns) / MS
            record.clock_gained_ns = record.clock_gained_ns or gained_ns
            if record.effect:
                record.effect = f"{record.effect}, and was {gained_ns / MS:+,.1f} ms off when it was healed"
                record.effect += f", {left_ms:+,.1f} ms after it"
        super().heal(host, record, timeout_s)

    def taken_up(self, record: FaultRecord) -> None:
        """Go on as the agent before this one: the wall clock that was just read is not the right one."""
        if record.clock_before_ns is not None:
            CLOCK.base_ns -= wall_less_raw_ns() - record.clock_before_ns
            CLOCK.allow_for(record.options.get("drift_ppm", 0))

    def told(self, who: str, record: FaultRecord) -> str:
        """Give the kernel's word for it."""
        return f"the clock of {who} was made wrong ({record.effect})"

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clocks of the members' hosts against the load generator's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..shapes import Event
from .columns import MS


@dataclass(frozen=True)
class Clock:
    """A host's clock against that of the load generator, as measured before the experiment."""

    host: str
    offset_ns: int  # positive: the host's clock is ahead
    uncertainty_ns: int

    @property
    def significant(self) -> bool:
        """Whether the offset is larger than the error of its measurement."""
        return abs(self.offset_ns) > self.uncertainty_ns

    def as_dict(self) -> dict[str, Any]:
        """Return host, offset and error in ms, and whether the offset is subtracted."""
        return {
            "host": self.host,
            "offset_ms": self.offset_ns / MS,
            "uncertainty_ms": self.uncertainty_ns / MS,
            "corrected": self.significant,
        }


def measured_clocks(events: Iterable[Event]) -> list[Clock]:
    """Return the clocks that the fault director measured when it armed the faults, by host name."""
    clocks: dict[str, Clock] = {}
    for event in events:
        if event.event != "fault.armed":
            continue
        for host, agent in (event.data.get("agents") or {}).items():
            offset, uncertainty = agent.get("clock_offset_ns"), agent.get("clock_uncertainty_ns")
            if offset is not None and uncertainty is not None:
                clocks[host] = Clock(host, int(offset), int(uncertainty))
    return [clocks[host] for host in sorted(clocks)]


def on_one_clock(events: Sequence[Event], clocks: Iterable[Clock]) -> list[Event]:
    """Put the events of hosts whose clocks are known to differ on the load generator's clock, in order of time."""
    offsets = {clock.host: clock.offset_ns for clock in clocks if clock.significant}
    moved = [replace(event, wall_ns=event.wall_ns - offsets.get(event.source, 0)) for event in events]
    return sorted(moved, key=lambda event: event.wall_ns)

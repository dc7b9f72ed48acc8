# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where an experiment's time begins, by the clock of the process that stamps operations."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..clock import CLOCK

# Readings of the other clock of which the quickest counts: at the begin, and again and again while operations run. A
# quartz drifts by up to 50 us a second against another.
READINGS = 16


class Timeline:
    """That of a process on the host that leads the run: its own clock."""

    def __init__(self) -> None:
        self.origin_ns = 0  # by the monotonic clock of this process

    def start(self, origin_ns: int) -> None:
        """Begin the experiment's time at a moment of the leading process's monotonic clock."""
        self.origin_ns = origin_ns


class Reading(NamedTuple):
    """How far the leading host's monotonic clock is ahead of ours, and by how much that may be wrong."""

    uncertainty_ns: int  # half of the way there and back
    offset_ns: int


class FollowedTimeline(Timeline):
    """That of a process elsewhere, which follows the clock of the host that leads.

    One reading is as NTP's: the other's stamp less the middle between request and answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.worst_ns = 0  # by how much a stamp may be wrong, of all so far
        self.moved_ns = 0  # what the clocks have drifted apart since the first offset
        self._offset_ns: int | None = None
        self._uncertainty_ns = 0  # of that offset, when it was read
        self._readings: list[Reading] = []

    @staticmethod
    def ask() -> dict[str, Any]:
        """Return what to ask the leading process."""
        return {"sent_ns": time.monotonic_ns()}

    def note(self, told: Mapping[str, Any]) -> bool:
        """Take an answer; True where it was the last one of a new offset, which counts from here on."""
        now_ns = time.monotonic_ns()
        half_ns = (now_ns - told["sent_ns"] + 1) // 2
        self._readings.append(Reading(half_ns, told["monotonic_ns"] - told["sent_ns"] - half_ns))
        if len(self._readings) < READINGS:
            return False
        best = min(self._readings)
        self._readings.clear()
        moved_ns = 0 if self._offset_ns is None else best.offset_ns - self._offset_ns
        self.worst_ns = max(self.worst_ns, best.uncertainty_ns + abs(moved_ns))
        if self._offset_ns is None or not self._agrees(best, moved_ns):
            self._offset_ns, self._uncertainty_ns = best.offset_ns, best.uncertainty_ns
            self.moved_ns += moved_ns
            self.origin_ns -= moved_ns
        # Events are stamped by the wall clock of the host that leads.
        CLOCK.base_ns = told["base_ns"] + self._offset_ns
        return True

    def _agrees(self, reading: Reading, moved_ns: int) -> bool:
        """Whether a reading knows less than the one that counts, and does not contradict it."""
        knows_less = reading.uncertainty_ns > self._uncertainty_ns
        return knows_less and abs(moved_ns) <= reading.uncertainty_ns + self._uncertainty_ns

    def start(self, origin_ns: int) -> None:
        """Begin the experiment's time; the offset is known by then."""
        assert self._offset_ns is not None
        self.origin_ns = origin_ns - self._offset_ns

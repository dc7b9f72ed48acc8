# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clock with which a process of the lab stamps what it does: the wall clock, as if nobody set it.

The wall clock is read once and carried on by the monotonic clock, which time services slew as they do the wall clock
but nobody sets. Two processes of one host that read it at different times are told apart by what lies between them
(``base_ns``): the steps of the wall clock. The standard library only: fault agents have it, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable

# Of so many readings of both clocks the quickest counts: a thread may lose its core between the two.
READINGS = 5


class SteadyClock:
    """A wall clock without steps, in ns since the Unix epoch."""

    def __init__(self) -> None:
        self.base_ns = wall_less_monotonic_ns()
        # How much too fast the monotonic clock goes, and since when it does.
        self._drift_ppm, self._since_ns = 0.0, 0

    def now_ns(self) -> int:
        """Return what time it is."""
        now_ns = time.monotonic_ns()
        return self.base_ns + now_ns - self._gained_ns(now_ns)

    def allow_for(self, ppm: float) -> None:
        """Take that the monotonic clock gains so many millionths from now on, as somebody has it do so."""
        now_ns = time.monotonic_ns()
        self.base_ns -= self._gained_ns(now_ns)
        self._drift_ppm, self._since_ns = ppm, now_ns

    def _gained_ns(self, now_ns: int) -> int:
        """Return by how much the monotonic clock is too far, since somebody has it go too fast."""
        if not self._drift_ppm:
            return 0
        return round((now_ns - self._since_ns) * self._drift_ppm / (1e6 + self._drift_ppm))

    def stepped_ns(self) -> int:
        """Return by how much the wall clock was set since this one was; 0 but for the error of reading two clocks."""
        return wall_less_monotonic_ns() - self.base_ns

    def set(self) -> None:
        """Take the wall clock's time again."""
        self.base_ns = wall_less_monotonic_ns()


def wall_less_monotonic_ns() -> int:
    """Return how far the wall clock is ahead of the monotonic one."""
    return _wall_less(time.monotonic_ns)


def wall_less_raw_ns() -> int:
    """Return how far the wall clock is ahead of the raw one, which nobody slews, either."""
    return _wall_less(lambda: time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW))


def _wall_less(other_ns: Callable[[], int]) -> int:
    readings = []
    for _ in range(READINGS):
        before_ns = other_ns()
        wall_ns = time.time_ns()
        after_ns = other_ns()
        # The wall clock was read between these two; their middle is the best guess of when.
        readings.append((after_ns - before_ns, wall_ns - (before_ns + after_ns) // 2))
    return min(readings)[1]


# Of this process.
CLOCK = SteadyClock()

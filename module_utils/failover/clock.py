# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clock with which a process of the lab stamps what it does: the wall clock, as if nobody set it.

The wall clock is read once and carried on by the monotonic clock, which time services slew as they do the wall clock
but nobody sets. Two processes of one host that read it at different times are told apart by what lies between them
(``base_ns``): the steps of the wall clock. The standard library only: fault agents have it, too.
"""

from __future__ import annotations

import time

# Of so many readings of both clocks the quickest counts: a thread may lose its core between the two.
READINGS = 5


class SteadyClock:
    """A wall clock without steps, in ns since the Unix epoch."""

    def __init__(self) -> None:
        self.base_ns = wall_less_monotonic_ns()

    def now_ns(self) -> int:
        """Return what time it is."""
        return self.base_ns + time.monotonic_ns()

    def stepped_ns(self) -> int:
        """Return by how much the wall clock was set since this one was; 0 but for the error of reading two clocks."""
        return wall_less_monotonic_ns() - self.base_ns

    def set(self) -> None:
        """Take the wall clock's time again."""
        self.base_ns = wall_less_monotonic_ns()


def wall_less_monotonic_ns() -> int:
    """Return how far the wall clock is ahead of the monotonic one."""
    readings = []
    for _ in range(READINGS):
        before_ns = time.monotonic_ns()
        wall_ns = time.time_ns()
        after_ns = time.monotonic_ns()
        # The wall clock was read between these two; their middle is the best guess of when.
        readings.append((after_ns - before_ns, wall_ns - (before_ns + after_ns) // 2))
    return min(readings)[1]


# Of this process.
CLOCK = SteadyClock()

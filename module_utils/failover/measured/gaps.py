# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Times without an acknowledged operation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .columns import MS, Ints, S
from .repeats import Repeat


@dataclass(frozen=True)
class Gap:
    """A time without an ok completion, from the completion before it to the one that ended it.

    One that no completion ended reaches to the end of the run: it lasted at least that long.
    """

    start_ns: int
    end_ns: int
    ended: bool = True

    @property
    def duration_ms(self) -> float:
        """Length in ms."""
        return (self.end_ns - self.start_ns) / MS

    def as_dict(self) -> dict[str, float | bool]:
        """Return start and end in s since the origin, the length in ms, and whether it ended."""
        return {
            "start_s": self.start_ns / S,
            "end_s": self.end_ns / S,
            "duration_ms": self.duration_ms,
            "ended": self.ended,
        }


def longest_gap(completions_ns: Ints, start_ns: int, end_ns: int, within: tuple[int, int] | None = None) -> Gap | None:
    """Find the longest time without a completion between ``start_ns`` and ``end_ns``, both counted as borders.

    :param completions_ns: in order
    :param within: only gaps that overlap this interval count.
    :returns: None where no gap qualifies.
    """
    borders = np.concatenate(([start_ns], completions_ns, [end_ns]))
    starts, ends = borders[:-1], borders[1:]
    if within is not None:
        keep = (ends > within[0]) & (starts < within[1])
        starts, ends = starts[keep], ends[keep]
    if len(starts) == 0:
        return None
    longest = int(np.argmax(ends - starts))
    end = int(ends[longest])
    return Gap(int(starts[longest]), end, ended=bool(len(completions_ns) and completions_ns[-1] >= end))


def longest_gap_of(repeats: Iterable[Repeat]) -> Gap | None:
    """Return the longest time without an ok completion within one repeat, on the time line without idle time."""
    gaps = []
    for repeat in repeats:
        gap = longest_gap(repeat.columns.ok_ns, repeat.start_ns, repeat.end_ns)
        if gap is not None:
            gaps.append(Gap(gap.start_ns - repeat.idle_ns, gap.end_ns - repeat.idle_ns, gap.ended))
    return max(gaps, key=lambda gap: gap.end_ns - gap.start_ns, default=None)

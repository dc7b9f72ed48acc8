# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Puts what a server logged while its host's clock was made wrong on the clock that was right.

Agents stamp by a clock that such a fault leaves right, servers by the wrong one. By how much it was wrong is on record.
Which lines were written meanwhile is told by their order: where the clock jumps there and back, so do they. Stamps
alone would not tell, as a clock that was ahead for a minute has that minute twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..actions.record import FaultRecord
from ..shapes import Event

# How a line of a log begins: journalctl -o short-unix, or ISO 8601 in UTC.
UNIX = re.compile(r"(\d{9,})\.(\d{6}) ")
ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|\+00:00) ?")
# By so much stamps of a log go back only where its clock did, in ns: lines are written in their order.
BACK_NS = 20_000_000
# What stamps of agent and server may differ without a reason, in ns: a line is written a moment after what it tells.
SLACK_NS = 100_000_000

Read = Callable[[Mapping[str, Sequence[str]]], list[Event]]


@dataclass(frozen=True)
class Skew:
    """How wrong a member's clock was, and when, by the right one."""

    member: str
    from_ns: int
    until_ns: int
    jump_ns: int  # at once
    gained_ns: int  # in all, at the end

    @classmethod
    def of(cls, record: FaultRecord) -> Skew | None:
        """Return that of a fault that has made a clock wrong and is healed, None of any other."""
        if not record.clock_gained_ns or record.signal_sent_wall_ns is None or record.healed_wall_ns is None:
            return None
        jump_ns = int(record.options.get("jump_ms", 0) * 1e6)
        return cls(record.struck, record.signal_sent_wall_ns, record.healed_wall_ns, jump_ns, record.clock_gained_ns)

    def right(self, stamp_ns: int) -> int:
        """Return what time it was when the wrong clock had this one."""
        since_ns = stamp_ns - self.from_ns - self.jump_ns
        drifted_ns = self.gained_ns - self.jump_ns
        lasted_ns = max(1, self.until_ns - self.from_ns)
        return self.from_ns + round(since_ns * lasted_ns / (lasted_ns + drifted_ns))

    def meanwhile(self, stamps: Sequence[int | None]) -> range:
        """Return which lines of a log were written by the wrong clock.

        :param stamps: of the lines in their order; None of a line that has none
        """
        first = last = None
        before: int | None = None
        for number, stamp in enumerate(stamps):
            if stamp is None:
                continue
            over = self.right(stamp) > self.until_ns + SLACK_NS
            if first is None:
                first = number if not over and self._begins(stamp, before) else None
            elif over or (self.gained_ns > 0 and before is not None and stamp < before - BACK_NS):
                break
            last = number if first is not None else None
            before = stamp
        return range(0) if first is None or last is None else range(first, last + 1)

    def _begins(self, stamp: int, before: int | None) -> bool:
        """Whether a line is the first by the wrong clock, given the stamp of the one before it."""
        if self.jump_ns >= 0:
            return stamp >= self.from_ns + self.jump_ns - min(SLACK_NS, self.jump_ns // 2)
        # Back then it was the same time once before.
        return before is not None and stamp < before + self.jump_ns // 2


def stamp_of(line: str) -> int | None:
    """Return when a line of a log says that it was written, in ns since the Unix epoch; None where it does not."""
    if match := UNIX.match(line):
        return int(match[1]) * 10**9 + int(match[2]) * 1000
    if match := ISO.match(line):
        return round(datetime.fromisoformat(f"{match[1]}+00:00").timestamp() * 1e6) * 1000
    return None


def put_right(logs: Mapping[str, Sequence[str]], records: Iterable[FaultRecord], read: Read) -> list[Event]:
    """Return the events of all servers' logs, those of a wrong clock moved to when they happened.

    :param logs: member -> its lines
    :param read: reads the events out of logs, as the system does
    """
    events = read(logs)
    for skew in filter(None, map(Skew.of, records)):
        lines = logs.get(skew.member, [])
        those = skew.meanwhile([stamp_of(line) for line in lines])
        wrong = Counter((event.wall_ns, event.event) for event in read({skew.member: lines[those.start : those.stop]}))
        for number, event in enumerate(events):
            if event.source == skew.member and wrong[event.wall_ns, event.event] > 0:
                wrong[event.wall_ns, event.event] -= 1
                events[number] = replace(event, wall_ns=skew.right(event.wall_ns))
    return events

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets of global transaction identifiers, as MySQL writes them.

``uuid[:tag]:interval[:interval]...[:tag:interval...]``, several separated by commas, where an interval is a number or
two with a hyphen between: https://dev.mysql.com/doc/refman/9.7/en/replication-gtids-concepts.html
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from uuid import UUID

from ...shapes import LabError

INTERVAL = re.compile(r"([0-9]+)(?:-([0-9]+))?")
TAG = re.compile(r"[a-z_][a-z0-9_]*")


class GtidSet:
    """A set that can be asked for single transactions; LabError where the text is none."""

    def __init__(self, text: str) -> None:
        try:
            self._intervals = _parse(text)
        except ValueError:
            raise LabError(f"{text[:80]!r} is no set of MySQL's transactions; repeat the run") from None

    def __contains__(self, gtid: object) -> bool:
        source, _, number = str(gtid).lower().rpartition(":")
        found = self._intervals.get(source, [])
        at = bisect_right(found, (int(number), sys.maxsize)) - 1
        return at >= 0 and int(number) <= found[at][1]


class InLog:
    """The transactions that a server executed and has in its binary log.

    Those that it executed and does not have there it counts as purged: when it starts, and when it deletes a file of
    the log. https://dev.mysql.com/doc/refman/9.7/en/replication-options-gtids.html#sysvar_gtid_purged
    """

    def __init__(self, executed: str, purged: str) -> None:
        self._executed, self._purged = GtidSet(executed), GtidSet(purged)

    def __contains__(self, gtid: object) -> bool:
        return gtid in self._executed and gtid not in self._purged


def _parse(text: str) -> dict[str, list[tuple[int, int]]]:
    """Return the intervals of each source, in order."""
    intervals: dict[str, list[tuple[int, int]]] = {}
    for part in text.replace("\n", "").split(",") if text else ():
        uuid, *rest = part.strip().lower().split(":")
        source = str(UUID(uuid))
        for word in rest:
            if interval := INTERVAL.fullmatch(word):
                first, last = interval.groups()
                intervals.setdefault(source, []).append((int(first), int(last or first)))
            elif TAG.fullmatch(word):
                source = f"{UUID(uuid)}:{word}"
            else:
                raise ValueError(word)
    return {source: sorted(found) for source, found in intervals.items()}


def count_transactions(gtid_set: str) -> int:
    """Return how many transactions a GTID set has, like "uuid:1-5:7, uuid2:1-3"."""
    count = 0
    for part in gtid_set.replace("\n", "").split(","):
        for interval in part.strip().split(":")[1:]:
            first, _, last = interval.partition("-")
            if first.isdecimal():  # and not a tag
                count += int(last or first) - int(first) + 1
    return count

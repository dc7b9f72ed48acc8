# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether scans found as many keys as were there, in workloads that remove none."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np

from ..shapes import Check, Kind, Outcome, Verdict
from ..workloads.packed import KINDS
from .base import Case, Checker
from .words import listed, span_of

# Later than any operation ends, in ns.
NEVER = np.iinfo(np.int64).max


class Scans(Checker):
    """Every SCAN finds the keys of its range that were written before it began, and none that nobody began to write.

    Keys are counted and not compared: a history has the number of those that a scan found and the last one, not all of
    them with their values.
    """

    name = "scans"
    how = (
        "From its first key to the last one that it found, or to the end where it found fewer than it asked for, a "
        "scan must find at least the keys whose writes were acknowledged before it began, and at most those whose "
        "writes had begun before it ended."
    )

    def applies(self, case: Case) -> bool:
        """Whether there are scans, no key is ever removed, and reads may not be old."""
        kinds = {KINDS[code] for code in set(case.recorded.operations.kinds)}
        return Kind.SCAN in kinds and Kind.DELETE not in kinds and not case.recorded.reads_may_be_old

    def judge(self, case: Case) -> list[Check]:
        """Count the keys that must and may be there for each scan."""
        begun: dict[str, int] = {}  # when the first write of a key began that may have taken effect
        done: dict[str, int] = {}  # when the first one was acknowledged
        for row in case.recorded.rows():
            if row.kind not in (Kind.SCAN, Kind.RETRIEVE) and row.outcome != Outcome.FAIL:
                begun[row.key] = min(row.invoke_ns, begun.get(row.key, NEVER))
                if row.outcome == Outcome.OK:
                    done[row.key] = min(row.complete_ns, done.get(row.key, NEVER))
        keys = sorted(begun)  # names are ASCII: this is the order of both systems
        begun_ns = np.array([begun[key] for key in keys], dtype=np.int64)
        done_ns = np.array([done.get(key, NEVER) for key in keys], dtype=np.int64)
        margin_ns = case.recorded.clock_margin_ns
        wrong: list[dict[str, Any]] = []
        scans = 0
        for row in case.recorded.rows():
            if row.kind != Kind.SCAN or row.outcome != Outcome.OK:
                continue
            scans += 1
            found, first = row.affected or 0, bisect_left(keys, row.key)
            fewer = row.read is None or found < int(row.value or 0)
            behind = len(keys) if fewer else bisect_right(keys, str(row.read))
            least = int(np.count_nonzero(done_ns[first:behind] <= row.invoke_ns - margin_ns))
            most = int(np.count_nonzero(begun_ns[first:behind] <= row.complete_ns + margin_ns))
            if not least <= found <= most:
                wrong.append({"expected": span_of(least, most), **case.recorded.describe(row.index)})
        evidence: dict[str, Any] = {"scans": scans, "keys": len(keys)}
        if not wrong:
            told = f"{scans:,} scans found as many keys as were there."
            return [Check(self.name, Verdict.VALID if scans else Verdict.UNKNOWN, told, evidence)]
        evidence["wrong"] = listed(wrong)
        told = (
            f"{len(wrong):,} of {scans:,} scans found other numbers of keys than were there: operation "
            f"{wrong[0]['index']:,} found {wrong[0].get('affected'):,} instead of {wrong[0]['expected']}."
        )
        return [Check(self.name, Verdict.INVALID, told, evidence)]

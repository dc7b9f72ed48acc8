# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether some order of the operations explains all answers, where all clients are at the same keys."""

from __future__ import annotations

import time
from typing import Any

from ..shapes import Check, Kind, ReadConsistency, Verdict
from ..workloads.base import Content
from .base import Case, Checker
from .calls import add_ends, call_of
from .linearizability import Answer, Call, check_key
from .model import LATE_DUPLICATE, NO_ORDER
from .words import listed, names

# For all keys of an experiment, in s: minutes of a run are worth one of checking.
TIME_LIMIT_S = 60.0


class Linearizable(Checker):
    """Each operation took effect at one moment between its call and its return.

    The members' keys at the end are the last reads. Where clients sent a write again blindly, what cannot be explained
    may be its late effect, which is the client's doing: ``unknown``.
    """

    name = "linearizable"
    how = (
        "For each key an order of all its operations is searched that explains every answer, and what the members held "
        "at the end, and in which no operation comes before one that was over when it began."
    )

    def applies(self, case: Case) -> bool:
        """Whether all clients are at the keys, and these hold plain values."""
        return not case.is_exact and case.workload.content is Content.VALUE

    def judge(self, case: Case) -> list[Check]:
        """Check key by key, all of them."""
        calls = _calls(case)
        deadline = time.monotonic() + TIME_LIMIT_S
        blocked: dict[str, str] = {}
        undecided: list[str] = []
        for key, own in calls.items():
            answer, label = check_key(own, None, deadline)
            if answer is Answer.UNKNOWN:
                undecided.append(key)
            elif answer is Answer.NOT_LINEARIZABLE:
                blocked[key] = label or ""
        return [_told(self.name, case, calls, blocked, undecided)]


def _told(name: str, case: Case, calls: dict[str, list[Call]], blocked: dict[str, str], undecided: list[str]) -> Check:
    """Return the check: the keys without an order, and those for which none was found in time."""
    evidence: dict[str, Any] = {"keys": len(calls), "operations": sum(len(own) for own in calls.values())}
    summary = f"{evidence['keys']:,} keys with {evidence['operations']:,} operations and last reads"
    if not _reads_count(case):
        summary += ", reads left out as they may be old"
    if undecided:
        evidence["undecided"] = listed(undecided)
    if blocked:
        resent = {case.recorded.operations[index][1] for index in case.sent_again}
        class_of = {key: LATE_DUPLICATE if key in resent else NO_ORDER for key in blocked}
        found = {key: _blocked(case, key, blocked[key]) for key in blocked}
        evidence["by_class"] = {kind: list(class_of.values()).count(kind) for kind in sorted(set(class_of.values()))}
        evidence["wrong"] = listed(
            list(blocked), lambda key: {"key": key, "class": class_of[key], "expected": None, **found[key]}
        )
        first = next(iter(blocked))
        verdict = Verdict.UNKNOWN if set(class_of.values()) == {LATE_DUPLICATE} else Verdict.INVALID
        told = f"Of {summary}, no order explains {names(blocked)}: {blocked[first]}."
        if verdict is Verdict.UNKNOWN:
            told += " Writes of these keys were sent again, so that may be the late effect of a first attempt."
        return Check(name, verdict, told, evidence)
    if undecided:
        told = f"Of {summary}, no order was found in {TIME_LIMIT_S:.0f} s for {names(undecided)}."
        return Check(name, Verdict.UNKNOWN, told, evidence)
    return Check(name, Verdict.VALID, f"{summary}: an order explains all answers.", evidence)


def _blocked(case: Case, key: str, label: str) -> dict[str, Any]:
    """Return the operation at which the search got stuck, and what it found; a member's last word is none."""
    for row in case.recorded.rows():
        if row.key == key and (call := call_of(row)) is not None and call.label == label:
            return {"found": call.result, "operation": case.recorded.describe(row.index)}
    return {"found": label}


def _reads_count(case: Case) -> bool:
    return bool(case.recorded.read_consistency == ReadConsistency.LINEARIZABLE)


def _calls(case: Case) -> dict[str, list[Call]]:
    """Return the calls of each key; without the reads, where these may be old."""
    reads_count = _reads_count(case)
    calls: dict[str, list[Call]] = {}
    for row in case.recorded.rows():
        if row.kind == Kind.RETRIEVE and not reads_count:
            continue
        if (call := call_of(row)) is not None:
            calls.setdefault(row.key, []).append(call)
    add_ends(calls, case.dumps.values())
    return calls

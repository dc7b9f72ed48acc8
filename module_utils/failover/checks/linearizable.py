# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether some order of the operations explains all answers, where all clients are at the same keys."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Any

from ..shapes import Check, Kind, Outcome, RetryPolicy, Verdict
from ..workloads.base import Content
from .base import Case, Checker
from .calls import add_ends, call_of
from .contradiction import described
from .counterexample import Counterexample, shrink
from .linearizability import check_key
from .model import LATE_DUPLICATE, NO_ORDER, STALE
from .operations import Answer, Call
from .unique_values import without_doubt
from .words import listed, names, verdict_of

# For all keys of an experiment, in s: minutes of a run are worth one of checking.
TIME_LIMIT_S = 60.0
# Operations of a key of which each choice is tried whether they took effect: as many as make 64 searches.
MOST_DOUBTFUL = 6
# Keys of which the few operations that contradict each other are looked for, and how long for each, in s.
MOST_SHRUNK, SHRINK_LIMIT_S = 3, 20.0


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
        calls, doubtful, blocked = _calls(case)
        deadline = time.monotonic() + TIME_LIMIT_S
        undecided: list[str] = []
        for key, own in calls.items():
            answer, label = check_with_doubts(own, doubtful.get(key, []), deadline)
            if answer is Answer.UNKNOWN:
                undecided.append(key)
            elif answer is Answer.NOT_LINEARIZABLE:
                blocked.setdefault(key, label or "")
        found = {}
        for key in list(blocked)[: MOST_SHRUNK if case.explains else 0]:
            # A CAS of which it is not known whether it took effect: in whatever way it did, the others contradict.
            unknown = [call._replace(end=None) for call in doubtful.get(key, [])]
            smallest = shrink([*calls[key], *unknown], None, SHRINK_LIMIT_S)
            if smallest is not None:
                found[key] = smallest
        return [_told(self.name, case, calls, blocked, undecided, _described(case, found))]


def _described(case: Case, found: Mapping[str, Counterexample]) -> dict[str, dict[str, Any]]:
    """Tell by key the few operations that contradict each other."""
    labels = {call.label for smallest in found.values() for call in smallest.calls}
    rows = case.recorded.rows() if labels else ()
    index_of = {call.label: row.index for row in rows if (call := call_of(row)) and call.label in labels}
    return {key: described(case, smallest, index_of) for key, smallest in found.items()}


def check_with_doubts(own: list[Call], doubtful: list[Call], deadline: float) -> tuple[Answer, str | None]:
    """Check a key, with each choice of which of its doubtful operations took effect, unless values tell which did."""
    certain = without_doubt(own, doubtful, None)
    if certain is not None:
        return check_key(certain, None, deadline)
    chosen = doubtful[:MOST_DOUBTFUL]
    # More than can be chosen from are left to the search, as if they might take effect after they were over.
    rest = [*own, *(call._replace(end=None) for call in doubtful[MOST_DOUBTFUL:])]
    answer, label = Answer.NOT_LINEARIZABLE, None
    for takes_effect in product((True, False), repeat=len(chosen)):
        done = [call for call, does in zip(chosen, takes_effect, strict=True) if does]
        answer, label = check_key([*rest, *done], None, deadline)
        if answer is not Answer.NOT_LINEARIZABLE:
            break
    return answer, label


def _told(
    name: str,
    case: Case,
    calls: dict[str, list[Call]],
    blocked: dict[str, str],
    undecided: list[str],
    smallest: Mapping[str, Any],
) -> Check:
    """Return the check: the keys without an order, and those for which none was found in time."""
    evidence: dict[str, Any] = {"keys": len(calls), "operations": sum(len(own) for own in calls.values())}
    ends = " and last reads" if case.dumps else ""
    summary = f"{evidence['keys']:,} keys with {evidence['operations']:,} operations{ends}"
    if case.recorded.reads_may_be_old:
        summary += ", reads left out as they may be old"
    if undecided:
        evidence["undecided"] = listed(undecided)
    if blocked:
        return _wrong(name, case, blocked, summary, evidence, smallest)
    if undecided:
        told = f"Of {summary}, no order was found in {TIME_LIMIT_S:.0f} s for {names(undecided)}."
        return Check(name, Verdict.UNKNOWN, told, evidence)
    told = f"{summary}: an order explains all answers"
    if case.unreadable:
        told += f"; {case.unread}"
    return Check(name, Verdict.UNKNOWN if case.unreadable else Verdict.VALID, f"{told}.", evidence)


def _wrong(
    name: str,
    case: Case,
    blocked: dict[str, str],
    summary: str,
    evidence: dict[str, Any],
    smallest: Mapping[str, Any],
) -> Check:
    """Return the check where no order explains a key."""
    resent = {case.recorded.operations[index][1] for index in case.sent_again}
    stale = {key for key, told in smallest.items() if told["stale"]}
    class_of = {key: LATE_DUPLICATE if key in resent else STALE if key in stale else NO_ORDER for key in blocked}
    found = _operations(case, blocked)
    evidence["by_class"] = dict(Counter(class_of.values()))
    evidence["wrong"] = listed(
        list(blocked),
        lambda key: {
            "key": key,
            "class": class_of[key],
            "expected": None,
            **found[key],
            "contradiction": smallest.get(key),
        },
    )
    told = f"Of {summary}, no order explains {names(blocked)}: {next(iter(blocked.values()))}."
    verdict = verdict_of(class_of.values())
    if verdict is Verdict.UNKNOWN:
        told += " Writes of these keys were sent again, so that may be the late effect of a first attempt."
    return Check(name, verdict, told, evidence)


def _operations(case: Case, blocked: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return, by key, the operation at which the search got stuck, and what it found; a member's last word is none."""
    told: dict[str, dict[str, Any]] = {key: {"found": label} for key, label in blocked.items()}
    for row in case.recorded.rows():
        if row.key in blocked and (call := call_of(row)) is not None and call.label == blocked[row.key]:
            told[row.key] = {"found": call.result, "operation": case.recorded.describe(row.index)}
    return told


def _calls(case: Case) -> tuple[dict[str, list[Call]], dict[str, list[Call]], dict[str, str]]:
    """Return by key the calls, without the reads where these may be old; the doubtful ones; and a contradiction.

    Doubtful is a CAS that is over, and of which it is not known whether it set the value: its answer was lost, and a
    fence says that it can do so no more. A contradiction is one that changed nothing though it found what it expected.
    """
    may_be_old, fenced = case.recorded.reads_may_be_old, case.recorded.retry_policy == RetryPolicy.SAFE
    calls: dict[str, list[Call]] = {}
    doubtful: dict[str, list[Call]] = {}
    contradictions: dict[str, str] = {}
    for row in case.recorded.rows():
        if (row.kind == Kind.RETRIEVE and may_be_old) or (call := call_of(row)) is None:
            continue
        calls.setdefault(row.key, [])
        acknowledged_cas = row.kind == Kind.CAS and row.outcome == Outcome.OK
        if acknowledged_cas and row.affected == 0 and row.read == row.expected:
            contradictions[row.key] = call.label
        if fenced and acknowledged_cas and row.affected is None:
            doubtful.setdefault(row.key, []).append(call._replace(end=row.complete_ns))
        else:
            calls[row.key].append(call)
    add_ends(calls, case.dumps.values())
    return calls, doubtful, contradictions

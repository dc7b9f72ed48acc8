# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether some order of the operations explains all answers, where all clients are at the same keys."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, product
from math import inf
from operator import itemgetter
from typing import Any

from ..shapes import Check, HistoryRow, Kind, Outcome, RetryPolicy, Verdict
from ..workloads.base import Content
from .base import Case, Checker
from .calls import call_of, ends_of, last_moment
from .contradiction import described
from .counterexample import Counterexample, shrink
from .linearizability import check_key
from .model import LATE_DUPLICATE, NO_ORDER, STALE
from .operations import Answer, Call
from .unique_values import without_doubt
from .words import MAX_LISTED, listed, names, verdict_of

# For all keys of an experiment, in s of this thread's work, so that a busy machine decides as much as an idle one.
# Minutes of a run are worth one of checking.
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
        """Check key by key, all of them, of which one at a time is in memory."""
        over = max((last_moment(call) for own in _keys(case) for call in own.calls), default=0)
        found = _Found()
        left_s = TIME_LIMIT_S
        for own in _keys(case):
            own.calls.extend(ends_of(own.key, case.dumps.values(), over))
            began = time.thread_time()
            answer, label = check_with_doubts(own.calls, own.doubtful, began + left_s)
            left_s -= time.thread_time() - began
            found.take(own, answer, label)
        blocked, undecided = found.blocked(), found.undecided()
        smallest = {}
        for key in list(blocked)[: MOST_SHRUNK if case.explains else 0]:
            # A CAS of which it is not known whether it took effect: in whatever way it did, the others contradict.
            own = _of_key(case, key, case.recorded.rows_of(key))
            unknown = [call._replace(end=None) for call in own.doubtful]
            shrunk = shrink([*own.calls, *ends_of(key, case.dumps.values(), over), *unknown], None, SHRINK_LIMIT_S)
            if shrunk is not None:
                smallest[key] = shrunk
        return [_told(self.name, case, found, blocked, undecided, _described(case, smallest))]


@dataclass
class _Key:
    """The operations of a key."""

    key: str
    # Without the reads where these may be old.
    calls: list[Call] = field(default_factory=list)
    # Each a CAS that is over, and of which it is not known whether it set the value: its answer was lost, and a fence
    # says that it can do so no more.
    doubtful: list[Call] = field(default_factory=list)
    # The last CAS that changed nothing though it found what it expected, and the index of the first.
    contradiction: str = ""
    contradicted: int | None = None
    first: int | None = None  # index of the first call; None where there is none


class _Found:
    """What was found of the keys, as they come."""

    def __init__(self) -> None:
        self.keys = self.operations = 0
        self._contradicted: list[tuple[int, str, str]] = []
        self._blocked: list[tuple[float, str, str]] = []
        self._undecided: list[tuple[float, str]] = []

    def take(self, own: _Key, answer: Answer, label: str | None) -> None:
        """Take what was found of one key."""
        self.keys += 1
        self.operations += len(own.calls)
        place = inf if own.first is None else own.first
        if own.contradicted is not None:
            self._contradicted.append((own.contradicted, own.key, own.contradiction))
        if answer is Answer.UNKNOWN:
            self._undecided.append((place, own.key))
        elif answer is Answer.NOT_LINEARIZABLE:
            self._blocked.append((place, own.key, label or ""))

    def blocked(self) -> dict[str, str]:
        """Return the keys without an order, and what shows it: in the order of their first calls, CAS's before all."""
        blocked = {key: label for _, key, label in sorted(self._contradicted, key=itemgetter(0))}
        for _, key, label in sorted(self._blocked, key=itemgetter(0)):
            blocked.setdefault(key, label)
        return blocked

    def undecided(self) -> list[str]:
        """Return the keys for which no order was found in time, in the order of their first calls."""
        return [key for _, key in sorted(self._undecided, key=itemgetter(0))]


def _described(case: Case, found: Mapping[str, Counterexample]) -> dict[str, dict[str, Any]]:
    """Tell by key the few operations that contradict each other."""
    labels = {call.label for smallest in found.values() for call in smallest.calls}
    rows = chain.from_iterable(case.recorded.rows_of(key) for key in found)
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
    found: _Found,
    blocked: dict[str, str],
    undecided: list[str],
    smallest: Mapping[str, Any],
) -> Check:
    """Return the check: the keys without an order, and those for which none was found in time."""
    evidence: dict[str, Any] = {"keys": found.keys, "operations": found.operations}
    ends = " and last reads" if case.dumps else ""
    summary = f"{evidence['keys']:,} keys with {evidence['operations']:,} operations{ends}"
    if case.recorded.reads_may_be_old:
        summary += ", reads left out as they may be old"
    if undecided:
        evidence["undecided"] = listed(undecided)
    if blocked:
        return _wrong(name, case, blocked, summary, evidence, smallest)
    if undecided:
        told = f"Of {summary}, no order was found in {TIME_LIMIT_S:.0f} s of work for {names(undecided)}."
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
    for row in chain.from_iterable(case.recorded.rows_of(key) for key in list(blocked)[:MAX_LISTED]):
        if (call := call_of(row)) is not None and call.label == blocked[row.key]:
            told[row.key] = {"found": call.result, "operation": case.recorded.describe(row.index)}
    return told


def _keys(case: Case) -> Iterator[_Key]:
    """Yield the keys that have operations, or that members have, each with its calls."""
    seen: set[str] = set()
    for key, rows in case.recorded.by_key():
        own = _of_key(case, key, rows)
        if own.first is not None:
            seen.add(key)
            yield own
    for key in dict.fromkeys(key for dump in case.dumps.values() for key in dump.entries):
        if key not in seen:
            yield _Key(key)


def _of_key(case: Case, key: str, rows: Iterable[HistoryRow]) -> _Key:
    """Return the calls of a key."""
    may_be_old, fenced = case.recorded.reads_may_be_old, case.recorded.retry_policy == RetryPolicy.SAFE
    own = _Key(key)
    for row in rows:
        if (row.kind == Kind.RETRIEVE and may_be_old) or (call := call_of(row)) is None:
            continue
        if own.first is None:
            own.first = row.index
        acknowledged_cas = row.kind == Kind.CAS and row.outcome == Outcome.OK
        if acknowledged_cas and row.affected == 0 and row.read == row.expected:
            own.contradiction = call.label
            own.contradicted = row.index if own.contradicted is None else own.contradicted
        if fenced and acknowledged_cas and row.affected is None:
            own.doubtful.append(call._replace(end=row.complete_ns))
        else:
            own.calls.append(call)
    return own

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a watch was told each change once, in order, and nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..measured.percentiles import latency_summary
from ..results.rows import Ints, Rows
from ..shapes import (
    LIST_SEPARATOR,
    WRITE_KINDS,
    WRITE_SETTLED,
    Check,
    Kind,
    LabError,
    Outcome,
    RetryPolicy,
    Settled,
    Verdict,
)
from ..workloads.base import Content, value_of
from ..workloads.packed import CODE_OF
from .base import Case, Checker
from .model import FAIL
from .words import classes_told, listed

MISSED, DOUBLED, OUT_OF_ORDER, WRONG_VALUE, UNEXPLAINED = (
    "missed", "told twice", "out of order", "wrong value", "unexplained",
)  # fmt: skip
# Writes that change their key whenever they take effect; the others may find nothing to change.
_ALWAYS = (Kind.CREATE.value, Kind.WRITE.value, Kind.APPEND.value)
_COUNTED = (Kind.DELETE.value, Kind.CAS.value)

_MS = 1_000_000
# Rows whose keys or values are compared at a time: bounds the memory.
_AT_ONCE = 200_000


class Watch(Checker):
    """Each change was told to a watch once, in the order of revisions, with the value that was written.

    Every acknowledged write has the revision of its change, so none can be missed in silence; and every change that was
    told has to be that of a write: an acknowledged one, or one of unknown outcome that may have taken effect.
    """

    name = "watch"
    how = (
        "While the workload runs, a watch on the experiment's keys is kept up across failovers. It has to be told the "
        "change of each acknowledged write, with its revision and its value, once and in order, and no change that no "
        "write explains."
    )

    def applies(self, case: Case) -> bool:
        """Whether one was kept."""
        return case.info["workload"].get("watch") is not None

    def judge(self, case: Case) -> list[Check]:
        """Hold what was told against the history."""
        about: Mapping[str, Any] = case.info["workload"]["watch"]
        if "streams" not in about:
            summary = f"No watch was kept: {about['error']}."
            return [Check(self.name, Verdict.UNKNOWN, summary, {"error": about["error"]})]
        try:
            told = case.experiment.watch()
        except LabError as error:
            return [Check(self.name, Verdict.UNKNOWN, str(error), {"error": str(error)})]
        found = _Comparison(case, told, about).compare()
        evidence = found.evidence | _about(case, about)
        resumed = evidence["resumed"]
        kept = f"resumed {resumed:,} {'time' if resumed == 1 else 'times'}" if resumed else "never resumed"
        counted = f"{told.num_rows:,} changes, by a watch that was {kept}"
        if found.wrong:
            first = _first(evidence["wrong_changes"]["listed"][0])
            summary = f"Of {counted}: {classes_told(evidence['by_class'])}; the first: {first}."
            return [Check(self.name, Verdict.INVALID, summary, evidence)]
        if about["error"] is not None or found.untold or about["gaps"]:
            why = about["error"] or f"nobody could tell it {found.untold:,} acknowledged writes any more"
            summary = f"Nothing is wrong with {counted}; but it was not told everything: {why}."
            return [Check(self.name, Verdict.UNKNOWN, summary, evidence)]
        summary = f"Each change was told once and in order: {counted}."
        return [Check(self.name, Verdict.VALID, summary, evidence)]


def _about(case: Case, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what there is to say of the watch itself."""
    member_at, origin_ns = case.experiment.member_at, case.info["origin_wall_ns"]

    def described(stream: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "member": member_at.get(stream["endpoint"], stream["endpoint"]),
            "from_revision": stream["revision"],
            "at_ms": (stream["wall_ns"] - origin_ns) / _MS,
            "why": stream["why"] or None,
        }

    own = {name: about[name] for name in ("from_revision", "to_revision", "gaps", "error")}
    return own | {"resumed": max(0, len(about["streams"]) - 1), "streams": listed(about["streams"], described)}


def _first(wrong: Mapping[str, Any]) -> str:
    operation = wrong["operation"]
    by = f", of operation {operation['index']:,} ({operation['kind']})" if operation else ""
    return f"revision {wrong['revision']:,}, key {wrong['key']!r}{by}, {wrong['class']}"


@dataclass
class _Found:
    """What came of it."""

    wrong: list[dict[str, Any]] = field(default_factory=list)
    untold: int = 0  # acknowledged writes of which nobody could tell
    evidence: dict[str, Any] = field(default_factory=dict)


class _Comparison:
    """The changes that were told, and the writes of the history."""

    def __init__(self, case: Case, told: Rows, about: Mapping[str, Any]) -> None:
        self._case = case
        self._recorded = case.recorded
        self._told = told
        self._revision = told.numbers("revision")
        self._is_list = case.workload.content is Content.LIST
        gaps = about["gaps"]
        self._ranges = (about["from_revision"], about["to_revision"], [(first, last) for first, last in gaps])
        self._found = _Found()

    def compare(self) -> _Found:
        """Do it."""
        found = self._found
        doubled = self._order()
        rows = self._rows_of_changes()
        at = self._event_of(rows, doubled)
        self._compare_values(rows[at >= 0], at[at >= 0])
        self._note_missing(rows[at < 0])
        explained = doubled.copy()
        explained[at[at >= 0]] = True
        self._explain(explained, rows)
        found.wrong.sort(key=lambda wrong: wrong["revision"])
        arrived, complete = self._told.times("arrived_ns"), self._recorded.table.numbers("complete_ns")
        lag = arrived[at[at >= 0]] - complete[rows[at >= 0]]
        del arrived, complete
        found.evidence = {
            "events": self._told.num_rows,
            "acknowledged": len(rows),
            # An answer may be on its way to the client while the watch is told.
            "told_after_ms": latency_summary(np.maximum(lag, 0)),
            "untold": found.untold,
            "by_class": dict(Counter(wrong["class"] for wrong in found.wrong)),
        }
        if found.wrong:
            found.evidence["wrong_changes"] = listed(found.wrong)
        return found

    def _wrong(self, what: str, revision: int, key: str, index: int | None = None, **more: Any) -> None:
        operation = None if index is None else self._recorded.describe(index)
        self._found.wrong.append({"class": what, "revision": revision, "key": key, "operation": operation, **more})

    def _event(self, number: int) -> dict[str, Any]:
        return self._told.row(number)

    def _order(self) -> npt.NDArray[np.bool_]:
        """Find what was told twice, and what came late; return which of the events are told once more."""
        revision = self._revision
        doubled = np.zeros(len(revision), dtype=bool)
        if not len(revision):
            return doubled
        highest = np.maximum.accumulate(revision)
        for number in (np.flatnonzero(revision[1:] <= highest[:-1]) + 1).tolist():
            event = self._event(number)
            before = np.flatnonzero(revision[:number] == event["revision"])
            doubled[number] = any(self._event(int(other))["key"] == event["key"] for other in before)
            if doubled[number] or event["revision"] < highest[number - 1]:
                what = DOUBLED if doubled[number] else OUT_OF_ORDER
                after = int(highest[number - 1])
                self._wrong(what, event["revision"], event["key"], self._index_at(event), after_revision=after)
        return doubled

    def _index_at(self, event: Mapping[str, Any]) -> int | None:
        """Return the acknowledged write that was answered with an event's revision, and is of its key."""
        table = self._recorded.table
        for row in np.flatnonzero(table.numbers("revision") == event["revision"]).tolist():
            told = table.row(row)
            if told["key"] == event["key"] and told["kind"] in WRITE_KINDS:
                return int(told["index"])
        return None

    def _rows_of_changes(self) -> Ints:
        """Return the rows of the history that are acknowledged writes which changed their key for certain."""
        # A row that is not of the stream, or repeated, is the history's own check's affair.
        counts = np.zeros(self._recorded.table.num_rows, dtype=np.bool_)
        counts[self._recorded.row_of[self._recorded.row_of >= 0]] = True
        begin = 0
        for part in self._recorded.table.parts(["kind", "outcome", "revision", "affected"]):
            kind = part["kind"].cast(pa.string())
            always = pc.is_in(kind, pa.array(_ALWAYS))
            counted = pc.and_(pc.is_in(kind, pa.array(_COUNTED)), pc.greater(part["affected"], 0))
            ok = pc.and_(pc.equal(part["outcome"].cast(pa.string()), Outcome.OK.value), part["revision"].is_valid())
            changed = pc.and_(ok, pc.or_kleene(always, counted)).fill_null(False)
            counts[begin : begin + part.num_rows] &= changed.to_numpy()
            begin += part.num_rows
        return np.flatnonzero(counts)

    def _event_of(self, rows: Ints, doubled: npt.NDArray[np.bool_]) -> Ints:
        """Return for each of these rows the event of its revision and key; -1 where there is none."""
        wanted = self._recorded.table.numbers("revision")[rows]
        once = np.flatnonzero(~doubled)
        order = once[np.argsort(self._revision[once], kind="stable")]
        ordered = self._revision[order]
        place = np.searchsorted(ordered, wanted)
        at = np.full(len(rows), -1, dtype=np.int64)
        there = np.flatnonzero(place < len(ordered))
        there = there[ordered[place[there]] == wanted[there]]
        at[there] = order[place[there]]
        other = _different("key", self._told, at[there], self._recorded.table, rows[there])
        at[there[other]] = -1
        return at

    def _compare_values(self, rows: Ints, at: Ints) -> None:
        """Find the events whose value is not the one that was written."""
        # A DELETE has no value, as an event of a key that was removed.
        for position in _different("value", self._told, at, self._recorded.table, rows):
            event, row = self._event(int(at[position])), self._recorded.table.row(int(rows[position]))
            if not self._fits(row["kind"], row["value"], event["value"]):
                more = {"expected": row["value"], "found": event["value"]}
                self._wrong(WRONG_VALUE, event["revision"], event["key"], row["index"], **more)

    def _fits(self, kind: str, written: str | None, told: str | None) -> bool:
        if kind == Kind.APPEND:
            return told is not None and written is not None and _last(told) == written
        return told == written

    def _is_told(self, revision: int) -> bool:
        """Whether the watch must have been told of this revision."""
        first, last, gaps = self._ranges
        return first <= revision <= last and not any(begin <= revision <= end for begin, end in gaps)

    def _note_missing(self, rows: Ints) -> None:
        for row in rows.tolist():
            told = self._recorded.table.row(row)
            if self._is_told(told["revision"]):
                self._wrong(MISSED, told["revision"], told["key"], told["index"])
            else:
                self._found.untold += 1

    def _explain(self, explained: npt.NDArray[np.bool_], rows: Ints) -> None:
        """Find the events that no write explains, and the settled writes that were not told.

        :param explained: which events are those of acknowledged writes
        """
        possible: dict[tuple[str, str | None], list[int]] = defaultdict(list)
        settled_at = self._settled_at()
        for index, times in self._others(rows):
            operation = self._recorded.operations[index]
            possible[operation[1], value_of(operation)] += [index] * times
        told: set[int] = set()
        for number in np.flatnonzero(~explained).tolist():
            event = self._event(number)
            value = event["value"]
            key = (event["key"], _last(value) if self._is_list and value is not None else value)
            candidates = possible.get(key, [])
            if candidates:
                # The one that is known to be of this revision, if any is.
                known = [index for index in candidates if settled_at.get(index) == event["revision"]]
                chosen = (known or candidates)[0]
                candidates.remove(chosen)
                told.add(chosen)
            else:
                self._wrong(UNEXPLAINED, event["revision"], event["key"], value=value)
        for index, revision in settled_at.items():
            operation = self._recorded.operations[index]
            if index not in told and operation[0] in _ALWAYS and self._is_told(revision):
                self._wrong(MISSED, revision, operation[1], index)

    def _others(self, rows: Ints) -> Iterator[tuple[int, int]]:
        """Yield the writes that may have been told beside those in ``rows``, and how often each may be."""
        recorded = self._recorded
        answers = recorded.answers
        times = np.ones(len(recorded.operations), dtype=np.int64)
        if recorded.retry_policy != RetryPolicy.SAFE:
            times = np.maximum(np.asarray(answers.attempts, dtype=np.int64), 1)
        times[recorded.table.numbers("index")[rows]] -= 1
        kinds = np.frombuffer(recorded.operations.kinds, dtype=np.uint8)
        may = np.isin(kinds, [CODE_OF[kind.value] for kind in WRITE_KINDS])
        may &= answers.outcome.array() != answers.outcome.words.index(FAIL)
        for index in np.flatnonzero(may & (times > 0)).tolist():
            yield index, int(times[index])

    def _settled_at(self) -> dict[int, int]:
        """Return the revision of each write that was of unknown outcome and turned out to have taken effect."""
        applied = {index for index, word in self._recorded.settled.items() if word == Settled.APPLIED}
        return {
            int(event.data["write"]): int(event.data["revision"])
            for event in self._case.events
            if event.event == WRITE_SETTLED and event.data.get("write") in applied and event.data.get("revision")
        }


def _last(value: str) -> str:
    """Return the last element of a list."""
    return value.rpartition(LIST_SEPARATOR)[2]


def _different(name: str, one: Rows, at: Ints, other: Rows, rows: Ints) -> Ints:
    """Return the positions at which a column of two tables differs, a missing value being equal to a missing one.

    :param at: rows of the one table, :param rows: those of the other, which are compared to them, ascending
    """
    found = [np.zeros(0, dtype=np.int64)]
    for begin in range(0, len(at), _AT_ONCE):
        first = _taken(one, name, at[begin : begin + _AT_ONCE])
        second = _taken(other, name, rows[begin : begin + _AT_ONCE])
        equal = pc.fill_null(pc.equal(first, second), False)
        both = pc.and_(pc.is_null(first), pc.is_null(second))
        found.append(begin + np.flatnonzero(~pc.or_(equal, both).to_numpy()))
    return np.concatenate(found)


def _taken(table: Rows, name: str, rows: Ints) -> pa.ChunkedArray:
    """Return a column of some rows in their order."""
    order = np.argsort(rows, kind="stable")
    place = np.empty(len(rows), dtype=np.int64)
    place[order] = np.arange(len(rows))
    return table.taken([name], rows[order]).column(0).take(pa.array(place))

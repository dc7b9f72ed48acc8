# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the history is that of the stream."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..results.read import Experiment
from ..results.rows import Ints
from ..shapes import Check, Outcome, Verdict
from ..workloads.base import expected_of, value_of
from ..workloads.stream import stream_digest
from .base import Case, Checker
from .recorded import Recorded, shares_of
from .words import MAX_LISTED, listed

# Rows that are compared together: so many need little beside the columns.
_ROWS_AT_ONCE = 200_000

_OUTCOMES = tuple(outcome.value for outcome in Outcome)


class Counted(Sequence[Any]):
    """So many items, of which the first are there."""

    def __init__(self, count: int, first: Sequence[Any]) -> None:
        self._count, self._first = count, first

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        return self._first[place]


def _listable(numbers: Ints) -> Sequence[int]:
    """Return numbers as Python's own when they are asked for: one by one, as there may be millions."""
    return np.ascontiguousarray(numbers).data


class Findings:
    """What is wrong with a history, what cannot be told of it, and the evidence of both."""

    def __init__(self, evidence: dict[str, Any]) -> None:
        self.evidence = evidence
        self.wrong: list[str] = []
        self.unsettled: list[str] = []

    def add(self, name: str, what: str, items: Sequence[Any], into: list[str] | None = None) -> None:
        """Take what was found, if anything; it is wrong unless it goes ``into`` another list."""
        if len(items):
            self.evidence[name] = listed(items)
            first = items[0]["index"] if isinstance(items[0], dict) else items[0]
            (self.wrong if into is None else into).append(f"{what}: {len(items):,}, the first {first}")


class History(Checker):
    """Every operation of the stream has one row, which says what the stream says, in its order.

    Rows missing only at the end of what a client did are an interrupted run (``unknown``); a hole, a repeated
    or foreign row, or operations that ran in another order make the history ``invalid``.
    """

    name = "history"
    how = (
        "The stream is made again from seed and iterations; every operation has to have exactly one row with its kind, "
        "key and value, and the operations of a client and of a key may not overlap."
    )

    def judge(self, case: Case) -> list[Check]:
        """Compare rows and stream."""
        recorded, operations = case.recorded, case.recorded.operations
        digest = stream_digest(operations)
        findings = Findings({"operations": len(operations), "rows": recorded.table.num_rows, "digest": digest})
        _compare_rows(findings, case)
        _compare_origin(findings, case, digest)
        evidence, amiss = findings.evidence, findings.wrong + findings.unsettled
        if amiss:
            verdict = Verdict.INVALID if findings.wrong else Verdict.UNKNOWN
            return [Check(self.name, verdict, f"Found {'; '.join(amiss)}.", evidence)]
        rows = f"All {len(operations):,} operations of the stream have their row"
        if recorded.left_out:
            evidence["left_out"] = listed(sorted(recorded.left_out))
            left_out = f"{len(recorded.left_out):,} were left out"
            rows = f"All {recorded.table.num_rows:,} operations that were sent have their row ({left_out})"
        return [Check(self.name, Verdict.VALID, f"{rows}, in order, with their keys and values.", evidence)]


def _compare_rows(findings: Findings, case: Case) -> None:
    """Find rows that are missing, or are none of the stream's."""
    recorded, table = case.recorded, case.recorded.table
    index = table.numbers("index")
    holes, tail = _missing(recorded, case.experiment)
    findings.add("missing", "operations without a row", holes)
    findings.add(
        "not_reached", "operations at the end without a row, as after an interruption", tail, findings.unsettled
    )
    if np.count_nonzero(recorded.row_of >= 0) < len(index):
        values, counts = np.unique(index, return_counts=True)
        findings.add("repeated", "operations with more than one row", _listable(values[counts > 1]))
        foreign = index[(index < 0) | (index >= len(recorded.operations))]
        findings.add("foreign", "rows with an index outside the stream", _listable(foreign))
    amiss, first = _mismatches(recorded)
    findings.add("mismatched", "rows that differ from the stream", Counted(len(amiss), first))
    findings.add(
        "out_of_order",
        "pairs of operations that ran in another order, or at once",
        _out_of_order(recorded, amiss, shared=not case.is_exact),
    )
    findings.add("backwards", "operations that end before they begin", _backwards(recorded))
    words = dict.fromkeys(word for part in table.parts(["outcome"]) for word in part.column(0).unique().to_pylist())
    no_word = [outcome for outcome in words if outcome not in _OUTCOMES]
    findings.add("outcomes_unknown_to_the_lab", "outcomes that the lab does not know", no_word)


def _compare_origin(findings: Findings, case: Case, digest: str) -> None:
    """Find signs of another run, and of an end that was cut off."""
    stated = case.info["workload"].get("digest")
    if stated is not None and stated != digest:
        findings.evidence["digest_of_the_client"] = stated
        findings.wrong.append(f"the client ran another stream, its digest is {stated}")
    if case.recorded.meta["origin_wall_ns"] != case.info["origin_wall_ns"]:
        findings.wrong.append("the history has another origin than the experiment, so it belongs to another run")
    cut = case.recorded.meta.get("cut")
    if cut:
        findings.evidence["cut"] = cut
        findings.unsettled.append(str(cut))


def _missing(recorded: Recorded, experiment: Experiment) -> tuple[Sequence[int], Sequence[int]]:
    """Return the operations without a row: holes, and those after the last row of the client they belong to."""
    if (recorded.row_of >= 0).all():
        return (), ()
    expected = np.ones(len(recorded.row_of), dtype=np.bool_)
    expected[list(recorded.left_out)] = False
    holes, tail = [], []
    for share in shares_of(recorded.workload, recorded.operations, experiment):
        indexes = np.asarray(share, dtype=np.int64)
        indexes = indexes[expected[indexes]]
        there = recorded.row_of[indexes] >= 0
        # Behind its last row; the beginning for a client that did not come to its first operation.
        end = int(np.flatnonzero(there).max(initial=-1)) + 1
        holes.append(indexes[:end][~there[:end]])
        tail.append(indexes[end:])
    return _listable(np.sort(np.concatenate(holes))), _listable(np.sort(np.concatenate(tail)))


def _mismatches(recorded: Recorded) -> tuple[Ints, list[dict[str, Any]]]:
    """Return the indexes of rows whose kind, key or values are not what the stream has there, and tell the first."""
    operations = recorded.operations
    amiss, told = array("q"), []
    for part in recorded.table.parts(("index", "kind", "key", "value", "expected")):
        for index, *row in zip(*(column.to_pylist() for column in part.columns), strict=True):
            if not 0 <= index < len(operations):
                continue
            operation = operations[index]
            if row != [operation[0], operation[1], value_of(operation), expected_of(operation)]:
                amiss.append(index)
                if len(amiss) <= MAX_LISTED:
                    there = row if row[-1] is not None else row[:-1]
                    told.append({"index": index, "stream": list(operation), "row": there})
    return np.array(amiss, dtype=np.int64), told


def _backwards(recorded: Recorded) -> list[int]:
    """Return the operations that ended before they began."""
    found: list[int] = []
    for part in recorded.table.parts(("index", "invoke_ns", "complete_ns")):
        index, invoke_ns, complete_ns = (column.to_numpy() for column in part.columns)
        found += index[complete_ns < invoke_ns].tolist()
    return found


def _out_of_order(recorded: Recorded, amiss: Ints, *, shared: bool) -> list[tuple[int, int]]:
    """Return pairs of operations, of one client or of one key, whose second began before the first was done.

    :param amiss: the indexes of rows that differ from the stream
    :param shared: all clients are at the keys, so that only a client's own operations come one after the other
    """
    table, index = recorded.table, recorded.table.numbers("index")
    clients, keys = _Clients(), _Keys(recorded, amiss)
    by_client, by_key = _Latest(), _Latest()
    pairs: set[tuple[int, int]] = set()
    for rows in _by_index(index, len(recorded.operations)):
        own = index[rows]
        some = table.taken(("client", "invoke_ns", "complete_ns"), rows)
        client, invoke_ns, complete_ns = (column.to_numpy() for column in some.columns)
        pairs |= by_client.overlapping(clients.numbers(client), own, invoke_ns, complete_ns)
        if not shared:
            pairs |= by_key.overlapping(keys.numbers(own, rows), own, invoke_ns, complete_ns)
    return sorted(pairs)


def _by_index(index: Ints, operations: int) -> Iterator[Ints]:
    """Yield the rows, some at a time in the order of their index; of those that are taken together, as filed."""
    for begin in range(0, operations, _ROWS_AT_ONCE):
        # What has no place in the stream comes with the first, or the last.
        chosen = (index >= begin) | (begin == 0)
        chosen &= (index < begin + _ROWS_AT_ONCE) | (begin + _ROWS_AT_ONCE >= operations)
        yield np.flatnonzero(chosen)


class _Latest:
    """Goes through operations in the order of their index, and knows the latest one of each group."""

    def __init__(self) -> None:
        self._index = np.zeros(0, dtype=np.int64)
        self._complete_ns = np.zeros(0, dtype=np.int64)

    def overlapping(self, group: Ints, index: Ints, invoke_ns: Ints, complete_ns: Ints) -> set[tuple[int, int]]:
        """Take some more; return those that began before the one before them in their group was done, behind it."""
        if not len(group):
            return set()
        self._reach(int(group.max()) + 1)
        order = np.lexsort((index, group))
        group, index, invoke_ns, complete_ns = group[order], index[order], invoke_ns[order], complete_ns[order]
        is_first = np.append(True, group[1:] != group[:-1])
        is_last = np.append(is_first[1:], True)
        before, done_ns = np.roll(index, 1).astype(np.int64), np.roll(complete_ns, 1)
        before[is_first], done_ns[is_first] = self._index[group[is_first]], self._complete_ns[group[is_first]]
        self._index[group[is_last]], self._complete_ns[group[is_last]] = index[is_last], complete_ns[is_last]
        found = (invoke_ns < done_ns) & (index != before)
        return set(zip(before[found].tolist(), index[found].tolist(), strict=True))

    def _reach(self, groups: int) -> None:
        """Have room for so many groups, of which nothing is known yet."""
        more = groups - len(self._index)
        if more > 0:
            self._index = np.append(self._index, np.zeros(more, dtype=np.int64))
            self._complete_ns = np.append(self._complete_ns, np.full(more, np.iinfo(np.int64).min))


class _Clients:
    """Numbers clients as they come."""

    def __init__(self) -> None:
        self._number_of: dict[int, int] = {}

    def numbers(self, clients: Ints) -> Ints:
        """Return a number of the client of each row."""
        different, at = np.unique(clients, return_inverse=True)
        numbers = [self._number_of.setdefault(client, len(self._number_of)) for client in different.tolist()]
        return np.array(numbers, dtype=np.int64)[at]


class _Keys:
    """Numbers the keys of rows: as the stream does, and those behind that it has not."""

    def __init__(self, recorded: Recorded, amiss: Ints) -> None:
        """Take what rows belong to.

        :param amiss: the indexes of rows that differ from the stream
        """
        self._recorded, self._amiss = recorded, amiss
        self._others: dict[str, int] = {}

    def numbers(self, index: Ints, rows: Ints) -> Ints:
        """Return a number of the key of each row.

        :param index: of each
        """
        stream = self._recorded.operations
        known = (index >= 0) & (index < len(stream))
        keys = np.zeros(len(index), dtype=np.int64)
        keys[known] = np.frombuffer(stream.key_numbers, dtype=np.uint32)[index[known]]
        own = np.flatnonzero(~known | np.isin(index, self._amiss))
        for at, key in zip(
            own.tolist(), self._recorded.table.taken(["key"], rows[own])["key"].to_pylist(), strict=True
        ):
            number = stream.number_of.find(key)
            keys[at] = self._others.setdefault(key, len(stream.keys) + len(self._others)) if number is None else number
        return keys

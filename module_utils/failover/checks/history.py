# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the history is that of the stream."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from ..results.read import Experiment
from ..shapes import Check, Outcome, Verdict
from ..workloads.base import expected_of, value_of
from ..workloads.stream import stream_digest
from .base import Case, Checker
from .columns import Ints, narrow
from .recorded import Recorded, shares_of
from .words import listed

# Rows that are compared together: so many need little beside the columns.
_ROWS_AT_ONCE = 500_000

_OUTCOMES = tuple(outcome.value for outcome in Outcome)


class Findings:
    """What is wrong with a history, what cannot be told of it, and the evidence of both."""

    def __init__(self, evidence: dict[str, Any]) -> None:
        self.evidence = evidence
        self.wrong: list[str] = []
        self.unsettled: list[str] = []

    def add(self, name: str, what: str, items: list[Any], into: list[str] | None = None) -> None:
        """Take what was found, if anything; it is wrong unless it goes ``into`` another list."""
        if items:
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
    index = narrow(table["index"])
    holes, tail = _missing(recorded, case.experiment)
    findings.add("missing", "operations without a row", holes)
    findings.add(
        "not_reached", "operations at the end without a row, as after an interruption", tail, findings.unsettled
    )
    if np.count_nonzero(recorded.row_of >= 0) < len(index):
        values, counts = np.unique(index, return_counts=True)
        findings.add("repeated", "operations with more than one row", values[counts > 1].tolist())
        foreign = index[(index < 0) | (index >= len(recorded.operations))]
        findings.add("foreign", "rows with an index outside the stream", foreign.tolist())
    mismatches = _mismatches(recorded)
    findings.add("mismatched", "rows that differ from the stream", mismatches)
    findings.add(
        "out_of_order",
        "pairs of operations that ran in another order, or at once",
        _out_of_order(recorded, {told["index"] for told in mismatches}, shared=not case.is_exact),
    )
    backwards = index[table["complete_ns"].to_numpy() < table["invoke_ns"].to_numpy()]
    findings.add("backwards", "operations that end before they begin", backwards.tolist())
    no_word = [outcome for outcome in table["outcome"].unique().to_pylist() if outcome not in _OUTCOMES]
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


def _missing(recorded: Recorded, experiment: Experiment) -> tuple[list[int], list[int]]:
    """Return the operations without a row: holes, and those after the last row of the client they belong to."""
    if (recorded.row_of >= 0).all():
        return [], []
    holes: list[int] = []
    tail: list[int] = []
    for share in shares_of(recorded.workload, recorded.operations, experiment):
        indexes = [index for index in share if index not in recorded.left_out]
        there = recorded.row_of[indexes] >= 0
        reached = int(np.flatnonzero(there).max(initial=-1))
        holes += [index for index, found in zip(indexes[:reached], there[:reached], strict=True) if not found]
        tail += indexes[reached + 1 :]
    return sorted(holes), sorted(tail)


def _mismatches(recorded: Recorded) -> list[dict[str, Any]]:
    """Return the rows whose kind, key or values are not what the stream has at their index."""
    operations = recorded.operations
    mismatches = []
    for part in recorded.table.parts(("index", "kind", "key", "value", "expected")):
        for index, *row in zip(*(column.to_pylist() for column in part.columns), strict=True):
            if not 0 <= index < len(operations):
                continue
            operation = operations[index]
            if row != [operation[0], operation[1], value_of(operation), expected_of(operation)]:
                told = row if row[-1] is not None else row[:-1]
                mismatches.append({"index": index, "stream": list(operation), "row": told})
    return mismatches


def _out_of_order(recorded: Recorded, amiss: Collection[int], *, shared: bool) -> list[tuple[int, int]]:
    """Return pairs of operations, of one client or of one key, whose second began before the first was done.

    :param amiss: the indexes of rows that differ from the stream
    :param shared: all clients are at the keys, so that only a client's own operations come one after the other
    """
    table = recorded.table
    index, invoke_ns, complete_ns = (narrow(table[name]) for name in ("index", "invoke_ns", "complete_ns"))
    pairs: set[tuple[int, int]] = set()
    for by_key in (False,) if shared else (False, True):
        group = _keys(recorded, index, amiss) if by_key else narrow(table["client"])
        for rows in _by_group(group) if by_key else _by_index(index, group, len(recorded.operations)):
            order = rows[np.lexsort((index[rows], group[rows]))]
            before, after = order[:-1], order[1:]
            overlapping = (group[before] == group[after]) & (invoke_ns[after] < complete_ns[before])
            overlapping &= index[before] != index[after]
            pairs.update(zip(index[before][overlapping].tolist(), index[after][overlapping].tolist(), strict=True))
    return sorted(pairs)


def _by_group(group: Ints) -> Iterator[Ints]:
    """Yield the rows, all of a group together, some groups at a time."""
    parts = 1 + len(group) // _ROWS_AT_ONCE
    for part in range(parts):
        yield np.flatnonzero(group % parts == part)


def _by_index(index: Ints, group: Ints, operations: int) -> Iterator[Ints]:
    """Yield the rows, some at a time in the order of their index, and again the last one of each group before them."""
    last = np.zeros(0, dtype=np.int64)
    for begin in range(0, operations, _ROWS_AT_ONCE):
        # What has no place in the stream comes with the first, or the last.
        chosen = (index >= begin) | (begin == 0)
        chosen &= (index < begin + _ROWS_AT_ONCE) | (begin + _ROWS_AT_ONCE >= operations)
        rows = np.concatenate((last, np.flatnonzero(chosen)))
        yield rows
        order = rows[np.lexsort((index[rows], group[rows]))]
        last = order[np.flatnonzero(np.append(group[order][1:] != group[order][:-1], True))] if len(order) else order


def _keys(recorded: Recorded, index: Ints, amiss: Collection[int]) -> Ints:
    """Return a number of the key of each row.

    :param amiss: the indexes of rows that differ from the stream
    """
    stream, table = recorded.operations, recorded.table
    known = (index >= 0) & (index < len(stream))
    keys = np.zeros(len(index), dtype=np.int64 if len(stream) >> 31 else np.int32)
    keys[known] = np.frombuffer(stream.key_numbers, dtype=np.uint32)[index[known]]
    own = ~known | np.isin(index, list(amiss))
    others: dict[str, int] = {}
    begin = 0
    for part in table.parts(["key"]) if own.any() else ():
        for at in np.flatnonzero(own[begin : begin + part.num_rows]).tolist():
            key = part.column(0)[at].as_py()
            number = stream.number_of.find(key)
            keys[begin + at] = others.setdefault(key, len(stream) + len(others)) if number is None else number
        begin += part.num_rows
    return keys

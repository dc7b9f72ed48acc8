# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The history of an experiment, held beside the stream that it has to be of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..results.read import Experiment
from ..results.rows import Ints, Rows
from ..shapes import FORMER_SETTINGS, READ_KINDS, Event, HistoryRow, Outcome, ReadConsistency, RetryPolicy, Settled
from ..stall import stalled_repeats
from ..workloads.base import CAS, Sharing, Workload, expected_of, value_of
from ..workloads.packed import KINDS, Stream
from .columns import InOrder, Words
from .failures import doubtful_failures
from .model import FAIL, OK, Answers

# Operations told of one key; what is left out are the oldest.
MAX_OPERATIONS_PER_KEY = 20

_MS = 1_000_000


class Numbered(NamedTuple):
    """Answers that have a revision of the store."""

    row: Ints  # of the table
    client: Ints
    revision: Ints
    invoke_ns: Ints
    complete_ns: Ints

    def chosen(self, which: Ints | slice) -> Numbered:
        """Return some of them."""
        return Numbered(*(column[which] for column in self))


@dataclass(frozen=True)
class Recorded:
    """The history in the order of the stream; a position without a row has outcome None."""

    workload: Workload
    operations: Stream
    meta: dict[str, Any]
    table: Rows
    row_of: Ints  # position in the stream -> row of the table, -1 where there is none
    answers: Answers
    # Writes that the history calls failed and that are taken as unknown, with the error that proves nothing.
    doubtful: dict[int, str] = field(default_factory=dict)
    # Operations that were never sent, as the stall guard had ended their repeat (stall.py); their outcome is fail.
    left_out: frozenset[int] = frozenset()
    # Writes whose outcome the client did not learn in time, and what it found out later: a Settled. In ``answers`` they
    # are ok, or fail.
    settled: dict[int, str] = field(default_factory=dict)
    # By how much the order of two operations of different load generators may not be what their times say.
    clock_margin_ns: int = 0

    @cached_property
    def ended_ns(self) -> int:
        """Return when the last operation was complete; 0 without any."""
        ends = (pc.max(part.column(0)).as_py() or 0 for part in self.table.parts(["complete_ns"]))
        return max(0, *ends, 0)

    @cached_property
    def is_numbered(self) -> bool:
        """Whether answers have revisions."""
        return self.table.has_any("revision")

    def numbered(self, order: str) -> Iterator[Numbered]:
        """Yield the answers with a revision, some at a time, all in the order of a time, at one time as filed.

        A row that is not of the stream, or repeated, is the history's own check's affair. The rows of a history come
        nearly in the order of their times, so those that have to wait for others are few.

        :param order: ``invoke_ns`` or ``complete_ns``
        """
        counts = np.zeros(self.table.num_rows, dtype=np.bool_)
        counts[self.row_of[self.row_of >= 0]] = True
        least = [pc.min(part.column(0)).as_py() for part in self.table.parts([order])]
        waiting, begin = Numbered(*(np.zeros(0, dtype=np.int64) for _ in Numbered._fields)), 0
        for number, part in enumerate(self.table.parts(["outcome", *Numbered._fields[1:]])):
            ok = pc.equal(part["outcome"].cast(pa.string()), Outcome.OK.value)
            known = pc.and_(ok, part["revision"].is_valid()).fill_null(False).to_numpy()
            chosen = np.flatnonzero(known & counts[begin : begin + part.num_rows])
            numbers = (part[name].fill_null(0).to_numpy()[chosen] for name in Numbered._fields[1:])
            waiting = Numbered(*map(np.concatenate, zip(waiting, (begin + chosen, *numbers), strict=True)))
            begin += part.num_rows
            waiting = waiting.chosen(np.argsort(getattr(waiting, order), kind="stable"))
            to_come = [time for time in least[number + 1 :] if time is not None]
            ready = np.searchsorted(getattr(waiting, order), min(to_come)) if to_come else len(waiting.row)
            yield waiting.chosen(slice(0, ready))
            waiting = waiting.chosen(slice(ready, None))

    @property
    def reads_may_be_old(self) -> bool:
        """Whether reads were not asked to be linearizable, so that they prove nothing about what is there now."""
        given = self.meta.get("read_consistency", FORMER_SETTINGS["read_consistency"])
        return bool(given != ReadConsistency.LINEARIZABLE)

    @property
    def retry_policy(self) -> str:
        """What the clients did about an attempt that was not acknowledged: a RetryPolicy."""
        return str(self.meta.get("retry_policy", FORMER_SETTINGS["retry_policy"]))

    def span(self, index: int) -> tuple[int, int] | None:
        """Return when an operation was invoked and when it was complete or settled; None where it has no row."""
        row = int(self.row_of[index]) if 0 <= index < len(self.row_of) else -1
        if row < 0:
            return None
        found = self.table.row(row)
        return found["invoke_ns"], found["settled_ns" if index in self.settled else "complete_ns"]

    def rows(self, indexes: Iterable[int] | None = None) -> Iterator[HistoryRow]:
        """Yield operations with their outcomes as they are judged, all of them in the order of the stream.

        One that was settled ends when it was; one without a row began at the origin, and nothing is known of its end.

        :param indexes: of those that are wanted
        """
        invoke, complete, settled = self._times
        for index in range(len(self.operations)) if indexes is None else indexes:
            row = int(self.row_of[index])
            begin_ns, end_ns = (invoke[row], complete[row]) if row >= 0 else (0, 0)
            yield self._row(index, begin_ns, settled[row] if index in self.settled else end_ns)

    @cached_property
    def _times(self) -> tuple[memoryview, memoryview, memoryview]:
        """Return when each row of the table was invoked, complete and settled: of many rows, quicker than each."""
        invoke, complete, settled = (
            self.table.numbers(name).data for name in ("invoke_ns", "complete_ns", "settled_ns")
        )
        return invoke, complete, settled

    def by_key(self) -> Iterator[tuple[str, Iterator[HistoryRow]]]:
        """Yield keys, in the order in which they first appear in the stream, each with its operations as :meth:`rows`.

        So whoever has to see a key's operations together holds those of one key at a time.
        """
        numbers = np.frombuffer(self.operations.key_numbers, dtype=np.uint32)
        order = np.argsort(numbers, kind="stable").astype(np.uint32)
        bounds = np.searchsorted(numbers, np.arange(len(self.operations.keys) + 1), sorter=order)
        for number, (begin, end) in enumerate(pairwise(bounds.tolist())):
            yield self.operations.keys[number], self.rows(order[begin:end].tolist())

    def rows_of(self, key: str) -> Iterator[HistoryRow]:
        """Yield the operations of one key, as :meth:`rows` does."""
        number = self.operations.number_of.find(key)
        if number is None:
            return iter(())
        numbers = np.frombuffer(self.operations.key_numbers, dtype=np.uint32)
        return self.rows(np.flatnonzero(numbers == number).tolist())

    def row(self, index: int) -> HistoryRow:
        """Return one of them: of many, :meth:`rows` is quicker."""
        return self._row(index, *(self.span(index) or (0, 0)))

    def _row(self, index: int, begin_ns: int, end_ns: int) -> HistoryRow:
        operation, answers = self.operations[index], self.answers
        return HistoryRow(
            index,
            0,
            operation[0],
            operation[1],
            value_of(operation),
            begin_ns,
            begin_ns,
            end_ns,
            answers.outcome[index] or Outcome.UNKNOWN.value,
            answers.attempts[index],
            "",
            answers.read[index],
            answers.affected[index],
            None,
            expected=expected_of(operation),
        )

    def describe(self, index: int) -> dict[str, Any]:
        """Return what the history has of one operation, for people."""
        operation = self.operations[index]
        told: dict[str, Any] = {"index": index, "kind": operation[0]}
        value, expected = value_of(operation), expected_of(operation)
        told |= {name: text for name, text in (("value", value), ("expected", expected)) if text is not None}
        row_number = int(self.row_of[index])
        if row_number < 0:
            return {**told, "outcome": "no row in the history"}
        row = self.table.row(row_number)
        told.update({name: row[name] for name in ("outcome", "attempts", "endpoint")})
        told.update(invoke_ms=row["invoke_ns"] / _MS, complete_ms=row["complete_ns"] / _MS)
        if operation[0] in READ_KINDS or (operation[0] == CAS and row["affected"] == 0):
            told["read"] = row["read"]
        told.update(
            {
                name: row[name]
                for name in ("affected", "error", "revision", "transaction", "settled")
                if row[name] is not None
            }
        )
        return told

    def touching(self, keys: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """Return, for each of ``keys``, its operations in order, the newest where there are many."""
        indices: dict[str, list[int]] = {key: [] for key in keys}
        numbers = {key: self.operations.number_of.find(key) for key in keys}
        found_of = {number: indices[key] for key, number in numbers.items() if number is not None}
        for index, number in enumerate(self.operations.key_numbers):
            if number in found_of:
                found_of[number].append(index)
        return {key: [self.describe(i) for i in found[-MAX_OPERATIONS_PER_KEY:]] for key, found in indices.items()}


def record(workload: Workload, operations: Stream, experiment: Experiment, events: Iterable[Event]) -> Recorded:
    """Put the rows of the history into the order of the stream, the first row where an index is repeated.

    :param events: in any order; none where they cannot be read, which is another check's affair
    """
    meta, table = experiment.history()
    row_of = _rows_of(table, len(operations))
    in_order = InOrder(table, row_of)
    outcomes = in_order.words("outcome")
    doubtful = doubtful_failures(
        experiment.info["system"],
        Words(operations.kinds, KINDS),
        outcomes,
        in_order.strings("error"),
        sorted(events, key=lambda event: event.wall_ns),
    )
    for index in doubtful:
        outcomes[index] = Outcome.UNKNOWN.value
    settled = {
        position: word
        for position, (word, outcome) in enumerate(zip(in_order.words("settled"), outcomes, strict=True))
        if word is not None and outcome == Outcome.UNKNOWN
    }
    for position, word in settled.items():
        outcomes[position] = OK if word == Settled.APPLIED else FAIL
    left_out = _left_out(workload, operations, row_of, experiment)
    for position in left_out:
        outcomes[position] = FAIL
    margin_ns = 2 * max((one["clock_uncertainty_ns"] for one in experiment.load_generators), default=0)
    answers = Answers(
        outcomes,
        in_order.strings("read"),
        in_order.numbers("affected"),
        in_order.counts("attempts"),
    )
    return Recorded(workload, operations, meta, table, row_of, answers, doubtful, left_out, settled, margin_ns)


def _rows_of(table: Rows, operations: int) -> Ints:
    """Return the row of each operation, the first where it has several; -1 where it has none."""
    index = table.numbers("index")
    rows = np.flatnonzero((index >= 0) & (index < operations))
    row_of = np.full(operations, -1, dtype=np.int32 if table.num_rows < 1 << 31 else np.int64)
    # Backwards, as the last one that is put down stays.
    row_of[index[rows[::-1]]] = rows[::-1]
    return row_of


def _left_out(workload: Workload, operations: Stream, row_of: Ints, experiment: Experiment) -> frozenset[int]:
    """Return the operations without a row at the end of what each client did in a repeat that was ended early."""
    stalled = stalled_repeats(experiment.info)
    if not stalled:
        return frozenset()
    found: set[int] = set()
    for indexes in shares_of(workload, operations, experiment):
        share = np.asarray(indexes, dtype=np.int64)
        for repeat in stalled:
            part = share[(share >= repeat["first_index"]) & (share < repeat["end_index"])]
            reached = int(np.flatnonzero(row_of[part] >= 0).max(initial=-1))
            found.update(part[reached + 1 :].tolist())
    return frozenset(found)


def shares_of(workload: Workload, operations: Stream, experiment: Experiment) -> list[Sequence[int]]:
    """Return the indexes of the operations that each client was given."""
    return workload.assign(operations, experiment.info["clients"], max(1, len(experiment.load_generators)))


def resent(recorded: Recorded, events: Sequence[Event] | None) -> set[int]:
    """Return the acknowledged writes of which an earlier attempt may still take effect.

    Those whose failed attempts were all definite (refused, rolled back) are not among them, as far as the events are
    there to tell. Where all clients share the keys also those of unknown outcome of which more than one attempt may;
    the exact model, for keys of one client, follows these by itself.

    :param events: None where they cannot be read
    """
    if recorded.retry_policy == RetryPolicy.SAFE:
        return set()  # the fence was moved: whatever comes late is wrong
    answers = recorded.answers
    wanted = (OK,) if recorded.workload.sharing is Sharing.ONE_CLIENT else (OK, Outcome.UNKNOWN)
    retried = {
        index
        for index, (operation, outcome, attempts) in enumerate(
            zip(recorded.operations, answers.outcome, answers.attempts, strict=True)
        )
        if outcome in wanted and attempts > 1 and operation[0] not in READ_KINDS
    }
    if not retried or events is None:
        return retried
    failed = [event.data for event in events if event.event == "client.attempt_failed"]
    definite = {data.get("index") for data in failed} - {data.get("index") for data in failed if data.get("ambiguous")}
    return {index for index in retried if index not in definite or answers.outcome[index] != OK}

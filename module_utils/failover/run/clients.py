# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clients' threads: each runs its share of the stream, in turns, and writes down every operation."""

from __future__ import annotations

import queue
import signal
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

from ..shapes import WRITE_SETTLED, ClientEmit, Emit, Event, HistoryRow, Kind, LabError, Outcome
from ..systems.base import Client
from ..systems.fence import Change
from ..workloads.base import RETRIEVE, SCAN, Operation, expected_of, value_of
from .config import RunnerConfig
from .progress import Tally
from .timeline import Timeline

UNKNOWN = Outcome.UNKNOWN.value

# Called with the client's number, from 0, and its emit.
MakeClient = Callable[[int, ClientEmit], Client]


class RowSink(Protocol):
    """Takes the rows of the history."""

    def append(self, row: HistoryRow) -> None:
        """Add one row; any thread may."""


class Stop:
    """The one place where a run learns that it has to end early, and why."""

    def __init__(self, on_error: Callable[[LabError], None] | None = None) -> None:
        """:param on_error: is told the first error"""
        self.event = threading.Event()
        self.error: LabError | None = None  # the first one
        self._on_error = on_error
        self.signal: str | None = None

    def fail(self, error: LabError) -> None:
        """End the run for an error; the first one counts."""
        first = self.error is None
        if first:
            self.error = error
        self.event.set()
        if first and self._on_error is not None:
            self._on_error(error)

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """End the run, as somebody asked for it."""
        if self.signal is None:
            self.signal = signal.Signals(number).name
            # Once: a signal that came in the middle of this would wait for the event's lock, which this holds.
            self.event.set()


@dataclass(frozen=True)
class Turn:
    """A client's share of one repeat."""

    indexes: Sequence[int]
    began_ns: int  # since the origin
    first_index: int  # of the repeat, whoever's it is
    on_index: Callable[[int], None]
    ended: threading.Event  # of all clients: nobody sends another operation of this repeat
    over: threading.Event = field(default_factory=threading.Event)


class ClientThread(threading.Thread):
    """One client and its share of the stream, which it gets in turns."""

    def __init__(
        self,
        number: int,
        config: RunnerConfig,
        operations: Sequence[Operation],
        indexes: Sequence[int],
        due_ns: Sequence[int] | None,
        tally: Tally,
        stop: Stop,
        emit: Emit,
    ) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self.number = number
        # Of the operation in flight, or of the last one; None before the first, and while only a doubt is settled.
        self.index: int | None = None
        self._config = config
        self._operations = operations
        self._indexes = indexes
        self._due_ns = due_ns  # of the whole stream; None in a closed loop
        self._tally = tally
        self._stop_run = stop
        self._emit_to = emit
        self._turns: queue.SimpleQueue[Turn | None] = queue.SimpleQueue()
        self._client: Client | None = None
        self._history: RowSink | None = None
        self._timeline = Timeline()
        self._in_doubt: int | None = None  # the index of the write that the client has still to settle

    def emit(self, name: str, data: dict[str, Any]) -> None:
        """Take an event of the client; says which client it was and during which operation, if it was one."""
        told = {"client": self.number, "index": self.index, **data}
        if name == WRITE_SETTLED:
            told["write"], self._in_doubt = self._in_doubt, None
        self._emit_to(Event.now(self._config.source, name, told))

    def connect(self, make_client: MakeClient) -> None:
        """Make the client."""
        self._client = make_client(self.number, self.emit)

    def begin(self, history: RowSink, timeline: Timeline) -> None:
        """Start the thread, which waits for its turns."""
        self._history = history
        self._timeline = timeline
        self.start()

    def take_turn(self, repeat: range, began_ns: int, on_index: Callable[[int], None], ended: threading.Event) -> Turn:
        """Begin with this client's operations of a repeat; the turn tells when they are over."""
        first, end = (bisect_left(self._indexes, bound) for bound in (repeat.start, repeat.stop))
        turn = Turn(self._indexes[first:end], began_ns, repeat.start, on_index, ended)
        self._turns.put(turn)
        return turn

    def settle(self) -> None:
        """Have the client settle the write that is in doubt, if there is one; between two turns only."""
        if self._client is not None:
            # What fails now is no attempt of the operation before: that one may have been refused for certain.
            self.index = None
            self._client.settle()

    @property
    def unresolved(self) -> dict[str, Any] | None:
        """The write that is still in doubt: its ``index``, ``client`` and what a fence.Doubt has."""
        if self._client is None or (doubt := self._client.doubt) is None:
            return None
        return {"index": self._in_doubt, "client": self.number, **doubt.as_dict()}

    def finish(self) -> None:
        """End the thread once its turn is over, if it ever began."""
        self._turns.put(None)
        if self.ident is not None:
            self.join()

    def close_client(self) -> None:
        """Close the client's connections."""
        if self._client is not None:
            self._client.close()

    def run(self) -> None:
        """Take turns until there are no more."""
        assert self._client is not None
        assert self._history is not None
        while (turn := self._turns.get()) is not None:
            self._do(turn, self._client, self._history)
            turn.over.set()

    def _do(self, turn: Turn, client: Client, history: RowSink) -> None:
        try:
            self._run_operations(turn, client, history)
        except LabError as error:
            self._stop_run.fail(error)
        except Exception as error:
            self._stop_run.fail(
                LabError(
                    f"client {self.number} of {self._config.experiment} failed at operation {self.index}: "
                    f"{type(error).__name__}: {error}; this is a bug in the lab, please report it"
                )
            )

    def _run_operations(self, turn: Turn, client: Client, history: RowSink) -> None:
        operations, tally, timeline, on_index = self._operations, self._tally, self._timeline, turn.on_index
        number, prefix = self.number, self._config.key_prefix
        due_ns = self._due_ns
        stopped, ended = self._stop_run.event, turn.ended
        clock_ns = time.monotonic_ns
        complete_ns = 0
        for index in turn.indexes:
            if stopped.is_set() or ended.is_set():
                return
            # It may move between two operations, and an operation must not begin before the last one's end for that.
            origin_ns = timeline.origin_ns
            intended_ns = None
            if due_ns is not None:
                intended_ns = turn.began_ns + due_ns[index] - due_ns[turn.first_index]
                ahead_ns = origin_ns + intended_ns - clock_ns()
                # Behind the plan, operations follow each other at once; their lateness stands in the history.
                if ahead_ns > 0 and ended.wait(ahead_ns / 1e9):
                    return
            operation = operations[index]
            kind, key = operation[0], operation[1]
            value, expected = value_of(operation), expected_of(operation)
            self.index = index
            on_index(index)
            invoke_ns = max(clock_ns() - origin_ns, complete_ns)
            tally.started_ns = invoke_ns
            if kind == RETRIEVE:
                result = client.get_with_retry(prefix + key)
            elif kind == SCAN:
                result = client.scan_with_retry(prefix, prefix + key, int(value or 0))
            else:
                result = client.change_with_retry(Change(Kind(kind), prefix + key, value, expected))
            complete_ns = max(clock_ns() - origin_ns, invoke_ns)
            outcome = Outcome(result.outcome).value
            if outcome == UNKNOWN:
                self._in_doubt = index
            history.append(
                HistoryRow(
                    index,
                    number,
                    kind,
                    key,
                    value,
                    invoke_ns if intended_ns is None else intended_ns,
                    invoke_ns,
                    complete_ns,
                    outcome,
                    result.attempts,
                    result.endpoint,
                    result.read,
                    result.affected,
                    result.error,
                    result.revision,
                    expected=expected,
                    transaction=result.transaction,
                )
            )
            tally.note(kind, outcome, result.endpoint, invoke_ns, complete_ns)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Some clients of a run, as threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..results.history import HistoryWriter
from ..shapes import Emit, RunSettings
from ..workloads.base import Operation
from ..workloads.packed import Stream
from ..workloads.registry import workload_of
from .arrivals import plan_arrivals
from .clients import ClientThread, MakeClient, RowSink, Stop, Turn
from .config import RunnerConfig
from .progress import Tally
from .timeline import Timeline


@dataclass(frozen=True)
class Work:
    """What all clients of a run do together."""

    operations: Sequence[Operation]
    shares: Sequence[Sequence[int]]  # indexes of each client's operations, ascending
    due_ns: Sequence[int] | None  # when each operation is due, since the first one; None in a closed loop


def work_of(settings: RunSettings, operations: Stream, generators: int) -> Work:
    """Return it for so many load generators: each of them comes to the same."""
    workload, _ = workload_of(settings.workload)
    return Work(
        operations,
        workload.assign(operations, settings.clients, generators),
        plan_arrivals(settings, len(operations)),
    )


class Group(Protocol):
    """Clients of a run, wherever they are; one thread uses it."""

    @property
    def tallies(self) -> Sequence[Tally]:
        """Return what the clients have done so far."""

    @property
    def cpu_s(self) -> float:
        """Return the CPU time of a process of its own, up to the end of the last turn."""

    def connect(self) -> None:
        """Connect the clients, at the latest until :meth:`await_connected` returns, which says what went wrong."""

    def await_connected(self) -> None:
        """Return when all clients are connected; LabError where one is not."""

    def begin(self, history: HistoryWriter, origin_ns: int) -> None:
        """Get ready for turns."""

    def take_turn(self, repeat: range, began_ns: int, on_index: Callable[..., None]) -> None:
        """Begin with the operations of a repeat; ``on_index`` hears of them before they are invoked."""

    def wait(self, timeout_s: float) -> bool:
        """Wait until the turn is over, and tell whether it is."""

    def end_turn(self) -> None:
        """Let nobody begin another operation of this turn."""

    def settle(self) -> None:
        """Have every client settle the write that is in doubt; between two turns only."""

    def finish(self) -> None:
        """End the clients' threads once their turn is over; safe to call twice."""

    def unresolved(self) -> list[dict[str, Any]]:
        """Return the writes that are still in doubt, after the end."""

    def close(self) -> None:
        """Close the clients."""


class LocalGroup:
    """A :class:`Group` of this process."""

    cpu_s = 0.0

    def __init__(
        self,
        numbers: Sequence[int],
        config: RunnerConfig,
        work: Work,
        make_client: MakeClient,
        *,
        stop: Stop,
        emit: Emit,
        timeline: Timeline | None = None,
    ) -> None:
        """:param numbers: of the clients."""
        self._stop = stop
        self._timeline = timeline or Timeline()
        self.tallies = [Tally() for _ in numbers]
        self._make_client = make_client
        self._threads = [
            ClientThread(number, config, work.operations, work.shares[number], work.due_ns, tally, stop, emit)
            for number, tally in zip(numbers, self.tallies, strict=True)
        ]
        self._turns: list[Turn] = []
        self._ended = threading.Event()

    def connect(self) -> None:
        """Connect the clients; LabError where one cannot be."""
        for thread in self._threads:
            thread.connect(self._make_client)

    def await_connected(self) -> None:
        """Return: they are."""

    def begin(self, history: RowSink, origin_ns: int) -> None:
        """Start the threads, which wait for turns."""
        self._timeline.start(origin_ns)
        for thread in self._threads:
            thread.begin(history, self._timeline)

    def take_turn(self, repeat: range, began_ns: int, on_index: Callable[..., None]) -> None:
        """Begin with the operations of a repeat."""
        self._ended = threading.Event()
        self._turns = [thread.take_turn(repeat, began_ns, on_index, self._ended) for thread in self._threads]

    def wait(self, timeout_s: float) -> bool:
        """Wait until the turn is over, and tell whether it is."""
        waiting = [turn for turn in self._turns if not turn.over.is_set()]
        if waiting:
            waiting[0].over.wait(timeout_s)
        return all(turn.over.is_set() for turn in waiting)

    def end_turn(self) -> None:
        """Let nobody begin another operation of this turn."""
        self._ended.set()

    def settle(self) -> None:
        """Have every client settle the write that is in doubt; a run that is to end leaves the rest to its end."""
        for thread in self._threads:
            if self._stop.event.is_set():
                return
            thread.settle()

    def finish(self) -> None:
        """End the threads once their turn is over."""
        for thread in self._threads:
            thread.finish()

    def unresolved(self) -> list[dict[str, Any]]:
        """Return the writes that are still in doubt."""
        return [doubt for thread in self._threads if (doubt := thread.unresolved) is not None]

    def close(self) -> None:
        """Close the clients."""
        for thread in self._threads:
            thread.close_client()

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a running workload is: what the clients count, and progress.json, which tells others about it.

The file is one JSON object, replaced as a whole every :data:`INTERVAL_S`: ``done`` and ``total`` operations,
``ops_per_s`` and ``p99_ms`` since the last time (the latter null where no operation ended and none is under way, as
between two repeats), ``ok``, ``fail``, ``unknown``, ``leader`` (a member's name or null), ``endpoint``, ``phase``
(running, finished, failed), ``elapsed_s``, ``faults`` (one short text each) and ``message``.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..results.write import write_json_atomic
from ..shapes import Kind, LabError, Outcome

# How often progress.json is replaced, in s.
INTERVAL_S = 0.5
# How often the members are asked who leads, in s.
LEADER_INTERVAL_S = 1.0
# How long one member may take to say whether it leads, in s; one that hangs must not hold up the file.
LEADER_TIMEOUT_S = 0.2

RUNNING = "running"
FINISHED = "finished"
FAILED = "failed"


class Tally:
    """What one client has done so far, or those of another process together.

    One thread writes it and the progress thread reads it, without a lock: a reader may miss the operation that
    ends at that moment, until the next time.
    """

    __slots__ = ("_latencies_ns", "counts", "done", "endpoint", "endpoints", "last_complete_ns", "started_ns")

    def __init__(self) -> None:
        self.done = 0
        self.counts: Counter[tuple[str, str]] = Counter()  # (kind, outcome)
        self.endpoints: Counter[str] = Counter()
        self.endpoint = ""
        self.last_complete_ns = 0
        self.started_ns: int | None = None  # since the origin; None while no operation is in flight
        self._latencies_ns: list[int] = []

    def note(self, kind: str, outcome: str, endpoint: str, invoke_ns: int, complete_ns: int) -> None:
        """Count one operation that ended; times are since the origin."""
        self.done += 1
        self.counts[kind, outcome] += 1
        self.endpoints[endpoint] += 1
        self.endpoint = endpoint
        self.last_complete_ns = complete_ns
        self.started_ns = None
        self._latencies_ns.append(complete_ns - invoke_ns)

    def take_over(self, told: Mapping[str, Any]) -> None:
        """Become the sum of the tallies of clients elsewhere, which has ``latencies_ns`` since the last time."""
        self.counts = Counter({(kind, outcome): count for kind, outcome, count in told["counts"]})
        self.endpoints = Counter(told["endpoints"])
        self.endpoint, self.last_complete_ns = told["endpoint"], told["last_complete_ns"]
        self.started_ns = told["started_ns"]
        self._latencies_ns.extend(told["latencies_ns"])  # += would put back what the reader takes meanwhile
        self.done = self.counts.total()

    def take_latencies_ns(self) -> list[int]:
        """Return the latencies since the last call."""
        taken, self._latencies_ns = self._latencies_ns, []
        return taken

    def outcome_counts(self, kinds: Collection[str] = tuple(Kind)) -> Counter[str]:
        """Return how many operations, of these kinds, had each outcome."""
        totals: Counter[str] = Counter()
        for (kind, outcome), count in self.counts.copy().items():
            if kind in kinds:
                totals[outcome] += count
        return totals


def percentile_ns(latencies_ns: Sequence[int], share: float) -> int:
    """Return the smallest value that at least ``share`` of the values do not exceed (nearest rank)."""
    return sorted(latencies_ns)[max(0, math.ceil(share * len(latencies_ns)) - 1)]


class ProgressReporter:
    """Keeps progress.json up to date, on a thread of its own from :meth:`start` to :meth:`finish`."""

    def __init__(
        self,
        path: Path,
        total: int,
        tallies: Sequence[Tally],
        *,
        endpoint: str,
        ask_leader: Callable[[], str | None],
        on_error: Callable[[LabError], None],
    ) -> None:
        """Write the file for the first time; LabError where that fails.

        :param endpoint: named until the first operation has ended
        :param on_error: called, on the thread, where the file cannot be written; there is no further try then
        """
        self._path = path
        self._total = total
        self._tallies = tallies
        self._endpoint = endpoint
        self._ask_leader = ask_leader
        self._on_error = on_error
        self._origin_ns = time.monotonic_ns()
        self._written_ns = self._origin_ns
        self._written_done = 0
        self._leader: str | None = None
        self._leader_due_ns = self._origin_ns
        self._faults: dict[str, str] = {}
        self._idle_ns = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._write(RUNNING, None)

    def start(self, origin_ns: int) -> None:
        """Begin to report; ``origin_ns`` is where the tallies' times start on the monotonic clock."""
        self._origin_ns = self._written_ns = origin_ns
        self._thread.start()

    def begin_repeat(self, number: int, repeats: int) -> None:
        """Say which repeat it is; what was said of the faults of earlier ones is over."""
        self._faults = {"": f"repeat {number} of {repeats}"}

    def note_idle(self, duration_ns: int) -> None:
        """Leave a time in which no client had anything to do out of the rate of the whole workload."""
        self._idle_ns += duration_ns

    def tell_fault(self, fault: str, text: str) -> None:
        """Say of a fault how it stands; replaces what was said of it before."""
        self._faults[fault] = text

    def finish(self, phase: str, message: str | None = None) -> None:
        """End the thread and write the last word; its ``ops_per_s`` is that of the whole workload."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._write(phase, message)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            if time.monotonic_ns() >= self._leader_due_ns:
                self._leader_due_ns = time.monotonic_ns() + int(LEADER_INTERVAL_S * 1e9)
                try:
                    self._leader = self._ask_leader()
                except Exception:  # what is shown must not end with one question
                    self._leader = None
            try:
                self._write(RUNNING, None)
            except LabError as error:
                self._on_error(error)
                return

    def _write(self, phase: str, message: str | None) -> None:
        now_ns = time.monotonic_ns()
        done = sum(tally.done for tally in self._tallies)
        outcomes = sum((tally.outcome_counts() for tally in self._tallies), Counter[str]())
        latencies_ns = [latency for tally in self._tallies for latency in tally.take_latencies_ns()]
        p99_ns: float | None
        if latencies_ns:
            p99_ns = percentile_ns(latencies_ns, 0.99)
        else:
            # Nothing ended, as in an outage: how long the operation in flight has been waiting says more than nothing.
            waiting_ns = [tally.started_ns for tally in self._tallies]
            p99_ns = max((now_ns - self._origin_ns - since for since in waiting_ns if since is not None), default=None)
        if phase == RUNNING:
            since_ns, before = self._written_ns, self._written_done
        else:
            since_ns, before = self._origin_ns + self._idle_ns, 0
        write_json_atomic(
            self._path,
            {
                "done": done,
                "total": self._total,
                "ops_per_s": (done - before) / max(1e-9, (now_ns - since_ns) / 1e9),
                "ok": outcomes[Outcome.OK.value],
                "fail": outcomes[Outcome.FAIL.value],
                "unknown": outcomes[Outcome.UNKNOWN.value],
                "p99_ms": None if p99_ns is None else p99_ns / 1e6,
                "leader": self._leader,
                "endpoint": self._tallies[0].endpoint or self._endpoint,
                "phase": phase,
                "elapsed_s": (now_ns - self._origin_ns) / 1e9,
                "faults": list(self._faults.values()),
                "message": message,
            },
        )
        self._written_ns, self._written_done = now_ns, done

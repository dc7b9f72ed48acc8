# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the workload against one system and writes down what happened, while it happens.

The work folder gets ``history.jsonl`` (a row an operation), ``events.jsonl`` (an event a line), ``progress.json``
(how far it is) and, at the end, ``summary.json`` (what :func:`run_workload` returns). An error, a full disk or a
signal to end stops the workload in order: what was measured is on disk, and the faults are healed.

Where nothing is acknowledged any more the repeat is ended and its faults are healed (stall.py).

With several repeats the stream is cut into as many slices. After each the clients wait, the faults of the slice are
healed and the members watched until they are equal: each repeat begins on a system that is whole.
"""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ..actions.record import FaultRecord
from ..clock import CLOCK
from ..results.files import EVENTS_FILE, HISTORY_LINES_FILE, PROGRESS_FILE, SUMMARY_FILE, WATCH_LINES_FILE
from ..results.history import HistoryWriter
from ..results.write import write_json_atomic
from ..shapes import EXPERIMENT_SETTINGS, LAB_SETTINGS, OWN_SETTINGS, SCHEMA_VERSION, Event, LabError, Outcome
from ..stall import StallGuard
from ..systems.base import Watcher
from ..systems.steering import Steering
from ..workloads.packed import Stream
from ..workloads.registry import create_simulation
from ..workloads.stream import cut_stream, kinds_told, stream_digest
from .clients import MakeClient, Stop
from .config import RunnerConfig, check_config
from .crew import NO_OTHERS, Crew, Others
from .events import EventLog, describe_fault
from .group import work_of
from .kept_watch import KeptWatch
from .makers import Director, MakeDirector, MakeHealer, leader_finder
from .open_files import allow_connections
from .progress import FAILED, FINISHED, ProgressReporter

# How often the main thread looks whether a signal has come, in s.
SIGNAL_CHECK_S = 0.25


@contextmanager
def _signals_stop(stop: Stop) -> Iterator[None]:
    """Have SIGTERM and SIGINT end the workload in order. Only the main thread can have it so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.signal(number, stop.on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _no_long_collections() -> Iterator[None]:
    """Keep what is there already out of Python's garbage collections.

    A full collection would walk all of it and stop every client meanwhile: that would be this program's pause, measured
    as if it were the server's.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def run_workload(
    config: RunnerConfig,
    *,
    make_client: MakeClient,
    make_director: MakeDirector | None = None,
    make_healer: MakeHealer | None = None,
    watcher: Watcher | None = None,
    steering: Steering | None = None,
    others: Others = NO_OTHERS,
) -> dict[str, Any]:
    """Run one experiment's workload; return its summary, which is also in summary.json.

    The faults of the last repeat stay held at the end of a whole run, for whoever heals and times them; after an early
    end they are healed at once. SIGTERM or SIGINT give a summary that has ``interrupted`` true. Members that do not
    become equal after a repeat end the run, too: what is left of it would be another experiment.

    Raises :class:`LabError` where the run cannot begin or has to end early for an error.

    :param make_healer: needed for faults that are repeated
    :param watcher: of the experiment's keys, for a process of its own; None for none
    :param steering: that clients and directors were given, if any
    :param others: load generators that join this one
    :returns: ``schema_version``, ``experiment``, ``system``, ``operations`` (length of the stream), ``done``,
        ``duration_s`` (from each repeat's begin to its last operation's end, all together), ``ops_per_s``,
        ``outcomes`` {outcome: n}, ``by_kind`` {kind: {outcome: n}}, ``client_cpu_s`` (of all processes),
        ``load_generators`` (see Crew.described), ``digest``, ``endpoints`` {"host:port": operations}, ``failovers``
        (completed ones of all clients), ``origin_wall_ns``, ``faults`` (the directors' records), ``unresolved`` (writes
        to settle after the
        heal: {"index", "client"} and what a fence.Doubt has), ``repeats`` (those that began, as experiment.json has
        them; the last one's ``convergence`` is null), ``watch`` (what KeptWatch.finish returns, null without one),
        ``interrupted``, ``message`` (why it ended early, else null)
    """
    check_config(config)
    settings = config.settings
    allow_connections(settings.clients, len(config.target.members))
    operations = create_simulation(settings.iterations, settings.seed, settings.workload)
    try:
        config.work_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"work_dir {config.work_dir} cannot be made: {error.strerror or error}; check its parents' rights"
        ) from error
    # A summary of an earlier try must not stand for this one.
    (config.work_dir / SUMMARY_FILE).unlink(missing_ok=True)
    watch = None if watcher is None else KeptWatch(watcher, config.work_dir / WATCH_LINES_FILE)
    try:
        run = _Run(config, operations, make_client, make_director, make_healer, watch, steering or Steering(), others)
        return run.execute()
    finally:
        if watch is not None:
            watch.close()


class _Run:
    """One run: its files, its threads, and their end in all cases."""

    def __init__(
        self,
        config: RunnerConfig,
        operations: Stream,
        make_client: MakeClient,
        make_director: MakeDirector | None,
        make_healer: MakeHealer | None,
        watch: KeptWatch | None,
        steering: Steering,
        others: Others,
    ) -> None:
        self._config = config
        self._operations = operations
        self._make_director = make_director
        self._make_healer = make_healer
        self._watch = watch
        self._watched: dict[str, Any] | None = None
        self._slices = cut_stream(len(operations), config.repeats)
        self._repeats: list[dict[str, Any]] = []
        self._records: list[FaultRecord] = []
        self._unhealed: list[str] = []  # tokens of the latest repeat's faults
        self._unresolved: list[dict[str, Any]] = []  # writes in doubt at the end, to be settled after the heal
        self._left_out = 0  # operations of repeats that were ended early
        self._unequal: str | None = None  # why the members were not equal after a repeat
        self._digest = stream_digest(operations)
        self._stop = Stop()
        self._failovers = 0
        self._failovers_lock = threading.Lock()
        self._events: EventLog | None = None
        work = work_of(config.settings, operations, 1 + len(others.names))
        # The first thing, as processes are best started before there are threads.
        self._crew = Crew(config, work, make_client, steering, stop=self._stop, emit=self._emit, others=others)
        try:
            self._leader = leader_finder(config)
            self._progress = ProgressReporter(
                config.work_dir / PROGRESS_FILE,
                len(operations),
                self._crew.tallies,
                endpoint=config.target.endpoints[0],
                ask_leader=self._leader.ask,
                on_error=self._stop.fail,
            )
        except LabError:
            self._crew.close()
            raise
        self._director: Director | None = None
        self._history: HistoryWriter | None = None
        self._origin_wall_ns = 0
        self._cpu_s = 0.0

    def execute(self) -> dict[str, Any]:
        with _signals_stop(self._stop):
            try:
                self._events = EventLog(self._config.work_dir / EVENTS_FILE, self._stop.fail)
                self._crew.gather(self._digest)
                if not self._stop.event.is_set():
                    self._arm(1)
                    # Before the experiment's time begins.
                    self._crew.connect()
                    if self._watch is not None:
                        self._watch.begin()
                    self._measure()
            except LabError as error:
                self._stop.fail(error)
            finally:
                # Also on the way out of an error nobody thought of: a fault left behind would be the next run's.
                self._end()
            return self._report()

    def _arm(self, number: int) -> None:
        """Get ready for the faults of a repeat, before its time begins."""
        if self._make_director is not None:
            faults = [fault for fault in self._config.faults if fault.repeat == number]
            self._director = self._make_director(faults, self._emit)
            self._director.arm(self._crew)

    def _measure(self) -> None:
        """Let all clients run their shares, repeat by repeat; returns when they are done or were stopped."""
        config = self._config
        with _no_long_collections():
            origin_ns = time.monotonic_ns()
            self._origin_wall_ns = CLOCK.base_ns + origin_ns
            meta = {
                "experiment": config.experiment,
                "system": config.target.system,
                **config.settings.only((*EXPERIMENT_SETTINGS, *OWN_SETTINGS, *LAB_SETTINGS)),
                "key_prefix": config.key_prefix,
                "digest": self._digest,
                "origin_wall_ns": self._origin_wall_ns,
            }
            self._history = HistoryWriter(config.work_dir / HISTORY_LINES_FILE, meta)
            started = {
                "experiment": config.experiment,
                "operations": len(self._operations),
                "clients": config.settings.clients,
                "rate": config.settings.rate,
            }
            self._emit(Event(self._origin_wall_ns, config.source, "experiment.started", started))
            self._progress.start(origin_ns)
            self._crew.begin(self._history, origin_ns)
            for number, repeat in enumerate(self._slices, 1):
                self._measure_repeat(number, repeat, origin_ns)
                is_last = number == len(self._slices)
                if is_last or self._stop.event.is_set() or not self._recover(number):
                    break
            self._crew.finish()
        if self._watch is not None and not self._stop.event.is_set():
            self._watched = self._watch.finish()
        self._tell(
            "experiment.finished",
            {
                "experiment": config.experiment,
                "operations": self._done(),
                "interrupted": self._stop.event.is_set(),
                # For the heal, which another process of this host stamps, maybe after a step of the wall clock.
                "clock_base_ns": CLOCK.base_ns,
            },
        )
        self._history.close()

    def _measure_repeat(self, number: int, repeat: range, origin_ns: int) -> None:
        """Let all clients run their shares of one repeat."""
        cpu_before_s = time.process_time() + self._crew.cpu_s
        # The first begins at the origin, where a rate's plan begins.
        began_ns = time.monotonic_ns() - origin_ns if number > 1 else 0
        described = {"repeat": number, "first_index": repeat.start, "end_index": repeat.stop}
        self._repeats.append(
            {**described, "began_ns": began_ns, "ended_ns": began_ns, "stalled": None, "convergence": None}
        )
        if self._config.repeats > 1:
            self._tell("repeat.started", described)
            self._progress.begin_repeat(number, self._config.repeats)
        on_index = self._director.on_index if self._director is not None else _nothing_due
        done_before = self._done()
        self._crew.take_turn(repeat, began_ns, on_index)
        guard = StallGuard(self._crew.tallies, self._config.settings.stall_timeout_s, time.monotonic_ns() - origin_ns)
        ended = False
        # A signal that reaches another thread is handled here, but wakes nobody who waits without an end.
        while not self._crew.wait(SIGNAL_CHECK_S):
            if ended:
                continue
            if self._stop.event.is_set():
                ended = True
                self._crew.end_turn()
            elif guard.is_stalled(time.monotonic_ns() - origin_ns):
                ended = True
                self._crew.end_turn()
                self._note_stall(number, guard)
        if self._repeats[-1]["stalled"] is not None:
            left_out = len(repeat) - (self._done() - done_before)
            self._left_out += left_out
            self._repeats[-1]["stalled"]["left_out"] = left_out
        self._repeats[-1]["ended_ns"] = max(began_ns, *(tally.last_complete_ns for tally in self._crew.tallies))
        self._cpu_s += time.process_time() + self._crew.cpu_s - cpu_before_s
        if self._config.repeats > 1:
            self._tell("repeat.finished", {"repeat": number})

    def _note_stall(self, number: int, guard: StallGuard) -> None:
        """Say that a repeat ends here, as nothing is acknowledged any more."""
        stalled = {**guard.stalled, "done": self._done()}
        self._repeats[-1]["stalled"] = stalled
        self._tell("repeat.stalled", {"repeat": number, **stalled})
        waited = f"no {stalled['what']} was acknowledged for {stalled['tried_s']:.0f} s"
        self._progress.tell_fault("stall", f"{waited}: the repeat ends, and all faults are healed")

    def _recover(self, number: int) -> bool:
        """Put the system right after a repeat and get ready for the next; False where there will be none.

        LabError where a fault cannot be healed.
        """
        if self._director is None or self._make_healer is None:
            return True
        since_ns = time.monotonic_ns()
        director, self._director = self._director, None
        self._note_records(director.close())
        healer = self._make_healer()
        healed = healer.run(None, records_of=self._unhealed)
        for event in healer.events:
            self._emit(event)
        self._repeats[-1]["convergence"] = healed
        self._progress.note_idle(time.monotonic_ns() - since_ns)
        name = f"{self._config.experiment}, repeat {number}"
        for member, reason in healed["errors"].items():
            if member not in healed["not_back"]:
                raise LabError(
                    f"{name}: {member} was not healed: {reason}. Its agent tries again by itself; ./scripts/lab heal "
                    "starts the member."
                )
        if not healed["converged"]:
            self._unequal = f"{name}: the members were not equal afterwards: {'; '.join(healed['reasons'])}"
        elif not self._stop.event.is_set():
            # What is still unknown of this repeat; what cannot be settled even now, the next operation tries again.
            self._crew.settle()
            self._arm(number + 1)
            return True
        return False

    def _end(self) -> None:
        """Close everything, whatever happened before."""
        early = self._stop.event.is_set() or self._done() + self._left_out < len(self._operations)
        if early and self._unequal is None:
            self._stop.event.set()
        self._crew.end_turn()
        self._crew.finish()
        if self._director is not None:
            self._note_records(self._director.close(heal=early))
        self._note_never_asked()
        if self._history is not None:
            # Where it is broken, that was said already.
            with suppress(LabError):
                self._history.close()
        self._unresolved = self._crew.unresolved()
        self._crew.close()
        if self._events is not None:
            self._events.close()

    def _note_records(self, records: Sequence[FaultRecord]) -> None:
        """Take over what a director knows of its faults at its end."""
        self._records += records
        self._unhealed = [record.token for record in records if record.fired and record.healed_wall_ns is None]

    def _note_never_asked(self) -> None:
        """Keep a record of the faults of repeats that never began."""
        told = {record.fault for record in self._records}
        rest = [fault for fault in self._config.faults if fault.id not in told]
        if rest and self._make_director is not None:
            self._records += self._make_director(rest, self._emit).close()

    def _report(self) -> dict[str, Any]:
        """Write summary and last progress; raise the error that ended the run, if one did."""
        summary = self._summarize()
        error, message = self._stop.error, summary["message"]
        # The first error is the cause; with a full disk these fail, too.
        try:
            write_json_atomic(self._config.work_dir / SUMMARY_FILE, summary)
        except LabError as failure:
            error = error or failure
        try:
            self._progress.finish(FAILED if summary["interrupted"] else FINISHED, message)
        except LabError as failure:
            error = error or failure
        self._leader.close()
        if error is not None:
            raise error
        return summary

    def _summarize(self) -> dict[str, Any]:
        sent = Counter(operation[0] for operation in self._operations)
        by_kind = {kind: {outcome.value: 0 for outcome in Outcome} for kind in kinds_told(sent)}
        endpoints: Counter[str] = Counter()
        for tally in self._crew.tallies:
            endpoints += tally.endpoints
            for (kind, outcome), count in tally.counts.items():
                by_kind[kind][outcome] += count
        done = self._done()
        duration_s = sum(repeat["ended_ns"] - repeat["began_ns"] for repeat in self._repeats) / 1e9
        message = self._unequal
        if self._stop.error is not None:
            message = str(self._stop.error)
        elif self._stop.event.is_set():
            message = (
                f"{self._config.experiment} was ended by {self._stop.signal} after {done:,} of "
                f"{len(self._operations):,} operations; repeat the run"
            )
        return {
            "schema_version": SCHEMA_VERSION,
            "experiment": self._config.experiment,
            "system": self._config.target.system,
            "operations": len(self._operations),
            "done": done,
            "duration_s": duration_s,
            "ops_per_s": done / duration_s if duration_s else 0.0,
            "outcomes": {o.value: sum(counts[o.value] for counts in by_kind.values()) for o in Outcome},
            "by_kind": by_kind,
            "client_cpu_s": self._cpu_s,
            "load_generators": self._crew.described(),
            "digest": self._digest,
            "endpoints": dict(endpoints),
            "failovers": self._failovers,
            "origin_wall_ns": self._origin_wall_ns,
            "faults": [record.as_dict() for record in self._records],
            "unhealed": self._unhealed,
            "unresolved": self._unresolved,
            "repeats": self._repeats,
            "watch": self._watched,
            "interrupted": self._stop.event.is_set(),
            "message": message,
        }

    def _done(self) -> int:
        return sum(tally.done for tally in self._crew.tallies)

    def _tell(self, name: str, data: dict[str, Any]) -> None:
        """Tell what this process does here and now."""
        self._emit(Event.now(self._config.source, name, data))

    def _emit(self, event: Event) -> None:
        """Take an event of anybody: write it, and keep count for summary and progress."""
        if event.event == "client.failover_completed":
            with self._failovers_lock:
                self._failovers += 1
        told = describe_fault(event)
        if told is not None:
            self._progress.tell_fault(str(event.data["fault"]), told)
        if self._events is not None:
            self._events.write(event)


def _nothing_due(_index: int, _wall_ns: int | None = None) -> None:
    """Stand in for the director where there are no faults."""

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
import json
import queue
import signal
import socket
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from .clock import CLOCK
from .failover_policy import FailoverPolicy, OperationResult
from .faults import FaultDirector
from .healing import Healer, MySQLAccount
from .key_dump import TABLE
from .prepare import split_endpoint
from .progress import FAILED, FINISHED, LEADER_TIMEOUT_S, EtcdLeader, ProgressReporter, Tally
from .results.files import EVENTS_FILE, HISTORY_LINES_FILE, PROGRESS_FILE, SUMMARY_FILE
from .results.history import HistoryWriter
from .results.write import write_json_atomic
from .shapes import SCHEMA_VERSION, Emit, Event, FaultSpec, HistoryRow, Kind, LabError, Outcome, place_event
from .stall import StallGuard
from .workloads.base import RETRIEVE, Operation
from .workloads.registry import create_simulation
from .workloads.stream import assign_clients, cut_stream, stream_digest

# How often the main thread looks whether a signal has come, in s.
SIGNAL_CHECK_S = 0.25

SYSTEMS = ("etcd", "mysql", "mysql_cluster")
MYSQL_ACCOUNT = ("user", "password", "database")


class Client(Protocol):
    """What the workload needs of a system's client; one thread uses it."""

    def put_with_retry(self, key: str, value: str) -> OperationResult:
        """Set a key."""

    def get_with_retry(self, key: str) -> OperationResult:
        """Look a key up."""

    def delete_with_retry(self, key: str) -> OperationResult:
        """Remove a key."""

    def close(self) -> None:
        """Close its connections."""


class Director(Protocol):
    """What the workload needs of a :class:`~.faults.FaultDirector`."""

    def arm(self) -> None:
        """Get ready."""

    def on_index(self, index: int) -> None:
        """Tell that operation ``index`` is about to be invoked."""

    def close(self, *, heal: bool = False) -> list[dict[str, Any]]:
        """End, and return the faults' records."""


class Healing(Protocol):
    """What the workload needs of a :class:`~.healing.Healer`."""

    events: list[Event]

    def run(self, faults: Sequence[str] | None, *, records_of: Sequence[str]) -> dict[str, Any]:
        """Heal, wait until the members are equal, and tell how that went."""


# Called with the client's number, from 0, and its emit.
MakeClient = Callable[[int, Emit], Client]
# A director is made for the faults of one repeat, with the emit of the run, which is there only when the event file is.
MakeDirector = Callable[[Sequence[FaultSpec], Emit], Director]
MakeHealer = Callable[[], Healing]


@dataclass(frozen=True)
class RunnerConfig:
    """One experiment's workload."""

    experiment: str
    system: str  # one of SYSTEMS
    iterations: int
    seed: int
    clients: int
    rate: float  # operations per second of all clients together; 0 is a closed loop
    key_prefix: str
    endpoints: Sequence[str]  # "host:port"; the first is connected to, the others are where to go from there
    members: Mapping[str, Mapping[str, Any]]  # name -> {"client_url" or "address"}
    policy: FailoverPolicy
    work_dir: Path
    faults: Sequence[FaultSpec] = ()
    repeats: int = 1
    stall_timeout_s: float = float("inf")  # a repeat without an acknowledged operation for so long is ended
    mysql: Mapping[str, str] = field(default_factory=dict)  # MYSQL_ACCOUNT
    source: str = field(default_factory=socket.gethostname)  # who stamps the clients' events


def check_config(config: RunnerConfig) -> None:
    """Raise :class:`LabError` where a run with ``config`` could not begin."""
    if config.system not in SYSTEMS:
        raise LabError(f"system is {config.system!r}; known are {', '.join(SYSTEMS)}")
    if config.clients < 1:
        raise LabError(f"clients is {config.clients}; it has to be at least 1")
    if not 0 <= config.rate < float("inf"):
        raise LabError(f"rate is {config.rate}; it has to be 0 (closed loop) or operations per second")
    if config.repeats < 1:
        raise LabError(f"repeats is {config.repeats}; it has to be at least 1")
    if not config.stall_timeout_s > 0:
        raise LabError(f"stall_timeout_s is {config.stall_timeout_s}; it has to be more than 0 seconds")
    if not config.endpoints:
        raise LabError(f"endpoints of {config.experiment} is empty; give at least one host:port")
    for endpoint in config.endpoints:
        split_endpoint(endpoint)
    if config.system == "etcd" and not all("client_url" in member for member in config.members.values()):
        raise LabError(f"members of {config.experiment}: each needs a client_url like http://10.0.0.11:2379")
    if config.system == "mysql_cluster" and not all("address" in member for member in config.members.values()):
        raise LabError(f"members of {config.experiment}: each needs an address like 10.0.0.21:3306")
    missing = [name for name in MYSQL_ACCOUNT if not config.mysql.get(name)]
    if config.system != "etcd" and missing:
        raise LabError(
            f"{config.experiment} lacks the MySQL {', '.join(missing)}; the load generator logs in with them"
        )


def client_maker(config: RunnerConfig) -> MakeClient:
    """Return what makes the clients of the config's system; LabError where its driver is not installed."""
    host, port = split_endpoint(config.endpoints[0])
    seeds = tuple(config.endpoints[1:])
    # Imported here: each of these needs a driver that only the load generator has, and only one of them is used.
    try:
        if config.system == "etcd":
            from .etcd_client import ClientWithFailover

            return lambda number, emit: ClientWithFailover(
                host, port, seeds=seeds, policy=config.policy, emit=emit, jitter_seed=config.seed + number
            )
        from .mysql_client import MySQLClient
    except ImportError as error:
        raise LabError(
            f"the {config.system} client cannot be loaded on {config.source}: {error}; "
            "provision the load generator with playbooks/up.yml"
        ) from error
    user, password, database = (config.mysql[name] for name in MYSQL_ACCOUNT)
    in_group = config.system == "mysql_cluster"
    return lambda number, emit: MySQLClient(
        host,
        port,
        user,
        password,
        database,
        seeds=seeds if in_group else (),
        in_group=in_group,
        policy=config.policy,
        emit=emit,
        jitter_seed=config.seed + number,
    )


def director_maker(config: RunnerConfig, agents: Mapping[str, str], key: bytes) -> MakeDirector | None:
    """Return what makes the directors of the config's faults, None where there are none."""
    if not config.faults:
        return None
    return lambda faults, emit: FaultDirector(faults, agents, key, emit)


def healer_maker(
    config: RunnerConfig, agents: Mapping[str, str], key: bytes, *, timeout_s: float, sample_interval_ms: float
) -> MakeHealer:
    """Return what makes the healers that put the system right between two repeats.

    :param timeout_s: how long a heal and the return to equal data may take
    """

    def make() -> Healer:
        address = "client_url" if config.system == "etcd" else "address"
        account = None
        if config.system == "mysql_cluster":
            user, password, database = (config.mysql[name] for name in MYSQL_ACCOUNT)
            account = MySQLAccount(user, password, f"{database}.{TABLE}")
        return Healer(
            agents,
            key,
            config.system,
            {name: str(member[address]) for name, member in config.members.items()},
            timeout_s=timeout_s,
            sample_interval_ms=sample_interval_ms,
            source=config.source,
            account=account,
        )

    return make


class EventLog:
    """Writes events.jsonl, from any thread, each line at once."""

    def __init__(self, path: Path, source: str, on_error: Callable[[LabError], None]) -> None:
        """:param on_error: called with the first error; those who emit have other things to do than to handle it."""
        self._path = path
        self._source = source
        self._on_error = on_error
        self._lock = threading.Lock()
        self._broken = False
        try:
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise self._error(error) from error

    def emit(self, name: str, data: Mapping[str, Any]) -> None:
        """Write one event, stamped now or by the ``wall_ns`` and ``source`` in its data."""
        event = place_event(name, data, self._source)
        line = json.dumps(event.as_dict(), ensure_ascii=False, separators=(",", ":")) + "\n"
        with self._lock:
            if self._broken or self._file.closed:
                return
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                self._broken = True
                self._on_error(self._error(error))

    def close(self) -> None:
        """Close the file; later events are dropped."""
        with self._lock:
            try:
                self._file.close()
            except OSError as error:
                if not self._broken:
                    self._broken = True
                    self._on_error(self._error(error))

    def _error(self, error: OSError) -> LabError:
        return LabError(
            f"events {self._path}: {error.strerror or error}; check the space and the rights in {self._path.parent}"
        )


class _Stop:
    """The one place where a run learns that it has to end early, and why."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.error: LabError | None = None  # the first one
        self.signal: str | None = None

    def fail(self, error: LabError) -> None:
        if self.error is None:
            self.error = error
        self.event.set()

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.signal = signal.Signals(number).name
        self.event.set()


@contextmanager
def _signals_stop(stop: _Stop) -> Iterator[None]:
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

    The stream is hundreds of thousands of tuples that live to the end. A full collection would walk all of them and
    stop every client meanwhile: that would be this program's pause, measured as if it were the server's.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass(frozen=True)
class _Turn:
    """A client's share of one repeat."""

    indexes: Sequence[int]
    began_ns: int  # since the origin
    first_index: int  # of the repeat, whoever's it is
    on_index: Callable[[int], None]
    ended: threading.Event  # of all clients: nobody sends another operation of this repeat
    over: threading.Event = field(default_factory=threading.Event)


class _ClientThread(threading.Thread):
    """One client and its share of the stream, which it gets in turns."""

    def __init__(
        self,
        number: int,
        config: RunnerConfig,
        operations: Sequence[Operation],
        indexes: Sequence[int],
        tally: Tally,
        stop: _Stop,
        emit: Emit,
    ) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self.number = number
        self.index: int | None = None  # of the operation in flight, or of the last one
        self._config = config
        self._operations = operations
        self._indexes = indexes
        self._tally = tally
        self._stop_run = stop
        self._emit_to = emit
        self._turns: queue.SimpleQueue[_Turn | None] = queue.SimpleQueue()
        self._client: Client | None = None
        self._history: HistoryWriter | None = None
        self._origin_ns = 0

    def emit(self, name: str, data: dict[str, Any]) -> None:
        """Take an event of the client; says which client it was and during which operation."""
        self._emit_to(name, {"client": self.number, "index": self.index, **data})

    def connect(self, make_client: MakeClient) -> None:
        self._client = make_client(self.number, self.emit)

    def begin(self, history: HistoryWriter, origin_ns: int) -> None:
        self._history = history
        self._origin_ns = origin_ns
        self.start()

    def take_turn(self, repeat: range, began_ns: int, on_index: Callable[[int], None], ended: threading.Event) -> _Turn:
        """Begin with this client's operations of a repeat; the turn tells when they are over."""
        first, end = (bisect_left(self._indexes, bound) for bound in (repeat.start, repeat.stop))
        turn = _Turn(self._indexes[first:end], began_ns, repeat.start, on_index, ended)
        self._turns.put(turn)
        return turn

    def finish(self) -> None:
        """End the thread once its turn is over, if it ever began."""
        self._turns.put(None)
        if self.ident is not None:
            self.join()

    def close_client(self) -> None:
        if self._client is not None:
            self._client.close()

    def run(self) -> None:
        assert self._client is not None
        assert self._history is not None
        while (turn := self._turns.get()) is not None:
            self._do(turn, self._client, self._history)
            turn.over.set()

    def _do(self, turn: _Turn, client: Client, history: HistoryWriter) -> None:
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

    def _run_operations(self, turn: _Turn, client: Client, history: HistoryWriter) -> None:
        operations, tally, origin_ns, on_index = self._operations, self._tally, self._origin_ns, turn.on_index
        number, prefix = self.number, self._config.key_prefix
        interval_ns = 1e9 / self._config.rate if self._config.rate else None
        stopped, ended = self._stop_run.event, turn.ended
        clock_ns = time.monotonic_ns
        for index in turn.indexes:
            if stopped.is_set() or ended.is_set():
                return
            intended_ns = None
            if interval_ns is not None:
                intended_ns = turn.began_ns + int((index - turn.first_index) * interval_ns)
                ahead_ns = origin_ns + intended_ns - clock_ns()
                # Behind the plan, operations follow each other at once; their lateness stands in the history.
                if ahead_ns > 0 and ended.wait(ahead_ns / 1e9):
                    return
            operation = operations[index]
            kind, device = operation[0], operation[1]
            value = operation[2] if len(operation) == 3 else None
            self.index = index
            on_index(index)
            invoke_ns = clock_ns() - origin_ns
            tally.started_ns = invoke_ns
            if value is not None:
                result = client.put_with_retry(prefix + device, value)
            elif kind == RETRIEVE:
                result = client.get_with_retry(prefix + device)
            else:
                result = client.delete_with_retry(prefix + device)
            complete_ns = clock_ns() - origin_ns
            outcome = Outcome(result.outcome).value
            history.append(
                HistoryRow(
                    index,
                    number,
                    kind,
                    device,
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
                )
            )
            tally.note(kind, outcome, result.endpoint, invoke_ns, complete_ns)


def run_workload(
    config: RunnerConfig,
    *,
    make_client: MakeClient,
    make_director: MakeDirector | None = None,
    make_healer: MakeHealer | None = None,
) -> dict[str, Any]:
    """Run one experiment's workload; return its summary, which is also in summary.json.

    The faults of the last repeat stay held at the end of a whole run, for whoever heals and times them; after an early
    end they are healed at once. SIGTERM or SIGINT give a summary that has ``interrupted`` true. Members that do not
    become equal after a repeat end the run, too: what is left of it would be another experiment.

    Raises :class:`LabError` where the run cannot begin or has to end early for an error.

    :param make_healer: needed for faults that are repeated
    :returns: ``schema_version``, ``experiment``, ``system``, ``operations`` (length of the stream), ``done``,
        ``duration_s`` (from each repeat's begin to its last operation's end, all together), ``ops_per_s``,
        ``outcomes`` {outcome: n}, ``by_kind`` {kind: {outcome: n}}, ``client_cpu_s`` (of this process), ``digest``,
        ``endpoints`` {"host:port": operations}, ``failovers`` (completed ones of all clients), ``origin_wall_ns``,
        ``faults`` (the directors' records), ``repeats`` (those that began, as experiment.json has them; the last one's
        ``convergence`` is null), ``interrupted``, ``message`` (why it ended early, else null)
    """
    check_config(config)
    operations = create_simulation(config.iterations, config.seed)
    try:
        config.work_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"work_dir {config.work_dir} cannot be made: {error.strerror or error}; check its parents' rights"
        ) from error
    # A summary of an earlier try must not stand for this one.
    (config.work_dir / SUMMARY_FILE).unlink(missing_ok=True)
    return _Run(config, operations, make_director, make_healer).execute(make_client)


class _LeaderFinder(Protocol):
    """Tells the progress thread who leads; closed at the end."""

    def ask(self) -> str | None:
        """Return the leader's name, None where nobody is known to lead."""

    def close(self) -> None:
        """Close its connections."""


class _OnlyServer:
    """A single server, which has nobody to lose its lead to."""

    def __init__(self, members: Mapping[str, Mapping[str, Any]]) -> None:
        self._name = next(iter(members), None)

    def ask(self) -> str | None:
        return self._name

    def close(self) -> None:
        """Nothing is open."""


def _leader_finder(config: RunnerConfig) -> _LeaderFinder:
    if config.system == "etcd":
        return EtcdLeader(config.members)
    if config.system == "mysql":
        return _OnlyServer(config.members)
    # Here for the same reason as in client_maker.
    from .mysql_client import GroupLeader

    return GroupLeader(config.members, config.mysql, LEADER_TIMEOUT_S)


class _Run:
    """One run: its files, its threads, and their end in all cases."""

    def __init__(
        self,
        config: RunnerConfig,
        operations: Sequence[Operation],
        make_director: MakeDirector | None,
        make_healer: MakeHealer | None,
    ) -> None:
        self._config = config
        self._operations = operations
        self._make_director = make_director
        self._make_healer = make_healer
        self._slices = cut_stream(len(operations), config.repeats)
        self._repeats: list[dict[str, Any]] = []
        self._records: list[dict[str, Any]] = []
        self._unhealed: list[str] = []  # tokens of the latest repeat's faults
        self._left_out = 0  # operations of repeats that were ended early
        self._unequal: str | None = None  # why the members were not equal after a repeat
        self._digest = stream_digest(operations)
        self._stop = _Stop()
        self._tallies = [Tally() for _ in range(config.clients)]
        self._failovers = 0
        self._failovers_lock = threading.Lock()
        self._leader = _leader_finder(config)
        self._progress = ProgressReporter(
            config.work_dir / PROGRESS_FILE,
            len(operations),
            self._tallies,
            endpoint=config.endpoints[0],
            ask_leader=self._leader.ask,
            on_error=self._stop.fail,
        )
        self._events: EventLog | None = None
        self._director: Director | None = None
        self._threads: list[_ClientThread] = []
        self._history: HistoryWriter | None = None
        self._origin_wall_ns = 0
        self._cpu_s = 0.0

    def execute(self, make_client: MakeClient) -> dict[str, Any]:
        with _signals_stop(self._stop):
            try:
                self._events = EventLog(self._config.work_dir / EVENTS_FILE, self._config.source, self._stop.fail)
                self._arm(1)
                self._connect(make_client)
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
            self._director.arm()

    def _connect(self, make_client: MakeClient) -> None:
        """Connect the clients, before the experiment's time begins."""
        config = self._config
        shares = assign_clients(self._operations, config.clients)
        for number, (share, tally) in enumerate(zip(shares, self._tallies, strict=True)):
            thread = _ClientThread(number, config, self._operations, share, tally, self._stop, self._emit)
            self._threads.append(thread)
            thread.connect(make_client)

    def _measure(self) -> None:
        """Let all clients run their shares, repeat by repeat; returns when they are done or were stopped."""
        config = self._config
        with _no_long_collections():
            origin_ns = time.monotonic_ns()
            self._origin_wall_ns = CLOCK.base_ns + origin_ns
            meta = {
                "experiment": config.experiment,
                "system": config.system,
                "iterations": config.iterations,
                "seed": config.seed,
                "clients": config.clients,
                "rate": config.rate,
                "key_prefix": config.key_prefix,
                "digest": self._digest,
                "origin_wall_ns": self._origin_wall_ns,
            }
            self._history = HistoryWriter(config.work_dir / HISTORY_LINES_FILE, meta)
            self._emit(
                "experiment.started",
                {
                    "wall_ns": self._origin_wall_ns,
                    "experiment": config.experiment,
                    "operations": len(self._operations),
                    "clients": config.clients,
                    "rate": config.rate,
                },
            )
            self._progress.start(origin_ns)
            for thread in self._threads:
                thread.begin(self._history, origin_ns)
            for number, repeat in enumerate(self._slices, 1):
                self._measure_repeat(number, repeat, origin_ns)
                is_last = number == len(self._slices)
                if is_last or self._stop.event.is_set() or not self._recover(number):
                    break
            for thread in self._threads:
                thread.finish()
        self._emit(
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
        cpu_before_s = time.process_time()
        # The first begins at the origin, where a rate's plan begins.
        began_ns = time.monotonic_ns() - origin_ns if number > 1 else 0
        described = {"repeat": number, "first_index": repeat.start, "end_index": repeat.stop}
        self._repeats.append(
            {**described, "began_ns": began_ns, "ended_ns": began_ns, "stalled": None, "convergence": None}
        )
        if self._config.repeats > 1:
            self._emit("repeat.started", described)
            self._progress.begin_repeat(number, self._config.repeats)
        on_index = self._director.on_index if self._director is not None else _nothing_due
        done_before = self._done()
        ended = threading.Event()
        turns = [thread.take_turn(repeat, began_ns, on_index, ended) for thread in self._threads]
        guard = StallGuard(self._tallies, self._config.stall_timeout_s, time.monotonic_ns() - origin_ns)
        while waiting := [turn for turn in turns if not turn.over.is_set()]:
            # A signal that reaches another thread is handled here, but wakes nobody who waits without an end.
            waiting[0].over.wait(SIGNAL_CHECK_S)
            if self._stop.event.is_set():
                ended.set()
            elif not ended.is_set() and guard.is_stalled(time.monotonic_ns() - origin_ns):
                ended.set()
                self._note_stall(number, guard)
        if self._repeats[-1]["stalled"] is not None:
            left_out = len(repeat) - (self._done() - done_before)
            self._left_out += left_out
            self._repeats[-1]["stalled"]["left_out"] = left_out
        self._repeats[-1]["ended_ns"] = max(began_ns, *(tally.last_complete_ns for tally in self._tallies))
        self._cpu_s += time.process_time() - cpu_before_s
        if self._config.repeats > 1:
            self._emit("repeat.finished", {"repeat": number})

    def _note_stall(self, number: int, guard: StallGuard) -> None:
        """Say that a repeat ends here, as nothing is acknowledged any more."""
        stalled = {**guard.stalled, "done": self._done()}
        self._repeats[-1]["stalled"] = stalled
        self._emit("repeat.stalled", {"repeat": number, **stalled})
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
            self._emit(event.event, {**event.data, "wall_ns": event.wall_ns, "source": event.source})
        self._repeats[-1]["convergence"] = healed
        self._progress.note_idle(time.monotonic_ns() - since_ns)
        name = f"{self._config.experiment}, repeat {number}"
        for member, reason in healed["errors"].items():
            raise LabError(
                f"{name}: {member} was not healed: {reason}. Its agent tries again by itself; ./scripts/lab heal "
                "starts the member."
            )
        if not healed["converged"]:
            self._unequal = f"{name}: the members were not equal afterwards: {'; '.join(healed['reasons'])}"
        elif not self._stop.event.is_set():
            self._arm(number + 1)
            return True
        return False

    def _end(self) -> None:
        """Close everything, whatever happened before."""
        early = self._stop.event.is_set() or self._done() + self._left_out < len(self._operations)
        if early and self._unequal is None:
            self._stop.event.set()
        for thread in self._threads:
            thread.finish()
        if self._director is not None:
            self._note_records(self._director.close(heal=early))
        self._note_never_asked()
        if self._history is not None:
            # Where it is broken, that was said already.
            with suppress(LabError):
                self._history.close()
        for thread in self._threads:
            thread.close_client()
        if self._events is not None:
            self._events.close()

    def _note_records(self, records: Sequence[dict[str, Any]]) -> None:
        """Take over what a director knows of its faults at its end."""
        self._records += records
        self._unhealed = [record["token"] for record in records if record["fired"] and record["healed_wall_ns"] is None]

    def _note_never_asked(self) -> None:
        """Keep a record of the faults of repeats that never began."""
        told = {record["fault"] for record in self._records}
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
        by_kind = {kind.value: {outcome.value: 0 for outcome in Outcome} for kind in Kind}
        endpoints: Counter[str] = Counter()
        for tally in self._tallies:
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
            "system": self._config.system,
            "operations": len(self._operations),
            "done": done,
            "duration_s": duration_s,
            "ops_per_s": done / duration_s if duration_s else 0.0,
            "outcomes": {o.value: sum(counts[o.value] for counts in by_kind.values()) for o in Outcome},
            "by_kind": by_kind,
            "client_cpu_s": self._cpu_s,
            "digest": self._digest,
            "endpoints": dict(endpoints),
            "failovers": self._failovers,
            "origin_wall_ns": self._origin_wall_ns,
            "faults": self._records,
            "unhealed": self._unhealed,
            "repeats": self._repeats,
            "interrupted": self._stop.event.is_set(),
            "message": message,
        }

    def _done(self) -> int:
        return sum(tally.done for tally in self._tallies)

    def _emit(self, name: str, data: Mapping[str, Any]) -> None:
        """Take an event of a client or of the director: write it, and keep count for summary and progress."""
        if name == "client.failover_completed":
            with self._failovers_lock:
                self._failovers += 1
        told = describe_fault(name, data)
        if told is not None:
            self._progress.tell_fault(str(data["fault"]), told)
        if self._events is not None:
            self._events.emit(name, data)


def describe_fault(name: str, data: Mapping[str, Any]) -> str | None:
    """Return how a fault stands after one of its events, in a few words; None for every other event."""
    if name == "fault.armed":
        return f"{data['fault']} {data['action']} {data['target']} waits for operation {data['at_index']:,}"
    if name == "fault.requested":
        return f"{data['fault']} {data['action']} {data['target']} requested"
    if name == "fault.signal_sent":
        return f"{data['fault']} {data['action']} {data['member']}"
    if name == "fault.missed":
        return f"{data['fault']} missed: {data['reason']}"
    return None


def _nothing_due(_index: int) -> None:
    """Stand in for the director where there are no faults."""

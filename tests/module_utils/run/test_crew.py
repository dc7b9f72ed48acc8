# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from failover.results.history import read_jsonl
from failover.results.read import read_events
from failover.run import worker as worker_module
from failover.run.channel import Channel, ChannelClosedError
from failover.run.clients import Stop
from failover.run.group import LocalGroup
from failover.run.makers import client_maker
from failover.run.processes import LEFT_ALONE, fork_worker
from failover.run.progress import Tally
from failover.run.runner import run_workload
from failover.run.worker import Worker, sum_up
from failover.run.worker_group import WorkerGroup
from failover.shapes import LabError, Outcome
from failover.systems.base import ClientIdentity
from failover.systems.fence import Doubt
from failover.systems.registry import SYSTEMS
from failover.systems.steering import Steering
from fake_system import FakeDirector, FakeHealer, FakeSystem
from run_parts import ITERATIONS, OPERATIONS, answered_by, config, progress_of, rows_of


def test_clients_in_processes_do_what_threads_do(tmp_path: Path) -> None:
    made = answered_by(FakeSystem())
    summary = run_workload(config(tmp_path, clients=5, processes=3), make_client=made)
    rows = rows_of(tmp_path)
    assert sorted(row.index for row in rows) == list(range(len(OPERATIONS)))
    assert {row.client for row in rows} == set(range(5))
    # Each client lives in one process, and there are three of them.
    assert len({(row.client, row.endpoint) for row in rows}) == 5
    assert len({row.endpoint for row in rows}) == 3
    assert f"h:{os.getpid()}" not in summary["endpoints"]
    assert sum(summary["endpoints"].values()) == summary["done"] == len(OPERATIONS)
    assert summary["outcomes"] == {"ok": len(OPERATIONS), "fail": 0, "unknown": 0}
    assert summary["load_generators"][0]["processes"] == 3
    assert summary["duration_s"] == max(row.complete_ns for row in rows) / 1e9
    for row in rows:
        assert 0 <= row.intended_ns == row.invoke_ns <= row.complete_ns
    meta, _ = read_jsonl(tmp_path / "history.jsonl")
    assert meta["origin_wall_ns"] == summary["origin_wall_ns"]
    connected = [event for event in read_events(tmp_path / "events.jsonl") if event.event == "client.connected"]
    assert sorted(event.data["client"] for event in connected) == list(range(5))
    assert (progress_of(tmp_path)["phase"], progress_of(tmp_path)["done"]) == ("finished", len(OPERATIONS))


@pytest.mark.parametrize(("clients", "processes", "used"), [(1, 4, 1), (3, 8, 3), (4, 1, 1)])
def test_there_is_a_client_for_each_process(tmp_path: Path, clients: int, processes: int, used: int) -> None:
    made = answered_by(FakeSystem())
    summary = run_workload(config(tmp_path, clients=clients, processes=processes), make_client=made)
    assert (summary["load_generators"][0]["processes"], len(summary["endpoints"])) == (used, used)


def test_a_rate_is_kept_over_processes(tmp_path: Path) -> None:
    run_workload(config(tmp_path, rate=4000.0, clients=4, processes=2), make_client=FakeSystem().make_client)
    for row in rows_of(tmp_path):
        assert row.intended_ns == int(row.index * 1e9 / 4000)
        assert row.invoke_ns >= row.intended_ns


class Listening(FakeDirector):
    """A director that wants to hear of operations from an index on."""

    def __init__(self, emit: Any, at: int) -> None:
        super().__init__(emit)
        self.at = at
        self.heard: list[tuple[int, int | None]] = []

    def arm(self, audience: Any) -> None:
        self.audience = audience
        audience.expect(self.at, tracing=False)

    def on_index(self, index: int, wall_ns: int | None = None) -> None:
        self.heard.append((index, wall_ns))
        if len(self.heard) == 1:
            self.audience.expect(2**62, tracing=True)
            self.on_first()

    def on_first(self) -> None:
        pass


def test_the_director_hears_of_what_it_expects_and_of_all_while_a_fault_is_under_way(tmp_path: Path) -> None:
    first_is_heard, all_are_told = multiprocessing.Event(), multiprocessing.Event()
    told_ns: list[int] = []

    class Telling(Listening):
        def on_first(self) -> None:
            first_is_heard.set()
            threading.Thread(target=self.await_told).start()

        def await_told(self) -> None:
            # A process answers after it has taken what it was told before.
            self.audience.catch_up()
            told_ns.append(time.time_ns())
            all_are_told.set()

    directors: list[Telling] = []

    def make_director(_faults: Any, emit: Any) -> Telling:
        directors.append(Telling(emit, 200))
        return directors[0]

    def hook(*_: Any) -> None:
        time.sleep(0.001)
        # However slow the machine is, few operations begin before the others are told.
        if first_is_heard.is_set():
            all_are_told.wait(60)

    system = FakeSystem(hook)
    summary = run_workload(
        config(tmp_path, clients=4, processes=2), make_client=system.make_client, make_director=make_director
    )
    heard = directors[0].heard
    invoked_ns = {row.index: summary["origin_wall_ns"] + row.invoke_ns for row in rows_of(tmp_path)}
    for index, wall_ns in heard:
        assert wall_ns is not None
        assert wall_ns <= invoked_ns[index]
    # The one that comes to the index first, whoever's it is, beside those that come there at the same time,
    first = min((index for index in invoked_ns if index >= 200), key=lambda index: invoked_ns[index])
    assert first in [index for index, _ in heard[:4]]
    assert heard[0][0] >= 200
    # and from then on all, whatever their index, but for those that begin before the others are told.
    later = {index for index, at_ns in invoked_ns.items() if at_ns > told_ns[0]}
    assert len(later) > 50
    assert later <= {index for index, _ in heard}


def test_catching_up_waits_for_what_was_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    class CatchingUp(Listening):
        def on_index(self, index: int, wall_ns: int | None = None) -> None:
            super().on_index(index, wall_ns)
            if len(self.heard) == 1:
                threading.Thread(target=self.catch_up).start()

        def catch_up(self) -> None:
            time.sleep(0.05)
            began_ns = time.time_ns()
            self.audience.catch_up()
            told.append((began_ns, len([wall_ns for _, wall_ns in self.heard if (wall_ns or 0) < began_ns])))

    directors: list[CatchingUp] = []

    def make_director(_faults: Any, emit: Any) -> CatchingUp:
        directors.append(CatchingUp(emit, 20))
        return directors[0]

    system = FakeSystem(lambda *_: time.sleep(0.001))
    run_workload(config(tmp_path, clients=4, processes=2), make_client=system.make_client, make_director=make_director)
    ((began_ns, heard_then),) = told
    assert heard_then == len([wall_ns for _, wall_ns in directors[0].heard if (wall_ns or 0) < began_ns])


@pytest.mark.parametrize("error", [LabError("the table is gone"), ValueError("odd")])
def test_an_error_in_a_process_ends_the_run(tmp_path: Path, error: Exception) -> None:
    def hook(client: int, _method: str, key: str) -> None:
        if client == 3 and key == f"P-{OPERATIONS[-30][1]}":
            raise error

    system = FakeSystem(hook)
    director = FakeDirector(lambda _event: None)
    with pytest.raises(LabError) as caught:
        run_workload(
            config(tmp_path, clients=4, processes=2, iterations=ITERATIONS),
            make_client=make_raising(system, error),
            make_director=lambda _faults, _emit: director,
        )
    assert str(error) in str(caught.value)
    assert director.closed_with == [True]
    assert json.loads((tmp_path / "summary.json").read_text())["interrupted"] is True
    assert progress_of(tmp_path)["phase"] == "failed"


def make_raising(system: FakeSystem, error: Exception) -> Any:
    """Return a maker of clients whose number 3 raises at its tenth operation."""

    def make(number: int, emit: Any) -> Any:
        client = system.make_client(number, emit)
        calls = iter(range(10))
        begin = client._begin

        def counted(method: str, key: str) -> None:
            if number == 3 and next(calls, None) is None:
                raise error
            begin(method, key)

        client._begin = counted  # type: ignore[method-assign]
        return client

    return make


def test_a_client_that_cannot_be_connected_is_told(tmp_path: Path) -> None:
    def make(number: int, _emit: Any) -> Any:
        raise LabError(f"client {number} has no driver")

    with pytest.raises(LabError, match=r"client [01] has no driver"):
        run_workload(config(tmp_path, clients=2, processes=2), make_client=make)


def test_a_process_that_is_killed_is_told_in_one_line(tmp_path: Path) -> None:
    def hook(client: int, _method: str, _key: str) -> None:
        time.sleep(0.001)
        if client == 0 and next(calls, None) is None:
            has_done_some.set()
        if client == 1 and has_done_some.wait(60):
            os.kill(os.getpid(), signal.SIGKILL)

    calls, has_done_some = iter(range(10)), multiprocessing.Event()
    expected = "process 2 of the clients of E1-mysql ended before its time"
    system = FakeSystem(hook)
    with pytest.raises(LabError, match=expected) as caught:
        run_workload(config(tmp_path, clients=2, processes=2, iterations=5000), make_client=system.make_client)
    assert "\n" not in str(caught.value)
    # What came before is there.
    assert rows_of(tmp_path)


def test_a_signal_ends_processes_in_order(tmp_path: Path) -> None:
    pid = os.getpid()

    def hook(client: int, _method: str, _key: str) -> None:
        time.sleep(0.001)
        if client == 1 and next(calls, None) == 99:
            os.kill(pid, signal.SIGTERM)

    # Behind so many operations, not so long: the run takes its time to begin where the machine is busy.
    calls = iter(range(100))
    system = FakeSystem(hook)
    summary = run_workload(config(tmp_path, clients=4, processes=2, iterations=8000), make_client=system.make_client)
    assert summary["interrupted"]
    rows = rows_of(tmp_path)
    assert len(rows) == summary["done"] > 0
    assert "was ended by SIGTERM" in summary["message"]


def test_a_disk_that_is_full_ends_processes(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").symlink_to("/dev/full")
    with pytest.raises(LabError, match=r"history.jsonl: No space left on device"):
        run_workload(config(tmp_path, clients=2, processes=2), make_client=FakeSystem().make_client)


def test_repeats_heal_settle_and_go_on(tmp_path: Path) -> None:
    system = FakeSystem()
    doubt = Doubt("E1/2", "CREATE", "a-1", "a-2")

    def make(number: int, emit: Any) -> Any:
        client = system.make_client(number, emit)
        if number == 2:
            system.doubts[number] = doubt
            client.settle = lambda: emit("client.write_settled", {"applied": True}) or True
        return client

    healed = {"errors": {}, "not_back": [], "converged": True, "reasons": []}
    summary = run_workload(
        config(tmp_path, clients=4, processes=2, repeats=3),
        make_client=make,
        make_director=lambda _faults, emit: FakeDirector(emit),
        make_healer=lambda: FakeHealer(healed, []),
    )
    assert [repeat["repeat"] for repeat in summary["repeats"]] == [1, 2, 3]
    assert sorted(row.index for row in rows_of(tmp_path)) == list(range(len(OPERATIONS)))
    settled = [event for event in read_events(tmp_path / "events.jsonl") if event.event == "client.write_settled"]
    assert [event.data["client"] for event in settled] == [2, 2]
    assert summary["unresolved"] == [{"index": None, "client": 2, **doubt.as_dict()}]


def test_a_stall_in_processes_ends_the_repeat(tmp_path: Path) -> None:
    system = FakeSystem(lambda *_: time.sleep(0.02), outcome=Outcome.UNKNOWN.value)
    summary = run_workload(
        config(tmp_path, clients=2, processes=2, stall_timeout_s=0.6), make_client=system.make_client
    )
    stalled = summary["repeats"][0]["stalled"]
    assert stalled["what"] == "operation"
    assert stalled["left_out"] == len(OPERATIONS) - summary["done"] > 0


def test_no_two_processes_use_the_same_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = FakeSystem()

    def client(_target: Any, _policy: Any, emit: Any, identity: ClientIdentity) -> Any:
        made = system.make_client(int(identity.name.rpartition("/")[2]), emit)
        series = identity.ids.next().partition("-")[0]
        result = made._result
        made._result = lambda *given, **named: result(*given, **named)._replace(endpoint=f"{series}:1")
        return made

    monkeypatch.setattr(SYSTEMS["mysql"], "client", client)
    settings = config(tmp_path, clients=4, processes=2)
    summary = run_workload(settings, make_client=client_maker(settings))
    assert len(summary["endpoints"]) == 2


# ---------------------------------------------------------------- clients that are led


class Clients:
    """What a steering leads elsewhere."""

    def __init__(self) -> None:
        self.reads_left = 0
        self.writes = 0
        self.led: list[tuple[Any, ...]] = []

    def steer(self, *what: Any) -> None:
        self.led.append(what)
        if what[0] == "ask_reads":
            self.reads_left = what[2]


def test_steering_leads_the_clients_of_all_processes() -> None:
    steering = Steering()
    steering.others = one, two = Clients(), Clients()
    steering.avoid("h:1")
    steering.ask_reads("h:2", 5)
    steering.count_writes()
    one.writes, two.writes = 2, 1
    assert (steering.reads_left(), steering.writes()) == (5, 3)
    steering.let_go()
    reads = [led[2] for other in (one, two) for led in other.led if led[0] == "ask_reads"]
    assert sorted(reads) == [2, 3]
    for other in (one, two):
        assert [led[0] for led in other.led] == ["avoid", "ask_reads", "count_writes", "let_go"]


def test_reads_and_writes_of_processes_are_counted_while_they_are_led(tmp_path: Path) -> None:
    steering = Steering()
    seen: list[tuple[int, int]] = []

    class Leading(FakeDirector):
        def arm(self, audience: Any) -> None:
            audience.expect(20, tracing=False)

        def on_index(self, index: int, wall_ns: int | None = None) -> None:
            if not self.indexes:
                self.indexes.append(index)
                threading.Thread(target=self.lead).start()

        def lead(self) -> None:
            steering.count_writes()
            steering.ask_reads("h:2", 6)
            end_s = time.monotonic() + 5
            while (steering.reads_left() or steering.writes() < 8) and time.monotonic() < end_s:
                time.sleep(0.002)
            seen.append((steering.reads_left(), steering.writes()))
            steering.let_go()

    def make(number: int, emit: Any) -> Any:
        client = system.make_client(number, emit)
        get, change = client.get_with_retry, client.change_with_retry

        def led_get(key: str) -> Any:
            steering.take_read("RETRIEVE")  # type: ignore[arg-type]
            return get(key)

        def noted_change(given: Any) -> Any:
            began_s = time.monotonic()
            result = change(given)
            steering.note_write(began_s)
            return result

        client.get_with_retry, client.change_with_retry = led_get, noted_change
        return client

    system = FakeSystem(lambda *_: time.sleep(0.002))
    run_workload(
        config(tmp_path, clients=4, processes=2),
        make_client=make,
        make_director=lambda _faults, emit: Leading(emit),
        steering=steering,
    )
    ((left, writes),) = seen
    assert left == 0
    assert writes >= 8


def test_a_process_notices_at_once_that_its_clients_are_led(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "TELL_INTERVAL_S", 60)
    ours, theirs, _ = ends()
    steering = Steering()

    class Busy:
        tallies = (Tally(),)

        def take_turn(self, *_: Any) -> None:
            pass

        def end_turn(self) -> None:
            over.set()

        def wait(self, timeout_s: float) -> bool:
            return over.wait(timeout_s)

    over = threading.Event()
    worker = Worker(theirs, lambda _stop, _emit: Busy(), steering)  # type: ignore[arg-type, return-value]
    serving = threading.Thread(target=worker.serve)
    serving.start()
    ours.send("turn", first=0, end=5, began_ns=0)
    while ours.receive().name != "tally":
        pass
    # Somewhere in the time between two tallies.
    ours.send("steer", number=3, what="ask_reads", arguments=["h:1", 2])
    began_s = time.monotonic()
    while (told := ours.receive()).fields.get("number") != 3:
        pass
    assert (told.name, told.fields["reads"]) == ("steered", 2)
    assert time.monotonic() - began_s < 10
    ours.close()
    serving.join()


# ---------------------------------------------------------------- the channel


def ends() -> tuple[Channel, Channel, socket.socket]:
    one, two = socket.socketpair()
    return Channel(one), Channel(two), one


def test_a_message_arrives_as_it_was_sent() -> None:
    one, two, _ = ends()
    lines = '["Zoë"]\n' * 40_000
    sender = threading.Thread(target=one.send, args=("rows",), kwargs={"lines": lines, "rows": 40_000})
    sender.start()
    assert two.receive() == ("rows", {"rows": 40_000}, lines)
    sender.join()
    two.send("turn", first=0, end=5)
    assert one.receive() == ("turn", {"first": 0, "end": 5}, "")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", "the connection was closed"),
        (b"\x00\x00\x00", "the connection was closed"),
        (b"\xff" * 8, "a message of 8,589,934,590 bytes is none of this lab"),
        (b"\x00\x00\x00\x02\x00\x00\x00\x00{]", "is no message of this lab"),
        (b"\x00\x00\x00\x01\x00\x00\x00\x007", "is no message of this lab"),
        (b"\x00\x00\x00\x05\x00\x00\x00\x01[1,2]\xff", "is no message of this lab"),
    ],
)
def test_what_is_no_message_closes_the_channel(sent: bytes, told: str) -> None:
    _, two, raw = ends()
    raw.sendall(sent)
    raw.shutdown(socket.SHUT_WR)
    with pytest.raises(ChannelClosedError, match=told):
        two.receive()


def test_nobody_sends_to_an_end_that_is_gone() -> None:
    one, two, _ = ends()
    two.close()
    two.close()
    with pytest.raises(ChannelClosedError):
        one.send("turn")
    with pytest.raises(ChannelClosedError):
        one.receive()


# ---------------------------------------------------------------- what processes tell each other


def test_what_clients_did_is_told_as_one() -> None:
    tallies = [Tally(), Tally()]
    tallies[0].note("CREATE", "ok", "h:1", 10, 30)
    tallies[1].note("CREATE", "ok", "h:2", 20, 70)
    tallies[1].note("RETRIEVE", "fail", "h:2", 80, 85)
    tallies[0].started_ns = 90
    elsewhere = Tally()
    for _ in range(2):  # the second time without new latencies
        elsewhere.take_over(json.loads(json.dumps(sum_up(tallies))))
    assert (elsewhere.done, elsewhere.last_complete_ns, elsewhere.started_ns) == (3, 85, 90)
    assert elsewhere.outcome_counts() == {"ok": 2, "fail": 1}
    assert elsewhere.endpoints == {"h:1": 1, "h:2": 2}
    assert sorted(elsewhere.take_latencies_ns()) == [5, 20, 50]


def test_what_was_counted_before_clients_were_led_does_not_count() -> None:
    ours, theirs, _ = ends()
    group = WorkerGroup("process 1", ours, source="client1", stop=Stop(), emit=lambda _event: None)
    group.steer("ask_reads", "h:1", 3)
    theirs.send("steered", number=0, reads=0, writes=7)
    theirs.send("caught_up", number=1)
    group.await_caught_up(1)
    assert (group.reads_left, group.writes) == (3, 0)
    theirs.send("steered", number=1, reads=2, writes=1)
    theirs.send("caught_up", number=2)
    group.await_caught_up(2)
    assert (group.reads_left, group.writes) == (2, 1)
    theirs.close()


def test_a_process_ends_with_the_one_that_leads() -> None:
    one, two = socket.socketpair()

    def make_worker(channel: Channel) -> Worker:
        return Worker(channel, lambda _stop, _emit: LocalGroup([], *[None] * 3, stop=Stop(), emit=None), Steering())  # type: ignore[list-item, arg-type, misc]

    pid = fork_worker(two, make_worker, closed=[one])
    two.close()
    assert Channel(one).receive().name == "ready"
    one.close()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == LEFT_ALONE

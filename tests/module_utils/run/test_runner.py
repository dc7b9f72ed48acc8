# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import errno
import gc
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from failover.actions.record import FaultRecord
from failover.results.history import HistoryWriter, read_jsonl
from failover.results.read import read_events
from failover.run import runner
from failover.run.config import check_config
from failover.run.events import describe_fault
from failover.run.makers import client_maker, director_maker, healer_maker
from failover.run.runner import run_workload
from failover.shapes import Event, FaultSpec, HistoryRow, LabError
from failover.systems.base import ClientIdentity
from failover.systems.registry import SYSTEMS
from failover.workloads.name_service import NameService
from failover.workloads.stream import stream_digest, summarize
from fake_gateway import closed_endpoint
from fake_system import FakeDirector, FakeHealer, FakeSystem
from run_parts import OPERATIONS, config, progress_of, rows_of


def names(work_dir: Path) -> list[str]:
    return [event.event for event in read_events(work_dir / "events.jsonl")]


# ---------------------------------------------------------------- a whole run


def test_every_operation_is_run_and_recorded(tmp_path: Path) -> None:
    system = FakeSystem()
    summary = run_workload(config(tmp_path / "new" / "work"), make_client=system.make_client)
    work = tmp_path / "new" / "work"
    rows = rows_of(work)
    assert [(row.index, row.kind, row.key, row.value) for row in rows] == [
        (index, operation[0], operation[1], operation[2] if len(operation) == 3 else None)
        for index, operation in enumerate(OPERATIONS)
    ]
    assert all(row.intended_ns == row.invoke_ns <= row.complete_ns for row in rows)
    live: dict[str, str] = {}
    for row in rows:
        if row.kind == "RETRIEVE":
            assert row.read == live[row.key]
        elif row.kind == "CREATE":
            live[row.key] = str(row.value)
        else:
            assert row.affected == 1
            del live[row.key]
    # The prefix stands in the system's keys and not in the history's.
    assert system.store == {f"P-{key}": value for key, value in live.items()}
    assert system.closed == [0]

    stream = summarize(OPERATIONS)
    assert summary["digest"] == stream["digest"] == stream_digest(OPERATIONS)
    assert summary["operations"] == summary["done"] == len(OPERATIONS)
    assert summary["outcomes"] == {"ok": len(OPERATIONS), "fail": 0, "unknown": 0}
    assert {kind: counts["ok"] for kind, counts in summary["by_kind"].items()} == {
        kind: stream[kind] for kind in ("CREATE", "RETRIEVE", "DELETE")
    }
    assert summary["endpoints"] == {"h:0": len(OPERATIONS)}
    assert (summary["interrupted"], summary["message"], summary["faults"]) == (False, None, [])
    assert summary["duration_s"] == max(row.complete_ns for row in rows) / 1e9
    assert summary["ops_per_s"] == pytest.approx(len(OPERATIONS) / summary["duration_s"])
    assert json.loads((work / "summary.json").read_text()) == summary

    meta, _ = read_jsonl(work / "history.jsonl")
    assert meta["origin_wall_ns"] == summary["origin_wall_ns"]
    assert (meta["digest"], meta["seed"]) == (stream["digest"], 7)
    events = read_events(work / "events.jsonl")
    assert [event.event for event in events] == ["client.connected", "experiment.started", "experiment.finished"]
    assert events[1].wall_ns == summary["origin_wall_ns"]
    assert {event.source for event in events} == {"client1"}
    told = progress_of(work)
    assert (told["phase"], told["done"], told["leader"] in (None, "mysql1")) == ("finished", len(OPERATIONS), True)


def test_clients_share_the_stream_by_device(tmp_path: Path) -> None:
    system = FakeSystem()
    summary = run_workload(config(tmp_path, clients=3), make_client=system.make_client)
    rows = rows_of(tmp_path)
    assert sorted(row.index for row in rows) == list(range(len(OPERATIONS)))
    client_of: dict[str, int] = {}
    last: dict[int, HistoryRow] = {}
    for row in sorted(rows, key=lambda row: row.index):
        assert client_of.setdefault(row.key, row.client) == row.client
        if row.client in last:
            assert last[row.client].complete_ns <= row.invoke_ns
        last[row.client] = row
    assert sorted(last) == [0, 1, 2]
    # Each client belongs to one thread, and no thread to two clients.
    assert sum(len(threads) for threads in system.threads.values()) == 3
    assert sorted(system.closed) == [0, 1, 2]
    assert sum(summary["endpoints"].values()) == len(OPERATIONS)


@pytest.mark.parametrize("clients", [1, 2, 5])
def test_assignment_covers_the_stream_in_order(clients: int) -> None:
    shares = NameService().assign(OPERATIONS, clients)
    assert len(shares) == clients
    assert sorted(index for share in shares for index in share) == list(range(len(OPERATIONS)))
    assert all(list(share) == sorted(share) for share in shares)


def test_rate_gives_each_operation_its_planned_start(tmp_path: Path) -> None:
    run_workload(config(tmp_path, rate=4000.0, clients=2), make_client=FakeSystem().make_client)
    for row in rows_of(tmp_path):
        assert row.intended_ns == int(row.index * 1e9 / 4000)
        assert row.invoke_ns >= row.intended_ns


def test_late_operations_keep_their_planned_start(tmp_path: Path) -> None:
    slow = threading.Event()

    def wait_once(_client: int, _method: str, _key: str) -> None:
        if not slow.is_set():
            slow.set()
            threading.Event().wait(0.05)

    run_workload(config(tmp_path, rate=100_000.0), make_client=FakeSystem(wait_once).make_client)
    second = rows_of(tmp_path)[1]
    assert second.intended_ns == 10_000
    assert second.invoke_ns >= 50_000_000


def test_outcomes_are_not_guessed(tmp_path: Path) -> None:
    summary = run_workload(config(tmp_path), make_client=FakeSystem(outcome="unknown").make_client)
    assert summary["outcomes"] == {"ok": 0, "fail": 0, "unknown": len(OPERATIONS)}
    assert {row.outcome for row in rows_of(tmp_path)} == {"unknown"}


def test_events_of_clients_say_who_and_when(tmp_path: Path) -> None:
    system = FakeSystem()
    calls = []

    def fail_over(client: int, _method: str, _key: str) -> None:
        calls.append(client)
        if len(calls) == 3:
            system.emits[client]("client.failover_started", {"endpoint": "h:1"})
            system.emits[client]("client.failover_completed", {"endpoint": "h:2"})

    system.hook = fail_over
    summary = run_workload(config(tmp_path), make_client=system.make_client)
    assert summary["failovers"] == 1
    completed = next(e for e in read_events(tmp_path / "events.jsonl") if e.event == "client.failover_completed")
    assert completed.data == {"client": 0, "index": 2, "endpoint": "h:2"}


def test_collector_is_as_before_after_a_run(tmp_path: Path) -> None:
    before = gc.get_freeze_count()
    frozen = []

    def look(_client: int, _method: str, _key: str) -> None:
        if not frozen:
            frozen.append(gc.get_freeze_count())

    run_workload(config(tmp_path), make_client=FakeSystem(look).make_client)
    assert frozen[0] >= len(OPERATIONS)
    assert gc.get_freeze_count() == before


# ---------------------------------------------------------------- faults


def test_director_hears_of_every_operation_before_it_is_invoked(tmp_path: Path) -> None:
    directors: list[FakeDirector] = []
    seen: list[int] = []
    system = FakeSystem(lambda *_: seen.append(directors[0].indexes[-1]))

    def make(_faults: Any, emit: Any) -> FakeDirector:
        directors.append(FakeDirector(emit))
        return directors[0]

    summary = run_workload(config(tmp_path), make_client=system.make_client, make_director=make)
    assert seen == directors[0].indexes == list(range(len(OPERATIONS)))
    # The whole run leaves the faults to whoever heals and times them.
    assert directors[0].closed_with == [False]
    assert summary["faults"] == [FaultRecord("F1", "t-F1", fired=True).as_dict()]
    assert progress_of(tmp_path)["faults"] == ["F1 stop etcd2"]
    sent = next(event for event in read_events(tmp_path / "events.jsonl") if event.event == "fault.signal_sent")
    assert (sent.wall_ns, sent.source) == (5, "etcd2")


def test_faults_that_cannot_be_armed_end_the_run_before_it_begins(tmp_path: Path) -> None:
    system = FakeSystem()
    with pytest.raises(LabError, match="the agent of etcd1 is silent"):
        run_workload(
            config(tmp_path),
            make_client=system.make_client,
            make_director=lambda _faults, emit: FakeDirector(emit, LabError("the agent of etcd1 is silent")),
        )
    assert system.threads == {}
    assert not (tmp_path / "history.jsonl").exists()
    told = progress_of(tmp_path)
    assert (told["phase"], told["message"]) == ("failed", "the agent of etcd1 is silent")
    assert json.loads((tmp_path / "summary.json").read_text())["interrupted"] is True


def test_no_director_without_faults(tmp_path: Path) -> None:
    assert director_maker(config(tmp_path), b"") is None
    fault = FaultSpec("F1", "stop", "leader", 3, "end")
    make = director_maker(config(tmp_path, faults=[fault], agents={"etcd1": closed_endpoint()}), b"k" * 32)
    assert make is not None
    told: list[str] = []
    records = make([fault], lambda event: told.append(event.event)).close()
    assert (records[0].fault, records[0].fired, told) == ("F1", False, [])


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        (
            "fault.armed",
            {"fault": "F1", "action": "stop", "target": "leader", "at_index": 12000},
            "F1 stop leader waits for operation 12,000",
        ),
        ("fault.requested", {"fault": "F1", "action": "stop", "target": "leader"}, "F1 stop leader requested"),
        ("fault.signal_sent", {"fault": "F1", "action": "stop", "member": "etcd2"}, "F1 stop etcd2"),
        ("fault.missed", {"fault": "F1", "reason": "no leader"}, "F1 missed: no leader"),
        ("client.connected", {}, None),
    ],
)
def test_faults_are_told_in_a_few_words(name: str, data: dict[str, Any], text: str | None) -> None:
    assert describe_fault(Event(1, "client1", name, data)) == text


# ---------------------------------------------------------------- early ends


def run_with_director(work: Path, system: FakeSystem, **changes: Any) -> tuple[dict[str, Any] | LabError, FakeDirector]:
    directors: list[FakeDirector] = []

    def make(_faults: Any, emit: Any) -> FakeDirector:
        directors.append(FakeDirector(emit))
        return directors[0]

    try:
        ended: Any = run_workload(config(work, **changes), make_client=system.make_client, make_director=make)
    except LabError as error:
        ended = error
    return ended, directors[0]


def raise_at(number: int, error: Exception) -> FakeSystem:
    calls: list[str] = []

    def hook(_client: int, _method: str, key: str) -> None:
        calls.append(key)
        if len(calls) == number:
            raise error

    return FakeSystem(hook)


@pytest.mark.parametrize("clients", [1, 3])
def test_error_of_a_client_ends_the_run_in_order(tmp_path: Path, clients: int) -> None:
    system = raise_at(50, LabError("the table is gone"))
    error, director = run_with_director(tmp_path, system, clients=clients)
    assert str(error) == "the table is gone"
    assert director.closed_with == [True]
    assert sorted(system.closed) == list(range(clients))
    rows = rows_of(tmp_path)
    assert 49 <= len(rows) < len(OPERATIONS)
    told = progress_of(tmp_path)
    assert (told["phase"], told["message"], told["done"]) == ("failed", "the table is gone", len(rows))
    assert names(tmp_path)[-1] == "experiment.finished"
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["interrupted"], summary["done"]) == (True, len(rows))


def test_defect_of_a_client_is_told_in_one_line(tmp_path: Path) -> None:
    error, director = run_with_director(tmp_path, raise_at(3, ZeroDivisionError("division by zero")))
    assert "client 0 of E1-mysql failed at operation 2: ZeroDivisionError: division by zero" in str(error)
    assert "\n" not in str(error)
    assert director.closed_with == [True]


def test_disk_that_fills_up_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append = HistoryWriter.append

    def fill(self: HistoryWriter, row: HistoryRow) -> None:
        if row.index == 20:
            self._fail(OSError(errno.ENOSPC, "No space left on device"))
        append(self, row)

    monkeypatch.setattr(HistoryWriter, "append", fill)
    system = FakeSystem()
    error, director = run_with_director(tmp_path, system)
    assert "No space left on device after 20 rows" in str(error)
    assert (director.closed_with, director.indexes[-1], system.closed) == ([True], 20, [0])
    assert progress_of(tmp_path)["message"] == str(error)


@pytest.mark.parametrize("name", ["history.jsonl", "events.jsonl"])
def test_full_disk_ends_the_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/full")
    system = FakeSystem()
    error, director = run_with_director(tmp_path, system)
    assert f"{name}: No space left on device" in str(error)
    assert (director.closed_with, system.store) == ([True], {})
    assert progress_of(tmp_path)["phase"] == "failed"


def test_a_summary_that_cannot_be_written_keeps_nobody_from_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, _value: Any) -> None:
        raise LabError(f"{path} cannot be written")

    monkeypatch.setattr(runner, "write_json_atomic", refuse)
    with pytest.raises(LabError, match=r"summary\.json"):
        run_workload(config(tmp_path), make_client=FakeSystem().make_client)
    assert progress_of(tmp_path)["phase"] == "finished"


def test_events_that_cannot_be_written_end_the_run(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "events.jsonl").mkdir(parents=True)
    with pytest.raises(LabError, match="Is a directory"):
        run_workload(config(work), make_client=FakeSystem().make_client)
    assert progress_of(work)["phase"] == "failed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_run_in_order(tmp_path: Path, number: signal.Signals) -> None:
    calls: list[str] = []
    handler = signal.getsignal(number)

    def hook(_client: int, _method: str, key: str) -> None:
        calls.append(key)
        if len(calls) == 30:
            os.kill(os.getpid(), number)
        if len(calls) >= 30:
            # The signal is handled by the main thread, when it gets to it.
            threading.Event().wait(0.05)

    summary, director = run_with_director(tmp_path, FakeSystem(hook))
    assert isinstance(summary, dict)
    assert summary["interrupted"] is True
    assert f"ended by {number.name} after {summary['done']} of {len(OPERATIONS)} operations" in summary["message"]
    assert 30 <= summary["done"] < len(OPERATIONS)
    assert len(rows_of(tmp_path)) == summary["done"]
    assert director.closed_with == [True]
    assert progress_of(tmp_path)["phase"] == "failed"
    assert signal.getsignal(number) is handler


def test_run_outside_the_main_thread_leaves_signals_alone(tmp_path: Path) -> None:
    done: list[dict[str, Any]] = []
    thread = threading.Thread(
        target=lambda: done.append(run_workload(config(tmp_path), make_client=FakeSystem().make_client))
    )
    thread.start()
    thread.join()
    assert done[0]["done"] == len(OPERATIONS)


def test_summary_of_an_earlier_run_does_not_survive(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{}")

    def look(_client: int, _method: str, _key: str) -> None:
        assert not (tmp_path / "summary.json").exists()

    assert run_workload(config(tmp_path), make_client=FakeSystem(look).make_client)["interrupted"] is False


# ---------------------------------------------------------------- before a run


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"clients": 0}, "clients is 0"),
        ({"rate": -1.0}, "rate is -1"),
        ({"rate": float("inf")}, "rate is inf"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"endpoints": []}, "endpoints of E1-mysql is empty"),
        ({"endpoints": ["h"]}, "'h' is not the address"),
        (
            {"password": "", "database": None},
            "E1-mysql: system is mysql, and password, database of its account is missing",
        ),
        ({"system": "redis"}, "system is 'redis'"),
        ({"system": "etcd"}, "each needs a client_url"),
        ({"system": "mysql_cluster", "members": {"group1": {}}}, "each needs an address"),
        (
            {"system": "mysql_cluster", "user": None, "password": None, "database": None},
            "user, password, database of its account is missing",
        ),
        ({"iterations": 0}, "iterations is 0"),
    ],
)
def test_what_cannot_run_is_refused(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(LabError, match=text):
        run_workload(config(tmp_path, **changes), make_client=FakeSystem().make_client)
    assert list(tmp_path.iterdir()) == []


def test_what_can_run_is_not_refused(tmp_path: Path) -> None:
    check_config(config(tmp_path, system="etcd", members={"etcd1": {"client_url": "http://h:1"}}))


def test_work_dir_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot be made"):
        run_workload(config(tmp_path / "file" / "work"), make_client=FakeSystem().make_client)


def test_real_clients_say_who_does_not_answer(tmp_path: Path) -> None:
    endpoint = closed_endpoint()
    etcd = config(
        tmp_path, system="etcd", endpoints=[endpoint], members={"etcd1": {"client_url": f"http://{endpoint}"}}
    )
    mysql = config(tmp_path, endpoints=[endpoint])
    group = config(tmp_path, system="mysql_cluster", endpoints=["127.0.0.1:1", endpoint])
    for each in (etcd, mysql, group):
        with pytest.raises(LabError, match=endpoint):
            client_maker(each)(0, lambda _name, _data: None)


def test_a_group_is_known_by_all_its_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr(
        "failover.systems.mysql_cluster.client.GroupClient", lambda *where, **how: given.append((where, how))
    )
    group = config(tmp_path, system="mysql_cluster", endpoints=["h1:1", "h2:2", "h3:3"])
    make = client_maker(group)
    for number in (1, 2):
        make(number, lambda _name, _data: None)
    (_, first), (where, how) = given
    # Clients of one process share the ids of their writes.
    identity = ClientIdentity(
        f"{group.experiment}/2", group.settings.seed + 2, ids=first["identity"].ids, steering=first["identity"].steering
    )
    assert (*where, how["user"], how["password"], how["database"]) == ("h1", 1, "lab", "secret", "db")
    assert (how["seeds"], how["identity"]) == (["h2:2", "h3:3"], identity)


def test_the_leader_stands_in_the_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    class Leader:
        def ask(self) -> str:
            return "group2"

        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr(SYSTEMS["mysql_cluster"], "leader", lambda _target, _timeout_s: Leader())
    members = {"group1": {"address": "h:1"}, "group2": {"address": "h:2"}}
    run_workload(config(tmp_path, system="mysql_cluster", members=members), make_client=FakeSystem().make_client)
    assert progress_of(tmp_path)["leader"] in (None, "group2")
    assert closed == [True]


# ---------------------------------------------------------------- repeats

EQUAL = {"healed": [], "errors": {}, "not_back": [], "converged": True, "duration_ms": 5.0, "reasons": []}
CUTS = [0, len(OPERATIONS) // 3, 2 * len(OPERATIONS) // 3, len(OPERATIONS)]


class Repeated:
    """Three repeats with a director and a heal each."""

    def __init__(self, heals: list[dict[str, Any]]) -> None:
        self.directors: list[tuple[list[str], FakeDirector]] = []
        self.heals = iter(heals)
        self.healers: list[FakeHealer] = []
        self.system = FakeSystem(lambda *_: self.busy.append(len(self.directors)))
        self.busy: list[int] = []  # how many directors there were at each operation
        self.ended: Any = None

    def make_director(self, faults: Any, emit: Any) -> FakeDirector:
        ids = [fault.id for fault in faults]
        self.directors.append((ids, FakeDirector(emit, faults=tuple(ids))))
        return self.directors[-1][1]

    def make_healer(self) -> FakeHealer:
        healed = Event(6, "etcd2", "fault.healed", {"fault": "F1@1", "member": "etcd2"})
        self.healers.append(FakeHealer(next(self.heals), [healed]))
        return self.healers[-1]

    def run(self, work: Path, **changes: Any) -> Repeated:
        faults = [FaultSpec(f"F1@{n}", "stop", "leader", CUTS[n - 1] + 3, "end", repeat=n) for n in (1, 2, 3)]
        try:
            self.ended = run_workload(
                config(work, repeats=3, faults=faults, **changes),
                make_client=self.system.make_client,
                make_director=self.make_director,
                make_healer=self.make_healer,
            )
        except LabError as error:
            self.ended = error
        return self


@pytest.mark.parametrize("clients", [1, 3])
def test_each_repeat_has_its_slice_its_faults_and_its_heal(tmp_path: Path, clients: int) -> None:
    run = Repeated([EQUAL, EQUAL]).run(tmp_path, clients=clients)
    assert [faults for faults, _ in run.directors] == [["F1@1"], ["F1@2"], ["F1@3"]]
    for number, (_, director) in enumerate(run.directors):
        assert sorted(director.indexes) == list(range(CUTS[number], CUTS[number + 1]))
        assert director.closed_with == [False]
    # No operation of a repeat began before the heal of the one before it.
    assert run.busy == sorted(run.busy)
    repeats = run.ended["repeats"]
    assert [(r["repeat"], r["first_index"], r["end_index"]) for r in repeats] == [
        (n, CUTS[n - 1], CUTS[n]) for n in (1, 2, 3)
    ]
    assert [repeat["convergence"] for repeat in repeats] == [EQUAL, EQUAL, None]
    # Each heal asks for the records of its own repeat; the last repeat's are left to whoever heals after the workload.
    assert [made.records_of for made in run.healers] == [["t-F1@1"], ["t-F1@2"]]
    assert run.ended["unhealed"] == ["t-F1@3"]
    rows = rows_of(tmp_path)
    for repeat in repeats:
        own = [row for row in rows if repeat["first_index"] <= row.index < repeat["end_index"]]
        assert repeat["began_ns"] <= min(row.invoke_ns for row in own)
        assert repeat["ended_ns"] == max(row.complete_ns for row in own)
    assert repeats[0]["began_ns"] == 0
    active_s = sum(repeat["ended_ns"] - repeat["began_ns"] for repeat in repeats) / 1e9
    assert run.ended["duration_s"] == pytest.approx(active_s)
    told = names(tmp_path)
    assert (told.count("repeat.started"), told.count("repeat.finished"), told.count("fault.healed")) == (3, 3, 2)
    assert run.ended["interrupted"] is False
    assert progress_of(tmp_path)["faults"][0] == "repeat 3 of 3"


def test_a_rate_is_planned_from_each_repeats_begin(tmp_path: Path) -> None:
    run = Repeated([EQUAL, EQUAL]).run(tmp_path, rate=50_000.0)
    began_ns = [repeat["began_ns"] for repeat in run.ended["repeats"]]
    for row in rows_of(tmp_path):
        number = sum(row.index >= cut for cut in CUTS[1:])
        assert row.intended_ns == began_ns[number] + int((row.index - CUTS[number]) * 1e9 / 50_000)


def test_members_that_differ_end_the_run_and_what_was_measured_stays(tmp_path: Path) -> None:
    differ = EQUAL | {"converged": False, "reasons": ["etcd1 and etcd2 differ"]}
    run = Repeated([EQUAL, differ]).run(tmp_path)
    assert run.ended["done"] == CUTS[2]
    assert run.ended["interrupted"] is False
    assert run.ended["message"] == ("E1-mysql, repeat 2: the members were not equal afterwards: etcd1 and etcd2 differ")
    assert [repeat["convergence"] for repeat in run.ended["repeats"]] == [EQUAL, differ]
    # The fault that was never asked for has a record all the same.
    assert [faults for faults, _ in run.directors] == [["F1@1"], ["F1@2"], ["F1@3"]]
    assert len(rows_of(tmp_path)) == CUTS[2]


def test_a_member_that_cannot_be_healed_ends_the_run(tmp_path: Path) -> None:
    run = Repeated([EQUAL | {"converged": False, "errors": {"etcd2": "it does not start"}}]).run(tmp_path)
    assert str(run.ended) == (
        "E1-mysql, repeat 1: etcd2 was not healed: it does not start. Its agent tries again by itself; "
        "./scripts/lab heal starts the member."
    )
    assert progress_of(tmp_path)["phase"] == "failed"


def test_a_member_that_does_not_come_back_ends_the_repeats_and_is_a_result(tmp_path: Path) -> None:
    gone = {"errors": {"etcd2": "it does not start"}, "not_back": ["etcd2"], "reasons": ["etcd2 did not come back"]}
    run = Repeated([EQUAL | {"converged": False} | gone]).run(tmp_path)
    assert run.ended["message"] == "E1-mysql, repeat 1: the members were not equal afterwards: etcd2 did not come back"
    assert [repeat["convergence"]["not_back"] for repeat in run.ended["repeats"]] == [["etcd2"]]


def test_an_error_in_a_later_repeat_heals_that_repeats_faults(tmp_path: Path) -> None:
    run = Repeated([EQUAL])
    calls: list[str] = []

    def hook(_client: int, _method: str, key: str) -> None:
        calls.append(key)
        if len(calls) == CUTS[1] + 5:
            raise LabError("the table is gone")

    run.system.hook = hook
    run.run(tmp_path)
    assert str(run.ended) == "the table is gone"
    assert [director.closed_with for _, director in run.directors[:2]] == [[False], [True]]


def test_without_faults_repeats_follow_each_other(tmp_path: Path) -> None:
    summary = run_workload(config(tmp_path, repeats=4), make_client=FakeSystem().make_client)
    assert (len(summary["repeats"]), summary["done"]) == (4, len(OPERATIONS))
    assert all(repeat["convergence"] is None for repeat in summary["repeats"])


@pytest.mark.parametrize("rate", [0.0, 2_000.0])
def test_a_repeat_that_stalls_is_ended_healed_and_followed_by_the_next(tmp_path: Path, rate: float) -> None:
    """The second repeat acknowledges nothing; its heal, were it placed at an operation, would never be reached."""
    run = Repeated([EQUAL, EQUAL])

    def second_fails(_client: int, _method: str, _key: str) -> None:
        stalled = len(run.directors) == 2
        run.system.outcome = "unknown" if stalled else "ok"
        time.sleep(0.05 if stalled else 0)

    run.system.hook = second_fails
    run.run(tmp_path, clients=3, stall_timeout_s=0.6, rate=rate)
    repeats = run.ended["repeats"]
    assert [bool(repeat["stalled"]) for repeat in repeats] == [False, True, False]
    stalled = repeats[1]["stalled"]
    assert 0.6 <= stalled["tried_s"] < 20
    assert stalled["left_out"] == len(OPERATIONS) - run.ended["done"] > 0
    assert [repeat["convergence"] for repeat in repeats] == [EQUAL, EQUAL, None]
    assert [director.closed_with for _, director in run.directors] == [[False]] * 3
    assert not run.ended["interrupted"]
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    (told,) = [event["data"] for event in events if event["event"] == "repeat.stalled"]
    assert (told["repeat"], told["tried_s"]) == (2, stalled["tried_s"])
    rows = {row.index for row in rows_of(tmp_path)}
    assert {*range(CUTS[1]), *range(CUTS[2], CUTS[3])} <= rows
    assert len(rows) == run.ended["done"]


def test_a_workload_without_repeats_stalls_too_and_leaves_its_faults_to_the_heal(tmp_path: Path) -> None:
    system = FakeSystem(lambda *_: time.sleep(0.05), outcome="fail")
    directors: list[FakeDirector] = []

    def make(_faults: Any, emit: Any) -> FakeDirector:
        directors.append(FakeDirector(emit))
        return directors[0]

    faults = [FaultSpec("F1", "stop", "leader", 3, "index", heal_index=len(OPERATIONS) - 1)]
    wanted = config(tmp_path, faults=faults, stall_timeout_s=0.5)
    summary = run_workload(wanted, make_client=system.make_client, make_director=make)
    (repeat,) = summary["repeats"]
    assert repeat["stalled"]["left_out"] == len(OPERATIONS) - summary["done"] > 0
    assert (summary["interrupted"], summary["unhealed"], directors[0].closed_with) == (False, ["t-F1"], [False])


def test_a_healer_is_made_of_the_runs_own_settings(tmp_path: Path) -> None:
    group = config(tmp_path, system="mysql_cluster", members={"group1": {"address": "10.0.0.1:3306"}})
    for wanted in (group, config(tmp_path)):
        make = healer_maker(wanted, b"k" * 32, timeout_s=1, sample_interval_ms=20)
        assert make().events == []

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""That nothing waits for processes of clients that are gone, and that none of them is left."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from failover.run import processes as processes_module
from failover.run import worker as worker_module
from failover.run import worker_group as worker_group_module
from failover.run.channel import Channel
from failover.run.clients import Stop
from failover.run.group import LocalGroup, work_of
from failover.run.runner import run_workload
from failover.run.worker import Worker
from failover.run.worker_group import WorkerGroup
from failover.shapes import LabError
from failover.systems.steering import Steering
from fake_system import FakeDirector, FakeHealer, FakeSystem
from run_parts import OPERATIONS, config, rows_of


def test_processes_end_where_the_run_cannot_begin(tmp_path: Path) -> None:
    (tmp_path / "progress.json").mkdir()
    with pytest.raises(LabError, match=r"progress\.json"):
        run_workload(config(tmp_path, clients=2, processes=2), make_client=FakeSystem().make_client)


def test_processes_that_cannot_be_started_are_told_and_the_others_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork, forks = os.fork, iter(range(1))

    def no_second() -> int:
        if next(forks, None) is None:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return fork()

    monkeypatch.setattr(os, "fork", no_second)
    expected = "a process beside this one cannot be started: resource temporarily unavailable; try fewer"
    with pytest.raises(LabError, match=expected):
        run_workload(config(tmp_path, clients=2, processes=2), make_client=FakeSystem().make_client)


def test_a_process_that_cannot_tell_how_far_it_is_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_tallies: Any) -> Any:
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr(worker_module, "sum_up", broken)
    with pytest.raises(LabError, match="RuntimeError: dictionary changed size during iteration; this is a bug"):
        run_workload(config(tmp_path, clients=2, processes=2), make_client=FakeSystem().make_client)


def test_a_process_that_is_stopped_is_given_up_and_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hook(client: int, _method: str, _key: str) -> None:
        time.sleep(0.001)
        if client == 1 and next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGSTOP)

    calls = iter(range(50))
    monkeypatch.setattr(worker_group_module, "SILENCE_TIMEOUT_S", 3.0)
    monkeypatch.setattr(processes_module, "END_TIMEOUT_S", 0.1)
    expected = "process 2 of the clients of E1-mysql has not said a word for 3 s; see on its host whether it is stopped"
    with pytest.raises(LabError, match=expected):
        run_workload(config(tmp_path, clients=2, processes=2), make_client=FakeSystem(hook).make_client)
    # What was done before is there.
    assert rows_of(tmp_path)


def test_a_process_says_that_it_is_there_while_it_settles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(number: int, emit: Any) -> Any:
        client = FakeSystem().make_client(number, emit)
        client.settle = lambda: time.sleep(4)  # type: ignore[method-assign]
        return client

    monkeypatch.setattr(worker_group_module, "SILENCE_TIMEOUT_S", 3.0)
    monkeypatch.setattr(worker_module, "ALIVE_INTERVAL_S", 0.05)
    healed = {"errors": {}, "not_back": [], "converged": True, "reasons": []}
    summary = run_workload(
        config(tmp_path, clients=2, processes=2, repeats=2, iterations=40),
        make_client=make,
        make_director=lambda _faults, emit: FakeDirector(emit),
        make_healer=lambda: FakeHealer(healed, []),
    )
    assert len(summary["repeats"]) == 2


def in_time(what: Callable[[], Any]) -> None:
    """Do something that must not wait for ever."""
    thread = threading.Thread(target=what, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def a_group(connection: socket.socket, stop: Stop) -> WorkerGroup:
    return WorkerGroup("process 1", Channel(connection), source="client1", stop=stop, emit=lambda _event: None)


def test_a_process_of_another_host_that_is_gone_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    stop = Stop()
    group = a_group(ours, stop)
    theirs.close()
    assert stop.event.wait(10)

    # What is sent now looks delivered: the kernel there says only then that nobody takes it.
    def connect() -> None:
        group.connect()
        with pytest.raises(LabError, match="process 1 ended before its time"):
            group.await_connected()

    def take_turn() -> None:
        group.take_turn(range(3), 0, lambda _index: None)
        assert group.wait(10)

    for what in (connect, take_turn, group.settle, group.finish, group.close):
        in_time(what)


@pytest.mark.parametrize(("name", "fields"), [("of_tomorrow", {}), ("tally", {}), ("event", {"what": 1})])
def test_a_process_that_is_not_understood_ends_the_run(name: str, fields: dict[str, Any]) -> None:
    ours, theirs = socket.socketpair()
    stop = Stop()
    group = a_group(ours, stop)
    Channel(theirs).send(name, **fields)
    assert stop.event.wait(10)
    assert "process 1 says what is not understood here" in str(stop.error)
    for what in (group.connect, group.settle, group.finish, group.close):
        in_time(what)
    theirs.close()


class Settlers:
    """Three clients, of which each notes that it settles; the first one takes until the run is to end."""

    def __init__(self, work_dir: Path) -> None:
        self.config = config(work_dir, clients=3)
        self.begun = threading.Event()
        self.settled: list[int] = []

    def group(self, stop: Stop, emit: Any, during: Callable[[], None]) -> LocalGroup:
        def make(number: int, emit: Any) -> Any:
            def settle() -> bool:
                self.settled.append(number)
                self.begun.set()
                during()
                return False

            client = FakeSystem().make_client(number, emit)
            client.settle = settle  # type: ignore[method-assign]
            return client

        work = work_of(self.config.settings, OPERATIONS, 1)
        group = LocalGroup(range(3), self.config, work, make, stop=stop, emit=emit)
        group.connect()
        return group


def test_a_run_that_is_to_end_leaves_what_is_in_doubt_to_its_end(tmp_path: Path) -> None:
    settlers, stop = Settlers(tmp_path), Stop()
    settlers.group(stop, lambda _event: None, lambda: stop.on_signal(signal.SIGTERM, None)).settle()
    assert settlers.settled == [0]


def test_a_process_that_settles_hears_that_the_run_is_to_end(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    settlers, stop = Settlers(tmp_path), Stop()
    worker = Worker(
        Channel(theirs),
        lambda stop, emit: settlers.group(stop, emit, lambda: stop.event.wait(20) and None),
        Steering(),
    )

    def serve() -> None:
        worker.serve()
        theirs.close()  # as a process does that ends

    threading.Thread(target=serve, daemon=True).start()
    group = a_group(ours, stop)
    settling = threading.Thread(target=group.settle, daemon=True)
    settling.start()
    assert settlers.begun.wait(20)
    stop.on_signal(signal.SIGTERM, None)
    settling.join(60)
    assert not settling.is_alive()
    assert settlers.settled == [0]
    in_time(group.close)


@pytest.mark.parametrize("moment", ["connect", "turn", "settle", "close"])
def test_processes_end_when_who_leads_is_killed(tmp_path: Path, moment: str, forked: Any) -> None:
    ends_with_them, held = os.pipe()
    reached = tmp_path / "reached"

    def at(now: str) -> None:
        if now == moment:
            reached.touch()
            time.sleep(0.5)

    def make(number: int, emit: Any) -> Any:
        at("connect")
        client = FakeSystem(lambda *_: at("turn")).make_client(number, emit)
        client.settle = lambda: at("settle")  # type: ignore[method-assign]
        client.close = lambda: at("close")  # type: ignore[method-assign]
        return client

    def lead() -> None:
        run_workload(
            config(tmp_path, clients=2, processes=2, repeats=2, iterations=40),
            make_client=make,
            make_director=lambda _faults, emit: FakeDirector(emit),
            make_healer=lambda: FakeHealer({"errors": {}, "not_back": [], "converged": True, "reasons": []}, []),
        )

    pid = forked(lead)
    os.close(held)
    while not reached.exists():
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    # The pipe is closed when the last process is gone that had its other end.
    assert select.select([ends_with_them], [], [], 20)[0]
    os.close(ends_with_them)

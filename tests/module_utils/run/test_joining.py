# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Load generators that join another: the others run in processes that the tests fork."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from failover.clock import CLOCK
from failover.results.read import read_events
from failover.run import joining as joining_module
from failover.run.channel import Channel
from failover.run.crew import Others
from failover.run.joined import join_workload
from failover.run.joining import KEEPALIVE, UNANSWERED_MS, Joining, accept, join, listen
from failover.run.runner import run_workload
from failover.run.timeline import READINGS, FollowedTimeline
from failover.shapes import LabError
from failover.systems.steering import Steering
from failover.workloads.registry import create_simulation
from fake_gateway import closed_endpoint
from fake_system import FakeSystem
from run_parts import ITERATIONS, OPERATIONS, answered_by, config, rows_of

KEY = b"k" * 32
GENERATORS = ["client1", "client2", "client3"]


def others(lead: str, names: list[str], **changes: Any) -> Others:
    return Others(**{"names": names, "address": lead, "key": KEY, "timeout_s": 10.0, **changes})


def joining(lead: str, name: str, work_dir: Path, generators: list[str], **changes: Any) -> Callable[[], Any]:
    """Return what joins the run that :func:`config` describes, but for some changes of it."""
    own = {"key": KEY, "timeout_s": 10.0, "make_client": answered_by(FakeSystem())}
    options = {option: changes.pop(option, value) for option, value in own.items()}
    settings = config(work_dir, **changes)
    return lambda: join_workload(settings, steering=Steering(), name=name, generators=generators, lead=lead, **options)


def test_load_generators_share_the_clients_and_one_time_line(tmp_path: Path, forked: Any) -> None:
    lead = closed_endpoint()
    forked(joining(lead, "client2", tmp_path, GENERATORS, clients=7, processes=2))
    forked(joining(lead, "client3", tmp_path, GENERATORS, clients=7))
    summary = run_workload(
        config(tmp_path, clients=7),
        make_client=answered_by(FakeSystem(lambda *_: time.sleep(0.001))),
        others=others(lead, GENERATORS[1:]),
    )
    rows = rows_of(tmp_path)
    assert sorted(row.index for row in rows) == list(range(len(OPERATIONS)))
    # Clients 0, 3, 6 are the first one's, 1 and 4 the second's in two processes, 2 and 5 the third's.
    process_of = {row.client: row.endpoint for row in rows}
    assert len({(row.client, row.endpoint) for row in rows}) == 7
    assert len(set(process_of.values())) == 4
    assert process_of[0] == process_of[3] == process_of[6]
    assert process_of[1] != process_of[4]
    assert process_of[2] == process_of[5]
    assert all(0 <= row.invoke_ns <= row.complete_ns <= summary["duration_s"] * 1e9 + 1 for row in rows)
    told = summary["load_generators"]
    assert [(each["name"], each["clients"], each["processes"]) for each in told] == [
        ("client1", 3, 1),
        ("client2", 2, 2),
        ("client3", 2, 1),
    ]
    assert told[0]["clock_uncertainty_ns"] == 0
    # It is one clock, and they cannot know that: half of the way there and back remains.
    assert all(0 < each["clock_uncertainty_ns"] < 50_000_000 for each in told[1:])
    events = read_events(tmp_path / "events.jsonl")
    assert {event.source for event in events} == {"client1"}
    assert sum(event.event == "client.connected" for event in events) == 7


def test_a_key_belongs_to_one_load_generator(tmp_path: Path, forked: Any) -> None:
    lead = closed_endpoint()
    shared = {"workload": {"name": "register"}, "clients": 4, "retry_policy": "safe"}
    forked(joining(lead, "client2", tmp_path, GENERATORS[:2], **shared, make_client=registers))
    run_workload(config(tmp_path, **shared), make_client=registers, others=others(lead, ["client2"]))
    rows = rows_of(tmp_path)
    assert len(rows) == len(create_simulation(ITERATIONS, 7, {"name": "register"}))
    clients_of: dict[str, set[int]] = {}
    for row in rows:
        clients_of.setdefault(row.key, set()).add(row.client)
    assert {tuple(sorted(clients)) for clients in clients_of.values()} == {(0, 2), (1, 3)}


def registers(number: int, emit: Any) -> Any:
    """Make a client of a store that is not looked at."""
    client = FakeSystem().make_client(number, emit)
    client.change_with_retry = lambda _change: client._result()  # type: ignore[method-assign]
    return client


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"key": b"x" * 32}, "wrong authentication code"),
        ({"seed": 8}, "it was started for another experiment, or it makes another stream of operations"),
        # Left over from the experiment before: its stream is the same, and its clients would write where that one did.
        ({"experiment": "E2-mysql"}, "it was started for another experiment, or"),
        ({"clients": 4}, "it was started for another experiment, or"),
        ({"name": "client9"}, "no load generator of the name client9 is awaited"),
    ],
)
def test_who_does_not_belong_is_refused(
    tmp_path: Path, forked: Any, capfd: pytest.CaptureFixture[str], changes: dict[str, Any], told: str
) -> None:
    lead = closed_endpoint()
    name = changes.pop("name", "client2")
    forked(joining(lead, name, tmp_path, ["client1", name], **{"clients": 2, **changes}))
    with pytest.raises(LabError, match=r"client2 did not join the load generator that leads within 2 s"):
        run_workload(
            config(tmp_path, clients=2),
            make_client=FakeSystem().make_client,
            others=others(lead, ["client2"], timeout_s=2.0),
        )
    said = capfd.readouterr().err
    assert f"<{name} cannot join the load generator that leads ({lead}): {told}" in said


def test_one_that_leads_without_the_key_is_not_joined(tmp_path: Path, forked: Any) -> None:
    lead = closed_endpoint()
    listening = listen(lead)

    def welcome() -> None:
        connection, _ = listening.accept()
        channel = Channel(connection)
        channel.send("hello", session="s")
        channel.receive()
        channel.send("welcome", sealed='{"body": "{}", "mac": "0"}')

    forked(welcome)
    with pytest.raises(LabError, match="wrong authentication code"):
        joining(lead, "client2", tmp_path, GENERATORS[:2], clients=2)()


def test_one_that_leads_and_is_not_there_is_told(tmp_path: Path) -> None:
    lead = closed_endpoint()
    with pytest.raises(LabError, match=r"client2 cannot reach the load generator that leads .*: connection refused"):
        joining(lead, "client2", tmp_path, GENERATORS[:2], clients=2, timeout_s=0.3)()


def test_an_address_that_is_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        lead = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(LabError, match=f"cannot listen on {lead} for the others: address already in use"):
            run_workload(
                config(tmp_path, clients=2), make_client=FakeSystem().make_client, others=others(lead, ["client2"])
            )


def test_a_load_generator_that_goes_away_ends_the_run(tmp_path: Path, forked: Any) -> None:
    lead = closed_endpoint()

    def hook(_client: int, _method: str, _key: str) -> None:
        time.sleep(0.001)
        if time.monotonic() > gone_s:
            os.kill(os.getpid(), signal.SIGKILL)

    gone_s = time.monotonic() + 1
    away = {"clients": 2, "iterations": 20_000, "make_client": FakeSystem(hook).make_client}
    forked(joining(lead, "client2", tmp_path, GENERATORS[:2], **away))
    with pytest.raises(LabError, match=r"process 1 of the load generator client2 ended before its time"):
        run_workload(
            config(tmp_path, clients=2, iterations=20_000),
            make_client=FakeSystem(lambda *_: time.sleep(0.001)).make_client,
            others=others(lead, ["client2"]),
        )


def test_one_that_leads_and_is_killed_is_told(tmp_path: Path, forked: Any) -> None:
    lead = closed_endpoint()

    def hook(_client: int, _method: str, _key: str) -> None:
        if next(calls, None) is None:
            os.kill(os.getppid(), signal.SIGKILL)

    calls = iter(range(20))
    forked(
        lambda: run_workload(
            config(tmp_path, clients=2),
            make_client=FakeSystem(hook).make_client,
            others=others(lead, ["client2"]),
        )
    )
    away = {"clients": 2, "make_client": FakeSystem(lambda *_: time.sleep(0.001)).make_client}
    with pytest.raises(LabError, match="The load generator that leads client2 ended before its time; see there"):
        joining(lead, "client2", tmp_path, GENERATORS[:2], **away)()


def test_a_signal_ends_the_waiting_for_others(tmp_path: Path, forked: Any) -> None:
    pid = os.getpid()

    def end_it() -> None:
        # It takes signals from there on.
        while not (tmp_path / "events.jsonl").exists():
            time.sleep(0.01)
        os.kill(pid, signal.SIGTERM)

    forked(end_it)
    began_s = time.monotonic()
    summary = run_workload(
        config(tmp_path, clients=2),
        make_client=FakeSystem().make_client,
        others=others(closed_endpoint(), ["client2"], timeout_s=60.0),
    )
    assert summary["interrupted"]
    assert time.monotonic() - began_s < 20
    # Nothing that takes its time is begun any more.
    assert not [event for event in read_events(tmp_path / "events.jsonl") if event.event == "client.connected"]


def test_strangers_do_not_keep_the_others_from_joining(forked: Any) -> None:
    lead = closed_endpoint()
    listening = listen(lead)
    host, _, port = lead.rpartition(":")
    noise = [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\xff\xff\x00\x00\x00\x00", b"\x00\x00\x00\x02\x00\x00\x00\x00[]"]
    strangers = [socket.create_connection((host, int(port))) for _ in noise]
    for stranger, sent in zip(strangers, noise, strict=True):
        stranger.sendall(sent)
        stranger.shutdown(socket.SHUT_WR)
    forked(lambda: join(lead, Joining("client2", 1, 1), KEY, "digest", timeout_s=5))
    came: list[Joining] = []
    accept(
        listening,
        ["client2"],
        KEY,
        "digest",
        timeout_s=10,
        ends=lambda: False,
        joined=lambda who, _channel: came.append(who),
    )
    assert came == [Joining("client2", 1, 1)]
    for stranger in strangers:
        stranger.close()
    listening.close()


def let_in(listening: socket.socket, timeout_s: float = 10) -> list[tuple[Joining, Channel]]:
    came: list[tuple[Joining, Channel]] = []
    accept(
        listening,
        ["client2"],
        KEY,
        "digest",
        timeout_s=timeout_s,
        ends=lambda: False,
        joined=lambda *who: came.append(who),
    )
    return came


def stranger_at(lead: str) -> socket.socket:
    host, _, port = lead.rpartition(":")
    return socket.create_connection((host, int(port)))


def test_a_stranger_who_sends_brackets_is_no_error() -> None:
    lead = closed_endpoint()
    with listen(lead) as listening, stranger_at(lead) as stranger:
        stranger.sendall(struct.pack(">II", 4000, 0) + b"[" * 4000)
        with pytest.raises(LabError, match="client2 did not join"):
            let_in(listening, timeout_s=0.5)


def test_a_stranger_who_sends_a_byte_now_and_then_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining_module, "MESSAGE_TIMEOUT_S", 0.5)
    lead = closed_endpoint()
    with listen(lead) as listening, stranger_at(lead) as stranger:

        def dribble() -> None:
            with suppress(OSError):
                for byte in struct.pack(">II", 4000, 0) + b" " * 100:
                    stranger.sendall(bytes([byte]))
                    time.sleep(0.2)

        threading.Thread(target=dribble, daemon=True).start()
        began_s = time.monotonic()
        with pytest.raises(LabError, match="client2 did not join"):
            let_in(listening, timeout_s=0.5)
        assert time.monotonic() - began_s < 5


def test_who_comes_behind_a_silent_stranger_waits_for_the_greeting(
    forked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining_module, "MESSAGE_TIMEOUT_S", 0.5)
    lead = closed_endpoint()
    with listen(lead) as listening, stranger_at(lead), stranger_at(lead):
        forked(lambda: join(lead, Joining("client2", 1, 1), KEY, "digest", timeout_s=10))
        assert [who for who, _ in let_in(listening)] == [Joining("client2", 1, 1)]


def test_a_process_joins_once(forked: Any, capfd: pytest.CaptureFixture[str]) -> None:
    lead = closed_endpoint()
    with listen(lead) as listening:

        def three_times() -> None:
            channels = [join(lead, Joining("client2", 1, 2), KEY, "digest", timeout_s=10)]
            for number in (1, 3, 2):
                try:
                    channels.append(join(lead, Joining("client2", number, 2), KEY, "digest", timeout_s=10))
                except LabError as error:
                    print(error, file=sys.stderr, flush=True)

        pid = forked(three_times)
        assert [who.process for who, _ in let_in(listening)] == [1, 2]
        os.waitpid(pid, 0)
    said = capfd.readouterr().err.splitlines()
    assert [line.partition("): ")[2] for line in said] == [
        "process 1 of client2 is not awaited, or has joined already; start each once",
        "process 3 of client2 is not awaited, or has joined already; start each once",
    ]


def test_a_host_that_is_gone_is_noticed_whether_or_not_it_owes_an_answer(forked: Any) -> None:
    lead = closed_endpoint()
    with listen(lead) as listening:
        forked(lambda: join(lead, Joining("client2", 1, 1), KEY, "digest", timeout_s=10))
        ((_, channel),) = let_in(listening)
    idle_s, interval_s, probes = KEEPALIVE
    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
    set_to = [channel.connection.getsockopt(socket.IPPROTO_TCP, option) for option in options]
    assert set_to == [idle_s, interval_s, probes, UNANSWERED_MS]
    channel.close()


# ---------------------------------------------------------------- the other's clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Make the monotonic clock of this process a number, in ns, and keep what is made of the steady one."""
    now = [1_000_000]
    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    base_ns = CLOCK.base_ns
    yield now
    CLOCK.base_ns = base_ns


def read(timeline: FollowedTimeline, clock: list[int], ahead_ns: int, there_ns: int, back_ns: int) -> bool:
    """Take a reading of a clock that is ahead, with so long a way there and back."""
    asked = timeline.ask()
    clock[0] += there_ns
    stamp_ns = clock[0] + ahead_ns
    clock[0] += back_ns
    return timeline.note({**asked, "monotonic_ns": stamp_ns, "base_ns": 5_000})


def test_the_quickest_reading_of_a_clock_counts(clock: list[int]) -> None:
    timeline = FollowedTimeline()
    done = [read(timeline, clock, 700, 100 + 50 * number, 100 + 90 * number) for number in range(READINGS)]
    assert done == [False] * (READINGS - 1) + [True]
    timeline.start(2_000_000)
    assert timeline.origin_ns == 2_000_000 - 700
    assert (timeline.worst_ns, timeline.moved_ns) == (100, 0)
    assert CLOCK.base_ns == 5_000 + 700


def test_a_clock_that_drifts_is_followed(clock: list[int]) -> None:
    timeline = FollowedTimeline()
    for number in range(READINGS):
        read(timeline, clock, 700, 100, 100 + number)
    timeline.start(2_000_000)
    for number in range(READINGS):
        read(timeline, clock, 1_000, 150, 150 + number)
    assert timeline.origin_ns == 2_000_000 - 1_000
    # So much may stamps have been wrong just before.
    assert (timeline.worst_ns, timeline.moved_ns) == (150 + 300, 300)


def test_a_reading_that_knows_less_and_agrees_changes_nothing(clock: list[int]) -> None:
    timeline = FollowedTimeline()
    for number in range(READINGS):
        read(timeline, clock, 700, 100, 100 + number)
    timeline.start(2_000_000)
    for number in range(READINGS):
        read(timeline, clock, 700, 400, 100 + number)  # another way there than back: 150 beside the truth
    assert timeline.origin_ns == 2_000_000 - 700
    assert (timeline.worst_ns, timeline.moved_ns) == (250 + 150, 0)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from failover.agent_client import AgentClient, seal
from failover.fault_agent import AgentConfig
from failover.service import process_state
from failover.shapes import LabError
from fault_doubles import KEY, ROOT, AgentProcess, FakeCluster, FakeManager, wait_until

UNIT = "etcd2.service"
MakeAgent = Callable[..., AgentClient]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[FakeManager]:
    made = FakeManager(tmp_path)
    made.add(UNIT)
    yield made
    made.close()


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    made = FakeCluster()
    yield made
    made.close()


@pytest.fixture
def agents() -> Iterator[list[AgentProcess]]:
    """The agents that a test started; ended after it."""
    made: list[AgentProcess] = []
    yield made
    for agent in made:
        agent.close()


@pytest.fixture
def start(tmp_path: Path, manager: FakeManager, cluster: FakeCluster, agents: list[AgentProcess]) -> MakeAgent:
    """Start the agent of etcd2, which leads, and connect to it."""

    def make(**settings: Any) -> AgentClient:
        defaults = {"client_url": cluster.members["etcd2"].url}
        agents.append(AgentProcess(tmp_path, manager, "etcd2", **(defaults | settings)))
        agents[-1].await_ready()
        return AgentClient("etcd2", agents[-1].address, KEY, timeout_s=20)

    return make


def fire(client: AgentClient, action: str = "stop", token: str = "t1", **fields: Any) -> dict[str, Any]:
    return client.request("fire", {"token": token, "fault": "F1", "action": action, **fields})


def record_of(client: AgentClient, token: str = "t1") -> dict[str, Any]:
    records = client.request("status", {"details": True})["records"]
    return next(record for record in records if record["token"] == token)


def test_status_tells_role_and_unit(start: MakeAgent, cluster: FakeCluster) -> None:
    client = start()
    status = client.request("status", {"details": True})
    assert (status["ok"], status["role"], status["term"]) == (True, "leader", 4)
    assert status["member_id"] == status["leader_id"] == cluster.members["etcd2"].hex_id
    assert status["unit"] == {"active": "active", "sub": "running", "restart_policy": "no"}
    assert (status["holding"], status["records"]) == ([], [])
    cluster.elect("etcd1")
    assert client.request("status")["role"] == "follower"
    cluster.elect(None)
    assert client.request("status")["role"] == "unknown"
    cluster.members["etcd2"].stop()
    status = client.request("status")
    assert (status["role"], status["error"]) == ("unknown", "connection refused")


@pytest.mark.parametrize(("action", "number", "via"), [("stop", "SIGTERM", "systemctl"), ("kill", "SIGKILL", "pidfd")])
def test_a_fault_is_done_stamped_and_healed(
    start: MakeAgent, manager: FakeManager, cluster: FakeCluster, action: str, number: str, via: str
) -> None:
    client, pid = start(), manager.pid(UNIT)
    before = time.time_ns()
    reply = fire(client, action, role="leader")
    assert reply["fired"]
    wait_until(lambda: record_of(client)["process_gone_wall_ns"] is not None)
    record = record_of(client)
    assert manager.pid(UNIT) == 0
    assert (record["signal"], record["via"], record["pid"], record["held"]) == (number, via, pid, True)
    assert (record["role"], record["term"]) == ("leader", 4)
    assert record["member_id"] == cluster.members["etcd2"].hex_id
    stamps = [record[f"{name}_wall_ns"] for name in ("asked", "role_checked", "signal_sent", "process_gone")]
    stamps = [before, *stamps, time.time_ns()]
    assert stamps == sorted(stamps)
    assert client.request("status")["holding"] == ["t1"]

    healed = client.request("heal")
    assert [entry["fault"] for entry in healed["records"]] == ["F1"]
    record = record_of(client)
    assert (record["held"], record["healed_by"]) == (False, "request")
    assert record["process_gone_wall_ns"] < record["heal_requested_wall_ns"] < record["healed_wall_ns"]
    assert manager.pid(UNIT) not in (0, pid)
    assert client.request("heal")["records"] == []


def test_a_restart_brings_the_member_back_by_itself(start: MakeAgent, manager: FakeManager) -> None:
    client, pid = start(), manager.pid(UNIT)
    assert fire(client, "restart", role="leader")["fired"]
    wait_until(lambda: not record_of(client)["held"])
    record = record_of(client)
    assert (record["healed_by"], record["heal_requested_wall_ns"]) == ("restart", None)
    assert record["process_gone_wall_ns"] <= record["healed_wall_ns"]
    assert manager.pid(UNIT) not in (0, pid)


def test_the_role_is_checked_at_the_moment_of_firing(
    start: MakeAgent, manager: FakeManager, cluster: FakeCluster
) -> None:
    client = start()
    cluster.elect("etcd1")
    reply = fire(client, role="leader")
    assert (reply["ok"], reply["fired"], reply["role"], reply["term"]) == (True, False, "follower", 5)
    assert reply["reason"] == "etcd2 is follower now, not leader"
    assert manager.pid(UNIT) != 0
    assert client.request("status", {"details": True})["records"] == []
    # The same token may try again, as its fault has not happened.
    assert fire(client, role="follower")["fired"]


def test_a_member_that_does_not_tell_its_role_is_no_leader(start: MakeAgent, cluster: FakeCluster) -> None:
    client = start()
    cluster.members["etcd2"].stop()
    assert fire(client, role="leader")["reason"] == "etcd2 is unknown now, not leader (connection refused)"


def test_a_fault_on_a_name_needs_no_role(start: MakeAgent, cluster: FakeCluster, manager: FakeManager) -> None:
    client = start()
    cluster.members["etcd2"].stop()
    assert fire(client, "kill")["fired"]
    wait_until(lambda: manager.pid(UNIT) == 0)


def test_a_token_fires_once(start: MakeAgent, manager: FakeManager) -> None:
    client = start()
    first = fire(client, "kill")
    wait_until(lambda: manager.pid(UNIT) == 0)
    again = fire(client, "kill")
    assert again["record"]["signal_sent_wall_ns"] == first["record"]["signal_sent_wall_ns"]
    client.request("heal")
    pid = manager.pid(UNIT)
    assert fire(client, "kill")["fired"]
    assert manager.pid(UNIT) == pid


def test_a_held_fault_keeps_others_off(start: MakeAgent) -> None:
    client = start()
    fire(client, "stop")
    reply = fire(client, "kill", "t2")
    assert (reply["ok"], reply["fired"], reply["reason"]) == (True, False, "fault F1 is still held here")


def test_a_unit_that_is_down_cannot_be_hit(start: MakeAgent, manager: FakeManager) -> None:
    client = start()
    manager.run("stop", UNIT)
    assert fire(client)["reason"] == f"{UNIT} does not run"


@pytest.mark.parametrize(
    ("verb", "fields", "message"),
    [
        ("reboot", {}, "unknown verb 'reboot'; known are ping, status, fire, keepalive, heal"),
        (
            "fire",
            {"token": "t", "fault": "F1", "action": "melt"},
            "unknown action 'melt'; known are stop, kill, restart, pause, partition",
        ),
        ("fire", {"token": "", "fault": "F1", "action": "stop"}, "token must be a text that is not empty"),
        ("fire", {"token": ["t"], "fault": "F1", "action": "stop"}, "token must be a text that is not empty"),
        ("keepalive", {"tokens": "t1"}, "tokens must be a list of texts"),
        ("heal", {"faults": [1]}, "faults must be a list of texts"),
    ],
)
def test_a_request_that_makes_no_sense_is_answered(
    start: MakeAgent, verb: str, fields: dict[str, Any], message: str
) -> None:
    reply = start().request(verb, fields)
    assert (reply["ok"], reply["error"]) == (False, message)


def test_only_the_faults_asked_for_are_healed(start: MakeAgent, manager: FakeManager) -> None:
    client = start()
    fire(client)
    assert client.request("heal", {"faults": ["F2"]})["records"] == []
    assert client.request("heal", {"tokens": ["other"]})["records"] == []
    assert manager.pid(UNIT) == 0
    assert len(client.request("heal", {"faults": ["F1"]})["records"]) == 1


def test_a_heal_that_fails_says_why_and_is_tried_again(
    start: MakeAgent, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start()
    fire(client)
    manager.set(UNIT, "fail", "yes")
    manager.set(UNIT, "log", "open /var/lib/etcd: no space left on device")
    reply = client.request("heal")
    assert not reply["ok"]
    assert reply["error"].startswith("etcd2 could not be healed: systemctl start etcd2.service failed")
    assert "Likely cause: the disk is full" in reply["error"]
    assert reply["error"].endswith("Last log lines:\nopen /var/lib/etcd: no space left on device")
    assert record_of(client)["held"]
    (manager.root / UNIT / "fail").unlink()
    assert client.request("heal")["ok"]
    assert record_of(client)["error"] is None


def test_a_fault_that_may_have_been_done_is_held_and_healed(start: MakeAgent, manager: FakeManager) -> None:
    client = start()
    manager.set(UNIT, "late", "the manager did not answer")
    reply = fire(client)
    assert (reply["ok"], reply["fired"]) == (True, True)
    assert reply["record"]["inject_error"] == f"systemctl stop {UNIT} failed: the manager did not answer"
    wait_until(lambda: manager.pid(UNIT) == 0)
    assert record_of(client)["held"]
    assert client.request("heal")["ok"]
    assert manager.pid(UNIT) != 0


# ---------------------------------------------------------------- the dead man's switch


def test_a_fault_that_nobody_holds_is_healed(start: MakeAgent, manager: FakeManager) -> None:
    client = start(hold_ttl_s=0.6)
    fired = time.monotonic()
    fire(client)
    while time.monotonic() - fired < 1.5:
        assert client.request("keepalive", {"tokens": ["t1", "other"]})["held"] == ["t1"]
        time.sleep(0.1)
    assert manager.pid(UNIT) == 0
    let_go = time.monotonic()
    wait_until(lambda: manager.pid(UNIT) != 0, 5)
    assert 0.4 < time.monotonic() - let_go < 4
    wait_until(lambda: record_of(client)["healed_by"] == "dead man's switch")
    assert client.request("keepalive", {"tokens": ["t1"]})["held"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_fault_is_still_held_and_healed_after_a_restart_of_the_agent(
    start: MakeAgent, manager: FakeManager, agents: list[AgentProcess], number: signal.Signals
) -> None:
    client = start(hold_ttl_s=2)
    fire(client, "kill")
    agents[0].stop(number)
    agents[0].start()
    client = AgentClient("etcd2", agents[0].address, KEY, timeout_s=20)
    assert record_of(client)["held"]
    assert manager.pid(UNIT) == 0
    wait_until(lambda: manager.pid(UNIT) != 0, 6)
    wait_until(lambda: record_of(client)["healed_by"] == "dead man's switch")


def test_a_state_that_cannot_be_read_is_put_aside(start: MakeAgent, agents: list[AgentProcess]) -> None:
    client = start()
    agents[0].stop()
    state = agents[0].folder / "state" / "faults.json"
    state.write_text('{"faults": [')
    agents[0].start()
    assert client.address
    assert state.with_suffix(".broken").exists()
    assert "cannot be understood" in (agents[0].folder / "stderr").read_text()


def test_a_fault_that_cannot_be_put_on_record_is_not_done(
    start: MakeAgent, manager: FakeManager, agents: list[AgentProcess]
) -> None:
    client = start()
    state = agents[0].folder / "state"
    state.rename(agents[0].folder / "moved")
    reply = fire(client)
    assert not reply["ok"]
    assert "stop of etcd2.service failed" in reply["error"]
    assert manager.pid(UNIT) != 0
    assert client.request("status")["holding"] == []


# ---------------------------------------------------------------- the socket


def connect(agent: AgentProcess) -> tuple[socket.socket, str]:
    """Connect by hand; return the socket and its session."""
    connection = socket.create_connection(("127.0.0.1", int(str(agent.config["port"]))), timeout=5)
    hello = connection.makefile("rb").readline()
    return connection, json.loads(hello)["session"]


def answer(connection: socket.socket) -> bytes:
    return connection.makefile("rb").readline()


def test_garbage_closes_its_own_connection_only(start: MakeAgent, agents: list[AgentProcess]) -> None:
    client = start()
    garbage = [b"\0" * 1000 + b"\n", b"GET / HTTP/1.1\r\n\r\n", b"{}\n", b"[]\n", b"[" * 50_000 + b"\n", b"x" * 400_000]
    garbage += [random.Random(seed).randbytes(3000) + b"\n" for seed in range(10)]
    for content in garbage:
        connection, _ = connect(agents[0])
        try:
            connection.sendall(content)
            assert answer(connection) in (b'{"refused": "not a sealed message"}\n', b"")
        except ConnectionError:
            # The rest of what was sent was of no interest any more.
            pass
        connection.close()
    assert client.request("ping")["ok"]


def test_half_a_request_and_then_nothing_does_no_harm(start: MakeAgent, agents: list[AgentProcess]) -> None:
    client = start()
    connection, session = connect(agents[0])
    line = seal({"verb": "fire", "session": session, "seq": 1, "token": "t", "fault": "F1", "action": "kill"}, KEY)
    connection.sendall(line[:-1])
    connection.close()
    assert client.request("status")["holding"] == []


def test_another_key_is_refused(start: MakeAgent, agents: list[AgentProcess], manager: FakeManager) -> None:
    start()
    connection, session = connect(agents[0])
    request = {"verb": "fire", "session": session, "seq": 1, "token": "t", "fault": "F1", "action": "kill"}
    connection.sendall(seal(request, b"another key of 32 characters...."))
    assert json.loads(answer(connection)) == {"refused": "wrong authentication code"}
    assert manager.pid(UNIT) != 0


def test_a_recorded_request_is_worth_nothing(start: MakeAgent, agents: list[AgentProcess]) -> None:
    start()
    connection, session = connect(agents[0])
    line = seal({"verb": "ping", "session": session, "seq": 1}, KEY)
    connection.sendall(line)
    assert b"reply_to" in answer(connection)
    connection.sendall(line)
    assert json.loads(answer(connection)) == {"refused": "replayed"}
    other, _ = connect(agents[0])
    other.sendall(line)
    assert json.loads(answer(other)) == {"refused": "replayed"}


def test_many_silent_connections_do_not_end_the_agent(start: MakeAgent, agents: list[AgentProcess]) -> None:
    client = start()
    assert client.request("ping")["ok"]
    silent = [socket.create_connection(("127.0.0.1", int(str(agents[0].config["port"])))) for _ in range(100)]
    assert client.request("ping")["ok"]
    for connection in silent:
        connection.close()


# ---------------------------------------------------------------- start and end


def test_sigterm_ends_it_cleanly_in_the_middle_of_a_conversation(start: MakeAgent, agents: list[AgentProcess]) -> None:
    client = start()
    assert client.request("ping")["ok"]
    started = time.monotonic()
    assert agents[0].stop() == 0
    assert time.monotonic() - started < 3
    assert (agents[0].folder / "stderr").read_text() == ""


def test_a_port_that_is_taken_is_one_line_and_status_1(
    tmp_path: Path, start: MakeAgent, agents: list[AgentProcess]
) -> None:
    start()
    path = agents[0].folder / "agent.json"
    path.write_text(json.dumps(agents[0].config))
    done = subprocess.run(
        [sys.executable, "-m", "failover.fault_agent", "--config", str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "module_utils")},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    port = agents[0].config["port"]
    assert done.stderr == f"The fault agent cannot listen on 127.0.0.1:{port}: address already in use.\n"


GOOD = {
    "member": "etcd1",
    "unit": "etcd.service",
    "system": "etcd",
    "client_url": "http://10.0.0.11:2379",
    "listen": "10.0.0.11",
    "port": 7470,
    "key_file": "/etc/failover-lab/agent.key",
    "state_dir": "/var/lib/failover-lab-agent",
    "hold_ttl_s": 60,
}


def test_a_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(GOOD))
    config = AgentConfig.load(str(path))
    assert (config.member, config.port, config.hold_ttl_s, config.use_dbus) == ("etcd1", 7470, 60, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: no such file or directory"),
        ("{", "is not JSON"),
        ("[]", "must hold one object"),
        (json.dumps({**GOOD, "color": "red"}), r"has \['color'\] that is not known"),
        (json.dumps({key: value for key, value in GOOD.items() if key != "port"}), r"lacks \['port'\]"),
        (json.dumps({**GOOD, "port": "7470"}), "port must be of type int, it is '7470'"),
        (json.dumps({**GOOD, "port": True}), "port must be of type int, it is True"),
        (json.dumps({**GOOD, "hold_ttl_s": 0}), "hold_ttl_s must be more than 0"),
        (json.dumps({**GOOD, "system": "oracle"}), "system must be one of etcd, mysql, mysql_cluster"),
    ],
)
def test_a_configuration_that_is_wrong_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "agent.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LabError, match=message) as raised:
        AgentConfig.load(str(path))
    assert str(path) in str(raised.value)


def test_a_server_without_replicas_leads_while_it_runs(start: MakeAgent, manager: FakeManager) -> None:
    client = start(system="mysql", client_url="127.0.0.1:3306")
    status = client.request("status")
    assert (status["role"], status["term"], status["member_id"]) == ("leader", None, None)
    assert fire(client, "kill", role="leader")["fired"]
    wait_until(lambda: manager.pid(UNIT) == 0)
    status = client.request("status")
    assert (status["role"], status["error"]) == ("unknown", "the server does not run")


def test_a_frozen_member_is_thawed_by_the_dead_mans_switch(start: MakeAgent, manager: FakeManager) -> None:
    client, pid = start(hold_ttl_s=1), manager.pid(UNIT)
    reply = fire(client, "pause", role="leader")
    assert (reply["fired"], reply["record"]["signal"], reply["record"]["processes"]) == (True, "SIGSTOP", 1)
    assert process_state(pid) == "T"
    wait_until(lambda: not record_of(client)["held"])
    assert record_of(client)["healed_by"] == "dead man's switch"
    assert record_of(client)["process_gone_wall_ns"] is None
    assert record_of(client)["process_started_wall_ns"] is None
    assert process_state(pid) != "T"
    assert manager.pid(UNIT) == pid


def test_a_partition_is_set_and_taken_away(start: MakeAgent, manager: FakeManager) -> None:
    nft = manager.bin / "nft"
    nft.write_text('#!/bin/sh\ncat >>"$0.scripts"\n')
    nft.chmod(0o755)
    client, pid = start(peers=["10.0.0.2"], clients=["10.0.0.9"], client_port=2379), manager.pid(UNIT)
    assert client.request("status", {"details": True})["cannot"] == {}
    reply = fire(client, "partition", role="leader", isolate="peers", direction="in")
    assert (reply["fired"], reply["record"]["via"], reply["record"]["signal"]) == (True, "nft", None)
    set_rules = Path(f"{nft}.scripts").read_text()
    assert "ip saddr { 10.0.0.2 } drop" in set_rules
    assert "10.0.0.9" not in set_rules
    assert manager.pid(UNIT) == pid
    assert client.request("heal")["ok"]
    assert Path(f"{nft}.scripts").read_text().endswith("delete table inet failover_lab\n")
    assert record_of(client)["healed_by"] == "request"

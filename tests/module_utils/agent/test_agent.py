# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from failover.actions import clock_skew
from failover.actions.base import Action, Host
from failover.actions.record import FaultRecord
from failover.actions.registry import ACTIONS
from failover.agent import agent as agent_module
from failover.agent.agent import Agent
from failover.agent.config import AgentConfig
from failover.agent.wire import AgentClient
from failover.host.power import Power
from failover.host.service import MainProcess, process_state
from failover.host.volume import Kept, VolumeError
from failover.host.wall_clock import WallClock
from fake_tc import calls, fake_tc, slowed
from fault_doubles import KEY, AgentProcess, FakeCluster, FakeManager, wait_until

UNIT = "etcd2.service"
MakeAgent = Callable[..., AgentClient]


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
    stamps = [record[f"{name}_wall_ns"] for name in ("role_checked", "signal_sent", "process_gone")]
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
    assert fire(client)["reason"] == f"{UNIT} is not running"


@pytest.mark.parametrize(
    ("verb", "fields", "message"),
    [
        ("reboot", {}, "unknown verb 'reboot'; known are ping, status, fire, step, keepalive, heal, resume"),
        (
            "fire",
            {"token": "t", "fault": "F1", "action": "melt"},
            f"unknown action 'melt'; known are {', '.join(ACTIONS)}",
        ),
        ("fire", {"token": "", "fault": "F1", "action": "stop"}, "token must be a non-empty string"),
        ("fire", {"token": ["t"], "fault": "F1", "action": "stop"}, "token must be a non-empty string"),
        ("keepalive", {"tokens": "t1"}, "tokens must be a list of strings"),
        ("heal", {"faults": [1]}, "faults must be a list of strings"),
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
    assert reply["not_back"]
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
        kept = time.monotonic()
        assert client.request("keepalive", {"tokens": ["t1", "other"]})["held"] == ["t1"]
        time.sleep(0.1)
    assert manager.pid(UNIT) == 0
    wait_until(lambda: manager.pid(UNIT) != 0, 30)
    assert time.monotonic() - kept >= 0.6
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
    assert "faults.json cannot be read (" in (agents[0].folder / "stderr").read_text()


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


# ---------------------------------------------------------------- actions


def test_a_server_without_replicas_leads_while_it_runs(start: MakeAgent, manager: FakeManager) -> None:
    client = start(system="mysql", address="127.0.0.1:3306")
    status = client.request("status")
    assert (status["role"], status["term"], status["member_id"]) == ("leader", None, None)
    assert fire(client, "kill", role="leader")["fired"]
    wait_until(lambda: manager.pid(UNIT) == 0)
    status = client.request("status")
    assert (status["role"], status["error"]) == ("unknown", "the server is not running")


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
    assert client.request("status", {"asked": [{"fault": "F1", "action": "partition"}]})["cannot"] == {}
    reply = fire(client, "partition", role="leader", isolate="peers", direction="in")
    assert (reply["fired"], reply["record"]["via"], reply["record"]["signal"]) == (True, "nft", None)
    set_rules = Path(f"{nft}.scripts").read_text()
    assert "ip saddr { 10.0.0.2 } drop" in set_rules
    assert "10.0.0.9" not in set_rules
    assert manager.pid(UNIT) == pid
    assert client.request("heal")["ok"]
    assert Path(f"{nft}.scripts").read_text().endswith("delete table inet failover_lab\n")
    assert record_of(client)["healed_by"] == "request"


def program(manager: FakeManager, name: str, text: str) -> Path:
    path = manager.bin / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_host_that_is_powered_off_falls_silent_before_its_process_ends(
    start: MakeAgent, manager: FakeManager
) -> None:
    client, pid = start(peers=["10.0.0.2"], client_port=2379, kept_ports=[22]), manager.pid(UNIT)
    # What nft sees of the process, at each of its calls.
    nft = program(manager, "nft", f'cat >>"$0.scripts"; test -d /proc/{pid} && echo "# alive" >>"$0.scripts"; true')
    reply = fire(client, "poweroff", role="leader")
    assert (reply["fired"], reply["record"]["signal"], reply["record"]["via"]) == (True, "SIGKILL", "nft, pidfd")
    script = Path(f"{nft}.scripts").read_text()
    assert script.endswith("# alive\n")
    assert script.count("policy drop;") == 2
    assert "22 } accept;" in script
    assert reply["record"]["processes"] == 1
    wait_until(lambda: record_of(client)["process_gone_wall_ns"] is not None)
    assert manager.pid(UNIT) == 0
    assert client.request("heal")["ok"]
    # As long as nobody has asked how it ended, the dead process is listed.
    mended = Path(f"{nft}.scripts").read_text().removesuffix("# alive\n")
    assert mended.endswith("delete table inet failover_lab\n")
    assert manager.pid(UNIT) not in (0, pid)


def test_a_slow_network_is_set_shown_and_taken_away(start: MakeAgent, manager: FakeManager) -> None:
    tc = fake_tc(manager.bin, ["10.0.0.2"])
    client, pid = start(peers=["10.0.0.2"]), manager.pid(UNIT)
    asked = {"fault": "F1", "action": "slow_network", "options": {"rate_kbit": 256}}
    assert client.request("status", {"asked": [asked]})["cannot"] == {}
    reply = fire(client, "slow_network", role="leader", options=asked["options"])
    effect = "eth7: qdisc tbf 7470: root refcnt 2 rate 256kbit burst 16384 latency 1000ms"
    assert (reply["fired"], reply["record"]["effect"]) == (True, effect)
    assert manager.pid(UNIT) == pid
    assert client.request("heal")["ok"]
    assert slowed(tc) == {}
    assert (record_of(client)["healed_by"], manager.pid(UNIT)) == ("request", pid)


def test_a_network_that_is_slow_to_some_is_so_to_them_alone_and_healed_by_another_agent(
    start: MakeAgent, manager: FakeManager, agents: list[AgentProcess]
) -> None:
    tc = fake_tc(manager.bin, ["10.0.0.2", "10.0.0.3", "10.0.0.9"])
    client = start(peers=["10.0.0.2", "10.0.0.3"], clients=["10.0.0.9"], kept_ports=[2222])
    given = {"options": {"delay_ms": 50}, "to": ["clients", "etcd3"], "addresses": {"etcd3": "10.0.0.3"}}
    reply = fire(client, "slow_network", role="leader", **given)
    effect = "eth7: qdisc netem 8001: parent 7470:1 delay 50ms, to 10.0.0.9, 10.0.0.3"
    record = reply["record"]
    assert (reply["fired"], record["via"], record["effect"]) == (True, "tc", effect)
    assert (record["to"], record["inject_error"]) == (["clients", "etcd3"], None)
    # Nobody waits for the agent, nor for ssh.
    assert [call.partition(" sport ")[2].split()[0] for call in calls(tc, "sport")] == ["0", "2222"]
    agents[0].stop(signal.SIGKILL)
    agents[0].start()
    again = AgentClient("etcd2", agents[0].address, KEY, timeout_s=20)
    assert record_of(again)["to"] == ["clients", "etcd3"]
    assert again.request("heal")["ok"]
    assert slowed(tc) == {}


def test_what_cannot_be_slowed_to_some_is_told_of_its_fault(start: MakeAgent, manager: FakeManager) -> None:
    tc = fake_tc(manager.bin, ["10.0.0.2"])
    (tc / "fail").write_text("u32\nError: TC classifier not found.")
    client = start(peers=["10.0.0.2"])
    slow = {"action": "slow_network", "options": {"rate_kbit": 256}}
    asked = [
        {"fault": "F1", **slow},
        {"fault": "F2", **slow, "to": ["peers"]},
        {"fault": "F3", **slow, "to": ["clients"]},
        {"fault": "F4", **slow, "to": ["etcd3"], "addresses": {}},
    ]
    assert client.request("status", {"asked": asked})["cannot"] == {
        "F2": "the kernel has no cls_u32",
        "F3": "no address of clients is known",
        "F4": "no address of etcd3 is known",
    }


class FakeDisk:
    """A disk that can be filled and slowed down; ``done`` lists what was done to it."""

    def __init__(self, felt: str | None = "a write takes 50 ms") -> None:
        self.done: list[str] = []
        self.felt = felt

    def __call__(self, data_dir: str, unit: str) -> FakeDisk:
        return self

    def fill(self) -> str:
        self.done.append("fill")
        return "0 of 10 bytes left"

    def empty(self) -> None:
        self.done.append("empty")

    def slow(self, process: int, write_iops: int) -> str:
        self.done.append(f"slow {process} {write_iops}")
        return "at most 20 writes a second"

    def measure(self, process: int, write_iops: int) -> str | None:
        return self.felt

    def hasten(self, process: int | None) -> None:
        self.done.append(f"hasten {process}")


class FakeVolume:
    """The file system of the data; ``done`` lists what was done to it, and whether the server stood still then."""

    def __init__(self, manager: FakeManager) -> None:
        self.manager = manager
        self.done: list[tuple[str, bool]] = []
        self.fails: str | None = None

    def __call__(self, data_dir: str) -> FakeVolume:
        return self

    def _note(self, what: str) -> None:
        pid = self.manager.pid(UNIT)
        self.done.append((what, process_state(pid) == "T"))

    def problem(self, *, keeps: bool = False) -> str | None:
        return None

    def describe(self) -> dict[str, str]:
        return {"source": "/dev/loop9"}

    def cut(self, kept: Kept | None = None) -> str:
        self._note("cut")
        if self.fails:
            raise VolumeError(self.fails)
        return "4,096 bytes of 1 file were not on disk and are lost"

    def release(self, was: dict[str, str]) -> None:
        self._note(f"release {was['source']}")

    def restore(self, was: dict[str, str]) -> str | None:
        self._note(f"restore {was['source']}")
        return "its journal was replayed"


@pytest.fixture
def inside(
    tmp_path: Path, manager: FakeManager, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Agent]]:
    """Make the agent of etcd2 within this process, with a disk."""
    made: list[Agent] = []
    monkeypatch.setenv("PATH", manager.path)

    def make(disk: FakeDisk, data: FakeVolume | None = None, **settings: Any) -> Agent:
        monkeypatch.setattr(agent_module, "Disk", disk)
        monkeypatch.setattr(agent_module, "Volume", data or FakeVolume(manager))
        (tmp_path / "state").mkdir(exist_ok=True)
        given: dict[str, Any] = {
            "member": "etcd2",
            "unit": UNIT,
            "system": "etcd",
            "address": cluster.members["etcd2"].url,
            "listen": "127.0.0.1",
            "port": 7470,
            "key_file": "",
            "state_dir": str(tmp_path / "state"),
            "hold_ttl_s": 60,
            "use_dbus": False,
        }
        made.append(Agent(AgentConfig(**given | settings)))
        return made[-1]

    yield make
    for agent in made:
        agent.close()


def strike(agent: Agent, action: str, **options: float) -> dict[str, Any]:
    request = {"verb": "fire", "token": "t1", "fault": "F1", "action": action, "role": "leader", "options": options}
    reply = agent.handle(request)
    assert reply["fired"], reply
    return reply


def kept(agent: Agent) -> dict[str, Any]:
    return next(iter(agent.handle({"verb": "status", "details": True})["records"]))


def test_a_server_that_ends_on_a_full_disk_is_stamped_and_started_again(
    inside: Callable[..., Agent], manager: FakeManager
) -> None:
    disk = FakeDisk()
    agent, pid = inside(disk), manager.pid(UNIT)
    record = strike(agent, "disk_full")["record"]
    assert (record["effect"], record["via"], record["signal"]) == ("0 of 10 bytes left", "fallocate", None)
    # It goes on until it needs space; then it ends itself.
    assert manager.pid(UNIT) == pid
    os.kill(pid, signal.SIGABRT)
    wait_until(lambda: kept(agent)["process_gone_wall_ns"] is not None)
    assert agent.handle({"verb": "heal"})["ok"]
    assert disk.done == ["fill", "empty"]
    assert manager.pid(UNIT) not in (0, pid)


def test_a_full_disk_may_leave_the_server_running(inside: Callable[..., Agent], manager: FakeManager) -> None:
    agent, pid = inside(FakeDisk()), manager.pid(UNIT)
    strike(agent, "disk_full")
    assert agent.handle({"verb": "heal"})["ok"]
    assert (kept(agent)["process_gone_wall_ns"], manager.pid(UNIT)) == (None, pid)


@pytest.mark.parametrize(
    ("felt", "effect"), [("a write takes 50 ms", "at most 20 writes a second; a write takes 50 ms"), (None, None)]
)
def test_a_slow_disk_counts_where_it_is_felt(
    inside: Callable[..., Agent], manager: FakeManager, felt: str | None, effect: str | None
) -> None:
    disk = FakeDisk(felt)
    agent, pid = inside(disk), manager.pid(UNIT)
    strike(agent, "slow_disk", write_iops=20)
    wait_until(lambda: kept(agent)["effect"] == effect)
    assert agent.handle({"verb": "heal"})["ok"]
    assert disk.done == [f"slow {pid} 20", f"hasten {pid}"]
    assert manager.pid(UNIT) == pid


@pytest.mark.parametrize(
    ("action", "options", "healed"), [("disk_full", {}, "empty"), ("slow_disk", {"write_iops": 20}, "hasten {}")]
)
def test_a_disk_is_healed_by_the_dead_mans_switch_of_the_next_agent(
    inside: Callable[..., Agent], manager: FakeManager, action: str, options: dict[str, float], healed: str
) -> None:
    disk = FakeDisk()
    first, pid = inside(disk), manager.pid(UNIT)
    strike(first, action, **options)
    first.close()
    second = inside(disk, hold_ttl_s=0.5)
    wait_until(lambda: kept(second)["healed_by"] == "dead man's switch")
    assert disk.done[-1] == healed.format(pid)


def test_a_poweroff_is_a_power_loss_where_the_data_can_be_cut_off(
    inside: Callable[..., Agent], manager: FakeManager
) -> None:
    program(manager, "nft", "true")
    data = FakeVolume(manager)
    agent = inside(FakeDisk(), data, peers=["10.0.0.2"], client_port=2379)
    record = strike(agent, "poweroff")["record"]
    assert (record["effect"], record["via"]) == (
        "4,096 bytes of 1 file were not on disk and are lost",
        "nft, ioctl, pidfd",
    )
    assert agent.handle({"verb": "heal"})["ok"]
    assert [what for what, _ in data.done] == ["cut", "release /dev/loop9", "restore /dev/loop9"]


def test_a_poweroff_says_why_it_is_no_power_loss_elsewhere(inside: Callable[..., Agent], manager: FakeManager) -> None:
    program(manager, "nft", "true")
    data = FakeVolume(manager)
    data.problem = lambda **_: "it is on the host's own file system"  # type: ignore[method-assign]
    agent = inside(FakeDisk(), data, peers=["10.0.0.2"], client_port=2379)
    record = strike(agent, "poweroff")["record"]
    assert record["effect"] == "what was not on disk is kept: it is on the host's own file system"
    assert record["via"] == "nft, pidfd"
    assert agent.handle({"verb": "heal"})["ok"]
    assert data.done == []


def test_power_is_cut_from_a_server_that_stands_still_and_the_next_agent_gives_it_back(
    inside: Callable[..., Agent], manager: FakeManager
) -> None:
    nft = program(manager, "nft", 'cat >>"$0.scripts"')
    data = FakeVolume(manager)
    first, pid = inside(FakeDisk(), data), manager.pid(UNIT)
    record = strike(first, "power_loss")["record"]
    assert (record["via"], record["signal"], record["processes"]) == ("nft, ioctl, pidfd", "SIGKILL", 1)
    assert record["effect"] == "4,096 bytes of 1 file were not on disk and are lost"
    assert data.done == [("cut", True), ("release /dev/loop9", False)]
    assert Path(f"{nft}.scripts").read_text().count("policy drop;") == 2
    wait_until(lambda: kept(first)["process_gone_wall_ns"] is not None)
    first.close()

    second = inside(FakeDisk(), data)
    assert second.handle({"verb": "heal"})["ok"]
    # The data is there before the server is.
    assert data.done[2:] == [("restore /dev/loop9", False)]
    assert kept(second)["effect"] == f"{record['effect']}; its journal was replayed"
    assert Path(f"{nft}.scripts").read_text().endswith("delete table inet failover_lab\n")
    assert manager.pid(UNIT) not in (0, pid)


@pytest.mark.parametrize("action", ["power_loss", "poweroff"])
def test_the_power_of_a_machine_is_left_to_who_keeps_it(
    inside: Callable[..., Agent], manager: FakeManager, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    program(manager, "nft", "true")
    data = FakeVolume(manager)
    boots = ["before", "before", "after"]
    monkeypatch.setattr(Power, "boot_id", lambda self: boots.pop(0))
    monkeypatch.setattr(Power, "unwritten", lambda self: "12 kB were not on its disk")
    agent = inside(FakeDisk(), data, power_kept=True, peers=["10.0.0.2"], client_port=2379)
    assert agent.handle({"verb": "status", "asked": [{"fault": "F1", "action": action}]})["cannot"] == {}
    record = strike(agent, action)["record"]
    assert (record["via"], record["effect"], record["boot_id"]) == ("qemu", "12 kB were not on its disk", "before")
    assert ACTIONS[action].took_unsynced(FaultRecord.from_dict(record))
    # Nobody cut it: it is the same boot, so there was no effect.
    with agent._lock:
        agent._records["t1"].process_gone_wall_ns = 1
    assert agent.handle({"verb": "heal"})["ok"]
    assert kept(agent)["effect"] is None
    assert data.done == []


def test_a_machine_that_booted_takes_up_the_fault_that_it_lost(
    inside: Callable[..., Agent], manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Power, "boot_id", lambda self: "after")
    steps: list[int] = []
    monkeypatch.setattr(WallClock, "set_by", lambda self, by_ns: steps.append(by_ns))
    agent = inside(FakeDisk(), power_kept=True)
    lost = FaultRecord("F1", "t1", "power_loss", member="etcd2", held=True, effect="12 kB", boot_id="before", pid=1)
    lost.signal_sent_wall_ns, lost.process_gone_wall_ns = 1, 2
    request = {"verb": "resume", "by_ns": -5, "records": [lost.as_answer()]}
    assert agent.handle(request) == {"ok": True}
    assert steps == [-5]
    assert agent.handle({"verb": "status"})["holding"] == ["t1"]
    (healed,) = agent.handle({"verb": "heal", "tokens": ["t1"]})["records"]
    assert (healed["effect"], healed["process_gone_wall_ns"], healed["healed_by"]) == ("12 kB", 2, "request")


def test_a_host_whose_power_nobody_keeps_takes_up_nothing(inside: Callable[..., Agent]) -> None:
    refused = inside(FakeDisk()).handle({"verb": "resume", "by_ns": 0, "records": []})
    assert refused == {"ok": False, "error": "nobody keeps the power of this host"}


def test_who_keeps_a_part_of_what_is_lost_needs_a_file_system_of_its_own(
    inside: Callable[..., Agent], manager: FakeManager
) -> None:
    program(manager, "nft", "true")
    data = FakeVolume(manager)
    data.problem = lambda **given: f"not so: {given}"  # type: ignore[method-assign]
    agent = inside(FakeDisk(), data, power_kept=True)
    asked = [{"fault": "F1", "action": "power_loss", "options": {"keep": 50.0, "keep_seed": 1}}]
    told = agent.handle({"verb": "status", "asked": asked})["cannot"]
    assert told == {"F1": "not so: {'keeps': True}"}


def test_what_the_disk_had_is_found_out_before_the_others_give_it_anything(
    inside: Callable[..., Agent], manager: FakeManager, cluster: FakeCluster
) -> None:
    program(manager, "nft", "cat >/dev/null")
    cluster.members["etcd2"].revision, cluster.members["etcd2"].applied = 12, 30
    agent = inside(FakeDisk(), FakeVolume(manager))
    disk = strike(agent, "power_loss")["record"]["disk"]
    assert (disk["told"], disk["had"], disk["missing"]) == ({"revision": 12, "raft_index": 30}, None, None)
    assert disk["told_wall_ns"] <= kept(agent)["role_checked_wall_ns"]
    message = "newRaft 6d44 [peers: [], term: 11, commit: 9, applied: 0, lastindex: 28, lastterm: 11]"
    manager.set(UNIT, "log", json.dumps({"ts": "2999-01-01T00:00:00.000Z", "msg": message}))
    wait_until(lambda: kept(agent)["process_gone_wall_ns"] is not None)
    assert agent.handle({"verb": "heal"})["ok"]
    disk = kept(agent)["disk"]
    assert (disk["had"], disk["missing"], disk["missing_of"]) == ({"raft_index": 28}, 2, "entries of its log")
    assert (disk["which"], disk["unknown"]) == (None, None)
    assert disk["told_wall_ns"] < disk["had_wall_ns"] <= kept(agent)["healed_wall_ns"]


def test_what_a_member_that_does_not_come_back_had_is_told_with_the_refusal(
    inside: Callable[..., Agent], manager: FakeManager, cluster: FakeCluster
) -> None:
    program(manager, "nft", "cat >/dev/null")
    agent = inside(FakeDisk(), FakeVolume(manager))
    cluster.members["etcd2"].stop()
    reply = agent.handle({"verb": "fire", "token": "t1", "fault": "F1", "action": "power_loss"})
    assert reply["record"]["disk"]["told"] is None
    wait_until(lambda: kept(agent)["process_gone_wall_ns"] is not None)
    manager.set(UNIT, "fail", "yes")
    reply = agent.handle({"verb": "heal"})
    assert (reply["ok"], reply["not_back"]) == (False, True)
    (record,) = reply["records"]
    assert record["held"]
    assert record["effect"].endswith("; its journal was replayed")
    assert record["disk"]["unknown"] == (
        "before the cut the server did not say how far its data reach: connection refused; "
        "what its disk had: its log does not say what it found when it started"
    )


def test_a_power_loss_that_was_cut_short_is_healed(inside: Callable[..., Agent], manager: FakeManager) -> None:
    program(manager, "nft", "cat >/dev/null")
    data = FakeVolume(manager)
    data.fails = "/data cannot be cut off: not permitted"
    agent, pid = inside(FakeDisk(), data), manager.pid(UNIT)
    record = strike(agent, "power_loss")["record"]
    assert (record["inject_error"], record["effect"]) == (data.fails, None)
    # Whoever would wait for the end of a server that stands still would wait long.
    with agent._lock:
        agent._records["t1"].process_gone_wall_ns = 1
    assert agent.handle({"verb": "heal"})["ok"]
    assert kept(agent)["effect"] is None
    assert manager.pid(UNIT) not in (0, pid)


class FakeClock:
    """A wall clock beside a raw one that stands still: what it is ahead is all that there is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_ns, self.ppm, self.stuck = 7, 0.0, False
        monkeypatch.setattr(agent_module, "WallClock", lambda: self)
        monkeypatch.setattr(clock_skew, "wall_less_raw_ns", lambda: self.ahead_ns)
        monkeypatch.setattr(clock_skew, "MEASURED_S", 0.0)

    def problem(self) -> str | None:
        return None

    def set_by(self, by_ns: int) -> None:
        self.ahead_ns += 0 if self.stuck else by_ns

    def drift(self, ppm: float) -> None:
        self.ppm = ppm


def test_a_clock_jumps_and_is_brought_back(inside: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(monkeypatch)
    agent = inside(FakeDisk())
    record = strike(agent, "clock_skew", jump_ms=-1500)["record"]
    assert (record["via"], clock.ahead_ns) == ("adjtimex", 7 - 1_500_000_000)
    wait_until(lambda: kept(agent)["effect"] == "its clock went from right to -1,500.0 ms")
    clock.ahead_ns += 250_000_000
    (healed,) = agent.handle({"verb": "heal"})["records"]
    assert clock.ahead_ns == 7
    assert healed["clock_gained_ns"] == -1_250_000_000
    assert healed["effect"].endswith(", and was -1,250.0 ms off when it was healed, +0.0 ms after it")


def test_a_clock_that_does_not_jump_has_no_effect(
    inside: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock(monkeypatch)
    clock.stuck = True
    agent = inside(FakeDisk())
    strike(agent, "clock_skew", jump_ms=5000)
    wait_until(lambda: not any(thread.name.endswith("(_follow)") for thread in threading.enumerate()))
    assert kept(agent)["effect"] is None


def test_a_drift_is_allowed_for_by_the_agents_own_clock(
    inside: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, allowed = FakeClock(monkeypatch), []
    monkeypatch.setattr(clock_skew.CLOCK, "allow_for", allowed.append)
    first = inside(FakeDisk())
    strike(first, "clock_skew", drift_ppm=200)
    assert (clock.ppm, allowed) == (200, [200])
    first.close()
    # The next agent reads a wall clock that is wrong by now.
    base_ns = clock_skew.CLOCK.base_ns
    clock.ahead_ns += 3_000
    second = inside(FakeDisk())
    assert allowed == [200, 200]
    assert clock_skew.CLOCK.base_ns == base_ns - 3_000
    assert second.handle({"verb": "heal"})["ok"]
    assert (clock.ppm, clock.ahead_ns, allowed) == (0, 7, [200, 200, 0])
    clock_skew.CLOCK.set()


class Marked(Action):
    """Leaves a mark that nobody could find again without its record."""

    name = "mark"
    past = "marked"
    ends_process = False

    def __init__(self) -> None:
        self.healed: list[tuple[str | None, dict[str, float]]] = []

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        record.effect = "a mark"
        return "pen"

    def heal(self, host: Host, record: FaultRecord, timeout_s: float) -> None:
        self.healed.append((record.effect, record.options))


def test_the_next_agent_heals_by_the_record_of_the_one_that_struck(
    inside: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    action = Marked()
    monkeypatch.setitem(ACTIONS, action.name, action)
    first = inside(FakeDisk())
    strike(first, "mark", depth=3)
    first.close()
    assert inside(FakeDisk()).handle({"verb": "heal"})["ok"]
    assert action.healed == [("a mark", {"depth": 3})]


def test_what_a_host_cannot_do_is_said_when_it_is_asked(start: MakeAgent, tmp_path: Path) -> None:
    client = start(data_dir=str(tmp_path))
    asked = [{"fault": name.upper(), "action": name} for name in ("kill", "disk_full", "melt")]
    cannot = client.request("status", {"asked": asked})["cannot"]
    assert "KILL" not in cannot
    assert "is not a file system of its own" in cannot["DISK_FULL"]
    assert "its agent is of another version" in cannot["MELT"]
    assert "cannot" not in client.request("status")
    refused = client.request("status", {"asked": "disk_full"})
    assert (refused["ok"], refused["error"]) == (False, "asked must be a list of mappings with fault")
    # A disk that cannot be filled is not held as if it were.
    reply = client.request("fire", {"token": "t9", "fault": "F9", "action": "disk_full"})
    assert not reply["ok"] or not reply["fired"] or reply["record"]["inject_error"]

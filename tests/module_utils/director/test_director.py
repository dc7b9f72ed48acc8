# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from failover.agent.wire import AgentClient, AgentError
from failover.director import director as director_module
from failover.director import follows
from failover.director.aims import choose_target
from failover.director.choreographer import Lead
from failover.director.director import FaultDirector
from failover.director.quorum import is_settled, leader_of
from failover.fault_names import role_of
from failover.host.service import process_state
from failover.plan.faults import resolve_plan
from failover.shapes import Event, FaultSpec, LabError
from fake_tc import calls, fake_tc
from fault_doubles import KEY, ROOT, Lab, lab_in, wait_until

MEMBERS = ["etcd1", "etcd2", "etcd3"]


# ---------------------------------------------------------------- targets


def test_followers_are_counted_by_name() -> None:
    statuses = {
        "etcd3": {"role": "follower", "term": 4, "leader_id": "b"},
        "etcd2": {"role": "leader", "term": 4, "leader_id": "b"},
        "etcd1": {"role": "follower", "term": 4, "leader_id": "b"},
    }
    assert [choose_target(target, statuses) for target in ("leader", "follower", "follower 2", "follower 3")] == [
        "etcd2",
        "etcd1",
        "etcd3",
        None,
    ]


def status(role: str, leader_id: str | None = "b", term: int | None = 4) -> dict[str, Any]:
    return {"role": role, "leader_id": leader_id, "term": term}


def test_the_leader_says_so_itself_with_the_highest_term() -> None:
    cut_off = {
        "etcd1": status("leader", "a", 3),
        "etcd2": status("leader", "b", 4),
        "etcd3": status("follower", "b", 4),
    }
    assert leader_of(cut_off) == "etcd2"
    assert choose_target("leader", cut_off) == "etcd2"
    assert leader_of({"etcd1": status("follower"), "etcd3": status("unknown", None)}) is None
    assert leader_of({"mysql1": status("leader", None, None)}) == "mysql1"


def test_the_follower_is_the_first_by_name() -> None:
    found = {"etcd3": status("follower"), "etcd2": status("leader"), "etcd1": status("unknown", None)}
    assert choose_target("follower", found) == "etcd3"
    assert choose_target("follower", {"etcd2": status("leader")}) is None
    assert choose_target("etcd1", {}) == "etcd1"


@pytest.mark.parametrize(
    ("statuses", "target", "settled"),
    [
        ({"etcd2": status("leader")}, "leader", False),
        ({"etcd2": status("leader"), "etcd3": status("follower")}, "leader", True),
        ({"etcd2": status("leader", "b", 3), "etcd3": status("follower", "c", 4)}, "leader", False),
        ({"etcd1": status("follower"), "etcd3": status("follower")}, "leader", False),
        ({"etcd2": status("leader"), "etcd3": status("follower")}, "follower", False),
        ({"etcd2": status("leader"), "etcd3": status("follower")}, "etcd1", False),
        ({"etcd2": status("leader"), "etcd3": status("follower")}, "etcd3", True),
    ],
)
def test_a_majority_settles_who_leads(statuses: dict[str, dict[str, Any]], target: str, settled: bool) -> None:
    assert is_settled(statuses, 3, target, role_of(target)) is settled


# ---------------------------------------------------------------- the director


class Emitted(list[Event]):
    """What a director emitted."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def named(self, name: str) -> list[Event]:
        return [event for event in self if event.event == name]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with lab_in(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of these clusters never elect anybody: do not wait for it as long as for real ones."""
    monkeypatch.setattr(follows, "ELECTION_TIMEOUT_S", 3.0)


def plan(action: str = "stop", target: str = "leader", at: int = 50) -> list[FaultSpec]:
    return [FaultSpec("F1", action, target, at, "end")]


def elect_when_gone(lab: Lab, old: str, new: str) -> threading.Thread:
    """Elect another leader once the unit of the old one is gone, as etcd would."""

    def elect() -> None:
        wait_until(lambda: not lab.running(old))
        lab.cluster.members[old].stop()
        lab.cluster.elect(new)

    thread = threading.Thread(target=elect)
    thread.start()
    return thread


def drive(director: FaultDirector, operations: int, pause_s: float = 0.001) -> float:
    """Play the workload; return the longest time that on_index took, in s."""
    slowest = 0.0
    for index in range(operations):
        started = time.perf_counter()
        director.on_index(index)
        slowest = max(slowest, time.perf_counter() - started)
        time.sleep(pause_s)
    return slowest


@pytest.mark.parametrize(("action", "number"), [("stop", "SIGTERM"), ("kill", "SIGKILL")])
def test_a_fault_lands_on_the_leader_at_its_index(lab: Lab, action: str, number: str) -> None:
    agents, emitted = lab.add_agents(), Emitted()
    director = FaultDirector(plan(action), agents, KEY, emitted, "client1")
    director.arm()
    election = elect_when_gone(lab, "etcd2", "etcd3")
    slowest = drive(director, 400)
    (record,) = director.close()
    election.join()

    assert slowest < 0.5  # an operation does not wait for the fault
    assert (record.fired, record.reason, record.member, record.role) == (True, None, "etcd2", "leader")
    assert (record.leader_before, record.term_before) == ("etcd2", 4)
    assert (record.leader_after, record.term_after) == ("etcd3", 5)
    assert record.member_id == record.leader_id_before == lab.cluster.members["etcd2"].hex_id
    assert record.leader_id_after == lab.cluster.members["etcd3"].hex_id
    assert (record.index_asked, record.index_called) == (50, 50)
    assert 50 <= record.index_hit < 400
    assert 0 < record.delay_ms < 1000
    assert record.gone_ms >= 0
    assert record.signal == number
    assert record.healed_by is None
    assert not lab.running("etcd2")
    assert lab.running("etcd1")
    assert lab.running("etcd3")

    names = [event.event for event in emitted]
    assert names[:4] == ["fault.armed", "fault.requested", "fault.role_checked", "fault.signal_sent"]
    assert set(names[4:]) == {"fault.process_gone", "fault.leader_after"}
    (armed,) = emitted.named("fault.armed")
    assert set(armed.data["agents"]) == set(MEMBERS)
    assert armed.data["agents"]["etcd2"]["role"] == "leader"
    assert armed.data["agents"]["etcd2"]["clock_uncertainty_ns"] > 0
    (checked,) = emitted.named("fault.role_checked")
    assert (checked.source, checked.data["role"], checked.data["leader"], checked.data["term"]) == (
        "etcd2",
        "leader",
        "etcd2",
        4,
    )
    (sent,) = emitted.named("fault.signal_sent")
    assert (sent.source, sent.wall_ns) == ("etcd2", record.signal_sent_wall_ns)
    (gone,) = emitted.named("fault.process_gone")
    assert gone.wall_ns == record.process_gone_wall_ns >= sent.wall_ns
    requested_ns = emitted.named("fault.requested")[0].wall_ns
    assert requested_ns == record.requested_wall_ns <= checked.wall_ns <= sent.wall_ns


def test_index_hit_is_what_the_workload_had_asked_for_when_the_signal_left(lab: Lab) -> None:
    agents = lab.add_agents()
    # An etcd that answers slowly delays the role checks, so that the workload runs on meanwhile.
    for member in lab.cluster.members.values():
        member.delay_s = 0.05
    calls: list[tuple[int, int]] = []
    director = FaultDirector(plan("kill"), agents, KEY, Emitted(), "client1")
    director.arm()
    for index in range(400):
        calls.append((time.time_ns(), index))
        director.on_index(index)
        time.sleep(0.001)
    (record,) = director.close(heal=True)
    sent_here_ns = record.signal_sent_wall_ns - record.clock_offset_ns
    newest = max(index for wall_ns, index in calls if wall_ns <= sent_here_ns)
    assert record.index_hit > 60
    assert abs(record.index_hit - newest) <= 1
    assert record.delay_ms > 100


def test_a_role_that_moves_between_question_and_fault_is_followed(lab: Lab) -> None:
    agents, emitted = lab.add_agents(), Emitted()
    director = FaultDirector(plan("kill"), agents, KEY, emitted, "client1")
    director.arm()
    # The first agent told to fire finds that its member has just lost the lead.
    asked: list[str] = []

    def count(path: str) -> None:
        asked.append(path)
        if len(asked) == 2:
            lab.cluster.elect("etcd1")

    lab.cluster.members["etcd2"].before_answer = count
    drive(director, 100)
    wait_until(lambda: bool(emitted.named("fault.signal_sent")))
    (record,) = director.close(heal=True)
    assert (record.fired, record.member, record.term_before) == (True, "etcd1", 5)
    assert record.attempts >= 2
    assert lab.manager.pid("etcd2.service") != 0
    assert len(emitted.named("fault.signal_sent")) == 1


def test_a_fault_without_a_target_is_missed_and_not_counted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(director_module, "AIM_TIMEOUT_S", 0.3)
    agents, emitted = lab.add_agents(), Emitted()
    director = FaultDirector(plan(), agents, KEY, emitted, "client1")
    director.arm()
    lab.cluster.elect(None)
    drive(director, 60)
    wait_until(lambda: bool(emitted.named("fault.missed")))
    (record,) = director.close()
    assert (record.fired, record.reason) == (False, "no member was the leader")
    assert [event.data for event in emitted.named("fault.missed")] == [
        {"fault": "F1", "reason": "no member was the leader", "attempts": record.attempts}
    ]
    assert all(lab.running(member) for member in MEMBERS)


def test_a_fault_that_would_leave_no_majority_is_missed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(director_module, "AIM_TIMEOUT_S", 0.5)
    specs = [
        FaultSpec("F1", "kill", "follower", 5, "end"),
        FaultSpec("F2", "stop", "leader", 200, "end", keep_majority=True),
    ]
    agents, emitted = lab.add_agents(), Emitted()
    director = FaultDirector(specs, agents, KEY, emitted, "client1")
    director.arm()
    drive(director, 100)
    wait_until(lambda: not lab.running("etcd1"))
    lab.cluster.members["etcd1"].stop()
    drive(director, 300)
    wait_until(lambda: bool(emitted.named("fault.missed")))
    first, second = director.close(heal=True)
    assert first.fired
    assert not second.fired
    assert second.reason.startswith("without etcd2 only 1 of 3 members that count would be left (etcd1 is ")
    assert second.majority_left == ["etcd3"]
    assert lab.running("etcd2")


def test_two_faults_at_once_do_not_take_the_majority_together(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would leave a majority if it were alone."""
    monkeypatch.setattr(director_module, "AIM_TIMEOUT_S", 0.5)
    specs = [
        FaultSpec("F1", "kill", "etcd1", 5, "end", keep_majority=True),
        FaultSpec("F2", "pause", "etcd3", 5, "end", keep_majority=True),
    ]
    director = FaultDirector(specs, lab.add_agents(), KEY, Emitted(), "client1")
    director.arm()
    drive(director, 20)
    wait_until(lambda: all(settled.is_set() for settled in director._settled.values()))
    records = director.close(heal=True)
    assert sorted(record.fired for record in records) == [False, True]
    (struck,) = [record for record in records if record.fired]
    (missed,) = [record for record in records if not record.fired]
    assert f"{struck.member} is held by a fault" in missed.reason
    assert sorted(struck.majority_left) == sorted({*MEMBERS} - {struck.member})


def test_a_member_that_is_behind_makes_no_majority(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds no fault and answers as a follower: a host counts it, etcd does not before it has caught up."""
    monkeypatch.setattr(director_module, "AIM_TIMEOUT_S", 0.4)
    specs = [FaultSpec("F1", "kill", "etcd3", 5, "end", keep_majority=True)]
    agents, emitted = lab.add_agents(), Emitted()
    lab.cluster.members["etcd1"].applied = 3
    director = FaultDirector(specs, agents, KEY, emitted, "client1")
    director.arm()
    drive(director, 20)
    wait_until(lambda: bool(emitted.named("fault.missed")))
    (record,) = director.close()
    assert "etcd1 is still catching up" in record.reason
    assert lab.running("etcd3")


def test_a_follower_and_a_name_are_hit_too(lab: Lab) -> None:
    agents = lab.add_agents()
    specs = [FaultSpec("F1", "kill", "follower", 5, "end"), FaultSpec("F2", "stop", "etcd3", 60, "end")]
    director = FaultDirector(specs, agents, KEY, Emitted(), "client1")
    director.arm()
    drive(director, 300)
    first, second = director.close(heal=True)
    assert (first.member, first.role, first.leader_before) == ("etcd1", "follower", "etcd2")
    assert (second.member, second.role, second.leader_before) == ("etcd3", "follower", "etcd2")
    assert (first.leader_after, second.leader_after) == (None, None)
    assert (first.healed_by, second.healed_by) == ("request", "request")


def test_an_answer_that_is_lost_does_not_make_two_faults(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    agents, emitted = lab.add_agents(), Emitted()
    director = FaultDirector(plan("kill"), agents, KEY, emitted, "client1")
    director.arm()
    real, lost = AgentClient.request, []

    def lose_first(self: AgentClient, verb: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        reply = real(self, verb, *args, **kwargs)
        if verb == "fire" and not lost:
            lost.append(self.member)
            lab.cluster.elect("etcd1")
            raise AgentError("the answer was lost")
        return reply

    monkeypatch.setattr(AgentClient, "request", lose_first)
    drive(director, 200)
    (record,) = director.close(heal=True)
    assert lost == ["etcd2"]
    assert (record.fired, record.member, record.leader_after) == (True, "etcd2", "etcd1")
    assert sum("kill" in call for call in lab.manager.calls()) == 0
    assert len(emitted.named("fault.signal_sent")) == 1


def test_an_agent_that_dies_at_the_fault_leaves_it_open_and_hits_no_other(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents, emitted = lab.add_agents(), Emitted()
    director = FaultDirector(plan("kill"), agents, KEY, emitted, "client1")
    director.arm()
    real = AgentClient.request

    def die(self: AgentClient, verb: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if verb == "fire":
            lab.agents["etcd2"].close()
        return real(self, verb, *args, **kwargs)

    monkeypatch.setattr(AgentClient, "request", die)
    drive(director, 100)
    wait_until(lambda: bool(emitted.named("fault.missed")))
    (record,) = director.close()
    assert not record.fired
    assert record.reason.startswith("it is unknown whether it struck: The fault agent of etcd2")
    assert all(lab.running(member) for member in MEMBERS)


def test_faults_that_were_not_reached_say_so(lab: Lab) -> None:
    agents, emitted = lab.add_agents(), Emitted()
    director = FaultDirector(plan(at=50), agents, KEY, emitted, "client1")
    director.arm()
    drive(director, 50)
    (record,) = director.close()
    assert (record.fired, record.reason) == (False, "the workload ended before this operation")
    director.on_index(60)
    assert [event.event for event in emitted] == ["fault.armed"]


def test_an_index_that_is_passed_over_still_fires(lab: Lab) -> None:
    # With several clients, indexes do not come in order and some thread may report only a later one.
    agents = lab.add_agents()
    director = FaultDirector(plan("kill", at=50), agents, KEY, Emitted(), "client1")
    director.arm()
    for index in (10, 60, 20, 61):
        director.on_index(index)
    wait_until(lambda: not lab.running("etcd2"))
    (record,) = director.close(heal=True)
    assert (record.index_asked, record.index_called) == (50, 60)
    assert record.index_hit in (60, 61)


def test_close_with_heal_leaves_nothing_broken(lab: Lab) -> None:
    agents, emitted = lab.add_agents(), Emitted()
    director = FaultDirector(plan("kill"), agents, KEY, emitted, "client1")
    director.arm()
    drive(director, 60)
    wait_until(lambda: not lab.running("etcd2"))
    (record,) = director.close(heal=True)
    assert lab.running("etcd2")
    assert record.healed_by == "request"
    healed = emitted.named("fault.heal_requested") + emitted.named("fault.healed")
    assert [event.source for event in healed] == ["etcd2", "etcd2"]
    assert record.healed_wall_ns == healed[1].wall_ns > healed[0].wall_ns


def test_a_heal_that_fails_is_told(lab: Lab) -> None:
    agents, emitted = lab.add_agents(), Emitted()
    director = FaultDirector(plan("kill"), agents, KEY, emitted, "client1")
    director.arm()
    drive(director, 60)
    wait_until(lambda: not lab.running("etcd2"))
    lab.manager.set("etcd2.service", "fail", "yes")
    director.close(heal=True)
    (failed,) = emitted.named("fault.heal_failed")
    assert failed.data["member"] == "etcd2"
    assert "could not be healed" in failed.data["reason"]


def test_keepalives_hold_a_fault_while_the_director_lives(lab: Lab) -> None:
    agents = lab.add_agents(hold_ttl_s=2)
    director = FaultDirector(plan("kill"), agents, KEY, Emitted(), "client1")
    director.arm()
    drive(director, 60)
    wait_until(lambda: not lab.running("etcd2"))
    time.sleep(5)
    assert not lab.running("etcd2")
    director.close()
    # Nobody sends keepalives any more: it stays held for a while, and is then healed by its host.
    wait_until(lambda: lab.running("etcd2"), 20)


def test_a_fault_is_healed_when_the_load_generator_is_killed(lab: Lab) -> None:
    agents = lab.add_agents(hold_ttl_s=1)
    program = f"""
import json, sys, time
from failover.director.director import FaultDirector
from failover.shapes import FaultSpec
agents = json.loads(sys.argv[1])
director = FaultDirector([FaultSpec("F1", "kill", "leader", 0, "end")], agents, {KEY!r}, lambda event: None, "client1")
director.arm()
director.on_index(0)
print("running", flush=True)
time.sleep(100)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "module_utils")}
    load_generator = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(agents)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert load_generator.stdout is not None
    assert load_generator.stdout.readline() == "running\n"
    wait_until(lambda: not lab.running("etcd2"))
    time.sleep(1.5)
    assert not lab.running("etcd2")
    load_generator.send_signal(signal.SIGKILL)
    load_generator.wait()
    load_generator.stdout.close()
    wait_until(lambda: lab.running("etcd2"), 20)


def test_without_faults_nobody_is_contacted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        director = FaultDirector([], {"etcd1": f"127.0.0.1:{listener.getsockname()[1]}"}, KEY, Emitted(), "client1")
        director.arm()
        director.on_index(0)
        assert director.close() == []
        with pytest.raises(TimeoutError):
            listener.accept()


# ---------------------------------------------------------------- arming


def test_an_agent_that_is_down_is_named_before_the_workload(lab: Lab) -> None:
    agents = lab.add_agents()
    lab.agents["etcd3"].close()
    director = FaultDirector(plan(), agents, KEY, Emitted(), "client1")
    with pytest.raises(
        LabError, match=r"The fault agent of etcd3 \(127\.0\.0\.1:\d+\) cannot be used: connection refused"
    ):
        director.arm()
    director.close()


def test_an_agent_of_another_member_is_named(lab: Lab) -> None:
    agents = lab.add_agents()
    agents["etcd1"], agents["etcd2"] = agents["etcd2"], agents["etcd1"]
    director = FaultDirector(plan(), agents, KEY, Emitted(), "client1")
    with pytest.raises(LabError, match="belongs to etcd2, not to etcd1"):
        director.arm()
    director.close()


def test_another_key_is_named(lab: Lab) -> None:
    director = FaultDirector(plan(), lab.add_agents(), b"another key of 32 characters....", Emitted(), "client1")
    with pytest.raises(LabError, match="it has another key than this client"):
        director.arm()
    director.close()


def test_a_fault_of_an_earlier_experiment_must_be_healed_first(lab: Lab) -> None:
    agents = lab.add_agents()
    first = FaultDirector(plan("kill"), agents, KEY, Emitted(), "client1")
    first.arm()
    drive(first, 60)
    wait_until(lambda: not lab.running("etcd2"))
    first.close()
    second = FaultDirector(plan(), agents, KEY, Emitted(), "client1")
    with pytest.raises(LabError, match="etcd2 still holds fault F1 of an earlier experiment"):
        second.arm()
    second.close()


def test_a_unit_that_would_come_back_by_itself_is_not_killed(lab: Lab) -> None:
    agents = lab.add_agents()
    lab.manager.set("etcd3.service", "policy", "on-abnormal")
    killing = FaultDirector(plan("kill"), agents, KEY, Emitted(), "client1")
    with pytest.raises(
        LabError, match=r"would restart a killed etcd3.service on etcd3 by itself \(Restart=on-abnormal\)"
    ):
        killing.arm()
    killing.close()
    stopping = FaultDirector(plan("stop"), agents, KEY, Emitted(), "client1")
    stopping.arm()
    stopping.close()


@pytest.mark.parametrize("heal", [{"heal": "index", "heal_index": 120}, {"heal": "delay", "heal_after_ms": 200.0}])
def test_a_heal_comes_in_the_middle_of_the_workload(lab: Lab, heal: dict[str, Any]) -> None:
    agents, emitted = lab.add_agents(), Emitted()
    director = FaultDirector([replace(plan("kill", "etcd3")[0], **heal)], agents, KEY, emitted, "client1")
    director.arm()
    drive(director, 130)
    wait_until(lambda: lab.running("etcd3") and bool(emitted.named("fault.healed")))
    drive(director, 150)
    (record,) = director.close()
    assert (record.fired, record.healed_by, record.heal_error) == (True, "request", None)
    assert record.signal_sent_wall_ns < record.process_gone_wall_ns < record.healed_wall_ns
    assert len(emitted.named("fault.healed")) == 1
    if heal["heal"] == "index":
        assert record.heal_index_called == 120
    else:
        requested = emitted.named("fault.heal_requested")[0].wall_ns
        assert requested - record.signal_sent_wall_ns >= 150e6


def test_a_heal_that_the_workload_does_not_reach_is_left_to_its_end(lab: Lab) -> None:
    agents = lab.add_agents()
    specs = [
        replace(plan("kill", "etcd1")[0], heal="index", heal_index=5000),
        replace(plan("kill", "etcd3")[0], id="F2", heal="delay", heal_after_ms=60_000.0),
    ]
    director = FaultDirector(specs, agents, KEY, Emitted(), "client1")
    director.arm()
    drive(director, 100)
    began = time.monotonic()
    records = director.close()
    assert time.monotonic() - began < 30
    assert [record.healed_by for record in records] == [None, None]
    assert not lab.running("etcd1")
    assert not lab.running("etcd3")


def test_a_frozen_leader_is_no_process_that_ends(lab: Lab) -> None:
    agents, emitted = lab.add_agents(), Emitted()
    director = FaultDirector(plan("pause"), agents, KEY, emitted, "client1")
    director.arm()
    drive(director, 100)
    pid = lab.manager.pid("etcd2.service")
    wait_until(lambda: process_state(pid) == "T")
    (record,) = director.close(heal=True)
    assert (record.signal, record.processes, record.process_gone_wall_ns) == ("SIGSTOP", 1, None)
    assert record.healed_by == "request"
    assert process_state(pid) != "T"
    assert lab.manager.pid("etcd2.service") == pid


def test_what_a_host_cannot_do_is_said_before_the_workload(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = lab.manager.bin / "nft"
    failing.write_text("#!/bin/sh\necho 'Error: Operation not permitted' >&2\nexit 1\n")
    failing.chmod(0o755)
    agents = lab.add_agents()
    director = FaultDirector(plan("partition"), agents, KEY, Emitted(), "client1")
    with pytest.raises(LabError, match=r"Fault F1 \(partition\): not on this machine, because nft says: Error: Op"):
        director.arm()
    director.close()


def slow(fault: str, *to: str, at: int = 50) -> FaultSpec:
    return FaultSpec(fault, "slow_network", "leader", at, "end", options={"rate_kbit": 256}, to=list(to))


# Where the members are for each other, which is not where their agents are asked.
LEAD = Lead(endpoints={member: f"10.0.0.{number}:2379" for number, member in enumerate(MEMBERS, 1)})


def test_a_leader_is_slow_to_those_of_its_peers_that_are_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(director_module, "AIM_TIMEOUT_S", 0.2)
    fake_tc(lab.manager.bin, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    # etcd2 leads: to itself no packet goes, and of the first fault nobody is left.
    specs = [slow("F1", "etcd2"), slow("F2", "etcd1", "etcd2", at=100)]
    emitted = Emitted()
    director = FaultDirector(specs, lab.add_agents(peers=["10.0.0.1"]), KEY, emitted, "client1", LEAD)
    director.arm()
    drive(director, 90)
    wait_until(lambda: bool(emitted.named("fault.missed")))
    drive(director, 150)
    wait_until(lambda: bool(emitted.named("fault.signal_sent")))
    first, second = director.close(heal=True)
    assert not first.fired
    assert first.reason == "it is slow from etcd2 to itself alone, where no packet goes"
    assert (second.fired, second.member, second.to) == (True, "etcd2", ["etcd1"])
    assert second.effect.endswith(", to 10.0.0.1")
    assert specs[1].to == ["etcd1", "etcd2"]


def test_what_a_host_cannot_do_is_said_of_the_fault_that_needs_it(lab: Lab) -> None:
    tc = fake_tc(lab.manager.bin, ["10.0.0.1", "10.0.0.3"])
    (tc / "fail").write_text("htb\nError: Specified qdisc kind is unknown.")
    specs = [slow("F1@1"), slow("F2@1", "etcd3"), slow("F1@2", at=150), slow("F2@2", "etcd3", at=150)]
    director = FaultDirector(specs, lab.add_agents(peers=["10.0.0.1"]), KEY, Emitted(), "client1", LEAD)
    with pytest.raises(LabError, match=r"^Fault F2@1 \(slow_network\): not on this machine, because .* no sch_htb"):
        director.arm()
    director.close()
    # Once for all repeats. etcd3 may never be slow to itself alone, and does not try it.
    tried = [call for call in calls(tc, "lo") if call.startswith("qdisc add dev lo root")]
    assert len(tried) == 3 + 2


def test_all_members_are_struck_at_once(lab: Lab) -> None:
    agents = lab.add_agents()
    specs = resolve_plan([{"action": "kill", "target": "all", "at": 50}], 1000, MEMBERS)
    director = FaultDirector(specs, agents, KEY, Emitted(), "client1")
    director.arm()
    drive(director, 150)
    records = director.close()
    assert [(record.fired, record.member) for record in records] == [(True, name) for name in MEMBERS]
    assert not any(lab.running(name) for name in MEMBERS)

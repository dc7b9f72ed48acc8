# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from failover.agent.wire import AgentClient
from failover.run import healing
from failover.run.healing import Healer, list_held
from failover.shapes import LabError, Target
from fault_doubles import KEY, Lab, lab_in, wait_until
from group_doubles import MEMBERS, FakeGroup


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with lab_in(tmp_path) as made:
        yield made


def strike(lab: Lab, member: str, fault: str = "F1", action: str = "kill") -> None:
    """Have one member's agent fire, and its etcd go away and come back with its unit, as a real one would."""
    client = AgentClient(member, lab.agents[member].address, KEY)
    assert client.request("fire", {"token": f"t-{fault}", "fault": fault, "action": action})["fired"]
    client.close()
    lab.cluster.members[member].stop()


def come_back(lab: Lab, member: str, after_s: float = 0.2) -> threading.Thread:
    """Let a member's etcd answer again a while after its unit runs."""

    def follow() -> None:
        wait_until(lambda: lab.running(member))
        time.sleep(after_s)
        lab.cluster.members[member].start()

    thread = threading.Thread(target=follow)
    thread.start()
    return thread


def healer(lab: Lab, **changes: Any) -> Healer:
    settings: dict[str, Any] = {"timeout_s": 15, "sample_interval_ms": 20, "source": "client1", **changes}
    members = {name: {"client_url": member.url} for name, member in lab.cluster.members.items()}
    return Healer(Target("etcd", members, agents=settings.pop("agents", lab.addresses)), KEY, **settings)


def test_a_fault_is_healed_and_every_phase_timed(lab: Lab) -> None:
    lab.add_agents()
    strike(lab, "etcd2")
    back = lab.cluster.members["etcd2"]
    back.revision = back.applied = 3
    for name in ("etcd1", "etcd3"):
        lab.cluster.members[name].revision = lab.cluster.members[name].applied = 9
    lab.cluster.elect("etcd1")
    returned = come_back(lab, "etcd2")

    def catch_up() -> None:
        returned.join()
        asked = len(back.asked)
        wait_until(lambda: len(back.asked) >= asked + 3, 30)
        vars(back).update(revision=9, applied=9)

    caught_up = threading.Thread(target=catch_up)
    caught_up.start()
    watch = healer(lab)
    result = watch.run(None)
    returned.join()
    caught_up.join()

    assert (result["converged"], result["reasons"], result["errors"]) == (True, [], {})
    assert result["revision"] == 9
    assert result["hashes"] == {"etcd1": 4711, "etcd2": 4711, "etcd3": 4711}
    (healed,) = result["healed"]
    assert (healed["fault"], healed["member"], healed["healed_by"]) == ("F1", "etcd2", "request")
    phases = healed["phases_ms"]
    assert phases["heal_received"] < phases["active"]
    order = ["heal_received", "first_answer", "caught_up", "converged"]
    assert [phases[name] for name in order] == sorted(phases[name] for name in order)
    assert phases["leader_known"] >= phases["first_answer"]
    assert phases["converged"] == result["duration_ms"] > phases["first_answer"]

    lags = [sample["members"]["etcd2"].get("revision") for sample in result["samples"] if "etcd2" in sample["members"]]
    assert [lag for position, lag in enumerate(lags) if position == 0 or lag != lags[position - 1]] == [None, 3, 9]
    assert result["samples"][-1]["members"]["etcd2"]["leader"] == "etcd1"
    names = [event.event for event in watch.events]
    assert names.count("cluster.sample") == len(result["samples"])
    assert names[-1] == "cluster.converged"
    assert [(e.source, e.data["fault"]) for e in watch.events if e.event.startswith("fault.")] == [("etcd2", "F1")] * 2
    assert [event.wall_ns for event in watch.events] == sorted(event.wall_ns for event in watch.events)


def test_equal_members_without_a_fault_are_found_so_at_once(lab: Lab) -> None:
    lab.add_agents()
    result = healer(lab).run(None)
    assert (result["converged"], result["healed"]) == (True, [])
    assert result["duration_ms"] < 5000


def test_what_came_back_by_itself_before_is_told_to_whom_it_concerns(lab: Lab) -> None:
    lab.add_agents()
    strike(lab, "etcd2", action="restart")
    come_back(lab, "etcd2").join()
    agent = AgentClient("etcd2", lab.agents["etcd2"].address, KEY)
    wait_until(lambda: not agent.request("status", {"details": True})["records"][0]["held"])
    agent.close()
    watch = healer(lab)
    result = watch.run(None, records_of=["t-F1", "t-of-another-run"])
    (record,) = result["earlier"]
    assert (record["fault"], record["healed_by"], result["healed"]) == ("F1", "restart", [])
    assert record["process_gone_wall_ns"] < record["healed_wall_ns"] < result["started_wall_ns"]
    told = [event for event in watch.events if event.event == "fault.healed"]
    assert [(event.wall_ns, event.data["by"]) for event in told] == [(record["healed_wall_ns"], "restart")]
    assert healer(lab).run(None)["earlier"] == []


def test_without_waiting_for_equality_it_ends_with_the_heal(lab: Lab) -> None:
    lab.add_agents()
    strike(lab, "etcd2")
    result = healer(lab, timeout_s=60).run(None, converge=False)
    assert [record["fault"] for record in result["healed"]] == ["F1"]
    assert lab.running("etcd2")
    # Its etcd never answers again: nobody waited for it.
    assert (result["converged"], result["duration_ms"], result["errors"]) == (None, None, {})


def test_only_the_faults_asked_for_are_healed(lab: Lab) -> None:
    lab.add_agents()
    strike(lab, "etcd2", "F1")
    strike(lab, "etcd3", "F2")
    returned = come_back(lab, "etcd3")
    result = healer(lab, timeout_s=8).run(["F2"])
    returned.join()
    assert [record["fault"] for record in result["healed"]] == ["F2"]
    assert not lab.running("etcd2")
    assert result["converged"] is False
    assert result["reasons"] == ["etcd2 does not answer: connection refused"]


def test_members_that_stay_different_are_a_result(lab: Lab) -> None:
    lab.add_agents()
    lab.cluster.members["etcd3"].hash = 7
    result = healer(lab, timeout_s=2).run(None)
    assert (result["converged"], result["duration_ms"]) == (False, None)
    assert result["reasons"] == ["the members' data differ at revision 1: etcd1 4711, etcd2 4711, etcd3 7"]
    lab.cluster.members["etcd3"].revision = 5
    result = healer(lab, timeout_s=2).run(None)
    assert result["reasons"] == ["the members are at different revisions: etcd1 1, etcd2 1, etcd3 5"]
    lab.cluster.elect(None)
    assert "no leader is known to etcd1" in healer(lab, timeout_s=2).run(None)["reasons"]


def test_members_that_do_not_change_any_more_are_not_waited_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.add_agents()
    strike(lab, "etcd2")
    lab.cluster.members["etcd3"].revision = 5
    # Longer than a busy machine takes to look at all of them.
    monkeypatch.setattr(healing, "STILL_S", 4.0)
    returned = come_back(lab, "etcd2")
    began = time.monotonic()
    result = healer(lab, timeout_s=60).run(None)
    returned.join()
    assert time.monotonic() - began < 30
    assert result["converged"] is False
    assert result["reasons"][0].startswith("the members are at different revisions: ")


def test_an_agent_that_cannot_be_asked_is_named_and_the_others_heal(lab: Lab) -> None:
    lab.add_agents()
    strike(lab, "etcd2")
    lab.agents["etcd3"].close()
    result = healer(lab, timeout_s=8).run(None)
    assert [record["member"] for record in result["healed"]] == ["etcd2"]
    assert lab.running("etcd2")
    assert list(result["errors"]) == ["etcd3"]
    assert "connection refused" in result["errors"]["etcd3"]


def test_an_agent_that_comes_back_in_time_heals(lab: Lab) -> None:
    lab.add_agents()
    strike(lab, "etcd2")
    lab.agents["etcd2"].close()
    restart = threading.Timer(0.5, lab.agents["etcd2"].start)
    restart.start()
    returned = come_back(lab, "etcd2")
    result = healer(lab, timeout_s=20).run(None)
    restart.join()
    returned.join()
    assert result["errors"] == {}
    assert result["converged"]


def test_a_member_that_does_not_start_is_named_with_its_log(lab: Lab) -> None:
    lab.add_agents()
    strike(lab, "etcd2")
    lab.manager.set("etcd2.service", "fail", "yes")
    lab.manager.set("etcd2.service", "log", "bind: address already in use")
    result = healer(lab, timeout_s=5).run(None)
    assert result["healed"] == []
    assert "Likely cause: another program listens on the port" in result["errors"]["etcd2"]
    assert not result["converged"]


def test_a_member_that_does_not_come_back_is_not_waited_for(lab: Lab) -> None:
    lab.add_agents()
    strike(lab, "etcd2")
    lab.manager.set("etcd2.service", "fail", "yes")
    result = healer(lab, timeout_s=60).run(None)
    assert result["not_back"] == ["etcd2"]
    # What is known of its fault is told all the same.
    assert [(record["fault"], record["held"]) for record in result["not_healed"]] == [("F1", True)]
    assert result["reasons"] == ["etcd2 did not come back"]
    assert result["converged"] is False


def test_the_others_are_waited_for_all_the_same(lab: Lab) -> None:
    lab.add_agents()
    strike(lab, "etcd2")
    lab.manager.set("etcd2.service", "fail", "yes")
    lab.cluster.members["etcd3"].revision = 5
    result = healer(lab, timeout_s=5).run(None)
    assert result["not_back"] == ["etcd2"]
    assert result["reasons"] == ["the members are at different revisions: etcd1 1, etcd3 5"]


def test_a_fault_that_cannot_be_undone_is_no_member_that_does_not_come_back(lab: Lab) -> None:
    lab.add_agents()
    strike(lab, "etcd2")
    lab.agents["etcd2"].close()
    result = healer(lab, timeout_s=2).run(None)
    assert list(result["errors"]) == ["etcd2"]
    assert result["not_back"] == []


def test_what_is_held_can_be_listed_without_healing(lab: Lab) -> None:
    lab.add_agents()
    strike(lab, "etcd2")
    lab.agents["etcd3"].close()
    found = list_held(lab.addresses, KEY, None)
    assert (found["changed"], found["held"]) == (True, [{"member": "etcd2", "fault": "F1", "action": "kill"}])
    assert list(found["errors"]) == ["etcd3"]
    assert not lab.running("etcd2")
    assert list_held(lab.addresses, KEY, ["F2"])["held"] == []


def test_a_mysql_server_is_back_when_it_greets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    greeted: list[int] = []

    def serve() -> None:
        time.sleep(0.4)
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.settimeout(2)
            try:
                while True:
                    connection, _ = listener.accept()
                    greeted.append(1)
                    connection.sendall(b"\x08\x00\x00\x00\x0a9.7.4\x00\x01")
                    connection.close()
            except TimeoutError:
                return

    server = threading.Thread(target=serve)
    server.start()
    target = Target("mysql", {"mysql1": {"address": f"127.0.0.1:{port}"}})
    watch = Healer(target, KEY, timeout_s=10, sample_interval_ms=20, source="c")
    result = watch.run(None)
    server.join()
    assert result["converged"]
    assert result["duration_ms"] > 300
    assert result["samples"][-1]["members"]["mysql1"] == {"reachable": True, "error": None, "version": "9.7.4"}
    # Each greeting that is not answered counts against this host: one is enough.
    assert len(greeted) == 1


def test_addresses_that_are_none_are_named() -> None:
    settings: dict[str, Any] = {"timeout_s": 1, "sample_interval_ms": 20, "source": "c"}
    with pytest.raises(LabError, match="'mysql1' is not the address of a member"):
        Healer(Target("mysql", {"mysql1": {"address": "mysql1"}}), KEY, **settings)
    with pytest.raises(LabError, match="'etcd1' is not an etcd client URL"):
        Healer(Target("etcd", {"etcd1": {"client_url": "etcd1"}}), KEY, **settings)


GROUP = Target(
    "mysql_cluster",
    {name: {"address": address} for name, address in MEMBERS.items()},
    user="lab",
    database="test_database",
    password="hidden-secret",
)


def group_healer(timeout_s: float) -> Healer:
    return Healer(GROUP, KEY, timeout_s=timeout_s, sample_interval_ms=5, source="client1")


def test_a_group_is_equal_when_its_members_are_online_and_their_tables_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = FakeGroup(monkeypatch)
    group.form()
    for server in group.servers.values():
        server.gtids = "g:1-9"
    behind = group.servers["group3"]
    behind.gtids, behind.state = "g:1-4", "RECOVERING"

    def catch_up() -> None:
        time.sleep(0.1)
        behind.gtids = "g:1-9"
        time.sleep(0.1)
        behind.state = "ONLINE"

    follower = threading.Thread(target=catch_up)
    follower.start()
    result = group_healer(15).run(None)
    follower.join()
    assert (result["converged"], result["revision"], result["hashes"]) == (True, 9, dict.fromkeys(MEMBERS, 7))
    seen = [sample["members"].get("group3", {}).get("revision") for sample in result["samples"]]
    assert 4 in seen
    assert seen[-1] == 9
    assert result["samples"][-1]["members"]["group2"]["leader"] == "group1"
    assert "hidden-secret" not in json.dumps(result)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"checksum": 8}, "the members' data differ at revision 9"),
        ({"state": "RECOVERING"}, "group3 is recovering"),
        ({"gtids": "g:1-8"}, "the members are at different revisions"),
        ({"up": False}, "group3 does not answer: connection refused"),
    ],
)
def test_a_group_that_does_not_become_equal_says_why(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], words: str
) -> None:
    group = FakeGroup(monkeypatch)
    group.form()
    for server in group.servers.values():
        server.gtids = "g:1-9"
    for name, value in change.items():
        setattr(group.servers["group3"], name, value)
    result = group_healer(0.3).run(None)
    assert not result["converged"]
    assert words in "; ".join(result["reasons"])

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from failover.agent.wire import AgentClient
from fault_doubles import KEY, Lab, lab_in

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with lab_in(tmp_path) as made:
        made.add_agents()
        yield made


def params(lab: Lab, **changes: Any) -> dict[str, Any]:
    target = {
        "system": "etcd",
        "members": {name: {"client_url": member.url} for name, member in lab.cluster.members.items()},
        "agents": lab.addresses,
    }
    return {
        "target": target | changes.pop("target", {}),
        "key_file": lab.agents["etcd1"].config["key_file"],
        "events_path": str(lab.folder / "heal.jsonl"),
        "source": "client1",
        "timeout_s": 15,
        **changes,
    }


def kill(lab: Lab, member: str) -> None:
    client = AgentClient(member, lab.agents[member].address, KEY)
    assert client.request("fire", {"token": "t", "fault": "F1", "action": "kill"})["fired"]
    client.close()


def test_faults_are_healed_once(run_module: Run, lab: Lab) -> None:
    kill(lab, "etcd2")
    result = run_module("fault_heal", params(lab))
    assert (result["rc"], result["changed"], result["converged"], result["errors"]) == (0, True, True, {})
    assert [(record["fault"], record["member"]) for record in result["healed"]] == [("F1", "etcd2")]
    assert result["duration_ms"] > 0
    assert lab.running("etcd2")
    events = [json.loads(line) for line in (lab.folder / "heal.jsonl").read_text().splitlines()]
    assert {event["event"] for event in events} == {
        "cluster.sample",
        "cluster.converged",
        "fault.heal_requested",
        "fault.healed",
    }
    assert {event["source"] for event in events} == {"client1", "etcd2"}
    again = run_module("fault_heal", params(lab))
    assert (again["rc"], again["changed"], again["converged"], again["healed"]) == (0, False, True, [])


def test_check_mode_heals_nothing(run_module: Run, lab: Lab) -> None:
    kill(lab, "etcd2")
    result = run_module("fault_heal", params(lab), check=True)
    assert (result["rc"], result["changed"]) == (0, True)
    assert result["held"] == [{"member": "etcd2", "fault": "F1", "action": "kill"}]
    assert (result["converged"], result["healed"]) == (None, [])
    assert not lab.running("etcd2")
    assert not (lab.folder / "heal.jsonl").exists()


def test_members_that_stay_different_do_not_fail_the_module(run_module: Run, lab: Lab) -> None:
    lab.cluster.members["etcd1"].hash = 5
    result = run_module("fault_heal", params(lab, timeout_s=2))
    assert (result["rc"], result["converged"], result["duration_ms"]) == (0, False, None)
    assert "the members' data differ at revision 1" in result["reasons"][0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key_file": "/nonexistent/agent.key"}, "The fault agents' key /nonexistent/agent.key cannot be read"),
        ({"target": {"members": {"etcd1": {"client_url": "etcd1"}}}}, "'etcd1' is not an etcd client URL"),
        ({"target": {"agents": {"etcd1": "10.0.0.1:x"}}}, "'10.0.0.1:x' is not an address of a fault agent"),
        (
            {"target": {"system": "mysql_cluster"}},
            "system is mysql_cluster, and user, password",
        ),
        (
            {"events_path": "/nonexistent/heal.jsonl", "timeout_s": 0.1},
            "/nonexistent/heal.jsonl cannot be written: No such file or directory",
        ),
    ],
)
def test_what_is_wrong_is_one_line(run_module: Run, lab: Lab, changes: dict[str, Any], message: str) -> None:
    result = run_module("fault_heal", params(lab, **changes))
    assert result["rc"] == 1
    assert result["msg"].startswith(message)
    assert "\n" not in result["msg"]


def test_the_events_source_is_of_no_use_without_events(run_module: Run, tmp_path: Path) -> None:
    target = {"system": "etcd", "members": {}}
    result = run_module("fault_heal", {"target": target, "key_file": str(tmp_path / "key"), "source": "client1"})
    assert result["msg"] == "missing parameter(s) required by 'source': events_path"

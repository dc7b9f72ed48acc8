# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The heal of a replication group ends with a whole one, by the agents' own doing, and says what that took."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from failover.agent import agent as agent_module
from failover.agent.agent import Agent
from failover.agent.config import AgentConfig
from failover.agent.server import Server
from failover.run import healing
from failover.run.healing import Healer
from failover.shapes import Target
from failover.systems.mysql_cluster import deciding
from fault_doubles import KEY, FakeManager
from group_doubles import MEMBERS, FakeGroup

UNIT = "mysql.service"


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> FakeGroup:
    """Make a whole group, of which the agent's host is group3."""
    made = FakeGroup(monkeypatch, home="group3")
    made.form()
    for server in made.servers.values():
        server.gtids = "g:1-9"
    monkeypatch.setattr(deciding, "REJOIN_PATIENCE_S", 0.3)
    monkeypatch.setattr(healing, "WHOLE_AGAIN_S", 0.3)
    return made


@pytest.fixture
def agent(tmp_path: Path, group: FakeGroup, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """Run group3's agent in this process."""
    manager = FakeManager(tmp_path)
    manager.add(UNIT)
    monkeypatch.setenv("PATH", manager.path)
    described = {"members": MEMBERS, "user": "lab_group", "password": "hidden-secret", "socket": "/s"}
    (tmp_path / "group.json").write_text(json.dumps(described))
    (tmp_path / "state").mkdir()
    config = AgentConfig(
        member="group3",
        unit=UNIT,
        system="mysql_cluster",
        address="",
        listen="127.0.0.1",
        port=0,
        key_file="",
        state_dir=str(tmp_path / "state"),
        hold_ttl_s=60,
        use_dbus=False,
        member_file=str(tmp_path / "group.json"),
    )
    made = Agent(config)
    yield made
    made.close()
    manager.close()


def expel(group: FakeGroup) -> None:
    """Have group3 pause between its own attempts to come back."""
    group.servers["group3"].state, group.servers["group3"].rejoins = "ERROR", 1


def test_the_heal_of_a_fault_makes_its_member_rejoin_and_its_record_says_so(agent: Agent, group: FakeGroup) -> None:
    fired = agent.handle({"verb": "fire", "token": "t", "fault": "F1", "action": "pause"})
    assert fired["fired"]
    expel(group)
    (record,) = agent.handle({"verb": "heal"})["records"]
    assert (record["held"], record["error"]) == (False, None)
    assert [step["act"] for step in record["group_steps"]] == ["leave", "join"]
    assert record["group_steps"][0]["why"] == "MySQL pauses between its own attempts to rejoin"
    assert group.servers["group3"].state == "ONLINE"


def test_a_member_that_holds_no_fault_is_brought_back_too(agent: Agent, group: FakeGroup) -> None:
    expel(group)
    assert agent.handle({"verb": "heal"})["records"] == []
    assert group.servers["group3"].state == "ERROR"
    reply = agent.handle({"verb": "heal", "whole_within_s": 20})
    assert ([step["act"] for step in reply["steps"]], reply["lacks"]) == (["leave", "join"], None)
    assert group.servers["group3"].state == "ONLINE"


def test_what_keeps_such_a_member_out_is_told_and_no_failure_of_the_heal(agent: Agent, group: FakeGroup) -> None:
    expel(group)
    group.servers["group3"].refuses = ["no"] * 100
    reply = agent.handle({"verb": "heal", "whole_within_s": 1.0})
    assert (reply["ok"], reply["records"]) == (True, [])
    assert "group3 is not in its group after 1 s" in reply["lacks"]


def test_a_server_that_does_not_run_is_not_waited_for(agent: Agent, group: FakeGroup) -> None:
    agent._service.stop_soon()
    while agent._service.state().active == "active":
        continue
    group.servers["group3"].up = False
    assert agent.handle({"verb": "heal", "whole_within_s": 60})["steps"] == []


def test_a_member_tells_its_role_and_whom_it_sees(agent: Agent) -> None:
    status = agent.handle({"verb": "status"})
    assert (status["role"], status["member_id"]) == ("follower", "uuid-group3")
    assert status["sees"] == {f"uuid-{name}": "ONLINE" for name in MEMBERS}


@pytest.fixture
def address(agent: Agent) -> Iterator[str]:
    """Serve the agent on loopback."""
    with Server(("127.0.0.1", 0), agent, KEY, None) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def healer(address: str) -> Healer:
    target = Target(
        "mysql_cluster",
        {name: {"address": where} for name, where in MEMBERS.items()},
        agents={"group3": address},
        user="lab",
        database="test_database",
        password="hidden-secret",
    )
    return Healer(target, KEY, timeout_s=30, sample_interval_ms=20, source="client1")


def test_the_heal_ends_with_a_whole_group_and_tells_what_it_did(address: str, group: FakeGroup) -> None:
    expel(group)
    watch = healer(address)
    result = watch.run(None)
    assert (result["converged"], result["reasons"], result["errors"]) == (True, [], {})
    assert [(step["member"], step["act"]) for step in result["rejoined"]] == [("group3", "leave"), ("group3", "join")]
    told = [event for event in watch.events if event.event == "group.step"]
    assert [(event.source, event.data["act"], event.data["fault"]) for event in told] == [
        ("group3", "leave", None),
        ("group3", "join", None),
    ]


def test_a_member_that_is_expelled_after_the_heal_is_brought_back_as_well(
    address: str, group: FakeGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thawed in time to be asked, too late to stay: the group expels it when the heal has ended."""
    watch = healer(address)
    ask = watch._heal

    def ask_and_expel(*arguments: Any) -> Any:
        answer = ask(*arguments)
        if not expelled:
            expelled.append(True)
            expel(group)
        return answer

    expelled: list[bool] = []
    monkeypatch.setattr(watch, "_heal", ask_and_expel)
    result = watch.run(None)
    assert result["converged"]
    assert [step["act"] for step in result["rejoined"]] == ["leave", "join"]


def test_a_heal_that_failed_is_tried_again_while_there_is_time(
    agent: Agent, address: str, group: FakeGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert agent.handle({"verb": "fire", "token": "t", "fault": "F1", "action": "pause"})["fired"]
    expel(group)
    group.servers["group3"].refuses = ["no"] * 4
    monkeypatch.setattr(agent_module, "JOIN_TIMEOUT_S", 0.8)
    monkeypatch.setattr(agent_module, "RETRY_S", 60.0)  # the dead man's switch is not what is tried here
    result = healer(address).run(None)
    assert (result["converged"], result["errors"]) == (True, {})
    ((fault, steps),) = [(record["fault"], record["group_steps"]) for record in result["healed"]]
    assert (fault, steps[0]["act"], steps[-1]["act"]) == ("F1", "leave", "join")


def test_without_waiting_nobody_is_made_to_rejoin(address: str, group: FakeGroup) -> None:
    expel(group)
    result = healer(address).run(None, converge=False)
    assert (result["converged"], result["rejoined"]) == (None, [])
    assert group.servers["group3"].state == "ERROR"

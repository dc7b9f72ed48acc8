# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keeper between the lab and an agent, over real connections; the machine is one in name."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from failover.actions.record import FaultRecord
from failover.agent.server import Server
from failover.agent.wire import AgentClient, AgentError
from failover.clock import CLOCK
from failover.host.power import VIA
from failover.machines.keeper import Keeper
from failover.machines.machine import Machine

KEY = b"a key of the lab, 32 characters.."


class FakeAgent:
    """An agent in a machine: it fires what it is asked for, and goes with its machine."""

    def __init__(self, via: str = VIA) -> None:
        self.via = via
        self.asked: list[dict[str, Any]] = []
        self.held: dict[str, FaultRecord] = {}
        self.ahead_ns = 5_000_000_000  # its clock

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer like an agent."""
        verb = request["verb"]
        if verb == "ping":
            return {"ok": True, "wall_ns": CLOCK.now_ns() + self.ahead_ns}
        self.asked.append(request)
        if verb == "fire":
            record = FaultRecord("F1", request["token"], "power_loss", member="etcd1", held=True, via=self.via)
            record.signal_sent_wall_ns = CLOCK.now_ns() + self.ahead_ns
            self.held[record.token] = record
            return {"ok": True, "fired": True, "record": record.as_answer()}
        if verb == "resume":
            self.ahead_ns += request["by_ns"]
            self.held = {record["token"]: FaultRecord.from_dict(record) for record in request["records"]}
            return {"ok": True}
        if verb == "heal":
            healed, self.held = list(self.held.values()), {}
            return {"ok": True, "records": [record.as_answer() for record in healed], "earlier": []}
        return {"ok": True, "said": verb}


class FakeMachine(Machine):
    """A machine whose qemu is the server of its agent."""

    def __init__(self, agent: FakeAgent) -> None:
        self.agent = agent
        self.server = Server(("127.0.0.1", 0), agent, KEY)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.name = "etcd1"
        self.boots = 0
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def start(self) -> None:
        """Boot: what the agent held is gone, and the clock goes by whole seconds."""
        self.boots += 1
        self.agent.held, self.agent.ahead_ns = {}, -400_000_000
        self.server = Server(self.server.server_address, self.agent, KEY)  # type: ignore[arg-type]
        self._serve()

    def cut(self) -> tuple[int, int] | None:
        """End the server; connections that are open stay so, as nobody says goodbye."""
        if self.server.socket.fileno() < 0:
            return None
        sent = time.monotonic_ns()
        self.server.shutdown()
        self.server.server_close()
        return sent, time.monotonic_ns()

    def last_words(self) -> str:
        """Say what the console did."""
        return "Kernel panic"


@dataclass
class Made:
    """A keeper with its machine."""

    keeper: Keeper
    machine: FakeMachine
    agent: FakeAgent
    server: Server
    clients: list[AgentClient] = field(default_factory=list)

    def client(self) -> AgentClient:
        self.clients.append(AgentClient("etcd1", f"127.0.0.1:{self.server.server_address[1]}", KEY))
        return self.clients[-1]


@pytest.fixture
def made() -> Iterator[Made]:
    agent = FakeAgent()
    machine = FakeMachine(agent)
    keeper = Keeper("etcd1", machine, machine.address, KEY, hold_ttl_s=60)
    server = Server(("127.0.0.1", 0), keeper, KEY)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    had = Made(keeper, machine, agent, server)
    yield had
    for client in had.clients:
        client.close()
    server.shutdown()
    server.server_close()
    machine.cut()


def fire(client: AgentClient) -> dict[str, Any]:
    return client.request("fire", {"token": "t1", "fault": "F1", "action": "power_loss"})


def test_what_is_asked_of_the_agent_goes_through_both_ways(made: Made) -> None:
    client = made.client()
    assert client.request("keepalive", {"tokens": []}) == {
        "ok": True,
        "said": "keepalive",
        "reply_to": 1,
        "session": client._session,
    }
    assert made.agent.asked[-1]["tokens"] == []


def test_the_clock_that_is_measured_is_the_agents(made: Made) -> None:
    offset, _ = made.client().measure_clock()
    assert abs(offset.offset_ns - 5_000_000_000) <= offset.uncertainty_ns


def test_another_fault_leaves_the_power_alone(made: Made) -> None:
    made.agent.via = "pidfd"
    assert fire(made.client())["fired"]
    assert made.machine.server.socket.fileno() >= 0


def test_power_is_cut_and_the_record_completed_by_the_agents_clock(made: Made) -> None:
    before = CLOCK.now_ns()
    record = fire(made.client())["record"]
    assert made.machine.server.socket.fileno() < 0
    # Measured to within half of a round trip, which is less than that.
    assert abs(record["signal_sent_wall_ns"] - 5_000_000_000 - before) < 2_000_000_000
    assert record["process_gone_wall_ns"] >= record["signal_sent_wall_ns"]


def test_meanwhile_the_keeper_speaks_for_the_machine(made: Made) -> None:
    client = made.client()
    record = fire(client)["record"]
    told = client.request("status", {"details": True})
    assert (told["role"], told["error"], told["holding"]) == ("unknown", "no power", ["t1"])
    assert told["records"] == [record]
    assert client.request("keepalive", {"tokens": ["t1", "t2"]})["held"] == ["t1"]
    # Asked again, as the answer may have been lost, it does not fire again.
    assert fire(client)["record"] == record
    other = client.request("fire", {"token": "t2", "fault": "F2", "action": "kill"})
    assert other["reason"] == "fault F1 is still held here"
    assert client.request("ping")["error"] == "the machine of etcd1 has no power"
    # The heal of another fault is not this one's.
    assert client.request("heal", {"tokens": ["t9"]})["records"] == []
    assert made.machine.boots == 0


def test_a_heal_boots_it_and_has_its_agent_do_the_rest(made: Made) -> None:
    client = made.client()
    fired = fire(client)["record"]
    (healed,) = client.request("heal", {"tokens": ["t1"]})["records"]
    assert made.machine.boots == 1
    assert healed["process_gone_wall_ns"] == fired["process_gone_wall_ns"]
    assert healed["heal_requested_wall_ns"] >= fired["process_gone_wall_ns"]
    # Its clock goes as it did, to within what two measurements are wrong by.
    assert abs(made.agent.ahead_ns - 5_000_000_000) < 1_000_000_000
    assert client.request("status")["said"] == "status"


def test_a_machine_that_nobody_holds_comes_back_by_itself(made: Made) -> None:
    made.keeper.watch()
    fire(made.client())
    made.keeper.watch()
    assert made.machine.boots == 0
    off = made.keeper._off
    assert off is not None
    off.deadline = time.monotonic()
    made.keeper.watch()
    assert made.machine.boots == 1
    assert list(made.agent.held) == ["t1"]


def test_one_that_does_not_boot_says_what_its_console_did(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("failover.machines.keeper.BOOT_TIMEOUT_S", 0.1)
    client = made.client()
    fire(client)
    monkeypatch.setattr(made.machine, "start", lambda: None)
    said = client.request("heal", {})
    assert not said["ok"]
    assert "etcd1 does not come back within 0.1 s" in said["error"]
    assert said["error"].endswith("Its console ends with: Kernel panic")


def test_an_agent_that_is_gone_looks_gone_from_here_too(made: Made) -> None:
    made.machine.cut()
    with pytest.raises(AgentError, match="cannot be used"):
        made.client().request("status")

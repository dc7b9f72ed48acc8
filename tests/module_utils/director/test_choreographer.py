# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from failover.actions.record import FaultRecord
from failover.actions.steps import read_steps
from failover.director import follows
from failover.director.choreographer import Lead
from failover.director.director import FaultDirector
from failover.host.service import process_state
from failover.shapes import Event, FaultSpec, Kind
from failover.systems.loop import Answer, FailoverLoop, FailoverPolicy
from failover.systems.steering import Steering
from fault_doubles import KEY, Lab, lab_in, wait_until

# Leader of the double's cluster, and who becomes it.
OLD, NEW, LOSER = "etcd2", "etcd3", "etcd1"
ENDPOINTS = {"etcd1": "10.0.0.1:1", "etcd2": "10.0.0.2:1", "etcd3": "10.0.0.3:1"}
LEADER = {"do": "await", "moment": "leader"}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with lab_in(tmp_path) as made:
        nft = made.manager.bin / "nft"
        nft.write_text('#!/bin/sh\necho --- >>"$0.scripts"\ncat >>"$0.scripts"\n')
        nft.chmod(0o755)
        yield made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follows, "ELECTION_TIMEOUT_S", 1.0)


class Played:
    """A choreography that is played on the double's cluster, with clients that write and read all the time."""

    def __init__(self, lab: Lab, steps: list[dict[str, Any]]) -> None:
        self.lab, self.events = lab, []
        self.sent: list[tuple[str, str]] = []  # kind, endpoint
        self.steering = Steering()
        spec = FaultSpec("F1", "choreography", "leader", 5, "steps", steps=read_steps("F", steps))
        agents = lab.add_agents(peers=["10.0.0.1", "10.0.0.3"])
        emit = self.events.append
        self.director = FaultDirector([spec], agents, KEY, emit, "client1", Lead(self.steering, ENDPOINTS))
        self.over = threading.Event()
        self.clients = [threading.Thread(target=self.work, args=(number,)) for number in range(2)]

    events: list[Event]

    def work(self, number: int) -> None:
        """Write and read in turns, at the leader first."""
        endpoints = [ENDPOINTS[OLD], ENDPOINTS[NEW], ENDPOINTS[LOSER]]
        loop = FailoverLoop(endpoints, FailoverPolicy(), lambda *_: None, number, steering=self.steering)
        while not self.over.is_set():
            for kind in (Kind.WRITE, Kind.RETRIEVE):
                loop.run(kind, lambda endpoint, *_, kind=kind: self.answer(kind, endpoint))
            time.sleep(0.005)

    def answer(self, kind: Kind, endpoint: str) -> Answer:
        self.sent.append((kind.value, endpoint))
        return Answer()

    def run(self, during: threading.Thread | None = None) -> FaultRecord:
        """Play it to its end and return its record."""
        self.director.arm()
        for client in self.clients:
            client.start()
        if during is not None:
            during.start()
        for index in range(10):
            self.director.on_index(index)
        try:
            wait_until(lambda: any(event.event in ("fault.healed", "fault.missed") for event in self.events), 20)
        finally:
            self.over.set()
            for client in self.clients:
                client.join()
        (record,) = self.director.close()
        return record

    def steps(self) -> list[tuple[int, str, str]]:
        """Return number, deed and source of each step that was told."""
        return [(e.data["step"], e.data["do"], e.source) for e in self.events if e.event == "fault.step"]


def elect_at_pause(lab: Lab) -> threading.Thread:
    """Elect another leader while the old one is paused."""

    def elect() -> None:
        pid = lab.manager.pid(f"{OLD}.service")
        wait_until(lambda: process_state(pid) == "T")
        lab.cluster.elect(NEW)

    return threading.Thread(target=elect)


def test_steps_follow_each_other_and_all_is_healed(lab: Lab) -> None:
    steps = [
        {"do": "clients"},
        {"do": "cut", "direction": "in", "how": "reject", "what": "data"},
        {"do": "pause"},
        LEADER,
        {"do": "await", "moment": "writes", "count": 3},
        {"do": "resume"},
        {"do": "read", "times": 2},
        {"do": "mend", "direction": "in", "from": "losers"},
        {"do": "wait", "ms": 5},
    ]
    played = Played(lab, steps)
    record = played.run(elect_at_pause(lab))
    assert (record.fired, record.healed_by, record.steps_ended) == (True, "request", None)
    assert record.leader_after == NEW
    here = {"clients", "await", "read"}
    assert played.steps() == [
        (number, step["do"], "client1" if step["do"] in here else OLD) for number, step in enumerate(steps, 1)
    ]
    assert [done["do"] for done in record.steps_done] == [step["do"] for step in steps]
    stamps = [done["wall_ns"] for done in record.steps_done]
    assert stamps == sorted(stamps)
    # Once the clients were sent away, the old leader had the two reads that were asked for, and nothing else.
    away = next(number for number, (_, endpoint) in enumerate(played.sent) if endpoint != ENDPOINTS[OLD])
    at_old = [kind for kind, endpoint in played.sent[away + 2 :] if endpoint == ENDPOINTS[OLD]]
    assert at_old == ["RETRIEVE", "RETRIEVE"]
    assert {endpoint for _, endpoint in played.sent[away + 2 :]} == set(ENDPOINTS.values())
    assert not played.steering.active
    scripts = (lab.manager.bin / "nft.scripts").read_text().split("---\n")
    cut, mended, healed = [script for script in scripts if "saddr" in script or "delete" in script][-3:]
    assert cut.count("reject with icmp type host-unreachable") == 2
    # The loser is let through where it is, wherever its agent is asked; the winner is not.
    assert (mended.count("reject"), "10.0.0.1" in mended, "10.0.0.3" in mended) == (1, False, True)
    assert healed.endswith("delete table inet failover_lab\n")
    assert process_state(lab.manager.pid(f"{OLD}.service")) != "T"


def test_what_does_not_come_ends_the_steps_and_is_said(lab: Lab) -> None:
    played = Played(lab, [{"do": "pause"}, {**LEADER, "within_ms": 50}, {"do": "resume"}])
    record = played.run()
    assert [done["do"] for done in record.steps_done] == ["pause"]
    assert record.steps_ended == "step 2 (await) was not come to: it did not happen within 50 ms"
    assert [event.data["reason"] for event in played.events if event.event == "fault.steps_ended"] == [
        record.steps_ended
    ]
    assert record.healed_by == "request"
    assert process_state(lab.manager.pid(f"{OLD}.service")) != "T"


def test_a_step_that_fails_at_the_target_ends_them(lab: Lab) -> None:
    nft = lab.manager.bin / "nft"
    nft.write_text('#!/bin/sh\ngrep -q "saddr" - && { echo "Error: no" >&2; exit 1; }\nexit 0\n')
    played = Played(lab, [{"do": "pause"}, {"do": "cut", "direction": "in"}, {"do": "resume"}])
    record = played.run()
    assert [done["do"] for done in record.steps_done] == ["pause"]
    assert record.steps_ended == "step 2 (cut) was not come to: nft says: Error: no"
    assert record.healed_by == "request"


def test_a_workload_that_ends_ends_the_steps(lab: Lab) -> None:
    played = Played(lab, [{"do": "pause"}, {**LEADER, "within_ms": 60_000}])
    played.director.arm()
    for index in range(10):
        played.director.on_index(index)
    wait_until(lambda: bool(played.steps()))
    (record,) = played.director.close(heal=True)
    assert record.steps_ended == "step 2 (await) was not come to: the workload ended before"
    assert record.healed_by == "request"


def test_a_system_that_cannot_be_forced_ends_the_steps(lab: Lab) -> None:
    played = Played(lab, [{"do": "pause"}, {"do": "resume"}, {"do": "force"}, {"do": "wait", "ms": 1}])
    record = played.run()
    assert [done["do"] for done in record.steps_done] == ["pause", "resume"]
    assert record.steps_ended == (
        f"step 3 (force) was not come to: {OLD} cannot be forced: its system goes on with a majority only"
    )
    assert record.healed_by == "request"

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from dataclasses import fields

import pytest
from failover.actions.record import FaultRecord, Stage, group_events
from failover.shapes import Event, FaultSpec

SPEC = FaultSpec("F1.2@3", "partition", "follower 2", 120, "end", isolate="peers", direction="in", repeat=3)
DONE = FaultRecord(
    "F1.2@3",
    "t1",
    "partition",
    member="etcd2",
    role="follower",
    held=True,
    via="nft",
    pid=7,
    signal_sent_wall_ns=1_000_000,
)


def test_a_fault_that_nobody_asked_for_yet_has_its_plan_and_a_reason() -> None:
    record = FaultRecord.asked_for(SPEC, "t1")
    assert (record.fault, record.token, record.action, record.target) == ("F1.2@3", "t1", "partition", "follower 2")
    assert (record.isolate, record.direction, record.index_asked) == ("peers", "in", 120)
    assert (record.fired, record.reason) == (False, "the workload ended before this operation")


def test_every_field_is_written_by_somebody() -> None:
    written = FaultRecord("F1").as_dict().keys() | FaultRecord("F1").as_answer().keys()
    assert written == {field.name for field in fields(FaultRecord)}


def test_what_the_agent_keeps_for_itself_is_not_in_the_folder() -> None:
    kept = DONE.as_answer().keys() - DONE.as_dict().keys()
    stamps = {"heal_requested_wall_ns", "process_started_wall_ns"}
    of_state = {"held", "leader_id", "term", "volume", "error", "boot_id", "clock_before_ns", "drive"}
    assert kept == stamps | of_state | {"addresses"}


def test_a_record_of_another_version_is_read() -> None:
    older = {"fault": "F1", "fired": True, "member": "etcd1"}
    newer = DONE.as_answer() | {"asked_of_the_moon": 5}
    assert FaultRecord.from_dict(older) == FaultRecord("F1", fired=True, member="etcd1")
    assert FaultRecord.from_dict(newer) == DONE


def test_a_fault_of_a_folder_has_a_record_or_none() -> None:
    fault = {"id": "F2", "action": "kill"}
    assert FaultRecord.of(fault) is None
    assert FaultRecord.of(fault | {"record": None}) is None
    assert FaultRecord.of(fault | {"record": {"fired": True}}) == FaultRecord("F2", action="kill", fired=True)


def test_each_stage_takes_over_what_is_known_then() -> None:
    record = FaultRecord.asked_for(SPEC, "t1")
    record.take_over(DONE, Stage.FIRED)
    assert (record.member, record.via, record.role, record.held) == ("etcd2", "nft", "follower", False)
    healed = FaultRecord.from_dict(
        DONE.as_answer() | {"healed_wall_ns": 9, "healed_by": "request", "process_gone_wall_ns": 5_000_000}
    )
    record.take_over(healed, Stage.HEALED)
    assert (record.healed_wall_ns, record.healed_by, record.process_gone_wall_ns) == (9, "request", None)


def test_to_whom_it_was_in_the_end_is_what_the_agent_has() -> None:
    planned = FaultSpec("F1", "slow_network", "leader", 5, "end", to=["etcd1", "etcd2"])
    record = FaultRecord.asked_for(planned, "t1")
    assert (record.to, record.steps) == (["etcd1", "etcd2"], [])
    record.take_over(FaultRecord("F1", to=["etcd1"], addresses={"etcd1": "10.0.0.1"}), Stage.FIRED)
    assert record.as_dict()["to"] == ["etcd1"]
    assert planned.to == ["etcd1", "etcd2"]


def test_the_end_of_a_process_is_told_once() -> None:
    record = FaultRecord("F1.2@3", pid=7)
    assert record.note_end(DONE) == []
    gone = FaultRecord.from_dict(DONE.as_answer() | {"process_gone_wall_ns": 5_000_000})
    data = {"fault": "F1.2@3", "member": "etcd2", "pid": 7, "gone_ms": 4.0}
    assert record.note_end(gone) == [Event(5_000_000, "etcd2", "fault.process_gone", data)]
    assert (record.process_gone_wall_ns, record.gone_ms) == (5_000_000, 4.0)
    assert record.note_end(gone) == []


@pytest.mark.parametrize(
    ("stamps", "names"),
    [
        ({}, []),
        ({"heal_requested_wall_ns": 3}, []),
        ({"healed_wall_ns": 4}, ["fault.healed"]),
        ({"heal_requested_wall_ns": 3, "healed_wall_ns": 4}, ["fault.heal_requested", "fault.healed"]),
    ],
)
def test_a_heal_is_told_once_it_is_over(stamps: dict[str, int], names: list[str]) -> None:
    record = FaultRecord("F1", action="kill", member="etcd2", healed_by="request", **stamps)
    told = record.heal_events(action="kill")
    assert [event.event for event in told] == names
    assert all(event.source == "etcd2" for event in told)
    assert all(event.data == {"fault": "F1", "member": "etcd2", "action": "kill", "by": "request"} for event in told)


def test_a_step_into_the_group_is_told_by_its_member() -> None:
    (event,) = group_events("group2", [{"act": "join", "why": "it was offline", "wall_ns": 5}], None)
    data = {"member": "group2", "fault": None, "act": "join", "why": "it was offline"}
    assert event == Event(5, "group2", "group.step", data)


def test_what_a_disk_had_is_an_event_once_somebody_looked() -> None:
    disk = {"told": {"revision": 9}, "told_wall_ns": 5, "had": None, "had_wall_ns": None, "missing": None}
    disk |= {"missing_of": "entries of its log", "which": None, "unknown": None}
    record = FaultRecord("F1", member="etcd2", disk=disk, healed_wall_ns=9, healed_by="request")
    assert [event.event for event in record.heal_events()] == ["fault.healed"]
    record.take_findings(FaultRecord("F1", disk=disk | {"had": {"revision": 7}, "had_wall_ns": 8, "missing": 2}))
    read, healed = record.heal_events()
    assert (read.wall_ns, read.source, read.event, healed.event) == (8, "etcd2", "fault.disk_read", "fault.healed")
    assert (read.data["told"], read.data["had"], read.data["missing"]) == ({"revision": 9}, {"revision": 7}, 2)
    # A heal that says nothing of it does not take it back.
    record.take_findings(FaultRecord("F1"))
    assert record.disk is not None
    assert record.disk["missing"] == 2

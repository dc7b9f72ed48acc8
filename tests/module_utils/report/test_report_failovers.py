# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from failover.report.analysis import MARK_EVENTS, MS, S
from failover.report.failovers import DESCRIPTIONS, MOST_OPERATIONS_DRAWN, describe_faults
from failover.shapes import Event
from test_report_analysis import columns

ORIGIN = 5000 * S
MEMBERS: dict[str, dict[str, str]] = {"etcd1": {}, "etcd2": {}, "etcd3": {}}
FAULT = {"id": "F1", "action": "kill", "target": "leader", "at_index": 50, "heal": "end", "record": None}


def event(at_ms: float, name: str, source: str = "etcd2", **data: Any) -> Event:
    return Event(int(ORIGIN + at_ms * MS), source, name, data)


def outage_events() -> list[Event]:
    """A leader killed at 500 ms; the next one elected at 1,800 ms."""
    return [
        event(499, "fault.requested", "client1", fault="F1"),
        event(499.5, "fault.role_checked", fault="F1", role="leader", member="etcd2", member_id="6be4", term=4),
        event(500, "fault.signal_sent", fault="F1", member="etcd2", signal="SIGKILL"),
        event(501, "fault.process_gone", fault="F1", member="etcd2"),
        event(1700, "server.election_started", "etcd3", term=5, cause="election timeout"),
        event(1800, "server.leader_elected", "etcd3", leader="etcd3", leader_id="c3d1", term=5),
        event(505, "client.failover_started", "client1"),
        event(506, "client.failover_completed", "client1"),
        event(4000, "fault.heal_requested", fault="F1"),
        event(4300, "fault.healed", fault="F1"),
    ]


def outage_rows() -> list[dict[str, Any]]:
    """One operation every 10 ms, none completed between 500 and 1,820 ms, the first read after it at 1,850 ms."""
    before = [{"invoke": t, "complete": t + 8} for t in range(0, 490, 10)]
    during = [{"invoke": 495, "complete": 1820, "attempts": 3}]
    after = [{"invoke": t, "complete": t + 8} for t in range(1822, 1842, 10)]
    reads = [{"invoke": t, "complete": t + 8, "kind": "RETRIEVE"} for t in range(1842, 3500, 10)]
    return [*before, *during, *after, *reads]


def told(
    events: list[Event] | None, rows: list[dict[str, Any]] | None = None, record: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Describe the outage with these events, operations and record of the fault."""
    definition = {"members": MEMBERS, "origin_wall_ns": ORIGIN, "faults": [{**FAULT, "record": record}]}
    events = events if events is None else sorted(events, key=lambda item: item.wall_ns)
    faults, zoomed = describe_faults(definition, columns(outage_rows() if rows is None else rows), events)
    return faults[0], zoomed[0]


@pytest.fixture
def outage() -> tuple[dict[str, Any], dict[str, Any]]:
    return told(outage_events())


def test_the_gap_is_the_time_without_a_completion_around_the_fault(outage: tuple[dict[str, Any], Any]) -> None:
    fault, _ = outage
    assert fault["fired"]
    assert fault["gap"]["duration_ms"] == 1820 - 488
    assert fault["gap"]["since_fault_start_ms"] == -12
    assert fault["gap"]["since_fault_end_ms"] == 1320


def test_moments_come_in_order_with_letters_and_times_since_the_signal(outage: tuple[dict[str, Any], Any]) -> None:
    fault, _ = outage
    assert [(mark["letter"], mark["name"], mark["since_fault_ms"]) for mark in fault["marks"]] == [
        ("a", "last_ok", -12),
        ("b", "requested", -1),
        ("c", "role_checked", -0.5),
        ("d", "signal_sent", 0),
        ("e", "process_gone", 1),
        ("f", "failover_started", 5),
        ("g", "failover_completed", 6),
        ("h", "election_started", 1200),
        ("i", "leader_elected", 1300),
        ("j", "first_ok_write", 1320),
        ("k", "first_ok_read", 1350),
    ]


def test_the_phases_of_an_outage_sum_to_it(outage: tuple[dict[str, Any], Any]) -> None:
    fault = outage[0]
    phases = {phase["ends"]: phase for phase in fault["phases"]}
    assert sum(phase["duration_ms"] for phase in fault["phases"]) == pytest.approx(fault["gap"]["duration_ms"])
    assert sum(phase["share"] for phase in fault["phases"]) == pytest.approx(1)
    assert phases["process gone"]["duration_ms"] == 1
    assert phases["election started"]["duration_ms"] == 1194
    assert phases["leader elected"]["duration_ms"] == 100
    assert (phases["leader elected"]["label"], phases["leader elected"]["explained"]) == ("the election", True)


def test_what_no_moment_explains_is_unexplained(outage: tuple[dict[str, Any], Any]) -> None:
    *told_of, last = outage[0]["phases"]
    assert all(phase["explained"] for phase in told_of)
    assert (last["explained"], last["ends"], last["duration_ms"]) == (False, "first ok operation", 20)
    assert last["label"].startswith("unexplained")
    bare = [item for item in outage_events() if item.event == "fault.signal_sent"]
    fault, _ = told(bare)
    assert [phase["explained"] for phase in fault["phases"]] == [True, False]


def test_the_clients_own_word_explains_the_end_of_an_outage() -> None:
    events = [item for item in outage_events() if item.event != "client.failover_completed"]
    fault, _ = told([*events, event(1815, "client.failover_completed", "client1")])
    assert [(phase["ends"], phase["explained"]) for phase in fault["phases"][-2:]] == [
        ("client failover completed", True),
        ("first ok operation", True),
    ]


def test_moments_outside_of_the_gap_divide_nothing() -> None:
    """The process lives on, closing down, for long after another member serves; an election may come late, too."""
    events = [item for item in outage_events() if item.event not in ("fault.process_gone", "server.leader_elected")]
    late = event(3000, "fault.process_gone", fault="F1", member="etcd2")
    fault, _ = told([*events, late, event(3400, "server.leader_elected", "etcd3", leader="etcd3", term=5)])
    assert not {"process gone", "leader elected"} & {phase["ends"] for phase in fault["phases"]}
    assert min(phase["duration_ms"] for phase in fault["phases"]) >= 0


def test_the_cause_of_the_election_in_the_gap_is_told(outage: tuple[dict[str, Any], Any]) -> None:
    assert outage[0]["election_cause"] == "election timeout"


def test_an_election_outside_the_gap_is_not_its_cause() -> None:
    events = [item for item in outage_events() if item.event != "server.election_started"]
    fault, _ = told([*events, event(3000, "server.election_started", "etcd3", term=6, cause="election timeout")])
    assert fault["election_cause"] is None


def test_the_slowest_operation_of_the_gap_is_told(outage: tuple[dict[str, Any], Any]) -> None:
    assert outage[0]["slowest"] == {"index": 49, "latency_ms": 1325, "attempts": 3, "outcome": "ok"}


def test_a_member_that_was_passed_over_is_a_moment_with_its_reason() -> None:
    reason = "it still follows etcd2:2379, where nothing listens"
    passed_over = event(510, "client.member_passed_over", "client1", endpoint="etcd1:2379", reason=reason)
    fault, _ = told([*outage_events(), passed_over])
    mark = next(mark for mark in fault["marks"] if mark["name"] == "member_passed_over")
    assert (mark["since_fault_ms"], mark["label"]) == (10, "client passes over a member")
    assert mark["detail"] == f"endpoint etcd1:2379, reason {reason}"


def test_only_events_that_become_marks_are_described() -> None:
    assert set(DESCRIPTIONS) <= {event_name for _, event_name, _ in MARK_EVENTS}


def test_what_was_not_recorded_is_said(outage: tuple[dict[str, Any], Any]) -> None:
    assert outage[0]["absent"] == ["leader lost", "first failed attempt of a client"]


def test_the_proof_names_leader_and_term_before_and_after(outage: tuple[dict[str, Any], Any]) -> None:
    proof = {row["name"]: (row["before"], row["after"]) for row in outage[0]["proof"]}
    assert proof == {
        "observed by": ("etcd2", "etcd3"),
        "leader": ("etcd2", "etcd3"),
        "id": ("6be4", "c3d1"),
        "term": (4, 5),
        "role of etcd2": ("leader", None),
    }


def test_throughput_before_and_after_is_told(outage: tuple[dict[str, Any], Any]) -> None:
    recovery = outage[0]["recovery"]
    assert recovery["before_ops_per_s"] == pytest.approx(100, rel=0.03)
    assert recovery["after_ops_per_s"] == pytest.approx(100, rel=0.03)
    assert recovery["median_before_ops_per_s"] == 100
    assert recovery["back_ms"] == pytest.approx(1320, abs=40)


def test_every_operation_of_the_window_is_handed_to_the_figure(outage: tuple[dict[str, Any], Any]) -> None:
    fault, operations = outage
    low, high = fault["window_ms"]
    inside = [row for row in outage_rows() if row["complete"] >= 500 + low and row["invoke"] <= 500 + high]
    assert fault["drawn"] == fault["in_window"] == len(inside) == len(operations["row"])
    assert operations["row"] == list(range(len(inside)))
    assert (-5, 1320) in list(zip(operations["invoke_ms"], operations["complete_ms"], strict=True))


def test_a_crowded_window_is_thinned_and_keeps_what_something_happened_to() -> None:
    rows = [{"invoke": 480 + t / 1000, "complete": 481 + t / 1000} for t in range(19_000)]
    stuck = {"invoke": 499, "complete": 560, "attempts": 2, "kind": "DELETE"}
    definition = {"members": MEMBERS, "origin_wall_ns": ORIGIN, "faults": [FAULT]}
    told, zoomed = describe_faults(definition, columns([*rows, stuck]), outage_events())
    assert told[0]["in_window"] > MOST_OPERATIONS_DRAWN
    assert told[0]["drawn"] == len(zoomed[0]["row"]) <= MOST_OPERATIONS_DRAWN
    assert 2 in zoomed[0]["attempts"]


def test_a_fault_that_did_not_strike_has_no_outage() -> None:
    events = [
        event(499, "fault.requested", "client1", fault="F1"),
        event(2500, "fault.missed", "client1", fault="F1", reason="no member was the leader"),
    ]
    told, zoomed = describe_faults(
        {"members": MEMBERS, "origin_wall_ns": ORIGIN, "faults": [FAULT]}, columns(outage_rows()), events
    )
    assert not told[0]["fired"]
    assert told[0]["gap"] is None
    assert told[0]["missed"] == [{"fault": "F1", "reason": "no member was the leader"}]
    assert zoomed == [{}]


def test_events_of_the_next_fault_are_not_the_first_ones() -> None:
    second = {**FAULT, "id": "F2", "at_index": 200}
    events = [
        *outage_events(),
        event(2500, "fault.signal_sent", "etcd3", fault="F2"),
        event(2600, "client.attempt_failed"),
    ]
    events.sort(key=lambda item: item.wall_ns)
    told, _ = describe_faults(
        {"members": MEMBERS, "origin_wall_ns": ORIGIN, "faults": [FAULT, second]}, columns(outage_rows()), events
    )
    assert [mark["name"] for mark in told[0]["marks"]].count("first_attempt_failed") == 0
    assert [mark["name"] for mark in told[1]["marks"]].count("first_attempt_failed") == 1


def test_only_moments_that_can_be_are_missed() -> None:
    def absent(action: str, members: int) -> list[str]:
        definition = {
            "origin_wall_ns": ORIGIN,
            "faults": [FAULT | {"action": action}],
            "members": {f"etcd{number}": {} for number in range(members)},
        }
        struck = [event for event in outage_events() if event.event == "fault.signal_sent"]
        told, _ = describe_faults(definition, columns(outage_rows()), struck)
        return list(told[0]["absent"])

    assert {"process gone", "leader elected"} <= set(absent("stop", 3))
    assert "process gone" not in absent("pause", 3)
    assert "leader elected" not in absent("kill", 1)
    assert "process gone" in absent("kill", 1)


def endless_rows() -> list[dict[str, Any]]:
    """The same outage, but no operation is ok after it."""
    rows = outage_rows()
    return [row if row["complete"] <= 500 else {**row, "outcome": "unknown", "attempts": 3} for row in rows]


def endless_events() -> list[Event]:
    gone_on = ("server.election_started", "server.leader_elected", "client.failover_completed")
    return [item for item in outage_events() if item.event not in gone_on]


def test_a_gap_that_did_not_end_has_neither_an_end_nor_a_time_after_it() -> None:
    fault, _ = told(endless_events(), endless_rows())
    assert not fault["gap"]["ended"]
    assert not fault["write_gap"]["ended"]
    assert fault["gap"]["duration_ms"] == outage_rows()[-1]["complete"] - 488
    assert fault["phases"][-1]["label"] == "the service did not come back"
    assert not fault["phases"][-1]["explained"]
    assert fault["recovery"]["before_ops_per_s"] == pytest.approx(100, rel=0.03)
    assert fault["recovery"]["after_ops_per_s"] is None
    assert fault["recovery"]["back_ms"] is None


def test_a_gap_that_ended_says_so(outage: tuple[dict[str, Any], Any]) -> None:
    assert outage[0]["gap"]["ended"]
    assert outage[0]["write_gap"]["ended"]


def test_of_a_history_without_operations_only_the_moments_of_the_fault_are_told() -> None:
    fault, operations = told(outage_events(), [])
    assert fault["fired"]
    assert (fault["at_s"], fault["healed_s"]) == (0.5, 4.3)
    assert fault["gap"] is None
    assert operations == {}


RECORD = {
    "fired": True,
    "member": "etcd2",
    "signal": "SIGKILL",
    "signal_sent_wall_ns": ORIGIN + 507 * MS,
    "clock_offset_ns": 7 * MS,
    "clock_uncertainty_ns": MS,
}


def test_without_events_the_record_says_when_the_fault_struck() -> None:
    fault, operations = told(None, record=RECORD)
    assert fault["fired"]
    assert fault["at_s"] == 0.5  # the clock of etcd2 was 7 ms ahead
    assert fault["gap"]["duration_ms"] == 1820 - 488
    assert [mark["name"] for mark in fault["marks"]] == ["last_ok", "signal_sent", "first_ok_write", "first_ok_read"]
    assert fault["client_failovers"] is None  # not "none of them"
    assert operations["row"]


@pytest.mark.parametrize("record", [None, {**RECORD, "fired": False}])
def test_without_events_a_fault_that_no_record_calls_fired_did_not_strike(record: dict[str, Any] | None) -> None:
    assert not told(None, record=record)[0]["fired"]

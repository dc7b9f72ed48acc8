# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from failover.report.analysis import MS, S
from failover.report.failovers import MOST_OPERATIONS_DRAWN, describe_faults
from failover.shapes import Event
from test_report_analysis import columns

ORIGIN = 5000 * S
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
        event(1700, "server.election_started", "etcd3", term=5),
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


@pytest.fixture
def outage() -> tuple[dict[str, Any], dict[str, Any]]:
    definition = {"origin_wall_ns": ORIGIN, "faults": [FAULT]}
    told, zoomed = describe_faults(definition, columns(outage_rows()), outage_events())
    return told[0], zoomed[0]


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


def test_phases_are_differences_of_moments(outage: tuple[dict[str, Any], Any]) -> None:
    phases = {(phase["from"], phase["to"]): phase["duration_ms"] for phase in outage[0]["phases"]}
    assert phases["signal_sent", "process_gone"] == 1
    assert phases["election_started", "leader_elected"] == 100
    assert phases["leader_elected", "first_ok_write"] == 20
    assert phases["last_ok", "first_ok"] == 1332


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
    definition = {"origin_wall_ns": ORIGIN, "faults": [FAULT]}
    told, zoomed = describe_faults(definition, columns([*rows, stuck]), outage_events())
    assert told[0]["in_window"] > MOST_OPERATIONS_DRAWN
    assert told[0]["drawn"] == len(zoomed[0]["row"]) <= MOST_OPERATIONS_DRAWN
    assert 2 in zoomed[0]["attempts"]


def test_a_fault_that_did_not_strike_has_no_outage() -> None:
    events = [
        event(499, "fault.requested", "client1", fault="F1"),
        event(2500, "fault.missed", "client1", fault="F1", reason="no member was the leader"),
    ]
    told, zoomed = describe_faults({"origin_wall_ns": ORIGIN, "faults": [FAULT]}, columns(outage_rows()), events)
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
    told, _ = describe_faults({"origin_wall_ns": ORIGIN, "faults": [FAULT, second]}, columns(outage_rows()), events)
    assert [mark["name"] for mark in told[0]["marks"]].count("first_attempt_failed") == 0
    assert [mark["name"] for mark in told[1]["marks"]].count("first_attempt_failed") == 1

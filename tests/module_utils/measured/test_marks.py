# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

from failover.measured.clocks import measured_clocks, on_one_clock
from failover.measured.columns import MS, S
from failover.measured.marks import ATTRIBUTION_LIMIT_NS, Mark, attribution, fault_marks, fault_moment_ns
from failover.shapes import Event


def event(at_ms: float, name: str, source: str = "etcd1", **data: Any) -> Event:
    return Event(int(1000 * S + at_ms * MS), source, name, data)


def test_marks_are_placed_since_the_origin_and_the_first_of_a_kind_counts() -> None:
    events = [
        event(1, "server.leader_elected", leader="etcd9", term=3),  # before the fault: another election
        event(10, "fault.requested", fault="F1"),
        event(12, "fault.signal_sent", fault="F1"),
        event(20, "server.leader_elected", source="etcd2", leader="etcd2", term=4),
        event(21, "server.leader_elected", source="etcd3", leader="etcd2", term=4),
        event(30, "fault.process_gone", fault="F2"),  # of another fault
        event(90, "client.failover_completed"),  # after the next fault began
    ]
    marks = fault_marks(events, "F1", 1000 * S, 1000 * S + 80 * MS)
    assert [(mark.name, mark.at_ns / MS, mark.source) for mark in marks] == [
        ("requested", 10, "etcd1"),
        ("signal_sent", 12, "etcd1"),
        ("leader_elected", 20, "etcd2"),
    ]


def test_a_fault_without_a_signal_has_no_marks() -> None:
    events = [event(10, "fault.requested", fault="F1"), event(11, "fault.missed", fault="F1")]
    assert fault_moment_ns(events, "F1") is None
    assert fault_marks(events, "F1", 1000 * S, 2000 * S) == []


def test_moments_of_the_own_member_do_not_come_from_another() -> None:
    events = [
        event(12, "fault.signal_sent", fault="F1"),
        event(15, "server.started", source="etcd3"),
        event(40, "server.started", source="etcd2"),
    ]
    marks = fault_marks(events, "F1", 1000 * S, 1000 * S + 80 * MS, "etcd2")
    assert [(mark.name, mark.source) for mark in marks] == [("signal_sent", "etcd1"), ("server_started", "etcd2")]


def test_a_gap_is_blamed_until_the_last_effect_of_the_fault() -> None:
    marks = [
        Mark("process_gone", "", 2000 * MS, "etcd1"),  # still closing when all was well again
        Mark("leader_elected", "", 1300 * MS, "etcd2"),
        Mark("first_ok_read", "", 9000 * MS, "history"),  # waits for the stream, not for the fault
    ]
    assert attribution(10 * MS, marks, 10_000 * MS) == (10 * MS, 1300 * MS)
    assert attribution(10 * MS, marks[:1], 10_000 * MS) == (10 * MS, 2000 * MS)
    assert attribution(10 * MS, [], 10**15) == (10 * MS, 10 * MS + ATTRIBUTION_LIMIT_NS)


def test_clocks_are_corrected_only_beyond_the_error_of_their_measurement() -> None:
    agents = {
        "etcd1": {"clock_offset_ns": 3 * MS, "clock_uncertainty_ns": MS},
        "etcd2": {"clock_offset_ns": MS // 2, "clock_uncertainty_ns": MS},
    }
    events = [
        event(0, "fault.armed", source="client1", agents=agents),
        event(10, "x", source="etcd1"),
        event(8, "y", source="etcd2"),
    ]
    clocks = measured_clocks(events)
    moved = on_one_clock(events, clocks)
    assert [(item.event, (item.wall_ns - 1000 * S) / MS) for item in moved] == [("fault.armed", 0), ("x", 7), ("y", 8)]

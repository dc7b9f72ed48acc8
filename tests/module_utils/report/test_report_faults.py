# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from failover.measured.clocks import Clock
from failover.measured.columns import MS, S
from failover.report.outage.faults import _letters, describe_faults
from failover.report.outage.zoom import MOST_OPERATIONS_DRAWN
from failover.shapes import Event
from made_columns import columns

ORIGIN = 5000 * S
FAULT = {"id": "F1", "action": "kill", "target": "leader", "at_index": 50, "heal": "end", "repeat": 1, "record": None}
MEMBERS: dict[str, dict[str, str]] = {f"etcd{number}": {} for number in (1, 2, 3)}
REPEAT = {"repeat": 1, "first_index": 0, "end_index": 100_000, "convergence": None}
DEFINITION = {"origin_wall_ns": ORIGIN, "members": MEMBERS, "faults": [FAULT], "repeats": [REPEAT]}


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
    events: list[Event] | None,
    rows: list[dict[str, Any]] | None = None,
    record: dict[str, Any] | None = None,
    clocks: Sequence[Clock] = (),
    convergence: dict[str, Any] | None = None,
    **changed: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Describe the outage with these events, operations and record of the fault."""
    fault = {**FAULT, "record": record, **{name: changed.pop(name) for name in FAULT if name in changed}}
    definition = {**DEFINITION, "faults": [fault], "repeats": [{**REPEAT, "convergence": convergence}], **changed}
    events = events if events is None else sorted(events, key=lambda item: item.wall_ns)
    faults, zoomed = describe_faults(definition, columns(outage_rows() if rows is None else rows), events, clocks)
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
        ("k", "throughput_back", 1320),
        ("l", "latency_back", 1320),
        ("m", "first_ok_read", 1350),
        ("n", "heal_requested", 3500),
        ("o", "healed", 3800),
    ]


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


def test_what_was_not_recorded_is_said(outage: tuple[dict[str, Any], Any]) -> None:
    assert outage[0]["absent"] == [
        "loss of the leader noticed",
        "first error seen by a client",
        "process started again",
        "member back (answers)",
        "member knows the leader",
        "member caught up",
        "all members proven equal",
    ]


def test_only_what_the_system_can_have_is_missed() -> None:
    """A single server elects nobody, nor does the loss of a follower; a pause ends no process."""
    single, _ = told(endless_events(), members={"mysql1": {}})
    follower, _ = told(endless_events(), record={"role": "follower"})
    pause, _ = told([item for item in outage_events() if item.event != "fault.process_gone"], action="pause")
    elections = {"loss of the leader noticed", "election started", "leader elected"}
    assert not elections & {*single["absent"], *follower["absent"]}
    assert not {"member caught up", "all members proven equal"} & set(single["absent"])
    assert not {"process gone", "process started again"} & set(pause["absent"])


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
    told, zoomed = describe_faults(DEFINITION, columns([*rows, stuck]), outage_events())
    assert told[0]["in_window"] > MOST_OPERATIONS_DRAWN
    assert told[0]["drawn"] == len(zoomed[0]["row"]) <= MOST_OPERATIONS_DRAWN
    assert 2 in zoomed[0]["attempts"]


def test_a_fault_that_did_not_strike_has_no_outage() -> None:
    events = [
        event(499, "fault.requested", "client1", fault="F1"),
        event(2500, "fault.missed", "client1", fault="F1", reason="no member was the leader"),
    ]
    told, zoomed = describe_faults(DEFINITION, columns(outage_rows()), events)
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
    told, _ = describe_faults({**DEFINITION, "faults": [FAULT, second]}, columns(outage_rows()), events)
    assert [mark["name"] for mark in told[0]["marks"]].count("first_attempt_failed") == 0
    assert [mark["name"] for mark in told[1]["marks"]].count("first_attempt_failed") == 1


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
    assert fault["anatomy"]["phases"][-1]["part"] == "unexplained"
    assert not fault["anatomy"]["ended"]
    assert fault["recovery"]["before_ops_per_s"] == pytest.approx(100, rel=0.03)
    assert fault["recovery"]["after_ops_per_s"] is None
    assert fault["recovery"]["back_ms"] is None


def test_a_gap_that_ended_says_so(outage: tuple[dict[str, Any], Any]) -> None:
    assert outage[0]["gap"]["ended"]
    assert outage[0]["write_gap"]["ended"]


def test_of_a_history_without_operations_only_the_moments_of_the_fault_are_told() -> None:
    fault, operations = told(outage_events(), [])
    assert fault["fired"]
    assert fault["at_s"] == 0.5
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
    assert [mark["name"] for mark in fault["marks"]] == [
        "last_ok",
        "signal_sent",
        "first_ok_write",
        "throughput_back",
        "latency_back",
        "first_ok_read",
    ]
    assert fault["client_failovers"] is None  # not "none of them"
    assert operations["row"]


@pytest.mark.parametrize("record", [None, {**RECORD, "fired": False}])
def test_without_events_a_fault_that_no_record_calls_fired_did_not_strike(record: dict[str, Any] | None) -> None:
    assert not told(None, record=record)[0]["fired"]


CONVERGENCE: dict[str, Any] = {
    "started_wall_ns": ORIGIN + 3990 * MS,
    "healed": [
        {"fault": "F2", "member": "etcd1", "healed_by": "request", "phases_ms": {"first_answer": 1.0}},
        {
            "fault": "F1",
            "member": "etcd2",
            "healed_by": "request",
            "phases_ms": {"process_started": 20.0, "caught_up": 250.0, "first_answer": None},
        },
    ],
}


def test_the_return_of_the_member_is_placed_since_the_fault() -> None:
    fault, _ = told(outage_events(), convergence=CONVERGENCE)
    found = {mark["name"]: mark for mark in fault["marks"]}
    assert (found["process_started"]["since_fault_ms"], found["process_started"]["source"]) == (3510, "etcd2")
    assert (found["caught_up"]["since_fault_ms"], found["caught_up"]["since_outage_ms"]) == (3740, 2420)
    assert found["caught_up"]["detail"] == "250.0 ms after the heal was requested"
    assert "member back (answers)" in fault["absent"]  # not that of another fault's member


def test_a_member_that_was_healed_before_the_watch_began_has_only_its_own_stamp() -> None:
    """The first sample would say when it was looked at, not when it was back."""
    healed = {**CONVERGENCE["healed"][1], "healed_by": "dead man's switch"}
    found = {
        mark["name"] for mark in told(outage_events(), convergence={**CONVERGENCE, "healed": [healed]})[0]["marks"]
    }
    assert "process_started" in found
    assert "caught_up" not in found


def test_a_process_that_runs_since_before_the_fault_was_not_started_again() -> None:
    healed = {**CONVERGENCE["healed"][1], "signal_sent_wall_ns": ORIGIN + 4500 * MS}
    found = {
        mark["name"] for mark in told(outage_events(), convergence={**CONVERGENCE, "healed": [healed]})[0]["marks"]
    }
    assert "process_started" not in found


def test_how_a_member_of_a_group_fetched_what_it_missed_is_told_although_the_workload_was_over() -> None:
    events = [
        *outage_events(),
        event(3000, "server.member_online", "etcd3"),
        event(5000, "server.recovery", "etcd2", method="clone"),
        event(5100, "server.member_online", "etcd2"),
    ]
    found = {mark["name"]: mark for mark in told(events)[0]["marks"]}
    assert (found["recovery"]["since_fault_ms"], found["recovery"]["detail"]) == (4500, "method clone")
    assert found["member_online"]["since_fault_ms"] == 4600  # not that of another member


def test_moments_stand_before_within_and_after_the_outage(outage: tuple[dict[str, Any], Any]) -> None:
    place = {mark["name"]: mark["place"] for mark in outage[0]["marks"]}
    assert {place[name] for name in ("last_ok", "requested", "role_checked")} == {"before"}
    assert {place[name] for name in ("signal_sent", "leader_elected", "first_ok_write")} == {"within"}
    # What is back with the first operation after the outage is no part of it.
    assert {place[name] for name in ("throughput_back", "first_ok_read", "healed")} == {"after"}


def test_moments_have_the_clock_of_their_host() -> None:
    fault, _ = told(outage_events(), clocks=[Clock("etcd2", 5000, 170_000), Clock("etcd3", 0, 110_000)])
    clock = {mark["name"]: mark["clock"] for mark in fault["marks"]}
    assert clock["signal_sent"] == {"host": "etcd2", "offset_ms": 0.005, "uncertainty_ms": 0.17, "corrected": False}
    assert clock["failover_started"] is None  # the client's own
    error = {phase["name"]: phase["uncertainty_ms"] for phase in fault["anatomy"]["phases"]}
    assert error["signal_sent"] == 0.17  # from the client's clock to etcd2's
    assert error["process_gone"] == 0  # both stamped by etcd2
    assert error["leader_elected"] == 0


def test_more_moments_than_letters_get_two_of_them() -> None:
    letters = _letters()
    assert [next(letters) for _ in range(28)][24:] == ["y", "z", "aa", "ab"]


def test_what_happened_to_operations_meanwhile_is_counted() -> None:
    rows = [{**row, "outcome": "unknown"} if row["invoke"] == 495 else row for row in outage_rows()]
    found = told(outage_events(), rows)[0]["meanwhile"]
    assert (found["fail"], found["unknown"], found["worst_ms"], found["worst_index"]) == (0, 1, 1325, 49)


def test_an_outage_that_its_heal_ends_has_the_heal_in_it() -> None:
    """A leader that is frozen for a second: no other is elected, and the operation in flight waits for the thaw."""
    events = [
        event(497, "fault.signal_sent", fault="F1", member="etcd2"),
        event(1500, "fault.heal_requested", fault="F1"),
        event(1501, "fault.healed", fault="F1"),
    ]
    rows = [row if row["invoke"] != 495 else {"invoke": 495, "complete": 1508} for row in outage_rows()]
    rows = [row for row in rows if row["invoke"] <= 495 or row["invoke"] > 1508]
    fault, _ = told(events, rows, action="pause")
    assert [(phase["name"], phase["duration_ms"], phase["part"]) for phase in fault["anatomy"]["phases"]] == [
        ("signal_sent", 9, "before"),
        ("heal_requested", 1003, "heal"),
        ("healed", 1, "heal"),
        ("first_ok", 7, "clients"),
    ]


# ---------------------------------------------------------------- repeats


def repeated_outage() -> tuple[dict[str, Any], list[dict[str, Any]], list[Event]]:
    """The same outage twice, with a minute between the two repeats."""
    shift = 60_000
    rows = outage_rows()
    again = [{**row, "invoke": row["invoke"] + shift, "complete": row["complete"] + shift} for row in rows]
    slow = next(row for row in again if row["invoke"] == 495 + shift)
    slow["complete"] += 1  # one ms longer
    spans = [
        {**REPEAT, "end_index": len(rows)},
        {**REPEAT, "repeat": 2, "first_index": len(rows), "end_index": 2 * len(rows)},
    ]
    faults = [{**FAULT, "id": f"F1@{number}", "repeat": number} for number in (1, 2)]
    events = [
        Event(
            item.wall_ns + move * MS,
            item.source,
            item.event,
            {**item.data, **({"fault": name} if "fault" in item.data else {})},
        )
        for move, name in ((0, "F1@1"), (shift, "F1@2"))
        for item in outage_events()
    ]
    definition = {**DEFINITION, "faults": faults, "repeats": spans}
    return definition, [*rows, *again], sorted(events, key=lambda item: item.wall_ns)


def test_a_fault_has_to_do_with_the_operations_of_its_own_repeat_alone() -> None:
    definition, rows, events = repeated_outage()
    faults, zoomed = describe_faults(definition, columns(rows), events)
    assert [(fault["id"], fault["base"], fault["repeat"]) for fault in faults] == [
        ("F1@1", "F1", 1),
        ("F1@2", "F1", 2),
    ]
    assert [fault["gap"]["duration_ms"] for fault in faults] == [1332, 1333]
    first, second = faults
    assert [mark["since_fault_ms"] for mark in first["marks"]][:5] == [
        mark["since_fault_ms"] for mark in second["marks"]
    ][:5]
    assert first["recovery"]["before_ops_per_s"] == second["recovery"]["before_ops_per_s"]
    assert (first["at_s"], second["at_s"]) == (0.5, 4.0)  # the minute between them is cut out
    assert all(len(operations["row"]) for operations in zoomed)


def test_an_outage_ends_with_its_repeat_not_with_the_next_one() -> None:
    """Nobody tries anything between the two, and what is served after it is served by healed members."""
    definition, rows, events = repeated_outage()
    stuck = [row if row["complete"] <= 500 or row["invoke"] > 60_000 else {**row, "outcome": "unknown"} for row in rows]
    gone_on = [item for item in events if item.event not in ("server.leader_elected", "client.failover_completed")]
    gap = describe_faults(definition, columns(stuck), gone_on)[0][0]["gap"]
    assert (gap["ended"], gap["duration_ms"]) == (False, 3500 - 488)


def test_the_heal_of_another_repeat_is_not_that_of_this_one() -> None:
    definition, rows, events = repeated_outage()
    healed = {**CONVERGENCE["healed"][1], "fault": "F1@2"}
    definition["repeats"][1]["convergence"] = {
        "started_wall_ns": ORIGIN + 63_990 * MS,
        "healed": [healed],
    }
    first, second = describe_faults(definition, columns(rows), events)[0]
    assert "caught_up" not in {mark["name"] for mark in first["marks"]}
    assert next(mark for mark in second["marks"] if mark["name"] == "caught_up")["since_fault_ms"] == 3740


@pytest.mark.parametrize(
    ("fault", "past", "headline"),
    [
        ({}, "given a slow network", "slow network leader (leader) at operation 50"),
        (
            {"to": ["etcd1", "etcd2"]},
            "given a slow network to etcd1 and etcd2",
            "slow network leader (leader) to etcd1 and etcd2 at operation 50",
        ),
        # What it was in the end: without the member that it struck.
        (
            {"to": ["etcd1", "etcd2"], "record": {"fired": True, "member": "etcd2", "to": ["etcd1"]}},
            "given a slow network to etcd1",
            "slow network etcd2 (leader) to etcd1 at operation 50",
        ),
    ],
)
def test_to_whom_a_network_was_slow_is_told(fault: dict[str, Any], past: str, headline: str) -> None:
    definition = {**DEFINITION, "faults": [{**FAULT, "action": "slow_network", **fault}]}
    (content,), _ = describe_faults(definition, columns(outage_rows()), [])
    assert (content["past"], content["headline"]) == (past, headline)

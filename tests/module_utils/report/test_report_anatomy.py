# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An outage divided into phases: they sum to it exactly, and none is explained that nothing explains."""

from __future__ import annotations

import random
from typing import Any

import pytest
from failover.measured.clocks import Clock
from failover.measured.columns import MS
from failover.measured.gaps import Gap
from failover.measured.marks import Mark, with_attempt, without_echoes
from failover.moments import MOMENTS
from failover.report.outage import anatomy
from made_columns import columns

GAP = Gap(-2 * MS, 1000 * MS)
USUAL = anatomy.Usual(longest_pause_ns=5 * MS, latency_ns=4 * MS)
LAST = Mark("first_ok_write", "first ok write", 1000 * MS, "history", "", {"index": 7, "invoke_ns": -1 * MS})


def mark(name: str, at_ms: float, source: str = "etcd2", **data: Any) -> Mark:
    return Mark(name, name.replace("_", " "), int(at_ms * MS), source, "", data)


def divided(*marks: Mark, gap: Gap = GAP, last: Mark | None = LAST, **clocks: Clock) -> list[anatomy.Phase]:
    ordered = sorted(marks, key=lambda item: item.at_ns)
    return anatomy.divide(gap, ordered, 0, last, USUAL, clocks)


def parts(*marks: Mark, **given: Any) -> list[tuple[str, float, str]]:
    rows = divided(*marks, **given)
    return [(row.name, (row.end_ns - row.start_ns) / MS, row.part) for row in rows]


def test_the_phases_of_a_failover_are_those_between_its_moments() -> None:
    found = parts(
        mark("requested", -1),
        mark("signal_sent", 0),
        mark("election_started", 300, cause="election timeout"),
        mark("leader_elected", 320),
        mark("attempt_sent", 1, "history"),
        mark("first_attempt_failed", 501, "client1", index=7),
        mark("failover_started", 501.5, "client1"),
        mark("failover_completed", 999, "client1", index=7),
    )
    assert found == [
        ("signal_sent", 2, "before"),
        ("attempt_sent", 1, "clients"),
        ("election_started", 299, "servers"),
        ("leader_elected", 20, "servers"),
        ("first_attempt_failed", 181, "clients"),
        ("failover_started", 0.5, "clients"),
        ("failover_completed", 497.5, "clients"),
        ("first_ok", 1, "clients"),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_was_recorded_the_phases_follow_each_other_and_sum_to_the_outage(seed: int) -> None:
    draw = random.Random(seed)
    names = [*(name for name, moment in MOMENTS.items() if moment.wait), "signal_sent", "throughput_back"]
    marks = [mark(name, draw.uniform(-50, 1100)) for name in names if draw.random() < 0.6]
    rows = divided(*marks)
    assert [row.start_ns for row in rows] == [GAP.start_ns, *(row.end_ns for row in rows[:-1])]
    assert rows[-1].end_ns == GAP.end_ns
    assert sum(row.end_ns - row.start_ns for row in rows) == GAP.end_ns - GAP.start_ns
    told = anatomy.told(rows, GAP, 0)
    assert sum(phase["share"] for phase in told["phases"]) == pytest.approx(1)
    assert 0 <= told["unexplained_ms"] <= told["duration_ms"] + 1e-9


def test_without_any_moment_the_outage_is_unexplained() -> None:
    assert parts(mark("signal_sent", 0)) == [("signal_sent", 2, "before"), ("first_ok", 1000, "unexplained")]


def test_an_election_whose_beginning_was_not_recorded_is_unexplained() -> None:
    found = divided(mark("signal_sent", 0), mark("leader_elected", 300))
    assert [(row.name, row.part) for row in found][1] == ("leader_elected", "unexplained")
    assert found[1].waited_for == "nothing recorded shows what went before “leader elected”"


def test_a_wait_that_began_within_the_phase_does_not_explain_it() -> None:
    """An election that is said to have begun after it was won says nothing of the time before."""
    found = parts(mark("signal_sent", 0), mark("leader_elected", 300), mark("election_started", 301))
    assert found[1] == ("leader_elected", 300, "unexplained")


def test_the_time_before_the_fault_is_explained_only_where_it_is_usual() -> None:
    long_before = Gap(-50 * MS, 1000 * MS)
    found = divided(mark("signal_sent", 0), gap=long_before)
    assert (found[0].name, found[0].part) == ("signal_sent", "unexplained")
    assert "had not struck yet" in found[0].waited_for


def test_nothing_is_said_to_have_waited_for_the_fault_before_it_struck() -> None:
    """Whatever else happens in the moment before the signal is no phase of the outage."""
    found = parts(mark("role_checked", -1), mark("leader_lost", -0.5), mark("signal_sent", 0))
    assert [name for name, _, _ in found] == ["signal_sent", "first_ok"]


def test_an_answer_that_took_as_long_as_usual_needs_no_other_reason() -> None:
    found = parts(mark("signal_sent", 0), mark("heal_requested", 990), mark("healed", 997))
    assert found[-1] == ("first_ok", 3, "clients")
    assert parts(mark("signal_sent", 0), mark("healed", 990))[-1] == ("first_ok", 10, "unexplained")


def test_another_operations_failover_does_not_explain_the_last_phase() -> None:
    marks = [mark("failover_started", 100), mark("failover_completed", 200, index=6)]
    assert divided(*marks)[-1].part == "unexplained"


def test_an_outage_without_an_end_is_unexplained_after_the_last_moment() -> None:
    found = divided(
        mark("signal_sent", 0), mark("process_gone", 4), gap=Gap(-2 * MS, 1000 * MS, ended=False), last=None
    )
    assert found[-1].part == "unexplained"
    assert anatomy.told(found, GAP, 0)["phases"][-1]["label"] == "end of the workload"


@pytest.mark.parametrize(
    ("before", "words"),
    [("leader_lost", "the group to expel the silent member"), (None, "the member to leave the group")],
)
def test_a_removal_was_waited_for_in_silence_or_while_the_member_left(before: str | None, words: str) -> None:
    marks = [mark("signal_sent", 0), mark("member_removed", 400)]
    if before:
        marks.append(mark(before, 200))
    assert next(row for row in divided(*marks) if row.name == "member_removed").waited_for == words


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("election timeout", "an election timeout"),
        ("leadership transfer", "hand over"),
        ("the primary left the group", "agree that the primary is gone"),
        (None, "begin an election"),
    ],
)
def test_the_cause_of_an_election_says_what_was_waited_for(cause: str | None, words: str) -> None:
    found = divided(mark("signal_sent", 0), mark("election_started", 300, cause=cause))
    assert words in found[1].waited_for


def test_a_phase_is_as_uncertain_as_its_two_clocks_together() -> None:
    clocks = {"etcd2": Clock("etcd2", 0, 10), "etcd3": Clock("etcd3", 0, 7)}
    found = divided(
        mark("signal_sent", 0),
        mark("process_gone", 1),
        mark("leader_lost", 300, "etcd3"),
        mark("failover_started", 400, "client1"),
        **clocks,
    )
    assert [row.uncertainty_ns for row in found] == [10, 0, 17, 7, 0]


def test_what_was_usual_is_measured_before_the_fault_alone() -> None:
    rows = [{"invoke": t, "complete": t + 3} for t in range(0, 100, 10)]
    rows += [{"invoke": 100, "complete": 101, "outcome": "fail"}, {"invoke": 105, "complete": 900}]
    usual = anatomy.usual_before(columns(rows), 120 * MS)
    assert usual == anatomy.Usual(longest_pause_ns=10 * MS, latency_ns=3 * MS)
    assert anatomy.usual_before(columns(rows), -1) == anatomy.Usual(None, None)


def test_the_operation_whose_attempt_fails_was_sent_at_a_moment_of_its_own() -> None:
    history = columns([{"invoke": 0, "complete": 2}, {"invoke": 3, "complete": 900}])
    found = with_attempt(history, [mark("first_attempt_failed", 503, index=1)])
    assert [(item.name, item.at_ns / MS) for item in found] == [("attempt_sent", 3), ("first_attempt_failed", 503)]
    assert len(with_attempt(history, [mark("first_attempt_failed", 503)])) == 1


def test_a_new_leader_seen_by_polling_is_left_out_where_a_log_tells_of_it() -> None:
    marks = [mark("leader_lost", 5), mark("leader_elected", 6), mark("leader_seen", 9)]
    assert [item.name for item in without_echoes(marks)] == ["leader_lost", "leader_elected"]
    alone = [mark("leader_lost", 5), mark("leader_seen", 9)]
    assert without_echoes(alone) == alone


@pytest.mark.parametrize(
    ("silent", "words"),
    [(True, "the group to expel the silent member"), (False, "the other members to notice that the leader is gone")],
)
def test_a_leader_is_lost_when_its_silence_is_noticed_or_when_it_is_expelled(silent: bool, words: str) -> None:
    marks = [mark("signal_sent", 0), mark("leader_lost", 600)]
    if silent:
        marks.append(mark("member_unreachable", 500))
    assert next(row for row in divided(*marks) if row.name == "leader_lost").waited_for == words

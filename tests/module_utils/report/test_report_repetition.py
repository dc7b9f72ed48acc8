# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What repeats say together, against answers that can be worked out by hand or exactly."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import pytest
from failover.report.outage import repetition
from failover.report.outage.repetition import MEASURES, RESAMPLES, SEED, draws, middle, repeated, spread


def exact_interval(n: int) -> tuple[int, int]:
    """Return the interval of the median of 1, 2, ... n (n odd) over all n**n resamples, not a sample of them.

    The median of a resample is at most k where more than half of its n draws are, each with the chance k / n.
    """

    def at_most(k: int) -> float:
        more_than_half = range(n // 2 + 1, n + 1)
        return float(sum(comb(n, j) * (k / n) ** j * (1 - k / n) ** (n - j) for j in more_than_half))

    low, high = (min(k for k in range(1, n + 1) if at_most(k) >= edge) for edge in repetition.INTERVAL)
    return low, high


@pytest.mark.parametrize("n", [7, 9, 15, 31])
def test_the_interval_is_that_of_all_resamples(n: int) -> None:
    found = spread([float(value) for value in range(n, 0, -1)])
    assert (found.low, found.high) == exact_interval(n)
    assert (found.n, found.absent, found.least, found.median, found.most) == (n, 0, 1, (n + 1) / 2, n)


def test_of_an_even_number_the_median_is_in_the_middle_of_the_two_there() -> None:
    assert spread([4.0, 1.0, 2.0, 10.0]).median == 3


def test_no_interval_is_only_the_range_under_another_name() -> None:
    fewest = repetition.LEAST_REPEATS
    found = spread([float(value) for value in range(1, fewest + 1)])
    assert found.low is not None
    assert found.high is not None
    assert 1 < found.low <= found.high < fewest
    # One fewer, and the interval over all resamples reaches from end to end.
    assert exact_interval(fewest - 1) == (1, fewest - 1)


@pytest.mark.parametrize("values", [[], [None], [7.0], [1.0, 2.0, 3.0, 4.0, 5.0], [7.0, None, 9.0, None, 8.0, None]])
def test_fewer_than_six_values_have_no_interval(values: list[float | None]) -> None:
    found = spread(values)
    assert (found.low, found.high) == (None, None)
    assert found.n + found.absent == len(values)


def test_repeats_without_a_value_are_counted_and_do_not_move_the_median() -> None:
    values = [5.0, None, 7.0, 6.0, None, 9.0, 4.0, 8.0, None]
    found = spread(values)
    assert (found.n, found.absent, found.median) == (6, 3, 6.5)
    # Whole repeats are drawn, also those without a value.
    drawn = np.asarray([np.nan if value is None else value for value in values])[draws(9)]
    medians = np.nanmedian(drawn[~np.isnan(drawn).all(axis=1)], axis=1)
    assert [found.low, found.high] == np.quantile(medians, repetition.INTERVAL, method="inverted_cdf").tolist()


def test_values_that_are_all_alike_leave_nothing_uncertain() -> None:
    found = spread([2.5] * 10)
    assert (found.least, found.low, found.median, found.high, found.most) == (2.5,) * 5


def test_the_draws_are_the_documented_ones() -> None:
    """Anyone with numpy can make them again."""
    assert (draws(6) == np.random.default_rng(SEED).integers(6, size=(RESAMPLES, 6))).all()
    assert RESAMPLES == 10_000
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    medians = np.median(np.asarray(values)[draws(6)], axis=1)
    expected = np.quantile(medians, (0.025, 0.975), method="inverted_cdf")
    assert [spread(values).low, spread(values).high] == expected.tolist()


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"a": 3.0, "b": 1.0, "c": 2.0}, "c"),
        ({"a": 3.0, "b": 1.0, "c": 2.0, "d": 9.0}, "c"),
        ({"a": None, "b": 1.0}, "b"),
        ({"a": None}, None),
        ({}, None),
    ],
)
def test_the_one_in_the_middle_is_the_lower_of_two(values: dict[str, float | None], name: str | None) -> None:
    assert middle(values) == name


# ---------------------------------------------------------------- faults


def fault(repeat: int, gap_ms: float | None = 500.0, **changed: Any) -> dict[str, Any]:
    """Return one repeat of a fault, as the report tells it."""
    plan = {"action": "stop", "target": "leader", "at_index": 72, "heal": "end"} | changed.pop("plan", {})
    phases = [
        {"name": "signal_sent", "label": "signal sent", "part": "before", "duration_ms": 1.0},
        {"name": "first_ok", "label": "first ok write", "part": "unexplained", "duration_ms": (gap_ms or 1.0) - 1.0},
    ]
    phases = [
        phase | {"share": phase["duration_ms"] / (gap_ms or 1.0), "end_ms": end}
        for phase, end in zip(phases, (0.0, gap_ms), strict=True)
    ]
    gap = {"duration_ms": gap_ms, "ended": True}
    moments = {"leader_elected": 30.0 + repeat, "heal_requested": 1000.0, "caught_up": 1200.0}
    return {
        "id": f"F1@{repeat}",
        "base": "F1",
        "repeat": repeat,
        "plan": plan,
        "action": plan["action"],
        "target": plan["target"],
        "fired": True,
        "record": {"index_asked": 72, "index_hit": 75, "delay_ms": 4.0},
        "gap": gap if gap_ms else None,
        "write_gap": gap if gap_ms else None,
        "delay_ms": 4.0,
        "background": None,
        "anatomy": {"unexplained_ms": 2.0, "duration_ms": gap_ms, "phases": phases} if gap_ms else None,
        "meanwhile": {"fail": 1, "unknown": 2, "worst_ms": 499.0},
        "marks": [
            {"name": name, "since_fault_ms": at, "since_heal_ms": 200.0 if name == "caught_up" else None}
            for name, at in moments.items()
        ],
    } | changed


def measures(group: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {measure["name"]: measure for measure in group["measures"]}


def test_the_repeats_of_a_fault_are_put_together() -> None:
    (group,) = repeated([fault(1, 500.0), fault(2, 900.0), fault(3, 400.0), fault(4, 700.0)])
    assert (group["fault"], group["what"], group["repeats"], group["struck"]) == ("F1", "stop of the leader", 4, 4)
    assert group["shown"] == "F1@1"  # of 500 and 700 ms the lower
    gap = measures(group)["gap"]
    assert (gap["n"], gap["min_ms"], gap["median_ms"], gap["max_ms"]) == (4, 400, 600, 900)
    assert [(point["repeat"], point["ms"]) for point in gap["points"]] == [(1, 500), (2, 900), (3, 400), (4, 700)]
    assert [measure["name"] for measure in group["measures"]] == [measure.name for measure in MEASURES]


def test_measures_count_from_the_fault_or_from_the_heal() -> None:
    (group,) = repeated([fault(1)])
    found = measures(group)
    assert found["leader_elected"]["median_ms"] == 31
    assert found["caught_up"]["median_ms"] == 200
    assert (found["converged"]["n"], found["converged"]["median_ms"]) == (0, None)
    assert found["worst"]["median_ms"] == 499


def test_what_was_not_seen_in_some_repeats_is_counted() -> None:
    (group,) = repeated([fault(1), fault(2, marks=[]), fault(3)])
    elected = measures(group)["leader_elected"]
    assert (elected["n"], elected["absent"], elected["low_ms"]) == (2, 1, None)


def test_a_repeat_that_did_not_strike_has_no_part_in_any_measure() -> None:
    missed = fault(2, None, fired=False, record=None, meanwhile=None, marks=[], delay_ms=None)
    (group,) = repeated([fault(1), missed, fault(3)])
    assert (group["repeats"], group["struck"], group["sums"]["missed"]) == (3, 2, 1)
    assert (measures(group)["gap"]["n"], measures(group)["gap"]["absent"]) == (2, 0)
    (none,) = repeated([missed])
    assert (none["struck"], none["shown"]) == (0, "F1@2")


def test_what_is_counted_is_added_up() -> None:
    late = {"index_asked": 72, "index_hit": 93, "delay_ms": 20.1}
    near = {"index_asked": 72, "index_hit": 93, "delay_ms": 20.0}  # within 20 ms is enough
    (group,) = repeated([fault(1), fault(2, record=late), fault(3, record=near)])
    assert group["sums"] == {"fail": 3, "unknown": 6, "missed": 0, "outside_bound": 1, "endless": 0}


def test_an_outage_that_did_not_end_is_a_point_of_at_least_its_length() -> None:
    endless = {"duration_ms": 5000.0, "ended": False}
    (group,) = repeated([fault(1), fault(2, gap=endless, write_gap=endless)])
    gap = measures(group)["gap"]
    assert (gap["endless"], group["sums"]["endless"], gap["max_ms"]) == (1, 1, 5000)
    assert [point["ended"] for point in gap["points"]] == [True, False]


def test_phases_have_their_own_spread_and_the_first_ok_operation_comes_last() -> None:
    other = fault(2, 800.0)
    other["anatomy"]["phases"] = other["anatomy"]["phases"][1:]
    (group,) = repeated([fault(1, 500.0), other, fault(3, None)])
    assert [(phase["name"], phase["n"], phase["absent"]) for phase in group["phases"]] == [
        ("signal_sent", 1, 1),  # of the two repeats that had an outage
        ("first_ok", 2, 0),
    ]
    assert group["phases"][1]["label"] == "first ok operation"
    assert group["phases"][1]["unexplained_in"] == 2


def test_the_shares_of_the_phases_sum_to_one() -> None:
    """Medians of shares would not: where each repeat waits for something else, they sum to as much as there are."""
    others = [fault(number, 100.0 * number) for number in (1, 2, 3, 4)]
    for number, other in enumerate(others):
        other["anatomy"]["phases"][1]["name"] = ("first_ok", "leader_elected", "process_gone", "healed")[number]
    (group,) = repeated(others)
    assert len(group["phases"]) == 5
    assert sum(phase["share"] for phase in group["phases"]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({}, "at the end of the repeat, 1.0 s after the fault"),
        ({"heal": "delay", "heal_after_ms": 1000.0}, "1.0 s after the fault"),
        ({"heal": "index", "heal_index": 272}, "200 operations later, 1.0 s after the fault"),
    ],
)
def test_the_heal_is_told(plan: dict[str, Any], words: str) -> None:
    assert repeated([fault(1, plan=plan), fault(2, plan=plan)])[0]["heal"]["told"] == words


def test_other_faults_that_were_drawn_for_other_repeats_are_not_put_together() -> None:
    groups = repeated([fault(1), fault(2, plan={"action": "kill"}), fault(3)])
    assert [(group["what"], group["repeats"]) for group in groups] == [
        ("stop of the leader", 2),
        ("kill of the leader", 1),
    ]


def test_a_fault_that_is_to_others_is_another_one_and_told_so() -> None:
    plans: list[dict[str, Any]] = [{"to": ["etcd2"]}, {"to": ["peers"]}, {"to": ["etcd2"]}, {"to": []}, {}]
    groups = repeated([fault(number, plan=plan) for number, plan in enumerate(plans, 1)])
    assert [(group["what"], group["repeats"]) for group in groups] == [
        ("stop of the leader to etcd2", 2),
        ("stop of the leader to its peers", 1),
        # A run of before does not say to whom, and it was to everybody.
        ("stop of the leader", 2),
    ]
    assert [group["plan"].get("to") for group in groups] == [["etcd2"], ["peers"], []]


def test_a_member_is_named_without_an_article() -> None:
    assert repeated([fault(1, plan={"target": "etcd2"})])[0]["what"] == "stop of etcd2"
    assert repeated([fault(1, plan={"target": "follower 2"})])[0]["what"] == "stop of the follower 2"

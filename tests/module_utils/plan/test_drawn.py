# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults drawn from a seed: the same for the same seed, and such that a majority stays."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from failover.plan.drawn import check_draw, draw_faults
from failover.plan.faults import resolve_plan
from failover.shapes import LabError
from hypothesis import given
from hypothesis import strategies as st

THREE = ["etcd1", "etcd2", "etcd3"]


def test_the_same_seed_draws_the_same_faults() -> None:
    assert draw_faults("random", 7, THREE, 1) == draw_faults("random", 7, THREE, 1)
    assert draw_faults("random", 7, THREE, 1) != draw_faults("random", 8, THREE, 1)
    assert draw_faults({"random": {"seed": 7}}, 99, THREE, 1) == draw_faults("random", 7, THREE, 1)


def test_each_repeat_has_faults_of_its_own() -> None:
    assert draw_faults("random", 7, THREE, 1) != draw_faults("random", 7, THREE, 2)


@given(seed=st.integers(0, 10**6), count=st.integers(1, 12), repeat=st.integers(1, 30))
def test_drawn_faults_can_be_resolved_and_keep_a_majority(seed: int, count: int, repeat: int) -> None:
    drawn = draw_faults({"random": {"count": count}}, seed, THREE, repeat)
    plan = resolve_plan(drawn, 10_000, THREE)
    assert len(plan) == count
    assert all(spec.keep_majority and spec.target in ("leader", "follower") for spec in plan)
    # One member at a time: each fault is healed before the next one strikes.
    for spec, later in pairwise(plan):
        assert (spec.heal_index or spec.at_index) < later.at_index


def test_a_member_cut_off_from_clients_alone_is_healed_after_a_delay() -> None:
    """Its peers keep a primary that they still hear: the operation of a heal would be reached in hours."""
    plans = [resolve_plan(draw_faults("random", seed, THREE, 1), 10_000, THREE) for seed in range(200)]
    cut_off = [spec for plan in plans for spec in plan if spec.action == "partition"]
    assert {spec.heal for spec in cut_off if spec.isolate == "clients"} == {"delay"}
    assert {spec.heal for spec in cut_off if spec.isolate != "clients"} == {"index"}


@given(seed=st.integers(0, 10**6))
def test_a_single_server_is_healed_after_a_delay(seed: int) -> None:
    plan = resolve_plan(draw_faults("random", seed, ["mysql1"], 1), 10_000, ["mysql1"])
    assert {spec.target for spec in plan} == {"leader"}
    assert all(spec.action == "restart" or spec.heal_after_ms for spec in plan)
    assert not any(spec.keep_majority for spec in plan)
    assert all(spec.isolate == "clients" for spec in plan if spec.action == "partition")


def test_several_members_only_when_told() -> None:
    targets = {
        fault["target"]
        for seed in range(50)
        for fault in draw_faults({"random": {"keep_majority": False}}, seed, THREE, 1)
    }
    assert targets == {"leader", "follower", "majority", "all"}


def test_only_the_actions_that_are_wanted() -> None:
    drawn = draw_faults({"random": {"actions": ["pause"], "count": 20}}, 1, THREE, 1)
    assert {fault["action"] for fault in drawn} == {"pause"}


def test_what_can_be_drawn_has_to_fit_whichever_is_drawn() -> None:
    check_draw("random", 80, THREE, 3)
    with pytest.raises(LabError, match=r"4 faults in 79 operations have fewer than 20 each\. Try a smaller count"):
        check_draw("random", 79, THREE, 1)
    free = {"random": {"keep_majority": False}}
    check_draw(free, 1000, THREE, 1)
    check_draw(free, 1000, ["mysql1"], 3)
    with pytest.raises(LabError, match=r"no quorum is left that they could come back to\. Leave repeats or"):
        check_draw(free, 1000, THREE, 2)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({}, "as an object it has the one key random"),
        ({"random": {}, "more": 1}, "as an object it has the one key random"),
        ({"random": 3}, "faults: random is 3: it must have the keys seed, count, actions, keep_majority."),
        (
            {"random": {"many": 3}},
            "random: unknown key many. Its keys are seed, count, actions, keep_majority.",
        ),
        ({"random": {"count": 0}}, "count is 0, and has to be a whole number from 1 to 50."),
        ({"random": {"count": True}}, "count is True"),
        ({"random": {"actions": []}}, "actions is []"),
        ({"random": {"actions": "kill"}}, "actions is 'kill'"),
        (
            {"random": {"actions": [["kill"]]}},
            "faults: random: actions[0] has to be text. Try faults: {random: {count: 3, actions: [kill, pause]}}.",
        ),
        ({"random": {"actions": ["kill", "burn"]}}, "actions has the unknown burn. Known are stop, "),
        ({"random": {"seed": "x"}}, "seed is 'x'"),
        ({"random": {"keep_majority": 1}}, "keep_majority is 1"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(wanted: dict[str, Any], text: str) -> None:
    with pytest.raises(LabError) as raised:
        draw_faults(wanted, 1, THREE, 1)
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the checks make of a fence, and of writes that their clients settled later."""

from __future__ import annotations

import pytest
from failover.checks.base import load_case
from failover.checks.verdict import verify_experiment
from failover.histories.lab import load
from failover.shapes import Verdict
from judged import ETCD_KEYS, PlantIt, only, wrong


def test_behind_a_fence_a_late_effect_is_wrong(plant: PlantIt) -> None:
    made, checks = plant("late_in_spite_of_the_fence")
    assert wrong(checks) == ETCD_KEYS
    found = only(checks["keys on etcd1"])
    assert (found["key"], found["class"]) == (made.details["key"], "resurrected")


@pytest.mark.parametrize(("name", "word"), [("settled_applied", "applied"), ("settled_not_applied", "not applied")])
def test_a_settled_write_is_no_doubt_any_more(plant: PlantIt, name: str, word: str) -> None:
    made, checks = plant(name)
    assert wrong(checks) == set()
    assert wrong(checks, Verdict.UNKNOWN) == set()
    assert "unknown writes" not in checks
    outcomes = checks["outcomes"]
    assert outcomes.evidence["totals"]["unknown"] == 1  # as the client saw it when it gave up
    assert outcomes.evidence["settled"] == {word: 1}
    assert f"the clients found out later: 1 {word}; 0 stay unresolved." in outcomes.summary
    told = only(outcomes, "not_ok")
    assert (told["index"], told["outcome"], told["settled"]) == (made.details["index"], "unknown", word)
    least_and_most = outcomes.evidence["expected_keys"]
    assert least_and_most["least"] == least_and_most["most"]


def test_one_that_was_settled_wrongly_is_found(plant: PlantIt) -> None:
    made, checks = plant("settled_wrongly")
    assert wrong(checks) == ETCD_KEYS
    assert only(checks["keys on etcd1"])["key"] == made.details["key"]


def test_an_applied_write_has_until_it_was_settled_to_take_effect(plant: PlantIt) -> None:
    made, _ = plant("settled_applied")
    folder = made.path / "E2-etcd"
    case = load_case(folder)
    (row,) = [row for row in case.recorded.table.table().to_pylist() if row["settled"] is not None]
    assert case.recorded.span(made.details["index"]) == (row["invoke_ns"], row["settled_ns"])
    calls = load(folder / "history.parquet", is_parquet=True).calls[made.details["key"]]
    assert [call.end for call in calls if call.begin == row["invoke_ns"]] == [row["settled_ns"]]
    assert verify_experiment(folder)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How operations ended, and what became of those of which nobody knew."""

from __future__ import annotations

import pytest
from failover.shapes import Verdict
from judged import ETCD_KEYS, PlantIt, only, wrong
from planted.parts import NO_SPACE


@pytest.mark.parametrize("name", ["no_space_applied", "no_space_not_applied"])
def test_a_failed_write_whose_error_proves_nothing_accuses_nobody(plant: PlantIt, name: str) -> None:
    made, checks = plant(name)
    assert wrong(checks) | wrong(checks, Verdict.UNKNOWN) == set()
    outcomes = checks["outcomes"]
    assert outcomes.evidence["totals"]["fail"] == 1  # as the history has it
    assert outcomes.evidence["failures_taken_as_unknown"] == {NO_SPACE: 1}
    assert "1 of the failed writes may have taken effect" in outcomes.summary
    found = only(checks["unknown writes"], "writes")
    assert found["key"] == made.details["key"]
    assert found["resolved"] == ("applied" if made.details["applied"] else "not applied")
    assert found["operation"]["outcome"] == "fail"


@pytest.mark.parametrize(("name", "word"), [("unknown_applied", "applied"), ("unknown_not_applied", "not applied")])
@pytest.mark.parametrize("experiment", ["E2-etcd", "E1-mysql"])
def test_an_unknown_write_is_no_fault_and_is_resolved(plant: PlantIt, experiment: str, name: str, word: str) -> None:
    made, checks = plant(name, experiment)
    assert wrong(checks) | wrong(checks, Verdict.UNKNOWN) == set()
    found = only(checks["unknown writes"], "writes")
    assert (found["key"], found["resolved"]) == (made.details["key"], word)
    assert found["operation"]["index"] == made.details["index"]
    outcomes = checks["outcomes"].evidence
    assert outcomes["totals"]["unknown"] == 1
    assert outcomes["expected_keys"]["most"] == outcomes["expected_keys"]["least"] + 1
    assert only(checks["outcomes"], "not_ok")["outcome"] == "unknown"


def test_an_unknown_delete_is_resolved(plant: PlantIt) -> None:
    _, checks = plant("unknown_delete_applied")
    assert wrong(checks) == set()
    assert only(checks["unknown writes"], "writes")["resolved"] == "applied"


def test_a_failed_write_must_not_have_happened(plant: PlantIt) -> None:
    assert wrong(plant("failed_delete")[1]) == set()
    made, checks = plant("failed_delete_applied")
    assert wrong(checks) == ETCD_KEYS
    assert only(checks["keys on etcd1"])["key"] == made.details["key"]

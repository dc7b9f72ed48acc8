# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from judged import PlantIt, only, wrong


@pytest.mark.parametrize(("name", "kind"), [("missing_read", "lost"), ("wrong_read", "wrong-value")])
def test_a_wrong_read_is_caught_and_named(plant: PlantIt, name: str, kind: str) -> None:
    made, checks = plant(name)
    assert wrong(checks) == {"reads"}
    found = only(checks["reads"])
    assert (found["key"], found["class"]) == (made.details["key"], kind)
    assert found["found"] == made.details["value"]
    assert found["operation"]["index"] == made.details["index"]
    assert len(found["expected"]) == 1


def test_a_key_that_was_lost_before_its_delete_is_caught(plant: PlantIt) -> None:
    made, checks = plant("lost_before_delete")
    assert wrong(checks) == {"reads"}
    assert only(checks["reads"])["operation"]["index"] == made.details["index"]
    assert only(checks["reads"])["class"] == "lost"


def test_a_serializable_read_may_be_old_but_not_of_a_value_that_nobody_wrote(plant: PlantIt) -> None:
    """Neither is any other check misled by it."""
    _, checks = plant("serializable_missing_read")
    assert wrong(checks) == set()
    assert "(reads may be old)" in checks["reads"].summary
    made, checks = plant("serializable_wrong_read")
    assert wrong(checks) == {"reads"}
    assert (only(checks["reads"])["key"], only(checks["reads"])["class"]) == (made.details["key"], "wrong-value")

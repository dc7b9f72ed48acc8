# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from failover.checks.sessions import GUARANTEES
from judged import PlantIt, only


def test_clients_that_only_see_newer_states_are_valid(plant: PlantIt) -> None:
    _, checks = plant("numbered", clients=4)
    assert checks["sessions"].verdict == "valid"
    assert checks["sessions"].summary == "Each of 4 clients was given states of the store that never went back."


def test_without_revisions_there_is_no_such_check(plant: PlantIt) -> None:
    _, checks = plant(None)
    assert "sessions" not in checks


@pytest.mark.parametrize(
    ("name", "guarantee"),
    [
        ("read_behind_own_write", "read your writes"),
        ("read_behind_own_read", "monotonic reads"),
        ("write_behind_own_write", "monotonic writes"),
    ],
)
def test_an_answer_behind_what_its_client_knew_is_caught_and_named(plant: PlantIt, name: str, guarantee: str) -> None:
    made, checks = plant(name, clients=4)
    assert checks["sessions"].verdict == "invalid"
    found = only(checks["sessions"], "behind")
    assert (found["index"], found["newer_operation"]) == (made.details["index"], made.details["newer"])
    assert found["guarantee"] == guarantee
    assert checks["sessions"].summary == f"Clients were given older states than they had seen: {guarantee} (1)."


def test_a_serializable_read_may_go_back_and_is_counted(plant: PlantIt) -> None:
    made, checks = plant("serializable_read_behind_own_write", clients=4)
    assert checks["sessions"].verdict == "valid"
    assert only(checks["sessions"], "behind")["index"] == made.details["index"]
    assert checks["sessions"].summary.endswith("as they may: read your writes (1).")


def test_each_pair_of_answers_has_its_guarantee() -> None:
    assert len(set(GUARANTEES.values())) == len(GUARANTEES) == 4

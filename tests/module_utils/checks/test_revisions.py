# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import math

import pytest
from failover.checks.revisions import _held
from judged import PlantIt, only, wrong


def test_answers_that_never_go_back_are_valid(plant: PlantIt) -> None:
    _, checks = plant("numbered", clients=4)
    assert wrong(checks) == set()
    assert checks["revisions"].summary.endswith("answers, none with a revision below one that had been given before.")


def test_without_revisions_there_is_no_such_check(plant: PlantIt) -> None:
    _, checks = plant(None)
    assert "revisions" not in checks


@pytest.mark.parametrize("name", ["old_read", "old_write"])
def test_an_answer_from_before_one_that_was_given_is_caught_and_named(plant: PlantIt, name: str) -> None:
    made, checks = plant(name)
    # With one client it is also behind what that one had been given.
    assert wrong(checks) == {"revisions", "sessions"}
    found = only(checks["revisions"])
    assert (found["index"], found["revision"]) == (made.details["index"], made.details["revision"])
    # The first answer that shows it is the one that came right after the revision that it has.
    assert found["newer_revision"] == found["revision"] + 1
    assert found["newer_operation"] < found["index"]
    assert found["later_ms"] > 0


def test_the_fault_that_was_held_meanwhile_is_named() -> None:
    record = {"member": "etcd2", "signal_sent_wall_ns": 5_000, "clock_offset_ns": 1_000, "healed_wall_ns": 9_000}
    struck = {"id": "F1", "action": "pause", "record": record}
    missed = {"id": "F2", "action": "kill", "record": {"member": None}}
    unhealed = {"id": "F3", "action": "kill", "record": {**record, "healed_wall_ns": None}}
    assert _held({"origin_wall_ns": 3_000, "faults": [struck, missed, unhealed, {"id": "F4", "action": "kill"}]}) == {
        "F1 (pause of etcd2)": (1_000, 5_000),
        "F3 (kill of etcd2)": (1_000, math.inf),
    }


def test_a_serializable_read_may_be_old_and_is_counted(plant: PlantIt) -> None:
    made, checks = plant("old_serializable_read")
    assert wrong(checks) == set()
    found = only(checks["revisions"], "old_reads")
    assert (found["index"], found["revision"]) == (made.details["index"], made.details["revision"])
    assert checks["revisions"].summary.startswith("Serializable reads that were old, as they may be: 1, by up to ")

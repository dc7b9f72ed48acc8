# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the disks had, as the report tells it."""

from __future__ import annotations

from typing import Any

from failover.report.outage.disks import MOST_CHARACTERS, MOST_ROWS, disks


def struck(repeat: int, missing: int | None, **changes: Any) -> dict[str, Any]:
    disk = {
        "told": {"revision": 1204, "raft_index": 2411},
        "told_wall_ns": 1,
        "had": {"raft_index": 2411 - (missing or 0), "revision": 1100},
        "had_wall_ns": 2,
        "missing": missing,
        "missing_of": "entries of its log",
        "which": None,
        "unknown": None,
        **changes,
    }
    record = {"fired": True, "member": "etcd2", "effect": "4,096 bytes of 1 file were not on disk", "disk": disk}
    return {"id": f"F1@{repeat}", "action": "power_loss", "record": record}


def test_a_fault_that_takes_nothing_from_a_disk_has_none() -> None:
    fault = {"id": "F1", "action": "kill", "record": {"fired": True, "member": "etcd2"}}
    assert disks([fault, {"id": "F2", "action": "kill", "record": None}], "F1") == {}


def test_one_loss_of_power_is_a_row() -> None:
    found = disks([struck(1, 0)], "F1@1")["disks"]
    assert found["told"].endswith("its disk lacked nothing of what it had told.")
    (row,) = found["rows"]
    assert (row["told"], row["had"]) == ("revision 1,204, raft index 2,411", "raft index 2,411, revision 1,100")
    assert (row["member"], row["missing"], row["effect"]) == ("etcd2", 0, "4,096 bytes of 1 file were not on disk")
    assert disks([struck(1, 3)], "F1@1")["disks"]["told"].endswith("lacked 3 entries of its log of what it had told.")


def test_of_repeats_those_are_shown_of_which_there_is_something_to_say() -> None:
    unknown = struck(4, None, had=None, unknown="what its disk had: nobody said")
    found = disks([struck(1, 0), struck(2, 0), struck(3, 5), unknown], "F1@2")["disks"]
    assert [row["fault"] for row in found["rows"]] == ["F1@2", "F1@3", "F1@4"]
    assert (found["read"], found["lacking"], found["most_missing"], found["left_out"]) == (3, 1, 5, 0)
    assert found["told"] == (
        "What the disk had when the member came back is known of 3 of 4 losses of power: in 1 of them it lacked some "
        "of what the member had told, at most 5 entries of its log."
    )
    assert found["rows"][-1]["had"] is None
    assert disks([unknown], "F1@4")["disks"]["told"] == "What its disk had is not known."


def test_nothing_is_left_out_without_a_word() -> None:
    found = disks([struck(number, 1) for number in range(1, MOST_ROWS + 4)], "F1@1")["disks"]
    assert (len(found["rows"]), found["left_out"]) == (MOST_ROWS, 3)


def test_long_sets_of_transactions_are_cut() -> None:
    gtids = ",".join(f"u{number}:1-5" for number in range(100))
    found = disks([struck(1, 0, told={"gtid_executed": gtids}, had=None)], "F1@1")["disks"]
    assert found["rows"][0]["told"] == f"gtid executed {gtids[:MOST_CHARACTERS]}…"

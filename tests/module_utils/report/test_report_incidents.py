# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the lab did beyond its plan is said in the report, once for each cause."""

from __future__ import annotations

from typing import Any

from failover.report.incidents import incidents

JOIN = {"act": "join", "why": "group1 is in a group with a majority", "wall_ns": 9}
LEAVE = {"act": "leave", "why": "MySQL pauses between its own attempts to rejoin", "wall_ns": 5}


def info(**changes: Any) -> dict[str, Any]:
    return {"faults": [], "repeats": [{"repeat": 1}], **changes}


def test_nothing_beyond_the_plan_is_nothing_to_say() -> None:
    struck = {"id": "F1", "action": "pause", "record": {"member": "group2", "group_steps": [JOIN]}}
    assert incidents(info(faults=[struck, {"id": "F2", "record": None}])) == []


def test_members_that_were_made_to_rejoin_are_named_with_the_heal() -> None:
    struck = {"id": "F1@1", "action": "pause", "record": {"member": "group2", "group_steps": [LEAVE, JOIN]}}
    healed = [{"member": "group2", "fault": "F2@1", "group_steps": [LEAVE, JOIN]}]
    rejoined = [{"member": "group3", **LEAVE}, {"member": "group3", **JOIN}]
    repeats = [
        {"repeat": 1, "convergence": {"healed": healed, "rejoined": []}},
        {"repeat": 2, "convergence": {"healed": [{"member": "group1", "fault": "F1@2"}], "rejoined": rejoined}},
    ]
    assert incidents(info(faults=[struck], repeats=repeats)) == [
        "group2 was made to leave its group and join it again, as MySQL pauses between its own attempts to rejoin "
        "(heal of F1@1, heal of F2@1)",
        "group3 was made to leave its group and join it again, as MySQL pauses between its own attempts to rejoin "
        "(after repeat 2)",
    ]


def test_a_repeat_that_was_ended_is_told_first() -> None:
    stalled = {"since_ns": 5, "tried_s": 180.2, "done": 300, "left_out": 4_700}
    (told,) = incidents(info(repeats=[{"repeat": 1, "stalled": stalled}]))
    assert told.startswith("The workload was ended early: no operation was acknowledged for 180 s")

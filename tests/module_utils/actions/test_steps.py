# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from catalog import CATALOG
from failover.actions.registry import ACTIONS
from failover.actions.steps import MOST_STEPS, STEPS, cuts_after, read_steps, told
from failover.host.packets import Cut
from failover.shapes import LabError

PEERS = ["10.0.0.2", "10.0.0.3"]
MEMBERS = ["etcd1", "etcd2", "etcd3"]
LEADER = {"do": "await", "moment": "leader"}


def test_what_is_not_said_has_its_usual_value() -> None:
    assert read_steps("F", [{"do": "cut", "direction": "in"}, LEADER]) == [
        {"do": "cut", "from": "everybody", "direction": "in", "how": "drop", "what": "all"},
        {"do": "await", "moment": "leader", "count": 1, "within_ms": 5000},
    ]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (None, "Fault 1: steps has to be a list of 1 to 100 steps like {do: wait, ms: 100}."),
        ([], "steps has to be a list"),
        ([{"do": "pause"}] * (MOST_STEPS + 1), "steps has to be a list"),
        (["pause"], "Fault 1, step 1 is 'pause'. Write it like {do: wait, ms: 100}; known are wait, pause"),
        ([{"do": ["pause"]}], "Fault 1, step 1 is {'do': ['pause']}."),
        ([{"do": "melt"}], "Fault 1, step 1 is {'do': 'melt'}."),
        ([{"do": "pause", "ms": 3}], "Fault 1, step 1 (pause) has the unknown key ms. Known are do."),
        ([{"do": "pause"}, {"do": "wait"}], "Fault 1, step 2 (wait) lacks ms, the time in milliseconds."),
        ([{"do": "wait", "ms": 0}], "Fault 1, step 1: ms is 0, and has to be a whole number from 1 to 60,000."),
        ([{"do": "cut", "how": "burn"}], "Fault 1, step 1 has the unknown how 'burn'. Known are drop, reject."),
        ([{"do": "mend", "from": "winner"}], "Fault 1, step 1 (mend) is about what follows another leader: put"),
        ([{"do": "pause"}, {"do": "await", "moment": "writes"}, LEADER], "step 2 (await) is about what follows"),
        ([{"do": "wait", "ms": 1}, LEADER, {"do": "read"}], "Fault 1: its steps do nothing to the target."),
    ],
)
def test_a_step_that_is_wrong_is_named(steps: Any, message: str) -> None:
    with pytest.raises(LabError) as refused:
        read_steps("Fault 1", steps)
    assert message in str(refused.value)


def test_cuts_add_up_and_are_mended_one_by_one() -> None:
    cut_in = {"do": "cut", "direction": "in", "how": "reject", "what": "data"}
    cut_out = {"do": "cut", "direction": "out", "how": "drop", "what": "all"}
    steps: list[dict[str, Any]] = [{"do": "pause"}, cut_in, {"do": "wait", "ms": 3}, cut_out]
    refused = [Cut("in", peer, "reject", data_only=True) for peer in PEERS]
    dropped = [Cut("out", peer) for peer in PEERS]
    assert cuts_after(steps, PEERS) == refused + dropped
    steps.append({"do": "mend", "direction": "in", "peers": ["10.0.0.3"]})
    assert cuts_after(steps, PEERS) == refused[:1] + dropped
    # The newest word about a peer and a direction counts.
    assert cuts_after([*steps, {**cut_out, "direction": "both", "peers": ["10.0.0.2"]}], PEERS) == [
        Cut("in", "10.0.0.2"),
        *dropped,
    ]
    assert cuts_after([*steps, {"do": "mend", "direction": "both"}], PEERS) == []


def test_each_step_says_what_it_does() -> None:
    assert all(step.says and step.do == name for name, step in STEPS.items())


def test_the_catalogs_choreography_can_be_read() -> None:
    fault = CATALOG["E15-etcd"]["faults"][0]
    steps = ACTIONS["choreography"].resolve("Fault 1", fault, MEMBERS)["steps"]
    assert len(steps) == len(fault["steps"])
    assert "E15-mysql" not in CATALOG


@pytest.mark.parametrize(
    ("fault", "members", "message"),
    [
        ({"heal": "3s"}, MEMBERS, "Fault 1: a choreography heals after its last step. Leave heal out."),
        ({}, MEMBERS[:1], "Fault 1: a choreography is about a member and its peers, and a system of one has none."),
    ],
)
def test_what_a_choreography_cannot_be(fault: dict[str, Any], members: list[str], message: str) -> None:
    with pytest.raises(LabError, match=message):
        ACTIONS["choreography"].resolve("Fault 1", {"steps": [{"do": "pause"}], **fault}, members)


def test_a_step_is_told_with_what_was_chosen() -> None:
    (cut, wait) = read_steps("F", [{"do": "cut", "direction": "in"}, {"do": "wait", "ms": 2000}])
    assert told(cut) == "cut from everybody, direction in, how drop, what all"
    assert told({**wait, "wall_ns": 3, "peers": []}) == "wait 2,000 ms"
    assert told({"do": "pause"}) == "pause"
    assert told({"do": "of a newer version"}) == "of a newer version"

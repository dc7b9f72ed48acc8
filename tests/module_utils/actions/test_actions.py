# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds for each action, and what the lab reads from it. How each acts on a host is tested with the agent."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any

import pytest
from failover import actions
from failover.actions.base import Action
from failover.actions.options import Choice, Listed
from failover.actions.record import FaultRecord
from failover.actions.registry import ACTIONS, takes_away
from failover.plan.drawn import Draw
from failover.shapes import FaultSpec

NO_ACTIONS = {"options", "steps", "__init__", "base", "record", "registry"}
EVERY = pytest.mark.parametrize("action", ACTIONS.values(), ids=list(ACTIONS))


def test_each_file_is_an_action_of_its_name_and_has_a_row() -> None:
    files = {path.stem for path in Path(actions.__path__[0]).glob("*.py")} - NO_ACTIONS
    assert files == set(ACTIONS)
    assert all(type(action).__module__ == f"failover.actions.{name}" for name, action in ACTIONS.items())


@EVERY
def test_what_it_did_can_be_told(action: Action) -> None:
    assert action.past
    record = FaultRecord("F1", signal=action.signal, effect="slower")
    told = action.told("etcd2", record)
    assert "etcd2" in told
    assert "None" not in told
    assert action.caveat == "" or action.caveat.endswith(".")


def test_a_network_that_is_slow_to_some_is_told_so() -> None:
    record = FaultRecord("F1", effect="eth7: netem", to=["peers", "clients"])
    told = ACTIONS["slow_network"].told("etcd2", record)
    assert told == "the network of etcd2 to its peers and the clients was slowed down (eth7: netem)"


def test_a_key_belongs_to_one_action() -> None:
    counts = Counter(option.key for action in ACTIONS.values() for option in action.options)
    assert set(counts.values()) == {1}


@EVERY
def test_its_choices_stand_in_the_plan_and_in_the_record(action: Action) -> None:
    chosen = {option.field for option in action.options if isinstance(option, Choice | Listed)}
    assert chosen <= {field.name for field in fields(FaultSpec)} & {field.name for field in fields(FaultRecord)}


@pytest.mark.parametrize(
    "action",
    [action for action in ACTIONS.values() if not any(option.key == "steps" for option in action.options)],
    ids=lambda action: action.name,
)
def test_what_is_drawn_is_its_own(action: Action) -> None:
    own = {option.key for option in action.options}
    for seed in range(20):
        drawn = action.draw(Random(seed), 3)
        assert set(drawn) <= own
        assert action.resolve("Fault 1", drawn, ["etcd1", "etcd2", "etcd3"])
        assert action.blocks_clients(drawn) in (True, False)


def test_what_a_seed_draws_from_never_changes() -> None:
    """Another order would have an old seed draw other faults."""
    assert Draw().actions == ["stop", "kill", "restart", "pause", "partition"]
    assert list(ACTIONS)[:5] == Draw().actions


@pytest.mark.parametrize(
    ("name", "record", "doubts"),
    [
        ("stop", {"process_gone_wall_ns": 5}, []),
        ("stop", {}, ["the process on etcd2 was not seen to end"]),
        ("pause", {"processes": 2}, []),
        ("pause", {"processes": 0}, ["no process on etcd2 was seen to stop"]),
        ("partition", {}, []),
        ("disk_full", {"effect": "0 bytes left"}, []),
        ("disk_full", {"effect": None}, ["the kernel of etcd2 was not seen to do it"]),
        ("slow_disk", {}, ["the kernel of etcd2 was not seen to do it"]),
        ("slow_network", {}, ["the kernel of etcd2 was not seen to do it"]),
        ("clock_skew", {}, ["the kernel of etcd2 was not seen to do it"]),
        ("power_loss", {"process_gone_wall_ns": 5, "effect": "0 bytes were not on disk"}, []),
        ("power_loss", {"process_gone_wall_ns": 5}, ["the kernel of etcd2 was not seen to do it"]),
    ],
)
def test_an_effect_that_was_not_seen_is_doubted(name: str, record: dict[str, Any], doubts: list[str]) -> None:
    assert ACTIONS[name].doubts(FaultRecord("F1", member="etcd2", **record)) == doubts


def test_what_systemd_could_undo_is_known() -> None:
    ended = ["kill", "poweroff", "disk_full", "power_loss"]
    assert [name for name, action in ACTIONS.items() if action.ended_from_outside] == ended


@pytest.mark.parametrize(
    ("fault", "away"),
    [
        ({"action": "kill", "isolate": None}, True),
        ({"action": "restart", "isolate": None}, True),
        ({"action": "pause", "isolate": None}, True),
        ({"action": "disk_full", "isolate": None}, True),
        ({"action": "slow_disk", "isolate": None}, False),
        ({"action": "slow_network", "isolate": None}, False),
        ({"action": "clock_skew", "isolate": None}, False),
        ({"action": "partition", "isolate": "peers"}, True),
        ({"action": "partition", "isolate": "both"}, True),
        ({"action": "partition", "isolate": "clients"}, False),
        (None, True),
    ],
)
def test_a_fault_may_leave_its_member_with_its_peers(fault: dict[str, Any] | None, away: bool) -> None:
    assert takes_away(None if fault is None else FaultRecord("F1", **fault)) is away

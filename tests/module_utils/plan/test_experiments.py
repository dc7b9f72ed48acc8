# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a run: what is wrong with it is said in one line, before anything is touched."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import Any

import pytest
from catalog import CATALOG
from failover.actions.registry import ACTIONS
from failover.plan.experiments import resolve_experiments
from failover.shapes import FaultSpec, LabError, RunSettings
from failover.systems.registry import SYSTEMS
from failover.workloads.registry import create_simulation
from failover.workloads.stream import stream_digest

GROUPS = {"etcd": ["etcd1", "etcd2", "etcd3"], "mysql": ["mysql1"], "load_generators": ["client1"]}


def catalog(name: str, **changed: Any) -> dict[str, dict[str, Any]]:
    """Return the catalog with some keys of one experiment changed; None removes a key."""
    changed_catalog = copy.deepcopy(CATALOG)
    changed_catalog[name] = {key: value for key, value in (CATALOG[name] | changed).items() if value is not None}
    return changed_catalog


def fault(**changed: Any) -> list[dict[str, Any]]:
    return [{"action": "stop", "target": "leader", "at": "12%", "heal": "end"} | changed]


def test_the_three_experiments_are_resolved_in_order() -> None:
    names = ["E1-etcd", "E1-mysql", "E2-etcd"]
    plan = resolve_experiments(names, CATALOG, RunSettings(2000, 7), GROUPS)
    assert [experiment["name"] for experiment in plan["experiments"]] == names
    assert [experiment["members"] for experiment in plan["experiments"]] == [
        GROUPS["etcd"],
        GROUPS["mysql"],
        GROUPS["etcd"],
    ]
    assert [experiment["faults"] for experiment in plan["experiments"][:2]] == [[], []]
    operations = create_simulation(2000, 7)
    assert plan["operations"] == len(operations)
    assert plan["stream"]["digest"] == stream_digest(operations)
    (fault,) = plan["experiments"][2]["faults"]
    assert fault == asdict(FaultSpec("F1", "stop", "leader", len(operations) * 12 // 100, "end"))


def test_what_has_no_faults_is_not_cut_into_repeats() -> None:
    plan = resolve_experiments(["E1-etcd", "E2-etcd"], CATALOG, RunSettings(2000, 7, repeats=3), GROUPS)
    assert [(each["repeats"], len(each["faults"])) for each in plan["experiments"]] == [(1, 0), (3, 3)]


def test_order_is_the_users() -> None:
    plan = resolve_experiments(["E2-etcd", "E1-etcd"], CATALOG, RunSettings(100, 1), GROUPS)
    assert [experiment["name"] for experiment in plan["experiments"]] == ["E2-etcd", "E1-etcd"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"names": []},
            'experiments names no experiment. Try -e \'{"experiments": ["E1-etcd"]}\'.',
        ),
        (
            {"names": ["E2-etcd", "E1-etcd", "E2-etcd"]},
            "experiments names E2-etcd more than once, and each experiment has one folder of results. "
            "Name it once, or copy it under another name in experiment_catalog.",
        ),
        (
            {"names": [".."], "catalog": {"..": CATALOG["E1-etcd"]}},
            "Experiment ..: its name is also that of its results folder: letters, digits, hyphens, underscores and "
            "dots, beginning with a letter or digit. Try another name, like E12-mine.",
        ),
        (
            {"catalog": catalog("E2-etcd", faults={"random": {"count": 50}}), "iterations": 100},
            "Experiment E2-etcd: faults: random: 50 faults in 100 operations have fewer than 20 each. "
            "Try a smaller count, or more iterations.",
        ),
        (
            {"names": ["E99-etcd"]},
            f"Unknown experiment E99-etcd. experiment_catalog has {', '.join(CATALOG)}.",
        ),
        (
            {"catalog": catalog("E2-etcd", fault=[], color="red")},
            "Experiment E2-etcd: unknown key fault, color. Its keys are title, system, key_prefix, faults, settings.",
        ),
        (
            {"catalog": catalog("E2-etcd", title=None, faults=None)},
            "Experiment E2-etcd: no title, faults. Its keys are title, system, key_prefix, faults, settings.",
        ),
        (
            {"names": ["mine"], "catalog": {"mine": None}},
            "Experiment mine is None: it must have the keys title, system, key_prefix, faults, settings.",
        ),
        (
            {"catalog": catalog("E2-etcd", system="oracle")},
            f"Experiment E2-etcd: unknown system 'oracle'. Known are {', '.join(SYSTEMS)}.",
        ),
        (
            {"catalog": catalog("E2-etcd", key_prefix="")},
            "Experiment E2-etcd: key_prefix is empty, and the run begins by emptying it. Try EXP9-.",
        ),
        (
            {"names": ["E2-etcd"], "groups": {"etcd": []}},
            "Experiment E2-etcd needs hosts in the inventory's group etcd, which has none. "
            "Add them, or leave the experiment out of the variable experiments.",
        ),
        (
            {"names": ["E1-mysql"], "groups": {"etcd": ["etcd1"]}},
            "Experiment E1-mysql needs hosts in the inventory's group mysql, which has none. "
            "Add them, or leave the experiment out of the variable experiments.",
        ),
        (
            {"catalog": catalog("E2-etcd", faults=fault(action="explode"))},
            f"Experiment E2-etcd: Fault 1 has the unknown action 'explode'. Known are {', '.join(ACTIONS)}.",
        ),
        (
            {"catalog": catalog("E2-etcd", faults=fault(target="etcd9"))},
            "Experiment E2-etcd: Fault 1 has the unknown target 'etcd9'. "
            "Known are leader, follower, majority, all, etcd1, etcd2, etcd3.",
        ),
        (
            {"catalog": catalog("E2-etcd", faults=fault(at=100000))},
            "Experiment E2-etcd: Fault 1 strikes at 100000, beyond the stream: its 2,000 operations have the indexes "
            "0 to 1,999. Try an earlier one, or more iterations.",
        ),
        (
            {"catalog": catalog("E2-etcd", faults=fault() + fault(at="100%"))},
            "Experiment E2-etcd: Fault 2 strikes at 100%, beyond the stream: its 2,000 operations have the indexes "
            "0 to 1,999. Try an earlier one, or more iterations.",
        ),
        (
            {"catalog": catalog("E2-etcd", faults=fault(at="noon"))},
            "Experiment E2-etcd: Fault 1 strikes at 'noon': give an operation index from 0 on, or a percentage "
            "like 12%.",
        ),
        ({"iterations": 0}, "iterations is 0: it has to be a whole number above 0, for example 1000"),
        ({"iterations": -1}, "iterations is -1: it has to be a whole number above 0, for example 1000"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: dict[str, Any], message: str) -> None:
    given = {"names": ["E1-etcd", "E2-etcd"], "catalog": CATALOG, "iterations": 2000, "groups": GROUPS} | arguments
    with pytest.raises(LabError) as failed:
        resolve_experiments(given["names"], given["catalog"], RunSettings(given["iterations"], 7), given["groups"])
    said = str(failed.value)
    assert said == message
    assert "\n" not in said


@pytest.mark.parametrize(
    "definition",
    [
        None,
        ["stop"],
        "stop the leader",
        CATALOG["E2-etcd"] | {"faults": None},
        CATALOG["E2-etcd"] | {"faults": {"action": "stop"}},
        CATALOG["E2-etcd"] | {"faults": "stop"},
        CATALOG["E2-etcd"] | {"faults": ["stop"]},
    ],
)
def test_a_definition_of_another_shape_is_named(definition: Any) -> None:
    with pytest.raises(LabError, match=r"^Experiment E2-etcd[: ]"):
        resolve_experiments(["E2-etcd"], {"E2-etcd": definition}, RunSettings(2000, 7), GROUPS)


def test_a_rate_that_takes_weeks_is_refused() -> None:
    with pytest.raises(LabError) as failed:
        resolve_experiments(["E1-etcd"], CATALOG, RunSettings(2000, 7, rate=0.000001), GROUPS)
    assert str(failed.value) == (
        "rate is 1e-06 per second, at which 2,000 operations take more than 7 days. Try a higher rate, or fewer "
        "iterations."
    )

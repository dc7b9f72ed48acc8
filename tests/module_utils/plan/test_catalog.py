# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fault is a row, a system is a row, and each fault on each system is an experiment."""

from __future__ import annotations

from typing import Any

import pytest
from catalog import CATALOG, FAULTS, FROZEN, SYSTEMS
from failover.actions.registry import ACTIONS
from failover.plan.catalog import chosen_experiments, experiment_table, experiments_of_faults, names_given
from failover.plan.drawn import RANDOM
from failover.shapes import LabError
from failover.systems import registry
from toy.system import Toy

ROW = {"number": 99, "title": "{leader} gone", "faults": [{"action": "kill", "target": "leader", "at": 5}]}


def test_the_catalog_is_what_it_was_when_it_was_written_out() -> None:
    # More systems and faults may have come since.
    those = {name: experiment for name, experiment in CATALOG.items() if name in FROZEN}
    assert those == FROZEN
    assert list(those) == list(FROZEN)
    assert [list(experiment) for experiment in those.values()] == [list(each) for each in FROZEN.values()]


def test_the_rows_are_called_as_the_systems_and_the_actions_are() -> None:
    assert list(SYSTEMS) == list(registry.SYSTEMS)
    variants = {"ghost_safe", "ghost_blind", "power_loss_all", "power_loss_majority"}
    assert set(FAULTS) == {"none", RANDOM, *variants, *ACTIONS}


def test_a_fault_is_one_row() -> None:
    more = experiments_of_faults({**FAULTS, "gone": ROW}, SYSTEMS, "3s")
    new = {name: experiment for name, experiment in more.items() if name not in CATALOG}
    assert list(new) == [f"E99-{system}" for system in SYSTEMS]
    assert [experiment["title"] for experiment in new.values()][:3] == [
        "etcd, leader gone",
        "MySQL, server gone",
        "MySQL Group Replication, primary gone",
    ]
    assert new["E99-etcd"]["key_prefix"] == "EXP99-"
    assert all(experiment["faults"] == ROW["faults"] for experiment in new.values())


def test_a_system_brings_its_experiments_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.SYSTEMS, "toy", Toy())
    more = experiments_of_faults({"gone": ROW | {"takes_away": True}}, ["toy"], "3s")
    assert more == {
        "E99-toy": {
            "title": "Toy, server gone",
            "system": "toy",
            "key_prefix": "EXP99-",
            "faults": [ROW["faults"][0] | {"heal": "3s"}],
        }
    }


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (3, "fault_catalog is 3: it must be a mapping of faults by name."),
        (
            {"gone": None},
            "fault_catalog: gone is None: it must have the keys number, title, faults, takes_away, several, settings.",
        ),
        (
            {"gone": {"number": 99, "titel": "x"}},
            "fault_catalog: gone: unknown key titel. Its keys are number, title, faults, takes_away, several, "
            "settings.",
        ),
        (
            {"gone": ROW | {"number": "E99"}},
            "fault_catalog: gone: number is 'E99', and has to be a whole number.",
        ),
        (
            {"gone": ROW, "lost": ROW},
            "fault_catalog: gone has the number 99, as another fault has. Give each its own.",
        ),
    ],
)
def test_a_row_that_is_none_is_one_line(faults: Any, said: str) -> None:
    with pytest.raises(LabError) as failed:
        experiments_of_faults(faults, SYSTEMS, "30s")
    assert str(failed.value) == said


def test_a_system_that_nobody_knows_is_one_line() -> None:
    with pytest.raises(LabError, match=r"^lab_systems has redis, which is none of etcd, mysql, mysql_cluster"):
        experiments_of_faults(FAULTS, ["redis"], "30s")


@pytest.mark.parametrize(
    ("systems", "faults", "names"),
    [
        (["etcd"], ["kill"], ["E3-etcd"]),
        # By fault, then by system, each as given and once.
        (["mysql", "etcd"], ["partition", "kill", "kill"], ["E6-mysql", "E6-etcd", "E3-mysql", "E3-etcd"]),
        (["etcd"], ["none", "no-such-fault"], ["E1-etcd"]),
        ([], ["kill"], []),
    ],
)
def test_each_fault_on_each_system_is_chosen(systems: list[str], faults: list[str], names: list[str]) -> None:
    assert chosen_experiments(FAULTS, systems, faults) == names


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("a, b,,c ", ["a", "b", "c"]),
        (["a", " b"], ["a", "b"]),
        (("a",), ["a"]),
        ("", []),
        (None, []),
        (3, []),
        ({"a": 1}, []),
    ],
)
def test_names_are_a_list_or_text_with_commas(value: Any, names: list[str]) -> None:
    assert names_given(value) == names


def test_the_table_has_columns_and_marks_what_would_run() -> None:
    header, *lines = experiment_table(CATALOG, ["E3-mysql_cluster"])
    assert len(lines) == len(CATALOG)
    columns = [header.index(word) for word in ("name", "system", "fault", "what happens")]
    for line, (name, experiment) in zip(lines, CATALOG.items(), strict=True):
        assert len(line) <= 98  # two more are Ansible's indent
        cells = [line[start:end].strip() for start, end in zip(columns, [*columns[1:], None], strict=True)]
        assert cells[:2] == [name, experiment["system"]]
        (row,) = [row for row in FAULTS.values() if row["number"] == int(name.split("-")[0][1:])]
        actions = [fault["action"] for fault in row["faults"]] if isinstance(row["faults"], list) else [row["faults"]]
        assert cells[2] == ("+".join(actions) or "none")
        assert experiment["title"].endswith(cells[3])
        assert line.startswith("*") is (name == "E3-mysql_cluster")


def test_the_table_takes_what_users_write() -> None:
    two = [{"action": "kill"}, {"action": "pause"}, {"action": "kill"}]
    own = {
        "mine": {"title": "word " * 40, "system": "etcd", "key_prefix": "M-", "faults": two},
        "drawn": {"title": "x", "system": "etcd", "key_prefix": "M-", "faults": {"random": {"count": 3}}},
        "broken": None,
    }
    lines = experiment_table(own, [])
    assert max(map(len, lines)) <= 98
    assert lines[1].split()[:4] == ["mine", "etcd", "kill+pause", "word"]
    assert lines[2].startswith(" " * lines[1].index("word") + "word")
    assert lines[-2].split() == ["drawn", "etcd", "random", "x"]
    assert lines[-1].split() == ["broken", "?", "?", "this", "definition", "is", "not", "complete"]

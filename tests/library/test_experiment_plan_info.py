# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]
PARAMS = {
    "experiments": ["E2"],
    "catalog": {
        "E2": {
            "title": "leader stopped",
            "system": "etcd",
            "key_prefix": "EXP2-",
            "faults": [{"action": "stop", "target": "leader", "at": "50%"}],
        }
    },
    "settings": {"iterations": 200, "seed": 7},
    "members": {"etcd": ["a", "b", "c"], "mysql": []},
}


@pytest.mark.parametrize("check", [False, True])
def test_a_plan(run_module: Run, check: bool) -> None:
    result = run_module("experiment_plan_info", PARAMS, check=check)
    assert (result["rc"], result["changed"]) == (0, False)
    assert result["operations"] == sum(result["stream"][kind] for kind in ("CREATE", "RETRIEVE", "DELETE"))
    (experiment,) = result["experiments"]
    assert (experiment["name"], experiment["members"]) == ("E2", ["a", "b", "c"])
    assert experiment["faults"][0]["at_index"] == result["operations"] // 2


def test_what_is_wrong_fails_with_one_line(run_module: Run) -> None:
    result = run_module("experiment_plan_info", PARAMS | {"experiments": ["E3"]})
    assert result["rc"] == 1
    assert result["msg"] == "Unknown experiment E3. experiment_catalog has E2."


def test_iterations_that_are_no_number_are_refused(run_module: Run) -> None:
    result = run_module("experiment_plan_info", PARAMS | {"settings": {"iterations": "many", "seed": 7}})
    assert result["rc"] == 1
    assert "iterations" in result["msg"]

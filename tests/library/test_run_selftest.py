# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from verified import verified_run

RunModule = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("check", [False, True])
def test_what_became_of_the_plants(run_module: RunModule, tmp_path: Path, check: bool) -> None:
    run = verified_run(tmp_path / "run", iterations=400, experiments=["E1-mysql"])
    asked = {"results_dir": str(run), "plants": 3, "histories": 20, "seed": 9}
    result = run_module("run_selftest", asked, check=check)
    assert (result["rc"], result["changed"], result["verdict"]) == (0, not check, "valid")
    assert result["sentence"].endswith(" faults planted, all caught and named.")
    assert ["lost", "mysql", "3", "3", "3"] in [line.split() for line in result["lines"]]
    assert result["file"] == str(tmp_path / "selftest.json")
    assert (tmp_path / "selftest.json").exists() is not check
    if not check:
        assert json.loads((tmp_path / "selftest.json").read_text())["seed"] == 9


def test_one_alone(run_module: RunModule, tmp_path: Path) -> None:
    run = verified_run(tmp_path / "run", iterations=400, experiments=["E1-mysql"])
    result = run_module("run_selftest", {"results_dir": str(run), "only": "E1-mysql/stale/2"})
    assert result["sentence"] == "1 fault planted, all caught and named."


def test_a_run_that_is_not_valid_fails_in_one_line(run_module: RunModule, tmp_path: Path) -> None:
    run = verified_run(tmp_path / "run", iterations=400, experiments=["E1-mysql"], plant="lost_key")
    result = run_module("run_selftest", {"results_dir": str(run)})
    assert result["rc"] == 1
    assert f"The verdict on {run} is invalid: a selftest begins from a valid run; give one with -e" in result["msg"]

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from failover.checks.verdict import verify
from verified import verified_run

RunModule = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("check", [False, True])
def test_a_verdict_and_whether_it_is_of_these_files(run_module: RunModule, tmp_path: Path, check: bool) -> None:
    run = verified_run(tmp_path / "run", iterations=200, experiments=["E1-mysql"])
    result = run_module("run_verdict_info", {"results_dir": str(run)}, check=check)
    assert (result["rc"], result["changed"], result["verdict"]) == (0, False, "valid")
    assert (result["recorded"], result["stale"], result["sentence"]) == (True, False, "")
    assert {each["verdict"] for each in result["checks"]} == {"valid"}
    assert result["checks"][0].keys() == {"name", "verdict", "summary"}
    (run / "E1-mysql" / "events.jsonl").unlink()
    result = run_module("run_verdict_info", {"results_dir": str(run)}, check=check)
    assert (result["rc"], result["verdict"], result["stale"]) == (0, "valid", True)
    assert result["sentence"] == "since the verdict, E1-mysql/events.jsonl is missing"


def test_a_run_without_a_verdict_fails_in_one_line(run_module: RunModule, tmp_path: Path) -> None:
    result = run_module("run_verdict_info", {"results_dir": str(tmp_path)})
    assert result["rc"] == 1
    assert "verdict.json is missing" in result["msg"]


def test_a_verdict_by_other_limits_fails_in_one_line(run_module: RunModule, tmp_path: Path) -> None:
    run = verified_run(tmp_path / "run", iterations=200, experiments=["E1-mysql"])
    verify(run, "E1-mysql", limits={"not_ok": 0, "p99_ms": 0})
    params = {"results_dir": str(run)}
    result = run_module("run_verdict_info", params | {"limits": {"not_ok": 0, "p99_ms": 0}})
    assert (result["verdict"], result["limits_sentence"]) == (
        "invalid",
        "The data is right; a limit of yours was missed.",
    )
    assert run_module("run_verdict_info", params | {"limits": None})["verdict"] == "invalid"
    refused = run_module("run_verdict_info", params | {"limits": {}})
    assert refused["rc"] == 1
    assert f"./scripts/lab verify -e results_run={run} -e" in refused["msg"]
    assert "\n" not in refused["msg"]

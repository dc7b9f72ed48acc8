# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planted.run import make_run

RunModule = Callable[..., dict[str, Any]]


def params(path: Path, experiment: str = "E2-etcd") -> dict[str, Any]:
    return {"results_dir": str(path), "experiment": experiment}


def test_a_valid_experiment(run_module: RunModule, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", iterations=400, experiments=["E2-etcd"]).path
    result = run_module("experiment_verify", params(path))
    assert result["rc"] == 0
    assert (result["verdict"], result["changed"], result["converted"]) == ("valid", True, False)
    assert result["summary"] == "E2-etcd: valid, all 11 checks."
    assert {check["verdict"] for check in result["checks"]} == {"valid"}
    assert json.loads((path / "verdict.json").read_text())["verdict"] == "valid"
    assert not run_module("experiment_verify", params(path))["changed"]


def test_an_invalid_experiment_is_a_result_not_a_failure(run_module: RunModule, tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=1200, experiments=["E2-etcd"], plant="lost_key")
    result = run_module("experiment_verify", params(made.path))
    assert (result["rc"], result["verdict"]) == (0, "invalid")
    assert made.details["key"] in result["summary"]


def test_a_missed_limit_is_a_result_and_a_wrong_one_a_line(run_module: RunModule, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", iterations=400, experiments=["E2-etcd"]).path
    result = run_module("experiment_verify", params(path) | {"limits": {"outage_ms": 1}})
    assert (result["rc"], result["verdict"]) == (0, "invalid")
    assert "limit outage_ms: outage_ms of F1 is " in result["summary"]
    assert json.loads((path / "verdict.json").read_text())["limits"] == {"outage_ms": 1}
    assert run_module("experiment_verify", params(path) | {"limits": None})["verdict"] == "valid"
    refused = run_module("experiment_verify", params(path) | {"limits": "outage_ms=1"})
    assert refused["msg"].startswith('limits is "outage_ms=1": it must be a mapping')


def test_check_mode_checks_and_writes_nothing(run_module: RunModule, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", iterations=400, experiments=["E2-etcd"]).path
    before = sorted(tmp_path.rglob("*"))
    result = run_module("experiment_verify", params(path), check=True)
    assert (result["verdict"], result["changed"]) == ("valid", True)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["experiment.json", "history.parquet"])
def test_a_missing_file_fails_in_one_line(run_module: RunModule, tmp_path: Path, name: str) -> None:
    path = make_run(tmp_path / "run", iterations=100, experiments=["E1-mysql"]).path
    (path / "E1-mysql" / name).unlink()
    result = run_module("experiment_verify", params(path, "E1-mysql"))
    assert result["failed"]
    assert name in result["msg"]
    assert "\n" not in result["msg"]


def test_without_events_nothing_is_proven(run_module: RunModule, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", iterations=100, experiments=["E1-mysql"]).path
    (path / "E1-mysql" / "events.jsonl").unlink()
    result = run_module("experiment_verify", params(path, "E1-mysql"))
    assert result["verdict"] == "unknown"
    assert "events.jsonl is missing" in result["summary"]


def test_without_pyarrow_it_says_so(run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("ansible.module_utils.failover")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "experiment_verify", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run_module("experiment_verify", params(tmp_path))
    assert result["failed"]
    assert "pyarrow" in result["msg"]
    assert "\n" not in result["msg"]

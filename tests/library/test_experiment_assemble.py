# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    """One experiment on MySQL, collected."""
    (tmp_path / "events.jsonl").write_text(
        json.dumps({"wall_ns": 1, "source": "client1", "event": "experiment.started", "data": {}}) + "\n"
    )
    return {
        "folder": str(tmp_path),
        "definition": {"name": "E1", "title": "t", "system": "mysql", "key_prefix": "", "faults": []},
        "settings": {"iterations": 200, "seed": 7},
        "members": {"mysql1": {"address": "192.0.2.21:3306"}},
        "workload": {
            "changed": True,
            "origin_wall_ns": 1,
            "duration_s": 1.5,
            "repeats": [
                {"repeat": 1, "first_index": 0, "end_index": 90, "began_ns": 0, "ended_ns": 9, "convergence": None}
            ],
        },
        "heal": {"changed": False},
        "before": {"changed": False, "version": "9"},
        "after": {"changed": False, "version": "9"},
    }


def test_it_writes_the_experiment(run_module: Run, params: dict[str, Any], tmp_path: Path) -> None:
    result = run_module("experiment_assemble", params)
    assert (result["rc"], result["changed"], result["msg"]) == (0, True, f"E1 assembled in {tmp_path}")
    written = json.loads((tmp_path / "experiment.json").read_text())
    assert (written["name"], written["seed"], written["workload"]["duration_s"]) == ("E1", 7, 1.5)


def test_check_mode_writes_nothing(run_module: Run, params: dict[str, Any], tmp_path: Path) -> None:
    result = run_module("experiment_assemble", params, check=True)
    assert (result["rc"], result["changed"]) == (0, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl"]


def test_without_pyarrow_it_says_so(
    run_module: Run, params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("ansible.module_utils.failover")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "experiment_assemble", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run_module("experiment_assemble", params)
    assert result["failed"]
    assert "pyarrow" in result["msg"]
    assert not (tmp_path / "experiment.json").exists()


def test_what_is_missing_fails_with_one_line(run_module: Run, params: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").unlink()
    result = run_module("experiment_assemble", params)
    assert result["rc"] == 1
    assert str(tmp_path / "events.jsonl") in result["msg"]
    assert "\n" not in result["msg"]


def test_a_folder_that_is_not_there_fails_with_one_line(
    run_module: Run, params: dict[str, Any], tmp_path: Path
) -> None:
    result = run_module("experiment_assemble", params | {"folder": str(tmp_path / "gone")})
    assert result["rc"] == 1
    assert str(tmp_path / "gone") in result["msg"]
    assert "\n" not in result["msg"]

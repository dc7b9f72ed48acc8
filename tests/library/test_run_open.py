# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RunModule = Callable[..., dict[str, Any]]
SETTINGS = {"iterations": 2000, "seed": 7, "repeats": {"etcd": 10}}


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    return {
        "folder": str(tmp_path / "run"),
        "checkout": str(tmp_path),
        "experiments": [{"name": "E3-etcd", "faults": [{"id": "F1", "at_index": 240}]}],
        "settings": SETTINGS,
    }


def test_a_run_is_opened_and_gone_on_with(run_module: RunModule, params: dict[str, Any], tmp_path: Path) -> None:
    opened = run_module("run_open", params)
    assert (opened["rc"], opened["changed"], opened["pending"], opened["resumed_at"]) == (0, True, ["E3-etcd"], [])
    usual = {"retry_policy": "safe", "read_consistency": "linearizable", "arrivals": "fixed", "tls": False}
    assert opened["settings"] == {"iterations": 2000, "seed": 7, "clients": 1, "rate": 0.0, **usual}
    assert opened["checkout"] is None  # this folder is no checkout
    # Text, as -e gives it, is the same number.
    again = run_module("run_open", params | {"resume": True, "settings": SETTINGS | {"repeats": {"etcd": "10"}}})
    assert (again["started_at"], len(again["resumed_at"])) == (opened["started_at"], 1)
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["repeats"] == {"etcd": 10}


def test_check_mode_writes_nothing(run_module: RunModule, params: dict[str, Any], tmp_path: Path) -> None:
    assert run_module("run_open", params, check=True)["pending"] == ["E3-etcd"]
    assert not (tmp_path / "run").exists()


def test_another_run_fails_in_one_line(run_module: RunModule, params: dict[str, Any]) -> None:
    run_module("run_open", params)
    refused = run_module("run_open", params | {"resume": True, "settings": SETTINGS | {"seed": 8}})
    assert refused["rc"] == 1
    assert "Resume it with -e seed=7" in refused["msg"]
    assert "\n" not in refused["msg"]


def test_limits_are_told_as_they_were_given(run_module: RunModule, params: dict[str, Any]) -> None:
    assert run_module("run_open", params)["limits"] == {}
    assert run_module("run_open", params | {"limits": {"outage_ms": 2000}})["limits"] == {"outage_ms": 2000}
    assert run_module("run_open", params | {"resume": True})["limits"] == {"outage_ms": 2000}

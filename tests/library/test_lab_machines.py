# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]
pytestmark = pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2")


def params(folder: Path, **changed: Any) -> dict[str, Any]:
    return {"lab_name": "nobody-has-this-lab", "subnet": "10.89.250.0/24", "folder": str(folder / "m"), **changed}


def test_check_mode_says_what_would_be_made(run_module: Run, tmp_path: Path) -> None:
    machine = {"name": "etcd1", "address": "10.89.250.11", "image": str(tmp_path), "accelerator": "tcg"}
    sizes = {"memory_mb": 512, "cpus": 1, "disk_mb": 4096}
    given = params(tmp_path, machines=[machine | sizes], groups={"etcd": ["etcd1"]}, authorized_key="k", host_key="h")
    result = run_module("lab_machines", given, check=True)
    assert (result["rc"], result["changed"], result["made"], len(result["links"])) == (0, True, ["etcd1"], 2)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("state", ["absent", "started"])
def test_where_nothing_is_nothing_is_done(run_module: Run, tmp_path: Path, state: str) -> None:
    result = run_module("lab_machines", params(tmp_path, state=state))
    assert (result["rc"], result["changed"]) == (0, False)
    assert (result["made"], result["started"], result["removed"], result["links"], result["keeper"]) == (
        [],
        [],
        [],
        [],
        False,
    )


def test_machines_need_keys(run_module: Run, tmp_path: Path) -> None:
    assert "authorized_key" in run_module("lab_machines", params(tmp_path))["msg"]

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]
RETURNED = (
    *("cgroup_layout", "runtime", "podman_version", "nofile_limit", "disk_free_mb", "memory_available_mb"),
    *("containers", "networks", "images", "problems"),
)


@pytest.mark.parametrize("check", [False, True])
def test_it_tells_what_this_machine_is(run_module: Run, tmp_path: Path, check: bool) -> None:
    params = {"lab_name": "nobody-has-this-lab", "subnet": "10.89.250.0/24", "folders": [str(tmp_path)]}
    result = run_module("host_preflight_info", params, check=check)
    assert (result["rc"], result["changed"]) == (0, False)
    assert set(RETURNED) <= set(result)
    assert result["cgroup_layout"] in ("v2", "hybrid", "v1", "none")
    assert result["disk_free_mb"][str(tmp_path)] > 0
    assert result["containers"] == {}


def test_a_shortcoming_is_a_result_and_no_failure(run_module: Run) -> None:
    result = run_module("host_preflight_info", {"lab_name": "x", "subnet": "garbage", "min_memory_mb": 2**40})
    assert result["rc"] == 0
    whats = [problem["what"] for problem in result["problems"]]
    assert any(what.startswith("lab_subnet garbage is not a network") for what in whats)
    assert any(what.endswith("MB are needed") for what in whats)

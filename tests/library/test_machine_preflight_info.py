# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]
RETURNED = (
    *("qemu_version", "accelerator", "why_no_kvm", "disk_free_mb", "memory_available_mb", "machines", "links"),
    *("images", "problems"),
)


def params(folder: Path, **changed: Any) -> dict[str, Any]:
    given = {"lab_name": "nobody-has-this-lab", "subnet": "10.89.250.0/24", "accelerator": "tcg"}
    return {**given, "folder": str(folder / "machines"), "image_dir": str(folder / "images"), **changed}


@pytest.mark.parametrize("check", [False, True])
def test_it_tells_what_this_machine_is(run_module: Run, tmp_path: Path, check: bool) -> None:
    result = run_module("machine_preflight_info", params(tmp_path, disk_mb={str(tmp_path): 1}), check=check)
    assert (result["rc"], result["changed"]) == (0, False)
    assert set(RETURNED) <= set(result)
    assert (result["accelerator"], result["machines"], result["links"], result["images"]) == ("tcg", {}, [], [])
    assert result["disk_free_mb"][str(tmp_path)] > 0


def test_shortcomings_are_results_and_no_failure(run_module: Run, tmp_path: Path) -> None:
    too_much = {"subnet": "garbage", "memory_mb": 2**40, "disk_mb": {str(tmp_path): 2**40}}
    result = run_module("machine_preflight_info", params(tmp_path, **too_much))
    assert result["rc"] == 0
    whats = [problem["what"] for problem in result["problems"]]
    assert any(what.startswith("lab_subnet garbage is not a network") for what in whats)
    assert any(what.endswith("MB are needed for the machines") for what in whats)
    assert any(what.endswith(f"{2**40} MB are needed") for what in whats)


def test_images_that_are_there_are_listed(run_module: Run, tmp_path: Path) -> None:
    image = tmp_path / "images" / "trixie-0123"
    image.mkdir(parents=True)
    (image / "root.img").touch()
    (tmp_path / "images" / "sid-4567.making").mkdir()
    assert run_module("machine_preflight_info", params(tmp_path))["images"] == [str(image)]

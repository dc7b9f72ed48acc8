# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planted.run import make_run

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_run(tmp_path / "run", iterations=50, experiments=["E1-etcd"])
    return tmp_path / "run"


def test_it_tells_the_experiments(run_module: Run, folder: Path) -> None:
    found = run_module("results_run_info", {"results_dir": str(folder)})
    found.pop("invocation", None)  # ansible-core 2.21 tells it no more
    assert found == {"changed": False, "experiments": ["E1-etcd"], "rc": 0}


def test_the_mark_of_an_editor_does_no_harm(run_module: Run, folder: Path) -> None:
    path = folder / "run.json"
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert run_module("results_run_info", {"results_dir": str(folder)})["experiments"] == ["E1-etcd"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing; copy the results folder again"),
        (b"", "is empty; copy"),
        (b'{"schema_version": 1, "run_id"', "is damaged or cut short ("),
        (b"\xff\xfe{}", "cannot be read: "),
        (b"[]", "is not a JSON object; copy"),
        (b'{"schema_version": 1}', "lacks "),
    ],
)
def test_a_damaged_file_is_named_with_the_remedy(
    run_module: Run, folder: Path, content: bytes | None, said: str
) -> None:
    path = folder / "run.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    result = run_module("results_run_info", {"results_dir": str(folder)})
    assert result["failed"] is True
    assert result["msg"].startswith(str(path))
    assert said in result["msg"]
    assert result["msg"].endswith("copy the results folder again, or repeat the run")

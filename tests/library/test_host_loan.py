# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.failover import host_loan as wired

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def loans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "loans"
    monkeypatch.setattr(wired.Lender.__init__, "__defaults__", (folder, wired.run_command, Path("/proc")))
    return folder


def test_nothing_to_take_over_is_lent_and_returned(run_module: Run, loans: Path, tmp_path: Path) -> None:
    file = tmp_path / "new/agent.conf"
    given = {"name": "agent", "lab": "here", "files": [str(file)]}
    assert run_module("host_loan", given, check=True)["changed"]
    assert not loans.exists()
    lent = run_module("host_loan", given)
    assert (lent["rc"], lent["changed"], lent["loan"]["folders"]) == (0, True, [str(file.parent)])
    assert not run_module("host_loan", given)["changed"]
    file.parent.mkdir()
    file.touch()
    returned = run_module("host_loan", {"name": "agent", "lab": "here", "state": "returned"})
    assert (returned["changed"], returned["actions"]) == (True, [f"remove {file}"])
    assert not file.parent.exists()
    again = run_module("host_loan", {"name": "agent", "lab": "here", "state": "returned"})
    assert (again["changed"], again["loan"]) == (False, None)


def test_what_is_refused_is_one_line(run_module: Run, loans: Path) -> None:
    run_module("host_loan", {"name": "agent", "lab": "here"})
    alone = run_module("host_loan", {"name": "agent", "lab": "here", "ports": [1]})
    assert alone["msg"] == "parameters are required together: address, ports"
    refused = run_module("host_loan", {"name": "agent", "lab": "there"})
    assert refused["rc"] == 1
    assert "is in use by the lab here" in refused["msg"]
    assert "\n" not in refused["msg"]

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_doubles import FakeManager

UNIT = "failover-lab-test.service"
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeManager]:
    made = FakeManager(tmp_path)
    made.add(UNIT)
    monkeypatch.setenv("PATH", made.path)
    yield made
    made.close()


def test_a_member_goes_down_and_comes_back(run_module: Run, manager: FakeManager) -> None:
    pid = manager.pid(UNIT)
    for state, changed, active in (
        ("started", False, "active"),
        ("killed", True, "failed"),
        ("killed", False, "failed"),
        ("stopped", False, "failed"),
        ("started", True, "active"),
        ("stopped", True, "inactive"),
        ("restarted", True, "active"),
    ):
        result = run_module("member_control", {"unit": UNIT, "state": state})
        assert (result["rc"], result["changed"], result["active_after"]) == (0, changed, active), state
    assert manager.pid(UNIT) not in (0, pid)
    assert result["commands"] == [f"systemctl restart {UNIT}"]


@pytest.mark.parametrize("state", ["stopped", "killed", "restarted"])
def test_check_mode_only_says_what_would_be_done(run_module: Run, manager: FakeManager, state: str) -> None:
    pid = manager.pid(UNIT)
    result = run_module("member_control", {"unit": UNIT, "state": state}, check=True)
    assert (result["rc"], result["changed"], result["commands"]) == (0, True, [])
    assert manager.pid(UNIT) == pid


def test_a_start_that_fails_shows_cause_and_log(run_module: Run, manager: FakeManager) -> None:
    manager.run("stop", UNIT)
    manager.set(UNIT, "fail", "yes")
    manager.set(UNIT, "log", "one\nmember 8e9e05c52164694d has already been bootstrapped")
    result = run_module("member_control", {"unit": UNIT, "state": "started", "log_lines": 1})
    assert result["rc"] == 1
    first, *rest = result["msg"].splitlines()
    assert first.startswith(f"systemctl start {UNIT} failed: Job for {UNIT} failed")
    assert "Likely cause: the member lost its data directory" in first
    assert rest == ["Last log lines:", "member 8e9e05c52164694d has already been bootstrapped"]
    assert result["commands"] == [f"systemctl start {UNIT}"]


def test_a_unit_that_is_not_there_is_named(run_module: Run, manager: FakeManager) -> None:
    result = run_module("member_control", {"unit": "nobody.service", "state": "killed"})
    assert result["rc"] == 1
    assert result["msg"].startswith("There is no unit nobody.service to be killed.")
    assert manager.calls()[-1].startswith("show")

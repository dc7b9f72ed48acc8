# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from group_doubles import MEMBERS, FakeGroup

PARAMS = {"member": "group1", "members": MEMBERS, "user": "lab_group", "password": "hidden-secret", "timeout_s": 0.5}
Run = Callable[..., dict[str, Any]]


def test_a_member_joins_and_the_next_time_nothing_changes(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch)
    group.form()
    group.servers["group1"].state, group.primary = "OFFLINE", "group2"
    result = run_module("mysql_group_member", PARAMS)
    assert (result["rc"], result["changed"], result["state"], result["role"]) == (0, True, "ONLINE", "SECONDARY")
    assert [step["act"] for step in result["steps"]] == ["join"]
    again = run_module("mysql_group_member", PARAMS)
    assert (again["changed"], again["steps"], again["term"]) == (False, [], 4)


def test_check_mode_says_what_would_come_first(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch)
    result = run_module("mysql_group_member", PARAMS, check=True)
    assert (result["changed"], result["steps"][0]["act"], group.groups_made) == (True, "bootstrap", [])


def test_a_group_that_cannot_form_is_told_with_each_member(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGroup(monkeypatch).servers["group3"].up = False
    result = run_module("mysql_group_member", PARAMS)
    assert result["rc"] == 1
    assert "group1 offline, group2 offline, group3 does not answer" in result["msg"]
    assert "none is formed while a member does not answer" in result["msg"]
    assert "hidden-secret" not in str(result)


def test_a_member_of_another_group_is_refused(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGroup(monkeypatch)
    result = run_module("mysql_group_member", {**PARAMS, "member": "group9"})
    assert result["msg"] == "group9 is not one of members: group1, group2, group3."

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from group_doubles import MEMBERS, FakeGroup

PARAMS = {"members": MEMBERS, "user": "lab", "password": "hidden-secret", "timeout_s": 0.3}
Run = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("check", [False, True])
def test_a_whole_group(run_module: Run, monkeypatch: pytest.MonkeyPatch, check: bool) -> None:
    FakeGroup(monkeypatch).form()
    result = run_module("mysql_group_info", {**PARAMS, "wait_for": "converged"}, check=check)
    assert (result["rc"], result["changed"], result["healthy"], result["leader"]) == (0, False, True, "group1")
    assert result["observation"]["term"] == 3
    assert result["observation"]["members"]["group2"]["leader_id"] == "uuid-group1"


def test_what_is_wrong_is_data(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch)
    group.form()
    group.servers["group2"].state = "OFFLINE"
    group.servers["group3"].up = False
    result = run_module("mysql_group_info", PARAMS)
    assert (result["rc"], result["healthy"]) == (0, False)
    assert result["reasons"][:2] == ["group3 does not answer: connection refused", "group2 is offline"]


def test_a_server_that_does_not_take_what_its_role_promises_is_named(
    run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = FakeGroup(monkeypatch)
    group.form()
    group.servers["group1"].read_only = True
    group.servers["group2"].offline_mode = True
    result = run_module("mysql_group_info", {**PARAMS, "wait_for": "healthy"})
    assert (result["rc"], result["healthy"]) == (0, False)
    assert result["reasons"] == ["group1 is primary, and read-only", "group2 is in offline mode"]
    modes = {name: member["modes"] for name, member in result["observation"]["members"].items()}
    assert modes["group3"] == {"read_only": True, "super_read_only": True, "offline_mode": False}  # a secondary
    group.form()
    group.servers["group1"].read_only = group.servers["group2"].offline_mode = False
    assert run_module("mysql_group_info", PARAMS)["reasons"] == []


def test_waiting_in_vain_fails_with_one_line(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch)
    group.form()
    group.servers["group2"].gtids = "g:1-4"
    result = run_module("mysql_group_info", {**PARAMS, "wait_for": "converged"})
    assert result["rc"] == 1
    assert result["msg"].startswith("The MySQL group was not converged within 0.3 s: the members have different trans")
    assert "hidden-secret" not in str(result)


def test_an_address_that_is_none_is_named(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGroup(monkeypatch)
    result = run_module("mysql_group_info", {**PARAMS, "members": {"group1": "nowhere"}})
    assert result["msg"].startswith("'nowhere' is not an address of a MySQL server")

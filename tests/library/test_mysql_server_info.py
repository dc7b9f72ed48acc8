# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pymysql
import pytest
from fault_doubles import FakeObservedMySQL

PARAMS = {"host": "10.0.0.21", "user": "lab", "password": "hidden-secret", "database": "test_database"}
Run = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("check", [False, True])
def test_a_server(run_module: Run, monkeypatch: pytest.MonkeyPatch, check: bool) -> None:
    server = FakeObservedMySQL(monkeypatch)
    params = {**PARAMS, "wait_for": "healthy", "expected_variables": {"sync_binlog": 1}}
    result = run_module("mysql_server_info", params, check=check)
    assert (result["rc"], result["changed"], result["healthy"], result["reasons"]) == (0, False, True, [])
    assert (result["version"], result["variables"]["log_bin"]) == ("9.7.4-2", "ON")
    assert server.asked[0]["password"] == "hidden-secret"


def test_a_server_that_is_down_is_data(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeObservedMySQL(monkeypatch, errors=[pymysql.err.OperationalError(2003, "Can't connect")])
    result = run_module("mysql_server_info", PARAMS)
    assert (result["rc"], result["reachable"], result["healthy"], result["error"]) == (0, False, False, "Can't connect")


def test_waiting_in_vain_fails_with_one_line(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeObservedMySQL(monkeypatch, errors=[pymysql.err.OperationalError(2003, "Can't connect")] * 50)
    result = run_module("mysql_server_info", {**PARAMS, "wait_for": "reachable", "timeout_s": 0.3})
    assert result["rc"] == 1
    assert result["msg"] == (
        "The MySQL server 10.0.0.21:3306 was not reachable within 0.3 s: it does not answer: Can't connect. "
        "Look at its log, and at the user's rights."
    )
    assert "hidden-secret" not in str(result)


def test_a_host_without_the_library_is_named(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    result = run_module("mysql_server_info", PARAMS)
    assert result["rc"] == 1
    assert result["msg"].startswith("PyMySQL is missing for this Python.")

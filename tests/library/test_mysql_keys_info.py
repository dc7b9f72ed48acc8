# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from failover.results.read import Entry, read_dump
from fake_gateway import closed_endpoint
from fake_mysql import FakeMySQL, install

RunModule = Callable[..., dict[str, Any]]


def params(dest: Path, endpoint: str = "10.0.0.21:3307") -> dict[str, Any]:
    host, port = endpoint.split(":")
    account = {"user": "lab", "password": "secret", "database": "db"}
    return {"member": "mysql1", "host": host, "port": int(port), **account, "dest": str(dest)}


@pytest.mark.parametrize("check", [False, True])
def test_rows_are_counted_and_written_unless_checked(
    run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    server = install(monkeypatch, FakeMySQL(rows={"a phone": "1.2.3.4"}))
    dest = tmp_path / "mysql1.jsonl"
    result = run_module("mysql_keys_info", params(dest), check=check)
    assert (result["rc"], result["available"], result["count"]) == (0, True, 1)
    assert {name: server.asked[name] for name in ("host", "port", "user", "password", "database")} == {
        "host": "10.0.0.21", "port": 3307, "user": "lab", "password": "secret", "database": "db",
    }  # fmt: skip
    assert dest.exists() is not check
    if not check:
        assert read_dump(dest, "").entries == {"a phone": Entry("1.2.3.4", None, None)}


def test_a_member_of_a_group_waits_for_nobody(
    run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = install(monkeypatch, FakeMySQL(rows={"a phone": "1.2.3.4"}))
    dest = tmp_path / "group1.jsonl"
    result = run_module("mysql_keys_info", {**params(dest), "member": "group1", "system": "mysql_cluster"})
    assert (result["available"], result["count"]) == (True, 1)
    assert server.statements[0] == "SET SESSION group_replication_consistency = 'EVENTUAL'"
    assert read_dump(dest, "").entries == {"a phone": Entry("1.2.3.4", None, None)}
    assert json.loads(dest.read_text().splitlines()[0])["system"] == "mysql_cluster"


def test_a_member_that_lets_nobody_in_does_not_fail(
    run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakeMySQL(error=(3032, "The server is currently in offline mode")))
    result = run_module("mysql_keys_info", params(tmp_path / "d.jsonl"))
    assert (result["rc"], result["available"]) == (0, False)
    assert "offline mode" in result["reason"]


def test_server_that_is_down_does_not_fail(run_module: RunModule, tmp_path: Path) -> None:
    result = run_module("mysql_keys_info", params(tmp_path / "d.jsonl", closed_endpoint()))
    assert (result["rc"], result["available"], result["sha256"]) == (0, False, None)


def test_refused_login_fails(run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeMySQL(error=(1045, "Access denied for user 'lab'")))
    result = run_module("mysql_keys_info", params(tmp_path / "d.jsonl"))
    assert result["failed"]
    assert "Access denied" in result["msg"]

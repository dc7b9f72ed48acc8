# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from failover.results.entries import Entry
from failover.results.read import read_dump
from fake_gateway import closed_endpoint, serve_gateway
from fake_mysql import FakeMySQL, install

RunModule = Callable[..., dict[str, Any]]


def etcd(url: str, dest: Path) -> dict[str, Any]:
    target = {"system": "etcd", "members": {"etcd1": {"client_url": url}}}
    return {"target": target, "member": "etcd1", "key_prefix": "EXP1-", "dest": str(dest)}


def mysql(dest: Path, endpoint: str = "10.0.0.21:3307", *, system: str = "mysql") -> dict[str, Any]:
    target = {"system": system, "members": {"mysql1": {"address": endpoint}}, "user": "lab", "database": "db"}
    return {"target": target, "password": "secret", "member": "mysql1", "dest": str(dest)}


@pytest.mark.parametrize("check", [False, True])
def test_keys_are_counted_and_written_unless_checked(run_module: RunModule, tmp_path: Path, check: bool) -> None:
    dest = tmp_path / "etcd1.jsonl"
    with serve_gateway() as gateway:
        gateway.keys = {"EXP1-a phone": ("1.2.3.4", 1, 5), "other": ("x", 1, 6)}
        result = run_module("system_keys_info", etcd(gateway.url, dest), check=check)
    assert (result["rc"], result["available"], result["count"], result["changed"]) == (0, True, 1, True)
    assert result["dest"] == str(dest)
    assert dest.exists() is not check
    if not check:
        assert list(read_dump(dest, "EXP1-").entries) == ["a phone"]


def test_member_that_is_down_does_not_fail(run_module: RunModule, tmp_path: Path) -> None:
    result = run_module("system_keys_info", etcd(f"http://{closed_endpoint()}", tmp_path / "d.jsonl"))
    assert (result["rc"], result["available"], result["reason"]) == (0, False, "connection refused")
    assert result["changed"] is False


def test_wrong_url_fails_in_one_line(run_module: RunModule, tmp_path: Path) -> None:
    result = run_module("system_keys_info", etcd("etcd1", tmp_path / "d.jsonl"))
    assert result["failed"]
    assert "client_url of etcd1" in result["msg"]


def test_a_member_that_is_none_fails_in_one_line(run_module: RunModule, tmp_path: Path) -> None:
    result = run_module("system_keys_info", {**mysql(tmp_path / "d.jsonl"), "member": "mysql2"})
    assert (result["failed"], result["msg"]) == (True, "mysql2 is not one of target.members: mysql1.")


@pytest.mark.parametrize("check", [False, True])
def test_rows_are_counted_and_written_unless_checked(
    run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    server = install(monkeypatch, FakeMySQL(rows={"a phone": "1.2.3.4"}))
    dest = tmp_path / "mysql1.jsonl"
    result = run_module("system_keys_info", mysql(dest), check=check)
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
    dest = tmp_path / "mysql1.jsonl"
    result = run_module("system_keys_info", mysql(dest, system="mysql_cluster"))
    assert (result["available"], result["count"]) == (True, 1)
    assert server.statements[0] == "SET SESSION group_replication_consistency = 'EVENTUAL'"
    assert read_dump(dest, "").entries == {"a phone": Entry("1.2.3.4", None, None)}
    assert json.loads(dest.read_text().splitlines()[0])["system"] == "mysql_cluster"


def test_a_member_that_lets_nobody_in_does_not_fail(
    run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakeMySQL(error=(3032, "The server is currently in offline mode")))
    result = run_module("system_keys_info", mysql(tmp_path / "d.jsonl"))
    assert (result["rc"], result["available"]) == (0, False)
    assert "offline mode" in result["reason"]


def test_server_that_is_down_does_not_fail(run_module: RunModule, tmp_path: Path) -> None:
    result = run_module("system_keys_info", mysql(tmp_path / "d.jsonl", closed_endpoint()))
    assert (result["rc"], result["available"], result["sha256"]) == (0, False, None)


def test_refused_login_fails(run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeMySQL(error=(1045, "Access denied for user 'lab'")))
    result = run_module("system_keys_info", mysql(tmp_path / "d.jsonl"))
    assert result["failed"]
    assert "Access denied" in result["msg"]

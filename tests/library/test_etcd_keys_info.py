# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from failover.results.read import read_dump
from fake_gateway import closed_endpoint, serve_gateway

RunModule = Callable[..., dict[str, Any]]


def params(url: str, dest: Path) -> dict[str, Any]:
    return {"member": "etcd1", "client_url": url, "key_prefix": "EXP1-", "dest": str(dest)}


@pytest.mark.parametrize("check", [False, True])
def test_keys_are_counted_and_written_unless_checked(run_module: RunModule, tmp_path: Path, check: bool) -> None:
    dest = tmp_path / "etcd1.jsonl"
    with serve_gateway() as gateway:
        gateway.keys = {"EXP1-a phone": ("1.2.3.4", 1, 5), "other": ("x", 1, 6)}
        result = run_module("etcd_keys_info", params(gateway.url, dest), check=check)
    assert (result["rc"], result["available"], result["count"], result["changed"]) == (0, True, 1, True)
    assert result["dest"] == str(dest)
    assert dest.exists() is not check
    if not check:
        assert list(read_dump(dest, "EXP1-").entries) == ["a phone"]


def test_member_that_is_down_does_not_fail(run_module: RunModule, tmp_path: Path) -> None:
    result = run_module("etcd_keys_info", params(f"http://{closed_endpoint()}", tmp_path / "d.jsonl"))
    assert (result["rc"], result["available"], result["reason"]) == (0, False, "connection refused")
    assert result["changed"] is False


def test_wrong_url_fails_in_one_line(run_module: RunModule, tmp_path: Path) -> None:
    result = run_module("etcd_keys_info", params("etcd1", tmp_path / "d.jsonl"))
    assert result["failed"]
    assert "client_url of etcd1" in result["msg"]

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from fake_gateway import closed_endpoint
from locked_gateway import LockedGateway, serve_locked

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def gateway(authority: Authority) -> Iterator[LockedGateway]:
    with serve_locked(authority) as made:
        yield made


def given(url: str, authority: Authority) -> dict[str, Any]:
    secrets = {"root_password": "hidden-root", "password": "hidden-lab"}
    return {"url": url, "ca": authority.ca, "user": "lab", "timeout_s": 30, **secrets}


def test_accounts_are_switched_on_and_the_next_time_nothing_changes(
    run_module: Run, gateway: LockedGateway, authority: Authority
) -> None:
    first = run_module("etcd_accounts", given(gateway.url, authority))
    assert (first["rc"], first["changed"], gateway.on) == (0, True, True)
    again = run_module("etcd_accounts", given(gateway.url, authority))
    assert (again["rc"], again["changed"], again["user"]) == (0, False, "lab")
    assert "hidden" not in str(first) + str(again)


def test_check_mode_changes_nothing(run_module: Run, gateway: LockedGateway, authority: Authority) -> None:
    result = run_module("etcd_accounts", given(gateway.url, authority), check=True)
    assert (result["changed"], gateway.on, gateway.users) == (True, False, {})


def test_what_is_in_the_way_is_told_without_a_password(
    run_module: Run, gateway: LockedGateway, authority: Authority
) -> None:
    gateway.on, gateway.users = True, {"root": "another"}
    result = run_module("etcd_accounts", given(gateway.url, authority))
    assert result["rc"] == 1
    assert "root's password there is another one" in result["msg"]
    unreachable = run_module("etcd_accounts", given(f"https://{closed_endpoint()}", authority))
    assert unreachable["msg"] == "The accounts of etcd are not on: connection refused"
    assert "hidden" not in str(result) + str(unreachable)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fake_gateway import closed_endpoint, serve_gateway
from fake_mysql import FakeMySQL, install, install_group, view_from

RunModule = Callable[..., dict[str, Any]]
MYSQL = {
    "target": {
        "system": "mysql",
        "members": {"mysql1": {"address": "10.0.0.21:3306"}},
        "endpoints": ["10.0.0.21:3306"],
        "user": "lab",
        "database": "db",
    },
    "password": "secret",
    "settings": {"iterations": 10, "seed": 1},
}


def of(params: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the parameters with something of the target changed."""
    return {**params, "target": {**params["target"], **changes}}


def etcd(*endpoints: str, prefix: str = "EXP1-") -> dict[str, Any]:
    members = {f"etcd{number}": {"client_url": f"http://{endpoint}"} for number, endpoint in enumerate(endpoints, 1)}
    return {
        "target": {"system": "etcd", "members": members, "endpoints": list(endpoints)},
        "settings": MYSQL["settings"],
        "key_prefix": prefix,
    }


def test_etcd_loses_the_keys_of_the_prefix_and_no_others(run_module: RunModule) -> None:
    with serve_gateway() as gateway:
        gateway.keys = {"EXP1-a": ("1", 1, 1), "EXP1-b": ("2", 1, 2), "EXP2-a": ("3", 1, 3), "EXP1": ("4", 1, 4)}
        first = run_module("system_prepare", etcd(gateway.endpoint))
        second = run_module("system_prepare", etcd(gateway.endpoint))
        left = sorted(gateway.keys)
    assert (first["changed"], first["removed"], first["created"]) == (True, 2, False)
    assert (second["changed"], second["removed"]) == (False, 0)
    assert left == ["EXP1", "EXP2-a"]


def test_etcd_check_mode_only_counts(run_module: RunModule) -> None:
    with serve_gateway() as gateway:
        gateway.keys = {"EXP1-a": ("1", 1, 1)}
        result = run_module("system_prepare", etcd(gateway.endpoint), check=True)
        assert list(gateway.keys) == ["EXP1-a"]
    assert (result["changed"], result["removed"]) == (True, 1)


def test_etcd_is_emptied_through_a_member_that_answers(run_module: RunModule) -> None:
    with serve_gateway() as gateway:
        gateway.keys = {"EXP1-a": ("1", 1, 1)}
        result = run_module("system_prepare", etcd(closed_endpoint(), gateway.endpoint))
        assert (result["removed"], result["endpoint"], gateway.keys) == (1, gateway.endpoint, {})


@pytest.mark.parametrize("check", [True, False])
def test_empty_prefix_is_refused(run_module: RunModule, check: bool) -> None:
    with serve_gateway() as gateway:
        gateway.keys = {"a": ("1", 1, 1)}
        result = run_module("system_prepare", etcd(gateway.endpoint, prefix=""), check=check)
        assert (list(gateway.keys), gateway.requests) == (["a"], [])
    assert result["failed"]
    assert "key_prefix is empty" in result["msg"]


def test_etcd_without_an_answer_fails_naming_the_reasons(run_module: RunModule) -> None:
    endpoint = closed_endpoint()
    result = run_module("system_prepare", etcd(endpoint))
    assert result["failed"]
    assert f"{endpoint}: connection refused" in result["msg"]


@pytest.mark.parametrize(
    ("rows", "removed", "created", "changed"),
    [(None, 0, True, True), ({}, 0, False, False), ({"a": "1", "b": "2"}, 2, False, True)],
)
@pytest.mark.parametrize("check", [False, True])
def test_mysql_table_is_made_and_emptied(
    run_module: RunModule,
    monkeypatch: pytest.MonkeyPatch,
    rows: dict[str, str] | None,
    removed: int,
    created: bool,
    changed: bool,
    check: bool,
) -> None:
    server = install(monkeypatch, FakeMySQL(rows=None if rows is None else dict(rows)))
    result = run_module("system_prepare", MYSQL, check=check)
    assert (result["removed"], result["created"], result["changed"]) == (removed, created, changed)
    assert server.rows == (rows if check else {})


@pytest.mark.parametrize("check", [False, True])
def test_a_table_for_other_values_is_made_anew(
    run_module: RunModule, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    server = install(monkeypatch, FakeMySQL(rows={"a": "1"}))
    lists = {**MYSQL, "settings": {"iterations": 10, "seed": 1, "workload": {"name": "append"}}}
    result = run_module("system_prepare", lists, check=check)
    assert (result["removed"], result["created"], result["changed"]) == (1, True, True)
    assert (server.rows, server.value_type) == (({"a": "1"}, "char(20)") if check else ({}, "mediumtext"))
    again = run_module("system_prepare", lists)
    assert again["created"] is check


def test_mysql_that_does_not_answer_fails(run_module: RunModule) -> None:
    endpoint = closed_endpoint()
    result = run_module("system_prepare", of(MYSQL, endpoints=[endpoint]))
    assert result["failed"]
    assert f"MySQL at {endpoint} could not be emptied" in result["msg"]
    assert "secret" not in result["msg"]


GROUP = of(MYSQL, system="mysql_cluster", endpoints=[f"10.0.0.{number}:3306" for number in (1, 2, 3)])
SECOND_LEADS = {1: ("ONLINE", "SECONDARY"), 2: ("ONLINE", "PRIMARY"), 3: ("UNREACHABLE", "SECONDARY")}


@pytest.mark.parametrize("check", [False, True])
def test_a_group_is_emptied_through_its_primary(
    run_module: RunModule, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    servers = {f"10.0.0.{n}": FakeMySQL(rows={"a": "1"}, view=view_from(n, SECOND_LEADS)) for n in (1, 2)}
    servers["10.0.0.3"] = FakeMySQL(error=(2003, "Connection refused"))
    install_group(monkeypatch, servers)
    result = run_module("system_prepare", GROUP, check=check)
    assert (result["removed"], result["endpoint"], result["changed"]) == (1, "10.0.0.2:3306", True)
    assert [servers[f"10.0.0.{n}"].rows for n in (1, 2)] == [{"a": "1"}, {"a": "1"} if check else {}]


def test_a_group_without_a_primary_is_one_line(run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = {1: ("ONLINE", "SECONDARY"), 2: ("UNREACHABLE", "PRIMARY"), 3: ("ONLINE", "SECONDARY")}
    servers = {
        "10.0.0.1": FakeMySQL(view=view_from(1, alone), rows={"a": "1"}),
        "10.0.0.2": FakeMySQL(error=(2003, "Connection refused")),
        "10.0.0.3": FakeMySQL(view=[("uuid3", "", "", 0, "OFFLINE", "")], rows={}),
    }
    install_group(monkeypatch, servers)
    result = run_module("system_prepare", GROUP)
    assert result["failed"]
    for said in (
        "has no primary",
        "10.0.0.1:3306: it is a secondary, and knows no primary",
        "10.0.0.2:3306: Connection refused",
        "10.0.0.3:3306: it is not in a group",
    ):
        assert said in result["msg"]
    assert "\n" not in result["msg"]
    assert servers["10.0.0.1"].rows == {"a": "1"}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"system": "mysql_cluster", "user": None}, "system is mysql_cluster, and user of its account is missing"),
        ({"user": None}, "user of its account is missing"),
        ({"user": "", "database": ""}, "user, database of its account is missing"),
        ({"endpoints": ["10.0.0.21"]}, "not the address"),
        ({"endpoints": []}, "endpoints is empty"),
    ],
)
def test_wrong_options_fail(run_module: RunModule, changes: dict[str, Any], text: str) -> None:
    result = run_module("system_prepare", of(MYSQL, **changes))
    assert result["failed"]
    assert text in result["msg"]

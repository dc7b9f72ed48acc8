# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest
from fault_doubles import FakeCluster, FakeObservedMySQL
from group_doubles import MEMBERS, FakeGroup

NAMES = ["etcd1", "etcd2", "etcd3"]
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    made = FakeCluster()
    yield made
    made.close()


def etcd(cluster: FakeCluster) -> dict[str, Any]:
    return {"system": "etcd", "members": {name: {"client_url": cluster.members[name].url} for name in NAMES}}


@pytest.mark.parametrize("check", [False, True])
def test_a_whole_cluster(run_module: Run, cluster: FakeCluster, check: bool) -> None:
    result = run_module("system_info", {"target": etcd(cluster), "wait_for": "converged"}, check=check)
    assert (result["rc"], result["changed"]) == (0, False)
    assert (result["healthy"], result["converged"], result["reasons"], result["leader"]) == (True, True, [], "etcd2")
    assert result["observation"]["members"]["etcd1"]["knows"] == NAMES
    assert result["elapsed_s"] >= 0


def test_a_member_that_is_down_is_data(run_module: Run, cluster: FakeCluster) -> None:
    cluster.members["etcd3"].stop()
    result = run_module("system_info", {"target": etcd(cluster)})
    assert (result["rc"], result["healthy"], result["converged"]) == (0, False, None)
    assert result["observation"]["members"]["etcd3"]["reachable"] is False


def test_waiting_in_vain_fails_with_one_line_that_names_the_member(run_module: Run, cluster: FakeCluster) -> None:
    cluster.members["etcd3"].stop()
    result = run_module("system_info", {"target": etcd(cluster), "wait_for": "healthy", "timeout_s": 0.2})
    assert result["rc"] == 1
    assert result["msg"] == (
        f"etcd was not healthy within 0.2 s: etcd3 ({cluster.members['etcd3'].url}) does not answer: connection "
        "refused. Look at journalctl -u etcd of that member."
    )
    assert result["healthy"] is False


def test_a_url_that_is_none_is_named(run_module: Run) -> None:
    result = run_module("system_info", {"target": {"system": "etcd", "members": {"a": {"client_url": "10.0.0.1:1"}}}})
    assert result["rc"] == 1
    assert result["msg"].startswith("'10.0.0.1:1' is not an etcd client URL")


SERVER = {
    "target": {
        "system": "mysql",
        "members": {"mysql1": {"address": "10.0.0.21:3306"}},
        "user": "lab",
        "database": "db",
    },
    "password": "hidden-secret",
}


@pytest.mark.parametrize("check", [False, True])
def test_a_server(run_module: Run, monkeypatch: pytest.MonkeyPatch, check: bool) -> None:
    server = FakeObservedMySQL(monkeypatch)
    result = run_module("system_info", {**SERVER, "wait_for": "converged"}, check=check)
    assert (result["rc"], result["changed"], result["healthy"], result["reasons"]) == (0, False, True, [])
    assert (result["version"], result["variables"]["log_bin"]) == ("9.7.4-2", "ON")
    assert server.asked[0]["password"] == "hidden-secret"


def test_a_server_that_is_down_is_data(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeObservedMySQL(monkeypatch, errors=[pymysql.err.OperationalError(2003, "Can't connect")])
    result = run_module("system_info", SERVER)
    assert (result["rc"], result["reachable"], result["healthy"], result["error"]) == (0, False, False, "Can't connect")


def test_waiting_for_a_server_in_vain_fails_with_one_line(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeObservedMySQL(monkeypatch, errors=[pymysql.err.OperationalError(2003, "Can't connect")] * 50)
    result = run_module("system_info", {**SERVER, "wait_for": "healthy", "timeout_s": 0.3})
    assert result["rc"] == 1
    assert result["msg"] == (
        "MySQL was not healthy within 0.3 s: it does not answer: Can't connect. Look at /var/log/mysql/error.log of "
        "that member."
    )
    assert "hidden-secret" not in str(result)


def test_a_host_without_the_library_is_named(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    result = run_module("system_info", SERVER)
    assert result["rc"] == 1
    assert result["msg"].startswith("PyMySQL is missing for this Python")


GROUP = {
    "target": {
        "system": "mysql_cluster",
        "members": {name: {"address": address} for name, address in MEMBERS.items()},
        "user": "lab",
        "database": "db",
    },
    "password": "hidden-secret",
    "timeout_s": 0.3,
}


@pytest.mark.parametrize("check", [False, True])
def test_a_whole_group(run_module: Run, monkeypatch: pytest.MonkeyPatch, check: bool) -> None:
    FakeGroup(monkeypatch).form()
    result = run_module("system_info", {**GROUP, "wait_for": "converged"}, check=check)
    assert (result["rc"], result["changed"], result["healthy"], result["leader"]) == (0, False, True, "group1")
    assert result["observation"]["term"] == 3
    assert result["observation"]["members"]["group2"]["leader_id"] == "uuid-group1"


def test_what_is_wrong_with_a_group_is_data(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch)
    group.form()
    group.servers["group2"].state = "OFFLINE"
    group.servers["group3"].up = False
    result = run_module("system_info", GROUP)
    assert (result["rc"], result["healthy"]) == (0, False)
    assert result["reasons"][:2] == ["group3 does not answer: connection refused", "group2 is offline"]


def test_a_server_that_does_not_take_what_its_role_promises_is_named(
    run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = FakeGroup(monkeypatch)
    group.form()
    group.servers["group1"].read_only = True
    group.servers["group2"].offline_mode = True
    result = run_module("system_info", {**GROUP, "wait_for": "healthy"})
    assert (result["rc"], result["healthy"]) == (0, False)
    assert result["reasons"] == ["group1 is primary, and read-only", "group2 is in offline mode"]
    modes = {name: member["modes"] for name, member in result["observation"]["members"].items()}
    assert modes["group3"] == {"read_only": True, "super_read_only": True, "offline_mode": False}  # a secondary
    group.form()
    group.servers["group1"].read_only = group.servers["group2"].offline_mode = False
    assert run_module("system_info", GROUP)["reasons"] == []


def test_waiting_for_a_group_in_vain_fails_with_one_line(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch)
    group.form()
    group.servers["group2"].gtids = "g:1-4"
    result = run_module("system_info", {**GROUP, "wait_for": "converged"})
    assert result["rc"] == 1
    assert result["msg"].startswith(
        "MySQL Group Replication was not converged within 0.3 s: the members have different transactions"
    )
    assert "hidden-secret" not in str(result)


def test_an_address_that_is_none_is_named(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGroup(monkeypatch)
    members = {"group1": {"address": "nowhere"}}
    result = run_module("system_info", {**GROUP, "target": {**GROUP["target"], "members": members}})  # type: ignore[dict-item]
    assert result["msg"].startswith("'nowhere' is not the address of a member")


def test_a_missing_account_is_named(run_module: Run) -> None:
    result = run_module("system_info", {"target": {**SERVER["target"], "user": ""}})  # type: ignore[dict-item]
    assert result["msg"].startswith("system is mysql, and user, password of its account is missing")


def test_members_hash_their_data_at_the_newest_revision_that_all_have(run_module: Run, cluster: FakeCluster) -> None:
    for name, revision in zip(NAMES, (12, 10, 11), strict=True):
        cluster.members[name].revision = revision
    found = run_module("system_info", {"target": etcd(cluster), "hashes": True})["hashes"]
    assert (found["equal"], found["revision"], found["errors"]) == (True, 10, {})
    assert found["hashes"] == dict.fromkeys(NAMES, 4711)
    assert found["compact_revisions"] == dict.fromkeys(NAMES, -1)
    assert found["revisions"] == {"etcd1": 12, "etcd2": 10, "etcd3": 11}
    cluster.members["etcd2"].hash = 1
    cluster.members["etcd3"].stop()
    found = run_module("system_info", {"target": etcd(cluster), "hashes": True})["hashes"]
    assert (found["equal"], found["revision"]) == (False, 10)
    assert found["hashes"] == {"etcd1": 4711, "etcd2": 1, "etcd3": None}
    assert list(found["errors"]) == ["etcd3"]
    for name in NAMES[:2]:
        cluster.members[name].stop()
    found = run_module("system_info", {"target": etcd(cluster), "hashes": True})["hashes"]
    assert (found["revision"], set(found["errors"]), found["revisions"]) == (None, set(NAMES), {})


def test_a_single_server_has_nothing_to_be_compared(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeObservedMySQL(monkeypatch)
    assert run_module("system_info", {**SERVER, "hashes": True})["hashes"] is None

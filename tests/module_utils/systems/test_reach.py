# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a member's data reaches: what it tells before its power is cut, and what its disk had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from failover.shapes import LabError
from failover.systems.members import MEMBERS
from failover.systems.on_host import Found, Home
from fault_doubles import FakeCluster
from group_doubles import FakeGroup

TOLD_NS = 1_795_412_755_000_000_000  # 2026-11-23T05:45:55Z
FIXTURES = Path(__file__).parents[2] / "fixtures"


def line(second: str, message: str, **more: int) -> str:
    return json.dumps({"level": "info", "ts": f"2026-11-23T05:45:{second}Z", "msg": message, **more})


def began(index: int) -> str:
    return f"newRaft 6d44ed7d3147ed99 [peers: [], term: 11, commit: 31, applied: 0, lastindex: {index}, lastterm: 11]"


def etcd(lines: list[str], url: str = "http://127.0.0.1:1") -> Home:
    return Home("etcd2", url, "", lambda: True, journal=lambda number: lines[-number:])


def test_an_etcd_member_tells_its_revision_and_its_newest_entry(cluster: FakeCluster) -> None:
    member = cluster.members["etcd2"]
    member.revision, member.applied = 12, 30
    reach = MEMBERS["etcd"].reach(etcd([], member.url))
    assert reach is not None
    assert reach.told() == {"revision": 12, "raft_index": 30}
    member.stop()
    with pytest.raises(LabError, match="connection refused"):
        reach.told()


def test_what_etcd_had_on_its_disk_is_in_its_own_log() -> None:
    lines = [
        line("54.900", began(99)),
        line("56.000", began(28)),
        line("56.010", "kvstore restored", **{"current-rev": 7}),
    ]
    reach = MEMBERS["etcd"].reach(etcd(["no json", *lines]))
    assert reach is not None
    told = {"revision": 12, "raft_index": 30}
    assert reach.found(told, TOLD_NS) == Found({"raft_index": 28, "revision": 7}, missing=2)
    assert reach.found({"revision": 6, "raft_index": 20}, TOLD_NS).missing == 0
    # It did not answer before.
    assert reach.found({}, TOLD_NS) == Found({"raft_index": 28, "revision": 7})


def test_a_start_before_the_cut_says_nothing_of_what_came_after() -> None:
    reach = MEMBERS["etcd"].reach(etcd([line("54.900", began(99))]))
    assert reach is not None
    with pytest.raises(LabError, match="its log does not say what it found when it started"):
        reach.found({"revision": 12, "raft_index": 30}, TOLD_NS)


def test_a_real_log_is_read() -> None:
    text = (FIXTURES / "etcd_log" / "etcd2.log").read_text(encoding="utf-8")
    lines = [each.partition("]: ")[2] for each in text.splitlines()]
    reach = MEMBERS["etcd"].reach(etcd(lines))
    assert reach is not None
    assert reach.found({"revision": 9, "raft_index": 32}, TOLD_NS) == Found(
        {"raft_index": 32, "revision": 1}, missing=0
    )


@pytest.mark.parametrize("system", ["mysql", "mysql_cluster"])
def test_a_server_says_which_transactions_it_had_told_are_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str
) -> None:
    group = FakeGroup(monkeypatch)
    file = tmp_path / "member.json"
    file.write_text(json.dumps({"members": {}, "user": "lab_group", "password": "hidden", "socket": "/run/own.sock"}))
    reach = MEMBERS[system].reach(Home("group1", "10.0.0.41:3306", str(file), lambda: True))
    assert reach is not None
    assert reach.missing_of == "transactions"
    group.servers["group1"].gtids = "g:1-9"
    assert reach.told() == {"gtid_executed": "g:1-9"}
    # As root, over the socket.
    assert group.logins[-1]["user"] == "root"
    assert group.logins[-1]["unix_socket"] == (
        "/run/own.sock" if system == "mysql_cluster" else "/run/mysqld/mysqld.sock"
    )
    assert reach.found({"gtid_executed": "g:1-9"}, TOLD_NS) == Found({"gtid_executed": "g:1-9"}, missing=0)
    group.servers["group1"].gtids = "g:1-5"
    assert reach.found({"gtid_executed": "g:6-9"}, TOLD_NS) == Found({"gtid_executed": "g:1-5"}, 4, "g:6-9")
    assert reach.found({}, TOLD_NS) == Found({"gtid_executed": "g:1-5"})
    group.servers["group1"].up = False
    with pytest.raises(OSError, match="connection refused"):
        reach.told()

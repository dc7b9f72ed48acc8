# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from failover.systems.etcd.watch import EtcdLeader
from fake_gateway import closed_endpoint, serve_gateway


def test_leader_is_asked_first_next_time() -> None:
    with serve_gateway() as follower, serve_gateway() as leader:
        follower.is_leader = False
        asker = EtcdLeader({"etcd1": follower.url, "etcd2": leader.url}, 0.2)
        assert asker.ask() == "etcd2"
        assert asker.ask() == "etcd2"
        assert (len(follower.requests), len(leader.requests)) == (1, 2)
        follower.is_leader, leader.is_leader = True, False
        assert asker.ask() == "etcd1"
        asker.close()


def test_no_leader_where_nobody_answers() -> None:
    asker = EtcdLeader({"etcd1": f"http://{closed_endpoint()}"}, 0.2)
    assert asker.ask() is None

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a member's role is taken for; that of a member of a group is in test_group_heal.py."""

from __future__ import annotations

import pytest
from failover.systems.members import MEMBERS
from failover.systems.on_host import Home, Probe
from fault_doubles import FakeCluster


def probe_of(system: str, address: str, *, alive: bool = True) -> Probe:
    return MEMBERS[system].probe(Home("member1", address, "", lambda: alive))


def test_an_etcd_member_leads_follows_or_does_not_tell(cluster: FakeCluster) -> None:
    member = cluster.members["etcd2"]
    probe = probe_of("etcd", member.url)
    said = probe.read()
    assert (said["role"], said["member_id"], said["leader_id"], said["term"]) == (
        "leader",
        member.hex_id,
        member.hex_id,
        4,
    )
    assert (said["votes"], said["committed"], said["error"]) == (True, member.applied, None)
    cluster.elect("etcd1")
    assert probe.read()["role"] == "follower"
    cluster.elect(None)
    assert probe.read()["role"] == "unknown"
    member.stop()
    assert probe.read() == {
        "role": "unknown",
        "member_id": None,
        "leader_id": None,
        "term": None,
        "error": "connection refused",
    }


@pytest.mark.parametrize(
    ("alive", "role", "error"), [(True, "leader", None), (False, "unknown", "the server is not running")]
)
def test_a_server_alone_leads_while_it_runs(alive: bool, role: str, error: str | None) -> None:
    said = probe_of("mysql", "10.0.0.21:3306", alive=alive).read()
    assert (said["role"], said["error"], said["term"], said["leader_id"]) == (role, error, None, None)

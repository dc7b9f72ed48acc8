# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is seen of a system before and after an experiment."""

from __future__ import annotations

from typing import Any

from .parts import ADDRESSES, MEMBER_IDS, MYSQL_SETTINGS, members_of


def observed(system: str, leader: str, term: int, revision: int, wall_ns: int) -> dict[str, Any]:
    """Return what the modules that observe a system say of it."""
    if system == "mysql":
        return {
            "reachable": True,
            "error": None,
            "healthy": True,
            "reasons": [],
            "version": "9.7.4",
            "hostname": "mysql1",
            "read_only": False,
            "variables": dict(MYSQL_SETTINGS),
        }
    members = members_of(system)
    states = {
        member: {
            "name": member,
            "url": f"http://{ADDRESSES[member]}:2379",
            "reachable": True,
            "error": None,
            "latency_ms": 0.8,
            "id": MEMBER_IDS[member],
            "cluster_id": "9f1c0e7d5a3b2846",
            "is_leader": member == leader,
            "leader_id": MEMBER_IDS[leader],
            "term": term,
            "raft_index": revision + 7,
            "applied_index": revision + 7,
            "revision": revision,
            "db_size_bytes": 4_194_304,
            "version": "3.5.16",
            "errors": [],
            "knows": members,
        }
        for member in members
    }
    return {
        "leader": leader,
        "healthy": True,
        "reasons": [],
        "observation": {
            "wall_ns": wall_ns,
            "members": states,
            "leader": leader,
            "leader_id": MEMBER_IDS[leader],
            "term": term,
        },
    }

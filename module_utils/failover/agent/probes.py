# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a member says of its role, a probe a system; quick, so that a fault is not late for the look before it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from ..etcd_http import EtcdHttp, EtcdUnreachableError
from ..group_replication import GroupMember
from ..mysql_observe import MySQLAddress

# A member that does not tell its role within this time is of unknown role, in s.
PROBE_TIMEOUT_S = 0.5


class Probe(Protocol):
    """Tells a member's role at a moment."""

    def read(self) -> dict[str, Any]:
        """Return ``role`` (leader, follower, unknown), ``member_id``, ``leader_id``, ``term`` and ``error``.

        And what :class:`..director.quorum.MajorityKept` asks for, where the system tells it: ``votes`` (whether it is a
        voting member), ``committed`` (newest entry that it knows to be) and ``sees`` (state of each member by its id).
        """


class EtcdProbe:
    """Role of an etcd member, as it says itself."""

    def __init__(self, client_url: str) -> None:
        self._client = EtcdHttp(client_url, PROBE_TIMEOUT_S)
        self._lock = threading.Lock()

    def read(self) -> dict[str, Any]:
        """Return what Probe says; a member of etcd does not tell in which state the others are."""
        try:
            with self._lock:
                status = self._client.status()
        except EtcdUnreachableError as error:
            return {"role": "unknown", "member_id": None, "leader_id": None, "term": None, "error": str(error)}
        role = "leader" if status.is_leader else "follower" if status.leader_id else "unknown"
        return {
            "role": role,
            "member_id": status.member_id,
            "leader_id": status.leader_id,
            "term": status.term,
            "error": None,
            "votes": not status.is_learner,
            "committed": status.raft_index,
        }


class GroupProbe:
    """Role of a member of Group Replication, as its server says itself."""

    def __init__(self, address: MySQLAddress) -> None:
        self._member = GroupMember(address)
        self._lock = threading.Lock()

    def read(self) -> dict[str, Any]:
        """Return what Probe says; the term is the number of the group's view."""
        with self._lock:
            view = self._member.view()
        if view.error is not None:
            return {"role": "unknown", "member_id": None, "leader_id": None, "term": None, "error": view.error}
        role = {"PRIMARY": "leader", "SECONDARY": "follower"}.get(view.role, "unknown")
        return {
            "role": role if view.is_working else "unknown",
            "member_id": view.uuid,
            "leader_id": view.primary.uuid if view.primary else None,
            "term": view.term,
            "error": None if view.is_working else f"its state in the group is {view.state}",
            "sees": {member.uuid: str(member.state) for member in view.members},
        }


class SoleProbe:
    """Role of a server without replicas: it leads as long as its process lives."""

    def __init__(self, is_alive: Callable[[], bool]) -> None:
        self._is_alive = is_alive

    def read(self) -> dict[str, Any]:
        """Return what Probe says; there is no term and no member id."""
        alive = self._is_alive()
        return {
            "role": "leader" if alive else "unknown",
            "member_id": None,
            "leader_id": None,
            "term": None,
            "error": None if alive else "the server is not running",
        }

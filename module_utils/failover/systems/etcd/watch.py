# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An etcd cluster as it is looked at again and again: each member's state, and who leads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .access import OPEN, Access
from .http import EtcdHttp, EtcdUnreachableError


class EtcdSampler:
    """An etcd member, by its status."""

    def __init__(self, url: str, timeout_s: float, access: Access = OPEN) -> None:
        self._client = EtcdHttp(url, timeout_s, access)

    def sample(self) -> dict[str, Any]:
        """Return revision, indexes, term and leader."""
        try:
            status = self._client.status()
        except EtcdUnreachableError as error:
            return {"reachable": False, "error": str(error)}
        return {
            "reachable": True,
            "error": None,
            "id": status.member_id,
            "leader_id": status.leader_id,
            "term": status.term,
            "revision": status.revision,
            "raft_index": status.raft_index,
            "applied_index": status.applied_index,
        }

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class EtcdLeader:
    """Finds the leader with as few questions as possible, so that looking disturbs the measurement little."""

    def __init__(self, urls: Mapping[str, str], timeout_s: float, access: Access = OPEN) -> None:
        """:param urls: name -> client URL."""
        self._clients = {name: EtcdHttp(url, timeout_s, access) for name, url in urls.items()}
        self._last: str | None = None

    def ask(self) -> str | None:
        """Return the name of the first member that says it leads, asking the last one first; None without one."""
        for name in sorted(self._clients, key=lambda name: name != self._last):
            try:
                leads = self._clients[name].status().is_leader
            except EtcdUnreachableError:
                continue
            if leads:
                self._last = name
                return name
        return None

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

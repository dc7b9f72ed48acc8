# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An etcd member as the fault agent beside it asks it."""

from __future__ import annotations

import threading
from typing import Any

from ..on_host import PROBE_TIMEOUT_S, Home, OnHost, Probe
from .access import Access
from .http import EtcdHttp, EtcdUnreachableError


class EtcdProbe:
    """Role of an etcd member, as it says itself."""

    def __init__(self, client_url: str, ca: str) -> None:
        # A member tells everybody whom it follows: no password stands on its host.
        self._client = EtcdHttp(client_url, PROBE_TIMEOUT_S, Access(ca))
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


class EtcdOnHost(OnHost):
    """An etcd member; one that runs again comes back into its cluster by itself."""

    def probe(self, home: Home) -> Probe:
        """Return a probe of the member's own client URL."""
        return EtcdProbe(home.address, home.ca)

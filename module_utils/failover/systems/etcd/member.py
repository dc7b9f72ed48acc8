# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An etcd member as the fault agent beside it asks it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from ...shapes import LabError
from ..on_host import PROBE_TIMEOUT_S, Found, Home, OnHost, Probe, Reach
from .access import Access
from .http import EtcdHttp, EtcdUnreachableError
from .log import read_start

# How many of the newest lines of its journal have its latest start in them: it writes about 100 until it serves, and
# some for each slow request after that.
START_LINES = 1000


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


class EtcdReach(Reach):
    """How far the log of an etcd member reaches: of what it has, the newest is there and nowhere else.

    What its log has beyond its database is applied when it starts. So the revision that it comes back with is that of
    the database file, which is written a little later than the log.
    """

    missing_of = "entries of its log"

    def __init__(self, home: Home) -> None:
        self._url, self._access = home.address, Access(home.ca)
        self._journal = home.journal

    def told(self) -> dict[str, Any]:
        """Return its revision, and the newest entry that it knows to be committed."""
        client = EtcdHttp(self._url, PROBE_TIMEOUT_S, self._access)
        try:
            status = client.status()
        except EtcdUnreachableError as error:
            raise LabError(str(error)) from None
        finally:
            client.close()
        return {"revision": status.revision, "raft_index": status.raft_index}

    def found(self, told: Mapping[str, Any], since_wall_ns: int) -> Found:
        """Return what it says of its disk itself in its log, right after its start."""
        had = read_start(self._journal(START_LINES), since_wall_ns)
        if "raft_index" not in had:
            raise LabError("its log does not say what it found when it started")
        missing = max(0, told["raft_index"] - had["raft_index"]) if told else None
        return Found(had, missing)


class EtcdOnHost(OnHost):
    """An etcd member; one that runs again comes back into its cluster by itself."""

    def probe(self, home: Home) -> Probe:
        """Return a probe of the member's own client URL."""
        return EtcdProbe(home.address, home.ca)

    def reach(self, home: Home) -> Reach:
        """Return what reads the member's log."""
        return EtcdReach(home)

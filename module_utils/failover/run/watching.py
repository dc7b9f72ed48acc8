# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The watch over a system's members: their states, again and again, until they are equal.

Times are of this host's monotonic clock, stamps of its wall clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from ..clock import CLOCK
from ..etcd_http import EtcdHttp, EtcdUnreachableError, compare_data, why_different
from ..group_replication import GroupMember, addresses_of, compare_tables, describe, is_online
from ..key_dump import TABLE
from ..mysql_observe import MySQLAddress, greeting_version
from ..shapes import Event, LabError, Target

# A member that does not answer a sample within this time is sampled as unreachable, in s.
SAMPLE_TIMEOUT_S = 0.5
# Hashing all data is work for the members: where it differed, it is done again after this time, in s.
HASH_RETRY_S = 0.1


def is_whole(state: Mapping[str, Any]) -> bool:
    """Whether a sampled member of a group is a full one that knows its primary; a silent one is another matter."""
    return not state["reachable"] or (is_online(state) and state["leader_id"] is not None)


class Watched(Protocol):
    """One member as the watch sees it."""

    def sample(self) -> dict[str, Any]:
        """Return its state now; ``reachable`` and ``error`` are always there."""

    def close(self) -> None:
        """Give up the connection."""


class EtcdWatched:
    """An etcd member, by its status."""

    def __init__(self, url: str) -> None:
        self.client = EtcdHttp(url, SAMPLE_TIMEOUT_S)

    def sample(self) -> dict[str, Any]:
        """Return revision, indexes, term and leader."""
        try:
            status = self.client.status()
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
        self.client.close()


class MySQLWatched:
    """A MySQL server, by its greeting, which is asked for only until it comes once."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise LabError(f"{address!r} is not an address of a MySQL server. It should look like 10.0.0.21:3306.")
        self._host, self._port = host, int(port)
        self._last: dict[str, Any] = {"reachable": False, "error": "not asked yet"}

    def sample(self) -> dict[str, Any]:
        """Return whether it accepts connections, and its version."""
        if not self._last["reachable"]:
            try:
                version = greeting_version(self._host, self._port, SAMPLE_TIMEOUT_S)
                self._last = {"reachable": True, "error": None, "version": version}
            except OSError as error:
                self._last = {"reachable": False, "error": (error.strerror or str(error)).lower()}
        return self._last

    def close(self) -> None:
        """Nothing is kept open."""


class GroupWatched:
    """A member of Group Replication, by its own view of the group."""

    def __init__(self, address: MySQLAddress) -> None:
        self._member = GroupMember(address)

    def sample(self) -> dict[str, Any]:
        """Return its state, role and term, the primary it follows, and the number of its transactions as revision."""
        return describe(self._member.view())

    def close(self) -> None:
        """Close the connection."""
        self._member.close()


class Watch:
    """All members of a system, each sampled on a thread of its own, so that none waits for another."""

    def __init__(
        self,
        target: Target,
        *,
        timeout_s: float,
        sample_interval_ms: float,
        source: str,
    ) -> None:
        """Say whom to watch.

        :param timeout_s: how long it may take to compare all data
        :param source: who stamps the samples
        """
        self.in_group = target.system == "mysql_cluster"
        endpoints = target.addresses
        self._members: dict[str, Watched] = {}
        self._hashers: dict[str, EtcdHttp] = {}
        # How the members' data are compared at a revision that all have reached; a single server has no other.
        self._compare: Callable[[int], dict[str, Any]] | None = None
        try:
            if target.system == "etcd":
                self._members = {member: EtcdWatched(url) for member, url in endpoints.items()}
                self._hashers = {member: EtcdHttp(url, timeout_s) for member, url in endpoints.items()}
                self._compare = partial(compare_data, self._hashers)
            elif self.in_group:
                addresses = addresses_of(endpoints, target.account["user"], target.account["password"])
                self._members = {member: GroupWatched(address) for member, address in addresses.items()}
                slower = {member: replace(address, timeout_s=timeout_s) for member, address in addresses.items()}
                self._compare = partial(compare_tables, slower, f"{target.database}.{TABLE}")
            else:
                self._members = {member: MySQLWatched(address) for member, address in endpoints.items()}
        except ValueError as error:
            raise LabError(str(error)) from None
        self._interval_s = sample_interval_ms / 1000
        self._source = source
        self._latest: dict[str, tuple[int, dict[str, Any]]] = {}  # member -> (monotonic_ns asked, state)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._sample, args=(member,), name=f"sample-{member}", daemon=True)
            for member in self._members
        ]
        self.samples: list[dict[str, Any]] = []
        self.compared: dict[str, Any] = {}  # the last comparison of all data: revision, hashes
        self.events: list[Event] = []

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End, and close the connections."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        connections: list[Watched | EtcdHttp] = [*self._members.values(), *self._hashers.values()]
        for connection in connections:
            connection.close()

    def note_equal(self, wall_ns: int, duration_ms: float) -> None:
        """Say that the members became equal."""
        told = {"revision": self.compared.get("revision"), "hashes": self.compared.get("hashes")}
        self.events.append(Event(wall_ns, self._source, "cluster.converged", {"duration_ms": duration_ms, **told}))

    def why_unequal(self, states: Mapping[str, Mapping[str, Any]], since_ns: int) -> list[str]:
        """Return what keeps the members from being equal, their data included; empty where nothing does.

        :param states: what :meth:`note_sample` returned
        :param since_ns: samples from before this time show nothing
        """
        reasons = self._why_unequal(states, since_ns)
        if not reasons and self._compare is not None:
            self.compared = self._compare(states[next(iter(states))]["revision"])
            reasons = why_different(self.compared)
            if reasons:
                time.sleep(HASH_RETRY_S)
        return reasons

    def _sample(self, member: str) -> None:
        """Look at one member again and again; runs on a thread of its own."""
        watched = self._members[member]
        while not self._stop.is_set():
            asked_ns = time.monotonic_ns()
            self._latest[member] = (asked_ns, watched.sample())
            self._stop.wait(max(0.001, self._interval_s - (time.monotonic_ns() - asked_ns) / 1e9))

    def note_sample(self) -> dict[str, dict[str, Any]]:
        """Keep the members' states where something changed; return them."""
        states = {member: dict(state) for member, (_, state) in sorted(self._latest.items())}
        names = {state["id"]: member for member, state in states.items() if "id" in state}
        for state in states.values():
            if "leader_id" in state:
                state["leader"] = names.get(state["leader_id"] or "", state["leader_id"])
        if states and (not self.samples or states != self.samples[-1]["members"]):
            wall_ns = CLOCK.now_ns()
            self.samples.append({"wall_ns": wall_ns, "members": states})
            self.events.append(Event(wall_ns, self._source, "cluster.sample", {"members": states}))
        return states

    def _why_unequal(self, states: Mapping[str, Mapping[str, Any]], since_ns: int) -> list[str]:
        """Do it as far as their samples tell."""
        old = [m for m in self._members if m not in self._latest or self._latest[m][0] < since_ns]
        if old:
            return [f"{member} has not been looked at since the heal" for member in old]
        reasons = [f"{m} does not answer: {state['error']}" for m, state in states.items() if not state["reachable"]]
        if reasons:
            return reasons
        reasons = [f"{m} is {state['state'].lower()}" for m, state in states.items() if not is_online(state)]
        for name, words in (("leader", "follow different leaders"), ("revision", "are at different revisions")):
            values = {member: state[name] for member, state in states.items() if name in state}
            if len(set(values.values())) > 1:
                reasons.append(f"the members {words}: " + ", ".join(f"{m} {value}" for m, value in values.items()))
            reasons += [f"no leader is known to {member}" for member, value in values.items() if value is None]
        return reasons

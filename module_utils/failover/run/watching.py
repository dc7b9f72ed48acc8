# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The watch over a system's members: their states, again and again, until they are equal.

Times are of this host's monotonic clock, stamps of its wall clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..clock import CLOCK
from ..shapes import Event, Target
from ..systems.comparison import why_different
from ..systems.registry import SYSTEMS

# A member that does not answer a sample within this time is sampled as unreachable, in s.
SAMPLE_TIMEOUT_S = 0.5
# Hashing all data is work for the members: where it differed, it is done again after this time, in s.
HASH_RETRY_S = 0.1


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
        self._system = SYSTEMS[target.system]
        self._watched = self._system.watch(target, sample_timeout_s=SAMPLE_TIMEOUT_S, compare_timeout_s=timeout_s)
        self._members = self._watched.samplers
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
        for sampler in self._members.values():
            sampler.close()
        self._watched.close()

    @property
    def rejoins(self) -> bool:
        """Whether a member whose server runs again may need to be brought back into its group."""
        return self._system.rejoins

    def is_whole(self, state: Mapping[str, Any]) -> bool:
        """Whether a sampled member is a full one that knows its leader; a silent one is another matter."""
        return not state["reachable"] or (self._system.why_not_whole(state) is None and state["leader_id"] is not None)

    def is_still(self, states: Mapping[str, Mapping[str, Any]], for_s: float) -> bool:
        """Whether every member is a full one that knows its leader, and nothing of them has changed for so long."""
        there = bool(states) and all("leader_id" in state and self.is_whole(state) for state in states.values())
        return there and CLOCK.now_ns() - self.samples[-1]["wall_ns"] > for_s * 1e9

    def note_equal(self, wall_ns: int, duration_ms: float) -> None:
        """Say that the members became equal."""
        told = {"revision": self.compared.get("revision"), "hashes": self.compared.get("hashes")}
        self.events.append(Event(wall_ns, self._source, "cluster.converged", {"duration_ms": duration_ms, **told}))

    def why_unequal(
        self, states: Mapping[str, Mapping[str, Any]], since_ns: int, away: Sequence[str] = ()
    ) -> list[str]:
        """Return what keeps the members from being equal, their data included; empty where nothing does.

        :param states: what :meth:`note_sample` returned
        :param since_ns: samples from before this time show nothing
        :param away: members that do not come back; the others are compared as far as their samples tell
        """
        reasons = self._why_unequal({m: state for m, state in states.items() if m not in away}, since_ns)
        if not reasons and not away and self._watched.compare is not None:
            self.compared = self._watched.compare(states[next(iter(states))]["revision"])
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
        lacks = {member: self._system.why_not_whole(state) for member, state in states.items()}
        reasons = [f"{member} is {lack}" for member, lack in lacks.items() if lack is not None]
        for name, words in (("leader", "follow different leaders"), ("revision", "are at different revisions")):
            values = {member: state[name] for member, state in states.items() if name in state}
            if len(set(values.values())) > 1:
                reasons.append(f"the members {words}: " + ", ".join(f"{m} {value}" for m, value in values.items()))
            reasons += [f"no leader is known to {member}" for member, value in values.items() if value is None]
        return reasons

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The heal after a repeat, as it is watched until all members are equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .parts import MEMBER_IDS, MS, Emit


@dataclass(frozen=True)
class Heal:
    """What is healed, and what the members come back to."""

    fault_id: str | None  # None where there is nothing to heal
    healed: str
    start_ns: int
    members: list[str]
    leader: str
    term: int
    revision: int

    @property
    def duration_ms(self) -> float:
        """How long it takes until all members are equal."""
        return float(332 + 25 * (self._steps - 1)) if self.fault_id else 6.0

    @property
    def _steps(self) -> int:
        return 12 if self.fault_id else 1

    def watch(self, event: Emit, origin_wall_ns: int) -> dict[str, Any]:
        """Emit the heal and the samples of the members' revisions; return the heal's result."""
        samples: list[dict[str, Any]] = []

        def sample(at_ns: int, behind: int | None) -> None:
            states = self._states(behind)
            event(at_ns, "client1", "cluster.sample", members=states)
            samples.append({"wall_ns": origin_wall_ns + at_ns, "members": states})

        if self.fault_id:
            event(self.start_ns + 1 * MS, self.healed, "fault.heal_requested", fault=self.fault_id, member=self.healed,
                  action="stop", by="request")  # fmt: skip
            sample(self.start_ns + 2 * MS, None)
            self._tell_of_the_return(event)
        lag, steps = int(self.revision * 0.88), self._steps
        for step in range(steps):
            behind = int(lag * (1 - step / (steps - 1)) ** 2) if steps > 1 else 0
            sample(self.start_ns + (330 + 25 * step if self.fault_id else 4) * MS, behind)
        hashes = dict.fromkeys(self.members, 2_718_281_828)
        event(self.start_ns + int(self.duration_ms * MS), "client1", "cluster.converged", duration_ms=self.duration_ms,
              revision=self.revision, hashes=hashes)  # fmt: skip
        return {
            "healed": self._records(),
            "errors": {},
            "converged": True,
            "duration_ms": self.duration_ms,
            "reasons": [],
            "samples": samples,
            "revision": self.revision,
            "hashes": hashes,
            "started_wall_ns": origin_wall_ns + self.start_ns,
        }

    def _states(self, behind: int | None) -> dict[str, dict[str, Any]]:
        """Return the members as they are seen.

        :param behind: by how many revisions the healed one is; None where it does not answer yet
        """
        states: dict[str, dict[str, Any]] = {
            member: {
                "reachable": True,
                "error": None,
                "id": MEMBER_IDS[member],
                "leader_id": MEMBER_IDS[self.leader],
                "leader": self.leader,
                "term": self.term,
                "revision": self.revision,
                "raft_index": self.revision + 7,
                "applied_index": self.revision + 7,
            }
            for member in self.members
        }
        if behind is None:
            states[self.healed] = {"reachable": False, "error": "connection refused"}
        else:
            states[self.healed]["revision"] = self.revision - behind
        return states

    def _tell_of_the_return(self, event: Emit) -> None:
        start_ns, healed = self.start_ns, self.healed
        event(start_ns + 40 * MS, healed, "server.starting", member=healed, version="3.5.16")
        event(start_ns + 305 * MS, healed, "server.leader_elected", member=healed, leader=self.leader,
              leader_id=MEMBER_IDS[self.leader], term=self.term, joined=True)  # fmt: skip
        event(start_ns + 310 * MS, healed, "server.started", member=healed)
        event(start_ns + 320 * MS, healed, "fault.healed", fault=self.fault_id, member=healed, action="stop",
              by="request")  # fmt: skip

    def _records(self) -> list[dict[str, Any]]:
        if self.fault_id is None:
            return []
        phases = {
            "heal_received": 1.0,
            "process_started": 40.0,
            "active": 320.0,
            "first_answer": 330.0,
            "leader_known": 330.0,
            "caught_up": self.duration_ms - 2,
            "converged": self.duration_ms,
        }
        return [
            {
                "fault": self.fault_id,
                "member": self.healed,
                "action": "stop",
                "healed_by": "request",
                "phases_ms": phases,
            }
        ]

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A leader that is stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .parts import ADDRESSES, MEMBER_IDS, MS, REFUSED, Emit


@dataclass(frozen=True)
class Strike:
    """A fault at the moment when its operation is reached."""

    fault_id: str
    repeat: int
    index: int
    at_ns: int
    gap_ns: int  # until the client's operation is done by the next leader
    leader: str
    successor: str
    term: int  # in which the leader leads
    port: int

    @property
    def checked_ns(self) -> int:
        """When the agent knew that its member leads."""
        return self.at_ns + 1 * MS

    @property
    def sent_ns(self) -> int:
        """When it sent the signal."""
        return self.at_ns + 2 * MS

    @property
    def gone_ns(self) -> int:
        """When the member's process was gone."""
        return self.at_ns + 18 * MS

    def tell(self, event: Emit) -> None:
        """Emit what client, members and agent say of it."""
        of_fault = {"fault": self.fault_id, "member": self.leader}
        leader_id = MEMBER_IDS[self.leader]
        event(self.at_ns, "client1", "fault.requested", fault=self.fault_id, action="stop", target="leader",
              index=self.index)  # fmt: skip
        event(self.checked_ns, self.leader, "fault.role_checked", **of_fault, role="leader", member_id=leader_id,
              leader=self.leader, leader_id=leader_id, term=self.term, attempts=1)  # fmt: skip
        event(self.sent_ns, self.leader, "fault.signal_sent", **of_fault, action="stop", signal="SIGTERM",
              via="systemctl", pid=412, index_asked=self.index, index_hit=self.index, delay_ms=2.0)  # fmt: skip
        self._tell_of_servers(event)
        event(self.gone_ns, self.leader, "fault.process_gone", **of_fault, pid=412, gone_ms=16.0)
        event(self.at_ns + 19 * MS, self.leader, "server.stopped", member=self.leader, how="closed", status=None)
        self._tell_of_client(event)

    def _tell_of_servers(self, event: Emit) -> None:
        at_ns, leader, successor = self.at_ns, self.leader, self.successor
        event(at_ns + 3 * MS, leader, "server.stopping", member=leader, signal="terminated")
        event(at_ns + 9 * MS, successor, "server.leader_lost", member=successor, leader=leader,
              leader_id=MEMBER_IDS[leader], term=self.term)  # fmt: skip
        event(at_ns + 10 * MS, successor, "server.election_started", member=successor, term=self.term + 1,
              term_before=self.term, cause="leadership transfer", **{"from": leader})  # fmt: skip
        event(at_ns + 13 * MS, successor, "server.leader_elected", member=successor, leader=successor,
              leader_id=MEMBER_IDS[successor], term=self.term + 1)  # fmt: skip

    def _tell_of_client(self, event: Emit) -> None:
        of_client = {"client": 0, "index": self.index}
        endpoint, other = (f"{ADDRESSES[member]}:{self.port}" for member in (self.leader, self.successor))
        failed_ns = self.at_ns + 20 * MS
        event(failed_ns, "client1", "client.attempt_failed", **of_client, endpoint=endpoint, kind="CREATE",
              error=REFUSED, ambiguous=False)  # fmt: skip
        event(failed_ns + 1000, "client1", "client.failover_started", **of_client, endpoint=endpoint,
              reason=REFUSED, **{"from": endpoint})  # fmt: skip
        event(self.at_ns + self.gap_ns, "client1", "client.failover_completed", **of_client, to=other, endpoint=other,
              duration_ms=(self.gap_ns - 20 * MS) / MS, **{"from": endpoint})  # fmt: skip

    def fault(self, origin_wall_ns: int) -> dict[str, Any]:
        """Return the fault as experiment.json has it, with its record."""
        return {
            "id": self.fault_id,
            "action": "stop",
            "target": "leader",
            "at_index": self.index,
            "heal": "end",
            "repeat": self.repeat,
            "record": self._record(origin_wall_ns),
        }

    def _record(self, origin_wall_ns: int) -> dict[str, Any]:
        return {
            "fault": self.fault_id,
            "token": f"0123456789abcdef-{self.fault_id}",
            "action": "stop",
            "target": "leader",
            "heal": "end",
            "fired": True,
            "reason": None,
            "index_asked": self.index,
            "index_called": self.index,
            "index_hit": self.index,
            "requested_wall_ns": origin_wall_ns + self.at_ns,
            "delay_ms": 2.0,
            "attempts": 1,
            "member": self.leader,
            "member_id": MEMBER_IDS[self.leader],
            "role": "leader",
            "leader_before": self.leader,
            "leader_id_before": MEMBER_IDS[self.leader],
            "term_before": self.term,
            "signal": "SIGTERM",
            "via": "systemctl",
            "pid": 412,
            "role_checked_wall_ns": origin_wall_ns + self.checked_ns,
            "signal_sent_wall_ns": origin_wall_ns + self.sent_ns,
            "signal_call_ms": 0.4,
            "process_gone_wall_ns": origin_wall_ns + self.gone_ns,
            "gone_ms": 16.0,
            "clock_offset_ns": 1_000,
            "clock_uncertainty_ns": 60_000,
            "leader_after": self.successor,
            "leader_id_after": MEMBER_IDS[self.successor],
            "term_after": self.term + 1,
            "healed_wall_ns": None,
            "healed_by": None,
        }

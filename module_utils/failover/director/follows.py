# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What follows a fault while the workload runs: the end of its process, another leader, and a heal before the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ..actions.record import FaultRecord, Stage, group_events
from ..actions.registry import ACTIONS
from ..agent.wire import GONE_TIMEOUT_S, JOIN_TIMEOUT_S, START_TIMEOUT_S, AgentError
from ..clock import CLOCK
from ..shapes import Emit, Event
from .aims import ROLES_TIMEOUT_S
from .links import Held, Link, record_of
from .quorum import leader_of

# How often it is asked whether the process is gone and who leads now, in s. Precise times come from the agent's stamps
# and from the servers' logs.
FOLLOW_INTERVAL_S = 0.05
# How long to wait for a new leader, in s: etcd's slowest election in a healthy network is a few of its timeouts (1 s);
# Group Replication notices a killed primary after 5 s, expels it after 5 more, and took 21 s in all when measured.
ELECTION_TIMEOUT_S = 60.0
# How long a heal in the middle of the workload may take, in s: the process must end, start, and come into its group.
HEAL_TIMEOUT_S = GONE_TIMEOUT_S + START_TIMEOUT_S + JOIN_TIMEOUT_S


@dataclass(frozen=True)
class Follower:
    """Watches what becomes of faults that were fired."""

    links: Mapping[str, Link]
    held: Held
    emit: Emit
    source: str  # who stamps what is seen from here
    roles_timeout_s: float = ROLES_TIMEOUT_S
    over: threading.Event = field(default_factory=threading.Event)  # the workload has ended
    closing: threading.Event = field(default_factory=threading.Event)

    def follow(self, record: FaultRecord, struck: int) -> None:
        """Find out when the process was gone and who leads after it, from the agent and from the other members.

        :param struck: how many members the data's fault is about, of which this one is a part
        """
        ends = ACTIONS[record.action].ends_process
        hit_leader = record.role == "leader" and len(self.links) > 1
        gone_by = time.monotonic() + GONE_TIMEOUT_S
        elected_by = time.monotonic() + ELECTION_TIMEOUT_S
        gone, known = not ends, not hit_leader or record.leader_after is not None
        # Without a majority there is no election, and who is paused or partitioned for a moment may lead on.
        must_know = hit_leader and ends and struck * 2 < len(self.links)
        while not (known and gone) and not self.closing.is_set():
            # Once the workload is over nobody waits for a slow end: the heal does, and has the agent's stamp of it.
            if self.over.is_set() and (known or not must_know):
                break
            if not known:
                known = self.look_for_leader(record) or time.monotonic() > elected_by
            if not gone:
                gone = self._look_for_end(record) or time.monotonic() > gone_by
            if not (gone and known):
                self.closing.wait(FOLLOW_INTERVAL_S)

    def _look_for_end(self, record: FaultRecord) -> bool:
        """Take over the agent's stamp of the process' end; False where there is none yet."""
        done = record_of(self.links[record.struck].keep, record.token)
        if done is None or done.process_gone_wall_ns is None:
            return False
        self._emit_all(record.note_end(done))
        return True

    def look_for_leader(self, record: FaultRecord) -> bool:
        """Ask the other members who leads in a later term; False where none says so itself yet."""
        statuses: dict[str, dict[str, Any]] = {}
        for member, link in self.links.items():
            if member == record.member:
                continue
            try:
                status = link.main.request("status", timeout_s=self.roles_timeout_s)
            except AgentError:
                continue
            if status["ok"]:
                statuses[member] = status
        leader = leader_of(statuses)
        if leader is None or (statuses[leader]["term"] or 0) <= (record.term_before or 0):
            return False
        record.leader_after = leader
        record.leader_id_after = statuses[leader]["leader_id"]
        record.term_after = statuses[leader]["term"]
        data = {
            "fault": record.fault,
            "leader": leader,
            "leader_id": record.leader_id_after,
            "term": record.term_after,
            "term_before": record.term_before,
        }
        self._tell("fault.leader_after", data)
        return True

    # ------------------------------------------------------------ heals

    def heal_one(self, record: FaultRecord, after_ms: float | None) -> None:
        """Have one fault healed, ``after_ms`` after its signal where that is given, if the workload lasts so long."""
        if after_ms is not None and self.over.wait(_left_s(record, after_ms)):
            return
        link = self.links[record.struck]
        client = link.another()
        try:
            reply = client.request("heal", {"tokens": [record.token]}, timeout_s=HEAL_TIMEOUT_S)
        except AgentError as error:
            reply = {"ok": False, "error": str(error)}
        finally:
            client.close()
        if not reply["ok"]:
            record.heal_error = reply["error"]
            for done in reply.get("records", []):
                record.take_findings(FaultRecord.from_dict(done))
            self._tell("fault.heal_failed", {"fault": record.fault, "member": link.member, "reason": reply["error"]})
            return
        for done in reply["records"][:1]:
            self.note_heal(record, FaultRecord.from_dict(done))
        self.held.drop(record.token)

    def heal_all(self) -> None:
        """Heal what is held, on all hosts at once."""

        def ask(member: str) -> None:
            try:
                reply = self.links[member].main.request(
                    "heal", {"tokens": self.held.of(member)}, timeout_s=GONE_TIMEOUT_S + START_TIMEOUT_S
                )
                error = None if reply["ok"] else reply["error"]
            except AgentError as failure:
                error = str(failure)
            if error:
                self._tell("fault.heal_failed", {"member": member, "reason": error})

        members = sorted(set(self.held.all().values()))
        if members:
            with ThreadPoolExecutor(max_workers=len(members)) as pool:
                list(pool.map(ask, members))

    def note_heal(self, record: FaultRecord, done: FaultRecord) -> None:
        """Take over what the agent knows: the process may have ended, the fault be healed already."""
        if not record.fired:
            return
        record.take_over(done, Stage.HEALED)
        self._emit_all(record.note_end(done))
        self._emit_all(done.heal_events())
        if done.healed_wall_ns is not None:
            self._emit_all(group_events(done.struck, record.group_steps, record.fault))

    def _tell(self, name: str, data: dict[str, Any]) -> None:
        self.emit(Event.now(self.source, name, data))

    def _emit_all(self, events: list[Event]) -> None:
        for event in events:
            self.emit(event)


def _left_s(record: FaultRecord, after_ms: float) -> float:
    """Return what is left of a delay after a fault's signal, in s."""
    sent_here_ns = (record.signal_sent_wall_ns or 0) - (record.clock_offset_ns or 0)
    return max(0.0, after_ms / 1000 - (CLOCK.now_ns() - sent_here_ns) / 1e9)

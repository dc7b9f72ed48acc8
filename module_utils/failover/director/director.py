# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The director: it lands the faults of a plan at their operation indexes.

It lives in the load generator's process: armed before the workload, told of every operation by ``on_index``, it finds
the target when the index comes and has the agent on the target's host fire.
"""

from __future__ import annotations

import queue
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, Protocol

from ..actions.record import FaultRecord
from ..actions.registry import takes_away
from ..agent.wire import AgentError
from ..clock import CLOCK
from ..fault_names import struck_together
from ..shapes import Emit, Event, FaultSpec
from .aims import ROLES_TIMEOUT_S, ask_roles, choose_target
from .choreographer import Choreographer, Lead
from .fires import Refused, fire, note_fired
from .follows import ELECTION_TIMEOUT_S, HEAL_TIMEOUT_S, Follower
from .links import Held, Link, keep_alive, record_of
from .quorum import MajorityKept

# How long the director tries to hit a target whose role moves before the fault counts as missed, in s; longer where the
# members may take longer to answer.
AIM_TIMEOUT_S = 2.0
# Time between two attempts, in s; the members are asked anew in each.
AIM_INTERVAL_S = 0.005


class Audience(Protocol):
    """Who tells the director of operations."""

    def expect(self, next_at: int, *, tracing: bool) -> None:
        """Take that from index ``next_at`` on operations have to be told, or all of them, as a fault is under way."""

    def catch_up(self) -> None:
        """Return when all operations that began before now were told."""


class Here:
    """An audience that tells of every operation before it is invoked."""

    def expect(self, next_at: int, *, tracing: bool) -> None:
        """Nothing is left out."""

    def catch_up(self) -> None:
        """Nothing comes late."""


class FaultDirector:
    """Fires the faults of a plan at their operation indexes, and holds them as long as it lives.

    ``emit`` is called from several threads. Use: ``arm()``, ``on_index(i)`` before operation i is invoked, ``close()``.
    """

    def __init__(
        self,
        plan: Sequence[FaultSpec],
        agents: Mapping[str, str],
        key: bytes,
        emit: Emit,
        source: str,
        lead: Lead | None = None,
        roles_timeout_s: float = ROLES_TIMEOUT_S,
        *,
        ca: str = "",
    ) -> None:
        """Say what is planned, and whom to ask.

        :param agents: member -> "address:port" of the agents of the whole system
        :param source: who stamps what is seen from here
        :param lead: how clients are led, for choreographed faults, and where the members are
        :param roles_timeout_s: how long one attempt waits for the members' roles
        :param ca: file with the certificate of the authority that signs the agents'; empty: without TLS
        """
        self._plan = sorted(plan, key=lambda spec: spec.at_index)
        self._emit = emit
        self._source = source
        self._links = {member: Link(member, address, key, ca) for member, address in agents.items()}
        lead = lead or Lead()
        self._addresses = lead.addresses
        run = secrets.token_hex(8)
        self._lock = threading.Lock()
        # In the order of the plan as it was given.
        self._records = {spec.id: FaultRecord.asked_for(spec, f"{run}-{spec.id}") for spec in plan}
        # Made at once, used at the fault: a thread that must be started first costs time there.
        self._pool = ThreadPoolExecutor(max_workers=4 * max(1, len(agents)), thread_name_prefix="fault-ask")
        self._queues: dict[str, queue.SimpleQueue[tuple[int, int] | None]] = {}
        self._threads: list[threading.Thread] = []
        self._healers: list[threading.Thread] = []  # of the faults that heal before the end
        self._settled = {spec.id: threading.Event() for spec in plan}  # fired, or missed
        self._heal_calls: dict[str, queue.SimpleQueue[int | None]] = {
            spec.id: queue.SimpleQueue() for spec in plan if spec.heal == "index"
        }
        self._keepalive: threading.Thread | None = None
        self._held = Held()
        self._roles_timeout_s = roles_timeout_s
        self._follower = Follower(self._links, self._held, emit, source, roles_timeout_s)
        self._choreographer = Choreographer(self._follower, lead)
        self._audience: Audience = Here()
        self._one_at_a_time = threading.Lock()  # of the faults that keep a majority, from the look to the signal
        # What on_index reads and writes; each is one reference, so no lock is needed.
        self._next_at = sys.maxsize
        self._in_flight = 0
        self._trace: list[tuple[int, int]] = []  # (wall_ns, index) while a fault is in flight

    # ------------------------------------------------------------ arming

    def arm(self, audience: Audience | None = None) -> None:
        """Contact every agent, relate its clock to ours, and get ready; LabError says which one is not.

        Without faults in the plan nobody is contacted.

        :param audience: who calls ``on_index``; without one, for every operation
        """
        if audience is not None:
            self._audience = audience
        if not self._plan:
            return
        met = self._pool.map(lambda link: link.meet(self._plan, self._addresses), self._links.values())
        agents = dict(zip(self._links, met, strict=True))
        for spec in self._plan:
            told = {"fault": spec.id, "action": spec.action, "target": spec.target, "at_index": spec.at_index}
            self._tell("fault.armed", {**told, "agents": agents})
        for spec in self._plan:
            self._queues[spec.id] = queue.SimpleQueue()
            self._threads.append(self._start(f"fault-{spec.id}", self._await, spec, self._queues[spec.id]))
            if spec.heal != "end":
                calls = self._heal_calls.get(spec.id)
                self._healers.append(self._start(f"heal-{spec.id}", self._heal_sooner, spec, calls))
        links = list(self._links.values())
        self._keepalive = self._start("fault-keepalive", keep_alive, links, self._held, self._follower.closing)
        with self._lock:
            self._next_at = self._next_due()
            self._say_what_is_expected()

    def _say_what_is_expected(self) -> None:
        self._audience.expect(self._next_at, tracing=self._in_flight > 0)

    @staticmethod
    def _start(name: str, target: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        thread.start()
        return thread

    def _next_due(self) -> int:
        """Return the next index at which something has to be done."""
        faults = (spec.at_index for spec in self._plan if spec.id in self._queues)
        heals = (spec.heal_index for spec in self._plan if spec.heal_index is not None and spec.id in self._heal_calls)
        return min((*faults, *heals), default=sys.maxsize)

    # ------------------------------------------------------------ while the workload runs

    def on_index(self, index: int, wall_ns: int | None = None) -> None:
        """Tell that operation ``index`` is about to be invoked; returns at once, whatever is due.

        :param wall_ns: when it was, where another process tells
        """
        if self._in_flight:
            self._trace.append((CLOCK.now_ns() if wall_ns is None else wall_ns, index))
        if index >= self._next_at:
            self._launch(index, CLOCK.now_ns() if wall_ns is None else wall_ns)

    def _launch(self, index: int, wall_ns: int) -> None:
        with self._lock:
            due = [spec for spec in self._plan if spec.at_index <= index and spec.id in self._queues]
            waiting = [self._queues.pop(spec.id) for spec in due]
            self._in_flight += len(due)
            if due:
                self._trace.append((wall_ns, index))
            heals = [
                self._heal_calls.pop(spec.id)
                for spec in self._plan
                if spec.heal_index is not None and spec.heal_index <= index and spec.id in self._heal_calls
            ]
            self._next_at = self._next_due()
            self._say_what_is_expected()
        for entry in waiting:
            entry.put((index, wall_ns))
        for call in heals:
            call.put(index)

    def _await(self, spec: FaultSpec, calls: queue.SimpleQueue[tuple[int, int] | None]) -> None:
        """Wait for the fault's index, then fire it; runs on a thread of its own."""
        called = calls.get()
        if called is None:
            return
        record = self._records[spec.id]
        record.index_called, record.requested_wall_ns = called
        try:
            fired = self._aim_and_fire(spec, record)
            if fired and spec.steps:
                self._choreographer.run(spec, record)
        finally:
            self._settled[spec.id].set()
            with self._lock:
                self._in_flight -= 1
                if not self._in_flight:
                    self._trace = []
                    self._say_what_is_expected()
        if fired:
            self._follower.follow(record, struck_together(spec.id, self._records))

    def _aim_and_fire(self, spec: FaultSpec, record: FaultRecord) -> bool:
        """Find the target and fire, again where its role moved on, until the time for it is over."""
        told = {"fault": spec.id, "action": spec.action, "target": spec.target, "index": record.index_called}
        self._emit(Event(record.requested_wall_ns or 0, self._source, "fault.requested", told))
        deadline = time.monotonic() + self._aim_timeout_s()
        kept = MajorityKept(list(self._links)) if spec.keep_majority else None
        record.reason = f"no member was the {spec.target}"
        while True:
            record.attempts += 1
            try:
                # Two faults that look at once would both find a majority, and take it away together.
                with self._one_at_a_time if kept is not None else nullcontext():
                    record.reason = self._try(spec, record, kept)
            except AgentError as error:
                # It may have fired. Trying another member could make two faults of one.
                record.reason = f"it is unknown whether it struck: {error}"
                break
            if record.fired:
                return True
            if time.monotonic() >= deadline or self._follower.closing.wait(AIM_INTERVAL_S):
                break
        self._tell("fault.missed", {"fault": spec.id, "reason": record.reason, "attempts": record.attempts})
        return False

    def _try(self, spec: FaultSpec, record: FaultRecord, kept: MajorityKept | None) -> str | None:
        """Look once whom the target means, and have its agent fire; return why nothing was done, None where it was.

        Where the target means nobody, what an agent or the members said before is the better reason.
        """
        statuses = ask_roles(spec, self._links, self._pool, self._roles_timeout_s)
        member = choose_target(spec.target, statuses)
        if member is None:
            return record.reason
        if kept is not None:
            refused = kept.why_not(member, statuses, self._is_away)
            record.majority_left = kept.counted
            if refused is not None:
                return refused
        link = self._links[member]
        done = fire(spec, record.token, link, self._held, self._addresses)
        if isinstance(done, Refused):
            return done.reason
        self._audience.catch_up()
        for event in note_fired(record, done, link.clock, statuses, list(self._trace)):
            self._emit(event)
        return None

    def _aim_timeout_s(self) -> float:
        return AIM_TIMEOUT_S * self._roles_timeout_s / ROLES_TIMEOUT_S

    def _is_away(self, member: str, status: Mapping[str, Any]) -> bool:
        """Whether a fault takes a member from its peers now, or is about to."""
        own = self._by_token()
        # What is healed is held by its agent no more; what was sent and not answered is not on record yet.
        tokens = {*status["holding"], *(token for token in self._held.of(member) if not own[token].fired)}
        return any(takes_away(own.get(token)) for token in tokens)

    def _by_token(self) -> dict[str, FaultRecord]:
        return {record.token: record for record in self._records.values()}

    def _heal_sooner(self, spec: FaultSpec, calls: queue.SimpleQueue[int | None] | None) -> None:
        """Have a fault healed at its index or after its delay, if the workload lasts so long."""
        record = self._records[spec.id]
        if calls is not None:
            called = calls.get()
            if called is None:
                return
            record.heal_index_called = called
        self._settled[spec.id].wait()
        if record.fired:
            self._follower.heal_one(record, spec.heal_after_ms)

    # ------------------------------------------------------------ the end

    def close(self, *, heal: bool = False) -> list[FaultRecord]:
        """End all threads and return one record a fault, in the order of the plan.

        Faults stay held, for the agents' ``hold_ttl_s``, so that what comes next (fault_heal) can heal and time it.
        With ``heal``, for a run that ended early, they are healed now; what cannot be, the agents heal by themselves.
        """
        with self._lock:
            waiting = list(self._queues.values())
            self._queues.clear()
            heals = list(self._heal_calls.values())
            self._heal_calls.clear()
            self._next_at = sys.maxsize
        for entry in waiting:
            entry.put(None)
        for call in heals:
            call.put(None)
        self._follower.over.set()
        if heal:
            self._follower.closing.set()
        for thread in self._threads:
            thread.join(ELECTION_TIMEOUT_S + self._aim_timeout_s())
        for settled in self._settled.values():
            settled.set()
        for healing in self._healers:
            healing.join(HEAL_TIMEOUT_S)
        self._follower.closing.set()
        if self._keepalive is not None:
            self._keepalive.join()
        if heal:
            self._follower.heal_all()
        self._note_heals()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for link in self._links.values():
            link.close()
        return list(self._records.values())

    def _note_heals(self) -> None:
        """Take over what the agents know by now of the faults that nobody saw healed."""
        own = self._by_token()
        for token, member in self._held.all().items():
            done = record_of(self._links[member].main, token)
            if done is not None:
                self._follower.note_heal(own[token], done)

    def _tell(self, name: str, data: dict[str, Any]) -> None:
        """Tell what happens here and now."""
        self._emit(Event.now(self._source, name, data))

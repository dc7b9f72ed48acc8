# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Heals faults and watches the members until they are equal again, with the time of each phase.

Durations count from the moment the heal was requested, on this host's monotonic clock. Stamps of the agents are moved
onto this host's wall clock by the offset measured right before (see agent.wire.ClockOffset).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from ..actions.record import FaultRecord, group_events
from ..agent.wire import DETAILS_TIMEOUT_S, AgentClient, AgentError, ClockOffset
from ..clock import CLOCK
from ..shapes import Event, Target
from .watching import Watch

# An agent that cannot be asked is asked again after this time, and for so long, in s: systemd restarts it within 10.
AGENT_RETRY_S = 0.5
AGENT_PATIENCE_S = 30.0
# A member of a group that is no full one so long after the heal is brought back once more, in s: it may be expelled
# just then, for what it missed before.
WHOLE_AGAIN_S = 5.0
# Members that are all there, and of which none has changed for so long, in s, will not become equal any more: what one
# of them lacks it asks for at once.
STILL_S = 60.0
# Kept of the time for the agents' answers, in s: an agent says better why a member is not back than silence does.
ANSWER_S = 2.0


@dataclass
class _Healed:
    """What one agent answered."""

    records: list[FaultRecord] = field(default_factory=list)
    earlier: list[FaultRecord] = field(default_factory=list)
    clock: ClockOffset = field(default_factory=lambda: ClockOffset(0, 0))
    error: str | None = None
    not_healed: list[FaultRecord] = field(default_factory=list)  # what is known of faults of a member that is not back
    not_back: bool = False  # the error is that the member does not come back: its fault was undone
    steps: list[dict[str, Any]] = field(default_factory=list)  # what brought back a member that held no fault
    lacks: str | None = None  # why such a member is not back


@dataclass(frozen=True)
class _Wanted:
    """What the agents are asked for."""

    faults: Sequence[str] | None  # None: all that are held
    records_of: Sequence[str]
    deadline: float  # of this process's monotonic clock, in s
    converge: bool  # else it is over when the agents have healed
    whole: bool  # a member of a group is brought back into it, too, whether it held a fault or not


class Healer:
    """Heals and watches once; :meth:`run` does it all."""

    def __init__(
        self,
        target: Target,
        key: bytes,
        *,
        timeout_s: float,
        sample_interval_ms: float,
        source: str,
    ) -> None:
        """Say whom to ask and whom to watch.

        :param source: who stamps the samples
        """
        self._agents = {
            member: AgentClient(member, address, key, ca=target.ca) for member, address in target.agents.items()
        }
        self._watch = Watch(target, timeout_s=timeout_s, sample_interval_ms=sample_interval_ms, source=source)
        self._timeout_s = timeout_s
        self._interval_s = sample_interval_ms / 1000
        self._over = threading.Event()  # nobody is asked again
        self._answers: dict[str, list[Future[_Healed]]] = {member: [] for member in self._agents}
        self.events: list[Event] = []

    def run(
        self, faults: Sequence[str] | None, *, converge: bool = True, records_of: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Heal the given faults (None: all that are held) and wait until the members are equal or the time is over.

        :param converge: False ends when the agents have healed, whatever the members are
        :param records_of: tokens of faults whose end or heal nobody has seen yet; what came back by itself meanwhile,
            as after a restart, is not healed here, and its record would be heard of by nobody
        :returns: ``healed`` (records of the agents, each with ``phases_ms``), ``earlier`` (those of ``records_of`` that
            were healed before), ``not_healed`` (what is known of the faults of members that do not come back),
            ``errors`` (member -> text), ``converged`` (None where nobody waited for it),
            ``not_back`` (members of ``errors`` whose fault was undone, and whose server does not come back all the
            same), ``duration_ms``, ``reasons`` (why they are not equal), ``samples``, ``revision``, ``hashes``,
            ``started_wall_ns`` and ``rejoined`` (steps that brought members without a fault back into their group:
            {member, act, why, wall_ns}; those of a fault's heal are ``group_steps`` of its record).
        """
        started_wall_ns, started_ns = CLOCK.now_ns(), time.monotonic_ns()
        deadline = time.monotonic() + self._timeout_s
        wanted = _Wanted(faults, records_of, deadline, converge, whole=converge and self._watch.rejoins)
        self._watch.start()
        with ThreadPoolExecutor(max_workers=max(1, len(self._agents))) as pool:
            reasons, seen_ns = self._until_equal(pool, wanted)
            self._over.set()
            told = {member: [answer.result() for answer in given] for member, given in self._answers.items()}
        self._watch.close()
        for client in self._agents.values():
            client.close()
        duration_ms = None if reasons else (seen_ns - started_ns) / 1e6
        if duration_ms is not None:
            self._watch.note_equal(started_wall_ns + (seen_ns - started_ns), duration_ms)
        healed, earlier, rejoined = self._note_answers(told, started_wall_ns, duration_ms)
        lasts = {member: given[-1] for member, given in told.items()}
        not_healed = [record for last in lasts.values() for record in last.not_healed]
        self.events += [event for record in not_healed for event in record.disk_events()]
        lacks = [last.lacks for last in lasts.values() if last.lacks is not None]
        self.events = sorted([*self._watch.events, *self.events], key=lambda event: event.wall_ns)
        return {
            "healed": healed,
            "earlier": [record.as_answer() for record in earlier],
            "errors": {member: last.error for member, last in lasts.items() if last.error},
            "not_back": [member for member, last in lasts.items() if last.not_back],
            "converged": not reasons if converge else None,
            "duration_ms": duration_ms,
            "reasons": [*reasons, *lacks] if reasons else [],
            "samples": self._watch.samples,
            "revision": self._watch.compared.get("revision"),
            "hashes": self._watch.compared.get("hashes"),
            "started_wall_ns": started_wall_ns,
            "clock_base_ns": CLOCK.base_ns,
            "rejoined": rejoined,
            "not_healed": [record.as_answer() for record in not_healed],
        }

    def _until_equal(self, pool: ThreadPoolExecutor, wanted: _Wanted) -> tuple[list[str], int]:
        """Have the agents heal, and look until the members are equal or the time is over.

        :returns: what keeps them from being equal, and when that was seen (monotonic, in ns)
        """
        asked = self._ask(pool, dict.fromkeys(self._agents, wanted.faults), wanted)
        healed_ns: int | None = None
        while True:
            if healed_ns is None and all(answer.done() for answer in asked):
                healed_ns = time.monotonic_ns()
            if healed_ns is not None and not wanted.converge:
                return ["nobody waited for it"], healed_ns
            states = self._watch.note_sample()
            seen_ns = time.monotonic_ns()  # hashing only proves what was so by now
            reasons = ["the heal has not ended"]
            if healed_ns is not None:
                # A group is told again to take back who is missing, as long as there is time.
                away = [] if wanted.whole else self._not_back()
                reasons = self._watch.why_unequal(states, healed_ns, away)
                if not reasons and away:
                    return [f"{member} did not come back" for member in away], seen_ns
            stuck = healed_ns is not None and self._watch.is_still(states, STILL_S)
            if not reasons or stuck or time.monotonic() >= wanted.deadline:
                return reasons, seen_ns
            if wanted.whole and healed_ns is not None and time.monotonic_ns() - healed_ns > WHOLE_AGAIN_S * 1e9:
                again = self._not_whole(states, wanted.faults)
                asked = self._ask(pool, again, replace(wanted, records_of=()))
                healed_ns = None if again else healed_ns
            time.sleep(self._interval_s)

    def _not_back(self) -> list[str]:
        """Return the members whose server does not come back, once all agents have answered."""
        return [member for member, given in self._answers.items() if given[-1].result().not_back]

    def _not_whole(
        self, states: Mapping[str, Mapping[str, Any]], faults: Sequence[str] | None
    ) -> dict[str, Sequence[str] | None]:
        """Return the members of a group that are no full ones, and what to heal there.

        One whose heal failed is healed again; of the others nothing is held any more.
        """
        failed = {member for member, given in self._answers.items() if given[-1].result().error is not None}
        return {
            member: faults if member in failed else []
            for member in self._answers
            if member in failed or not self._watch.is_whole(states[member])
        }

    # ------------------------------------------------------------ healing

    def _ask(
        self, pool: ThreadPoolExecutor, faults: Mapping[str, Sequence[str] | None], wanted: _Wanted
    ) -> list[Future[_Healed]]:
        """Have the agents heal, each the given faults."""
        asked = []
        for member, own in faults.items():
            asked.append(pool.submit(self._heal, member, replace(wanted, faults=own)))
            self._answers[member].append(asked[-1])
        return asked

    def _heal(self, member: str, wanted: _Wanted) -> _Healed:
        """Have one agent heal; one that cannot be reached is asked again for a while."""
        client, answer = self._agents[member], _Healed()
        patient_until = min(wanted.deadline, time.monotonic() + AGENT_PATIENCE_S)
        fields: dict[str, Any] = {"records_of": list(wanted.records_of)}
        if wanted.faults is not None:
            fields["faults"] = list(wanted.faults)
        if wanted.whole:
            fields["whole_within_s"] = max(0.0, wanted.deadline - time.monotonic() - ANSWER_S)
        while True:
            try:
                reply = client.request("heal", fields, timeout_s=max(0.1, wanted.deadline - time.monotonic()))
                if reply["ok"]:
                    answer.clock, _ = client.measure_clock()
                    answer.error, answer.not_back, answer.not_healed = None, False, []
                    answer.records = [FaultRecord.from_dict(record) for record in reply["records"]]
                    # An agent of before these were there has none.
                    answer.earlier = [FaultRecord.from_dict(record) for record in reply.get("earlier", [])]
                    answer.steps, answer.lacks = reply.get("steps", []), reply.get("lacks")
                else:
                    answer.error, answer.not_back = reply["error"], bool(reply.get("not_back"))
                    # Only of a member that does not come back there are any.
                    answer.not_healed = [FaultRecord.from_dict(record) for record in reply.get("records", [])]
                return answer
            except AgentError as error:
                answer.error = str(error)
            if self._over.wait(AGENT_RETRY_S) or time.monotonic() >= patient_until:
                return answer

    def _note_answers(
        self, told: Mapping[str, Sequence[_Healed]], started_wall_ns: int, duration_ms: float | None
    ) -> tuple[list[dict[str, Any]], list[FaultRecord], list[dict[str, Any]]]:
        """Return what was healed, what had been healed before, and the steps of members without a fault."""
        healed: list[dict[str, Any]] = []
        earlier: list[FaultRecord] = []
        rejoined: list[dict[str, Any]] = []
        for member, given in told.items():
            for answer in given:
                for record in answer.records:
                    self._note_heal(record)
                    phases = self._phases(record, answer.clock, started_wall_ns)
                    if phases["caught_up"] is not None and duration_ms is not None:
                        # A sample is stamped a moment after what is in it was looked at.
                        phases["caught_up"] = min(phases["caught_up"], duration_ms)
                    healed.append(record.as_answer() | {"phases_ms": phases | {"converged": duration_ms}})
                rejoined += [{"member": member, **step} for step in answer.steps]
                self.events += group_events(member, answer.steps, None)
                earlier += answer.earlier
        for record in earlier:
            self._note_heal(record)
        return healed, earlier, rejoined

    def _note_heal(self, record: FaultRecord) -> None:
        if record.healed_wall_ns is not None:
            self.events += group_events(record.struck, record.group_steps, record.fault)
        self.events += record.heal_events(action=record.action)

    def _phases(self, record: FaultRecord, clock: ClockOffset, started_wall_ns: int) -> dict[str, float | None]:
        """Return when each step of a member's return was over, in ms since the heal was requested here."""

        def since(wall_ns: int | None, offset_ns: int = 0) -> float | None:
            return None if wall_ns is None else (wall_ns - offset_ns - started_wall_ns) / 1e6

        seen = {"first_answer": None, "leader_known": None, "caught_up": None}
        # A member that is still going down when its heal is requested may answer once more: that is not its return.
        back_ns = (record.process_started_wall_ns or 0) - clock.offset_ns - clock.uncertainty_ns
        for sample in self._watch.samples:
            state = sample["members"].get(record.struck, {})
            if not state.get("reachable") or sample["wall_ns"] < back_ns:
                continue
            revisions = [other.get("revision", 0) for other in sample["members"].values()]
            reached = {
                "first_answer": True,
                "leader_known": state.get("leader_id") is not None,
                "caught_up": "revision" in state and state["revision"] >= max(revisions),
            }
            for name, yes in reached.items():
                if yes and seen[name] is None:
                    seen[name] = sample["wall_ns"]
        return {
            "heal_received": since(record.heal_requested_wall_ns, clock.offset_ns),
            "process_started": since(record.process_started_wall_ns, clock.offset_ns),
            "active": since(record.healed_wall_ns, clock.offset_ns),
            **{name: since(wall_ns) for name, wall_ns in seen.items()},
        }


def list_held(agents: Mapping[str, str], key: bytes, faults: Sequence[str] | None, *, ca: str = "") -> dict[str, Any]:
    """Return what :meth:`Healer.run` would heal: the same fields, with ``held`` and without doing anything."""
    held, errors = [], {}
    for member, address in agents.items():
        client = AgentClient(member, address, key, ca=ca)
        try:
            reply = client.request("status", {"details": True}, timeout_s=DETAILS_TIMEOUT_S)
        except AgentError as error:
            errors[member] = str(error)
            continue
        finally:
            client.close()
        if not reply["ok"]:
            errors[member] = reply["error"]
            continue
        held += [
            {"member": member, "fault": record.fault, "action": record.action}
            for record in map(FaultRecord.from_dict, reply["records"])
            if record.held and (faults is None or record.fault in faults)
        ]
    return {
        "changed": bool(held),
        "held": held,
        "healed": [],
        "earlier": [],
        "errors": errors,
        "not_back": [],
        "converged": None,
        "duration_ms": None,
        "reasons": [],
        "samples": [],
        "revision": None,
        "hashes": None,
        "started_wall_ns": CLOCK.now_ns(),
        "clock_base_ns": CLOCK.base_ns,
        "rejoined": [],
    }

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Leads a choreographed fault through its steps, once it is held: some its agent does, the others clients and peers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from ..actions.record import FaultRecord
from ..actions.steps import LEADER, LOSERS, OTHERS, STEPS, WINNER
from ..agent.wire import AgentClient, AgentError
from ..clock import CLOCK
from ..shapes import Event, FaultSpec
from ..systems.endpoints import split_endpoint
from ..systems.steering import Steering
from .follows import Follower

# How often it is looked whether what is waited for has come, in s: little against the second that a deposed leader
# may lead on.
LOOK_INTERVAL_S = 0.002
# How long an agent may take for steps beyond their waits, in s; each runs nft, or stops processes.
STEPS_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Lead:
    """How clients are led."""

    steering: Steering = field(default_factory=Steering)
    endpoints: Mapping[str, str] = field(default_factory=dict)  # member -> "host:port" that it serves clients on

    @property
    def addresses(self) -> dict[str, str]:
        """Return where the members are for each other; an agent may be asked elsewhere (machines/keeper.py)."""
        return {member: split_endpoint(endpoint)[0] for member, endpoint in self.endpoints.items()}


class StepMissedError(Exception):
    """A step that was not come to, or not done; the text says why."""


class Choreographer:
    """Leads one fault at a time."""

    def __init__(self, follower: Follower, lead: Lead) -> None:
        self._follower = follower
        self._lead = lead

    def run(self, spec: FaultSpec, record: FaultRecord) -> None:
        """Do the steps of a fault that was fired, and note those done; where one is missed, the others are left out."""
        agent = self._follower.links[record.struck].another()
        number = 0
        try:
            for by_agent, steps in groupby(spec.steps, key=lambda step: STEPS[step["do"]].by_agent):
                for done in self._at_agent(agent, record, list(steps)) if by_agent else self._here(record, steps):
                    number += 1
                    record.steps_done.append(done)
                    source = record.struck if by_agent else self._follower.source
                    told = {"fault": record.fault, "step": number, **done}
                    self._follower.emit(Event(told.pop("wall_ns"), source, "fault.step", told))
        except StepMissedError as missed:
            step = spec.steps[len(record.steps_done)]
            record.steps_ended = f"step {len(record.steps_done) + 1} ({step['do']}) was not come to: {missed}"
            self._follower.emit(
                Event.now(
                    self._follower.source,
                    "fault.steps_ended",
                    {"fault": record.fault, "reason": record.steps_ended},
                )
            )
        finally:
            self._lead.steering.let_go()
            agent.close()

    # ------------------------------------------------------------ at the target

    def _at_agent(
        self, agent: AgentClient, record: FaultRecord, steps: list[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """Have the agent do steps, as quickly one after the other as it can; return those done."""
        waits_s = sum(step.get("ms", 0) / 1000 + STEPS[step["do"]].takes_s for step in steps)
        fields = {"token": record.token, "steps": [self._addressed(record, step) for step in steps]}
        try:
            reply = agent.request("step", fields, timeout_s=waits_s + STEPS_TIMEOUT_S)
        except AgentError as error:
            raise StepMissedError(str(error)) from None
        if not reply["ok"]:
            raise StepMissedError(reply["error"])
        yield from reply["steps"]
        if reply["failed"] is not None:
            raise StepMissedError(reply["failed"])

    def _addressed(self, record: FaultRecord, step: dict[str, Any]) -> dict[str, Any]:
        """Return a step with the addresses of the peers that it is about; the agent knows all of them by itself."""
        others = [member for member in self._follower.links if member not in (record.member, record.leader_after)]
        winner = [member for member in self._follower.links if member == record.leader_after]
        about = {WINNER: winner, LOSERS: others}.get(step.get("from", ""))
        if about is None:
            return step
        return {**step, "peers": [address for member, address in self._lead.addresses.items() if member in about]}

    # ------------------------------------------------------------ here

    def _here(self, record: FaultRecord, steps: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Do steps with the clients, or wait for moments."""
        steering, target = self._lead.steering, self._lead.endpoints.get(record.struck, "")
        for step in steps:
            done: Callable[[], bool] | None = None
            if step["do"] == "clients":
                if step["to"] == OTHERS:
                    steering.avoid(target)
                else:
                    steering.let_go()
            elif step["do"] == "read":
                steering.ask_reads(target, step["times"])
                done = self._reads_begun
            elif step["moment"] == LEADER:
                done = self._elected(record)
            else:
                done = self._written(step["count"])
            if done is not None:
                self._wait(done, step["within_ms"])
            yield {**step, "wall_ns": CLOCK.now_ns()}

    def _reads_begun(self) -> bool:
        return self._lead.steering.reads_left() == 0

    def _elected(self, record: FaultRecord) -> Callable[[], bool]:
        def elected() -> bool:
            if not self._follower.look_for_leader(record):
                return False
            self._lead.steering.count_writes()
            return True

        return elected

    def _written(self, count: int) -> Callable[[], bool]:
        return lambda: self._lead.steering.writes() >= count

    def _wait(self, done: Callable[[], bool], within_ms: int) -> None:
        """Wait until something is so; StepMissedError where it is not in time, or the workload is over before."""
        end_ns = CLOCK.now_ns() + within_ms * 1_000_000
        while not done():
            if self._follower.over.is_set() or self._follower.closing.wait(LOOK_INTERVAL_S):
                raise StepMissedError("the workload ended before")
            if CLOCK.now_ns() > end_ns:
                raise StepMissedError(f"it did not happen within {within_ms:,} ms")

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The director's connections to the agents, and what it has them hold."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ..actions.record import FaultRecord
from ..actions.registry import ACTIONS
from ..agent.wire import DETAILS_TIMEOUT_S, AgentClient, AgentError, ClockOffset
from ..shapes import FaultSpec, LabError

# Bounds of the time between keepalives, in s; within them a tenth of the time that agents hold a fault.
KEEPALIVE_BOUNDS_S = (0.2, 5.0)


class Link:
    """One agent: a connection for faults, one for keepalives, and its clock."""

    def __init__(self, member: str, address: str, key: bytes, ca: str = "") -> None:
        self.member = member
        self._given = (member, address, key)
        self._ca = ca
        self.main = self.another()
        self.keep = self.another()
        self.clock = ClockOffset(0, 0)
        self.hold_ttl_s = 0.0

    def another(self) -> AgentClient:
        """Return a new connection, for what takes long."""
        return AgentClient(*self._given, ca=self._ca)

    def meet(self, plan: Sequence[FaultSpec], addresses: Mapping[str, str]) -> dict[str, Any]:
        """Relate the agent's clock to ours, and ask whether it can do what is planned; LabError says why not.

        :param addresses: of the members, by name
        :returns: what fault.armed says of it
        """
        self.clock, identity = self.main.measure_clock()
        if identity["member"] != self.member:
            raise LabError(
                f"The fault agent at {self.main.address[0]}:{self.main.address[1]} belongs to {identity['member']}, "
                f"not to {self.member}. Check the inventory and provision the hosts with playbooks/up.yml."
            )
        self.hold_ttl_s = float(identity["hold_ttl_s"])
        asked = _asked(plan, self.member, addresses)
        status = self.main.request("status", {"details": True, "asked": asked}, timeout_s=DETAILS_TIMEOUT_S)
        if not status["ok"]:
            raise LabError(f"The fault agent of {self.member} cannot report its state: {status['error']}")
        self._check_ready(plan, status, identity["unit"])
        return {
            "role": status["role"],
            "member_id": status["member_id"],
            "term": status["term"],
            "schema_version": identity["schema_version"],
            "clock_offset_ns": self.clock.offset_ns,
            "clock_uncertainty_ns": self.clock.uncertainty_ns,
            "hold_ttl_s": self.hold_ttl_s,
        }

    def _check_ready(self, plan: Sequence[FaultSpec], status: Mapping[str, Any], unit: str) -> None:
        """Raise LabError where the agent's host is not one on which the plan's faults can be done now."""
        records = [FaultRecord.from_dict(record) for record in status["records"]]
        held = [record.fault for record in records if record.held]
        if held:
            raise LabError(
                f"{self.member} still holds fault {', '.join(held)} of an earlier experiment. "
                "Heal it first with ./scripts/lab heal."
            )
        for spec in plan:
            problem = status["cannot"].get(spec.id)
            if problem:
                raise LabError(
                    f"Fault {spec.id} ({spec.action}): not on this machine, because {problem} ({self.member})."
                )
        policy = status["unit"]["restart_policy"]
        if policy != "no" and any(ACTIONS[spec.action].ended_from_outside for spec in plan):
            raise LabError(
                f"systemd would restart a killed {unit} on {self.member} by itself (Restart={policy}). "
                "Provision the hosts with playbooks/up.yml, which sets Restart=no."
            )

    def close(self) -> None:
        """Close the connections."""
        self.main.close()
        self.keep.close()


def given(spec: FaultSpec, member: str, addresses: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what of a fault's data the agent of a member needs, as it fires it; None of one that is to itself alone.

    :param addresses: of the members, by name
    """
    fields: dict[str, Any] = {}
    if spec.isolate is not None and spec.direction is not None:
        fields |= {"isolate": spec.isolate, "direction": spec.direction}
    if spec.options:
        fields["options"] = spec.options
    if spec.to:
        to = [other for other in spec.to if other != member]
        if not to:
            return None
        fields |= {"to": to, "addresses": {other: addresses[other] for other in to if other in addresses}}
    return fields


def _asked(plan: Sequence[FaultSpec], member: str, addresses: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the faults of a plan that a member's agent has to be able to do, those of repeats that are alike once."""
    asked: dict[str, dict[str, Any]] = {}
    for spec in plan:
        fields = given(spec, member, addresses)
        if fields is not None:
            fault = {"action": spec.action, **fields}
            asked.setdefault(repr(fault), {"fault": spec.id, **fault})
    return list(asked.values())


def record_of(client: AgentClient, token: str) -> FaultRecord | None:
    """Return what an agent has on record for a fault, None where it cannot be asked now."""
    try:
        status = client.request("status", {"details": True}, timeout_s=DETAILS_TIMEOUT_S)
    except AgentError:
        return None
    records = (FaultRecord.from_dict(record) for record in status.get("records", []))
    return next((record for record in records if record.token == token), None)


class Held:
    """The faults that agents hold for the director, as far as it knows: token -> member."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: dict[str, str] = {}

    def add(self, token: str, member: str) -> None:
        """Note a fault before its agent is asked for it."""
        with self._lock:
            self._members[token] = member

    def drop(self, token: str) -> None:
        """Forget one that was refused, or healed."""
        with self._lock:
            self._members.pop(token, None)

    def all(self) -> dict[str, str]:
        """Return member by token, in the order in which they were asked for."""
        with self._lock:
            return dict(self._members)

    def of(self, member: str) -> list[str]:
        """Return the tokens of one member."""
        return [token for token, holder in self.all().items() if holder == member]


def keep_alive(links: Sequence[Link], held: Held, closing: threading.Event) -> None:
    """Tell the agents again and again that this process still lives, and keep the connections warm."""
    shortest = min(link.hold_ttl_s for link in links)
    interval_s = min(max(shortest / 10, KEEPALIVE_BOUNDS_S[0]), KEEPALIVE_BOUNDS_S[1])
    while not closing.wait(interval_s):
        for link in links:
            try:
                link.keep.request("keepalive", {"tokens": held.of(link.member)})
            except AgentError:
                # The next one may come through; if none does, the agent heals the fault by itself.
                continue

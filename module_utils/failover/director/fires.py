# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Has one agent fire, and notes what it did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..actions.record import FaultRecord, Stage
from ..agent.wire import AgentError, ClockOffset
from ..fault_names import role_of
from ..shapes import Event, FaultSpec
from .links import Held, Link, given
from .quorum import Statuses, leader_of


@dataclass(frozen=True)
class Refused:
    """Why an agent did not fire."""

    reason: str


def fire(spec: FaultSpec, token: str, link: Link, held: Held, addresses: Mapping[str, str]) -> FaultRecord | Refused:
    """Have one agent fire; return its record of what it did.

    AgentError where the agent does not say what it did, though asked twice: it fires a token only once.

    :param addresses: of the members, by name
    """
    data = given(spec, link.member, addresses)
    if data is None:
        return Refused(f"it is slow from {link.member} to itself alone, where no packet goes")
    fields: dict[str, Any] = {"token": token, "fault": spec.id, "action": spec.action, **data}
    role = role_of(spec.target)
    if role is not None:
        fields["role"] = role
    held.add(token, link.member)
    try:
        reply = link.main.request("fire", fields)
    except AgentError:
        reply = link.main.request("fire", fields)
    if reply["ok"] and reply["fired"]:
        return FaultRecord.from_dict(reply["record"])
    held.drop(token)
    return Refused(reply["reason"] if reply["ok"] else reply["error"])


def note_fired(
    record: FaultRecord, done: FaultRecord, clock: ClockOffset, statuses: Statuses, trace: Iterable[tuple[int, int]]
) -> list[Event]:
    """Take over what the agent did; return that as events.

    :param clock: of the agent
    :param statuses: what the members said of themselves just before
    :param trace: when (this host's clock, in ns) which operation was about to be invoked
    """
    member = done.struck
    if done.role == "leader":
        leader: str | None = member
    else:
        leader = _name_of(done.leader_id, statuses) or leader_of(statuses)
    assert done.signal_sent_wall_ns is not None
    sent_here_ns = done.signal_sent_wall_ns - clock.offset_ns
    record.take_over(done, Stage.FIRED)
    record.fired, record.reason = True, None
    record.leader_before, record.leader_id_before, record.term_before = leader, done.leader_id, done.term
    record.clock_offset_ns, record.clock_uncertainty_ns = clock.offset_ns, clock.uncertainty_ns
    record.delay_ms = (sent_here_ns - (record.requested_wall_ns or 0)) / 1e6
    hit = (index for wall_ns, index in trace if wall_ns <= sent_here_ns)
    record.index_hit = max(hit, default=record.index_called)
    return _events(record, done)


def _events(record: FaultRecord, done: FaultRecord) -> list[Event]:
    assert done.role_checked_wall_ns is not None
    assert done.signal_sent_wall_ns is not None
    struck = {"fault": record.fault, "member": done.struck}
    checked = {
        "role": done.role,
        "member_id": done.member_id,
        "leader": record.leader_before,
        "leader_id": done.leader_id,
        "term": done.term,
        "attempts": record.attempts,
    }
    sent = {
        "action": record.action,
        "signal": done.signal,
        "via": done.via,
        "pid": done.pid,
        "index_asked": record.index_asked,
        "index_hit": record.index_hit,
        "delay_ms": record.delay_ms,
        "clock_offset_ns": record.clock_offset_ns,
        "clock_uncertainty_ns": record.clock_uncertainty_ns,
    }
    return [
        Event(done.role_checked_wall_ns, done.struck, "fault.role_checked", struck | checked),
        Event(done.signal_sent_wall_ns, done.struck, "fault.signal_sent", struck | sent),
    ]


def _name_of(member_id: str | None, statuses: Statuses) -> str | None:
    """Return the member with that id, as far as the members' answers tell."""
    if member_id is None:
        return None
    return next((member for member, status in statuses.items() if status["member_id"] == member_id), None)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The moments of one fault on its experiment's time line: from events, from the history, from the watch over its heal.

All times are nanoseconds since the experiment's origin unless a name says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..actions.record import FaultRecord
from ..moments import MOMENTS, RETURN_STEPS, Moment
from ..sentences import milliseconds
from ..shapes import Event
from .clocks import Clock
from .columns import KINDS, MS, Columns, S, first_completion
from .gaps import Gap

# Without any event that tells when a fault's effects ended, a gap counts as its outage up to this long after it.
ATTRIBUTION_LIMIT_NS = 5 * S
# What heals a fault just as its members begin to be watched; anything else heals it sooner.
WATCHED_HEAL = "request"


@dataclass(frozen=True)
class Mark:
    """One moment of a failover on the experiment's time line."""

    name: str  # of MOMENTS
    label: str  # what a reader is told
    at_ns: int
    source: str  # who stamped it: a host, or "history"
    detail: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)  # of the event behind it


def mark_of(marks: Iterable[Mark], name: str) -> Mark | None:
    """Return the mark of that name, or None where it was not recorded."""
    return next((mark for mark in marks if mark.name == name), None)


def fault_id_of(event: Event) -> str | None:
    """Return the fault an event belongs to, where it says so."""
    value = event.data.get("fault")
    return str(value) if value is not None else None


def fault_moment_ns(events: Sequence[Event], fault_id: str) -> int | None:
    """Return the wall time (ns) at which the fault struck, that is, its signal was sent; None where it was not."""
    struck = [
        event.wall_ns for event in events if event.event == "fault.signal_sent" and fault_id_of(event) == fault_id
    ]
    return min(struck, default=None)


def is_joining(event: Event) -> bool:
    """Tell whether a member that has just started merely heard who leads: that is no election."""
    return bool(event.data.get("joined"))


def fault_marks(
    events: Sequence[Event],
    fault_id: str,
    origin_wall_ns: int,
    until_wall_ns: int,
    member: str | None = None,
    return_wall_ns: int | None = None,
) -> list[Mark]:
    """Place the events of one fault on the experiment's time line, in order of time.

    Of server and client events the first one after the fault counts.

    :param until_wall_ns: events from here on belong to something else (the next fault, the heal).
    :param member: the one that was hit, where it is known.
    :param return_wall_ns: until when the member may return, which its heal is followed by; None: without end.
    """
    moment = fault_moment_ns(events, fault_id)
    if moment is None:
        return []
    marks: list[Mark] = []
    for kind in MOMENTS.values():
        until: float = until_wall_ns
        if kind.returns:
            until = return_wall_ns if return_wall_ns is not None else math.inf
        candidates = [
            event
            for event in events
            if event.event == kind.event
            and not is_joining(event)
            and (not kind.own or event.source == member)
            and (
                fault_id_of(event) == fault_id if event.event.startswith("fault.") else moment <= event.wall_ns < until
            )
        ]
        if candidates:
            first = min(candidates, key=lambda event: event.wall_ns)
            marks.append(_mark_of_event(kind, first, origin_wall_ns))
    return sorted(marks, key=lambda mark: mark.at_ns)


def _mark_of_event(kind: Moment, event: Event, origin_wall_ns: int) -> Mark:
    label = kind.label
    if kind.name == "signal_sent" and event.data.get("signal"):
        label = f"{event.data['signal']} sent (the fault)"
    detail = kind.detail(event) if kind.detail is not None else ""
    return Mark(kind.name, label, event.wall_ns - origin_wall_ns, event.source, detail, event.data)


def attribution(moment_ns: int, marks: Iterable[Mark], until_ns: int) -> tuple[int, int]:
    """Return the interval in which a gap counts as the fault's: from the fault to its last recorded effect."""
    at = {mark.name: mark.at_ns for mark in marks}
    effects = [at_ns for name, at_ns in at.items() if MOMENTS[name].effect]
    end = max(effects) if effects else at.get("process_gone", moment_ns + ATTRIBUTION_LIMIT_NS)
    return moment_ns, max(min(end, until_ns), moment_ns + 1)


# ---------------------------------------------------------------- beside the events


def events_of_records(faults: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Return what stands in for events that cannot be read: the signals, as the faults' records have them."""
    events = []
    for fault in faults:
        record = FaultRecord.of(fault)
        if record is not None and record.fired and record.signal_sent_wall_ns is not None:
            offset = record.clock_offset_ns or 0
            clock = Clock(record.struck, offset, record.clock_uncertainty_ns or 0)
            wall_ns = record.signal_sent_wall_ns - (offset if clock.significant else 0)
            events.append(Event(wall_ns, clock.host, "fault.signal_sent", {**fault["record"], "fault": fault["id"]}))
    return sorted(events, key=lambda event: event.wall_ns)


def with_attempt(columns: Columns, marks: Iterable[Mark]) -> list[Mark]:
    """Add the moment at which the operation whose attempt failed first was sent: what its client waited since."""
    found = list(marks)
    failed = mark_of(found, "first_attempt_failed")
    if failed is None or failed.data.get("index") is None:
        return found
    rows = np.flatnonzero(columns.index == failed.data["index"])
    if len(rows):
        at = int(columns.invoke_ns[rows[0]])
        detail = f"operation {int(failed.data['index']):,}, {KINDS[columns.kind[rows[0]]]}"
        found.append(Mark("attempt_sent", MOMENTS["attempt_sent"].label, at, "history", detail))
    return sorted(found, key=lambda mark: mark.at_ns)


def without_echoes(marks: Iterable[Mark]) -> list[Mark]:
    """Leave out the new leader that polling saw where a log tells of it: polling sees it up to one interval later."""
    found = list(marks)
    told_by_log = mark_of(found, "leader_elected") is not None
    return [mark for mark in found if not (mark.name == "leader_seen" and told_by_log)]


def service_marks(columns: Columns, gap: Gap | None) -> list[Mark]:
    """Mark the last ok operation before the gap, the first ok write and the first ok read from its end on."""
    if gap is None:
        return []
    marks = []
    before = np.flatnonzero(columns.ok & (columns.complete_ns == gap.start_ns))
    if len(before):
        marks.append(_operation_mark(columns, int(before[0]), "last_ok"))
    for name, kind in (("first_ok_write", columns.is_write), ("first_ok_read", ~columns.is_write)):
        row = first_completion(columns, columns.ok & kind, gap.end_ns)
        if row is not None:
            marks.append(_operation_mark(columns, row, name))
    return marks


def _operation_mark(columns: Columns, row: int, name: str) -> Mark:
    kind, index = KINDS[columns.kind[row]], int(columns.index[row])
    data = {"index": index, "invoke_ns": int(columns.invoke_ns[row])}
    detail = f"operation {index:,}, {kind}"
    return Mark(name, MOMENTS[name].label, int(columns.complete_ns[row]), "history", detail, data)


def return_marks(fault_id: str, watched: Mapping[str, Any] | None, origin: int) -> list[Mark]:
    """Return the steps of the member's return as the heal watched them.

    A member that was healed before the watch began was back before anyone looked: only its own stamp tells when.
    """
    if watched is None or watched.get("started_wall_ns") is None:
        return []
    zero = int(watched["started_wall_ns"]) - origin
    marks = []
    for healed in watched.get("healed") or []:
        phases, record = healed.get("phases_ms") or {}, FaultRecord.from_dict(healed)
        if record.fault != fault_id:
            continue
        for name in RETURN_STEPS:
            stamped = name == "process_started"
            if phases.get(name) is None or not (stamped or record.healed_by == WATCHED_HEAL):
                continue
            at = zero + round(phases[name] * MS)
            struck = record.signal_sent_wall_ns
            if stamped and struck is not None and at + origin < struck:
                continue  # a process that the fault did not end
            source = str(record.member) if stamped else "sampling"
            detail = f"{milliseconds(phases[name])} ms after the heal was requested"
            marks.append(Mark(name, MOMENTS[name].label, at, source, detail, {"since_heal_ms": phases[name]}))
    return marks

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds out from a results folder whether a wall clock stepped while an experiment ran.

Operations have times of a monotonic clock, which does not step; events have the wall time of the host that stamped
them. Where the two do not fit each other, or stamps contradict what came first, a clock was set meanwhile, by hand or
by a time service, and no figure may be made of an event's time and another one's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .actions.record import FaultRecord
from .shapes import Event

MS = 1_000_000

# What stamps may be off without a step: threads are not scheduled at once. Backwards nothing is late.
EARLY_NS = 20 * MS
LATE_NS = 2_000 * MS
# A stamp that is there twice is the same, and a file in the order of time is in that order; what is less is no step.
SAME_NS = MS

# Client events of an operation that are stamped while it runs.
_DURING = frozenset({"client.attempt_failed", "client.failover_started", "client.member_passed_over"})

# Stamps of a fault's record, and the events that have them too.
_RECORDED = {
    "fault.role_checked": "role_checked_wall_ns",
    "fault.signal_sent": "signal_sent_wall_ns",
    "fault.process_gone": "process_gone_wall_ns",
}
# Of two stamps of one agent, which comes first.
_ORDER = (
    ("role_checked_wall_ns", "signal_sent_wall_ns"),
    ("signal_sent_wall_ns", "process_gone_wall_ns"),
    ("signal_sent_wall_ns", "heal_requested_wall_ns"),
    ("heal_requested_wall_ns", "healed_wall_ns"),
)

# Operation's index -> when it was invoked and when it was complete, in ns since the origin; None where it has no row.
SpanOf = Callable[[int], tuple[int, int] | None]


@dataclass(frozen=True)
class Step:
    """A sign of a step of a wall clock."""

    step_ns: int  # about; negative: the clock was set back
    proof: str  # for people: what does not fit what

    def as_dict(self) -> dict[str, Any]:
        """Return the evidence of a check."""
        return {"step_ms": round(self.step_ns / MS, 3), "proof": self.proof}


def find_steps(info: Mapping[str, Any], events: Sequence[Event], span_of: SpanOf) -> list[Step]:
    """Return the signs of steps in an experiment, the strongest kind first; none where all stamps fit.

    :param info: experiment.json
    :param events: in the order of their file
    """
    return [
        *_in_the_file(events),
        *_stamped_twice(info, events),
        *_beside_the_history(info, events, span_of),
        *_against_causes(info),
    ]


def asked_indexes(info: Mapping[str, Any], events: Sequence[Event]) -> set[int]:
    """Return the operations whose spans :func:`find_steps` and :func:`placed_faults` may ask for."""
    of_events = (event.data.get("index") for event in events)
    of_records = (record.index_called for fault in info["faults"] if (record := FaultRecord.of(fault)) is not None)
    return {index for index in (*of_events, *of_records) if isinstance(index, int) and abs(index) < 1 << 63}


def told(steps: Sequence[Step]) -> str:
    """Say in one sentence what the signs are."""
    largest = max(steps, key=lambda step: abs(step.step_ns))
    return f"a wall clock was set during the run, by about {largest.step_ns / MS:+,.0f} ms: {steps[0].proof}"


def placed_faults(info: Mapping[str, Any], span_of: SpanOf) -> list[dict[str, Any]]:
    """Return the faults with the moments of their signals as the history's clock has them.

    That is when the operation began before which the fault was asked for, and the delay after it. Where one of them is
    not known or makes no sense, the moment is None: it cannot be told.
    """
    placed = []
    for fault in info["faults"]:
        record, told = FaultRecord.of(fault), fault.get("record")
        if record is not None and record.signal_sent_wall_ns is not None:
            span = None if record.index_called is None else span_of(record.index_called)
            delay_ns = int((record.delay_ms or 0) * MS)
            moment = None
            if span is not None and -EARLY_NS <= delay_ns <= 60_000 * MS:
                moment = int(info["origin_wall_ns"]) + span[0] + max(delay_ns, 0)
            # On the load generator's clock, which takes the offset away.
            told = {**told, "signal_sent_wall_ns": moment, "clock_offset_ns": None}
        placed.append({**fault, "record": told})
    return placed


def _in_the_file(events: Sequence[Event]) -> Iterator[Step]:
    for before, after in pairwise(events):
        if after.wall_ns < before.wall_ns - SAME_NS:
            what = (
                f"{after.event} of {after.source} comes after {before.event} of {before.source} and is stamped earlier"
            )
            yield Step(after.wall_ns - before.wall_ns, what)


def _stamped_twice(info: Mapping[str, Any], events: Sequence[Event]) -> Iterator[Step]:
    records = {fault["id"]: FaultRecord.of(fault) for fault in info["faults"]}
    stamps = [
        (event, getattr(records.get(str(event.data.get("fault"))), _RECORDED[event.event], None))
        for event in events
        if event.event in _RECORDED
    ]
    stamps += [(event, info["origin_wall_ns"]) for event in events if event.event == "experiment.started"]
    for event, stamp in stamps:
        if stamp is not None and abs(event.wall_ns - stamp) > SAME_NS:
            what = f"{event.event} of {event.source} has one time among the events and another in the record"
            yield Step(event.wall_ns - stamp, what)


def _beside_the_history(info: Mapping[str, Any], events: Sequence[Event], span_of: SpanOf) -> Iterator[Step]:
    """Hold the load generator's stamps against the operations during which they were made."""
    origin = int(info["origin_wall_ns"])
    for event, low, high in _spans(info, events, span_of):
        at = event.wall_ns - origin
        off = at - low if at < low - EARLY_NS else at - high if high is not None and at > high + LATE_NS else 0
        if off:
            yield Step(off, f"{event.event} of {event.source} is stamped {abs(off) / MS:,.0f} ms off its operations")


def _spans(
    info: Mapping[str, Any], events: Sequence[Event], span_of: SpanOf
) -> Iterator[tuple[Event, int, int | None]]:
    """Yield events and between which times, of the history's clock, they have to lie."""
    repeats = {repeat["repeat"]: repeat for repeat in info["repeats"]}
    for event in events:
        index = event.data.get("index")
        if event.event in _DURING and isinstance(index, int):
            span = span_of(index)
            if span is not None:
                yield event, *span
        elif event.event == "fault.requested" and isinstance(index, int):
            span = span_of(index)
            if span is not None and not info["rate"]:
                yield event, span[0] - LATE_NS, span[1]
        elif event.event == "repeat.started" and event.data.get("repeat") in repeats:
            began = repeats[event.data["repeat"]]["began_ns"]
            yield event, began, began
        elif event.event == "repeat.finished" and event.data.get("repeat") in repeats:
            ended = repeats[event.data["repeat"]]["ended_ns"]
            yield event, ended, ended
        elif event.event == "experiment.finished" and repeats:
            ended = repeats[max(repeats)]["ended_ns"]
            yield event, ended, None if event.data.get("interrupted") else ended


def _against_causes(info: Mapping[str, Any]) -> Iterator[Step]:
    """Hold an agent's stamps of one fault against the order in which they have to come."""
    records = [record for fault in info["faults"] if (record := FaultRecord.of(fault)) is not None]
    records += [done for repeat in info["repeats"] for done in _healed(repeat.get("convergence"))]
    for record in records:
        stepped_ns = record.clock_stepped_ns or 0
        if abs(stepped_ns) > SAME_NS:
            yield Step(stepped_ns, f"that of {record.member}, while it held {record.fault}")
        for first, second in _ORDER:
            one, other = getattr(record, first), getattr(record, second)
            if one is not None and other is not None and other < one - SAME_NS:
                names = [name.removesuffix("_wall_ns").replace("_", " ") for name in (first, second)]
                what = f"of {record.fault}, {names[1]} is stamped before {names[0]} on {record.member}"
                yield Step(other - one, what)


def _healed(convergence: Mapping[str, Any] | None) -> list[FaultRecord]:
    given = convergence or {}
    return [FaultRecord.from_dict(done) for done in [*(given.get("healed") or []), *(given.get("earlier") or [])]]

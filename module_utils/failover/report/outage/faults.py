# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The faults of an experiment as the report tells them: what was done, what followed, and how long each phase took."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from ...actions.record import FaultRecord
from ...actions.registry import ACTIONS
from ...actions.steps import told
from ...fault_names import FaultId, towards
from ...measured.clocks import Clock
from ...measured.columns import MS, OUTCOMES, Columns, S, operations_overlapping, rate_between
from ...measured.gaps import Gap
from ...measured.marks import (
    Mark,
    return_marks,
    service_marks,
)
from ...measured.outages import Outage, Placed, Struck, place_faults
from ...moments import LEADER_OF_SEVERAL, MOMENTS, OUTAGE, PROCESS_ENDS, SEVERAL
from ...shapes import Event
from .anatomy import anatomy_of
from .elections import election_cause, who_led
from .recovery import back_marks, recovery
from .zoom import zoomed


def describe_faults(
    definition: Mapping[str, Any],
    columns: Columns,
    recorded_events: Sequence[Event] | None,
    clocks: Sequence[Clock] = (),
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Tell every fault of an experiment.

    :param definition: experiment.json
    :param recorded_events: in order of time; None where they cannot be read
    :param clocks: of the members' hosts, as measured
    :returns: one object a fault for report.json, and for each the operations of its zoomed figure (empty where
        the fault did not strike, or no operation was recorded)
    """
    faults, events = place_faults(definition, columns, recorded_events, clocks)
    contents, zooms = [], []
    for placed in faults:
        content, operations = _describe_fault(placed, definition, events)
        if recorded_events is None:
            content["client_failovers"] = None
        contents.append(content)
        zooms.append(operations)
    return contents, zooms


def _id(fault: Mapping[str, Any]) -> FaultId:
    return FaultId.parse(fault["id"])


def _describe_fault(
    placed: Placed, definition: Mapping[str, Any], events: Sequence[Event]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell one fault; see :func:`describe_faults`."""
    origin = int(definition["origin_wall_ns"])
    moment_wall, repeat = placed.moment_wall_ns, placed.repeat
    content = _planned(placed, events)
    if moment_wall is None:
        return content, {}
    if repeat is None:
        return content | {"at_s": (moment_wall - origin) / S}, {}
    content["at_s"] = repeat.worked_s(moment_wall - origin)
    content |= _steps(placed.record, moment_wall)
    outage = placed.outage()
    if placed.struck is None or outage is None:
        return content, {}
    healed = [event.wall_ns for event in placed.own if event.event == "fault.healed"]
    content["healed_s"] = repeat.worked_s(min(healed, default=origin + repeat.end_ns) - origin)
    shown, operations = _describe_outage(placed.struck, outage)
    return content | shown, operations


def _steps(record: FaultRecord, moment_wall: int) -> dict[str, Any]:
    """Return the ``steps`` of a choreography that were done, and why it ended early; nothing of other faults."""
    if not record.steps:
        return {}
    # Some are stamped by the member and some by the load generator: apart by as much as their clocks are.
    done = [{"told": told(step), "since_fault_ms": (step["wall_ns"] - moment_wall) / MS} for step in record.steps_done]
    return {"steps": done, "steps_ended": record.steps_ended}


def _planned(placed: Placed, events: Sequence[Event]) -> dict[str, Any]:
    """Return what is known of a fault without any operation; what only an outage has is None, empty or 0."""
    fault, record, member = placed.fault, placed.record, placed.member
    role = " (leader)" if fault["target"] == "leader" else ""
    to = towards(record.to or fault.get("to"))
    return {
        "id": fault["id"],
        "base": _id(fault).in_each_repeat,
        "repeat": fault["repeat"],
        "action": fault["action"],
        "several": _id(fault).part is not None,
        "past": f"{ACTIONS[fault['action']].past}{to}",
        "target": fault["target"],
        "member": member,
        "at_index": fault["at_index"],
        "heal": fault["heal"],
        "plan": {name: value for name, value in fault.items() if name not in ("record", "untold")},
        "record": fault.get("record"),
        "fired": placed.moment_wall_ns is not None,
        "untold": fault.get("untold"),
        "missed": [event.data for event in placed.own if event.event == "fault.missed"],
        "proof": who_led(placed.own, events, record, placed.moment_wall_ns, placed.until.effect_ns),
        "index_hit": record.index_hit,
        "delay_ms": record.delay_ms,
        "at_s": None,
        "healed_s": None,
        "marks": [],
        "anatomy": None,
        "absent": [],
        "election_cause": None,
        "gap": None,
        "write_gap": None,
        "slowest": None,
        "meanwhile": None,
        "operations_not_sent": None,
        "window_ms": None,
        "in_window": 0,
        "drawn": 0,
        "recovery": None,
        "client_failovers": None,
        "headline": f"{fault['action'].replace('_', ' ')} {member or fault['target']}{role}{to} at operation "
        f"{fault['at_index']:,}",
    }


def _describe_outage(struck: Struck, outage: Outage) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell what followed a fault: its content, and the operations of its zoomed figure."""
    repeat, columns, moment = struck.repeat, struck.repeat.columns, struck.moment_ns
    until, gap = struck.effect_ns, outage.gap
    recovered = recovery(
        columns, repeat.start_ns, moment, gap, min(repeat.end_ns, struck.until.next_ns - struck.origin_wall_ns)
    )
    marks = [*outage.marks, *service_marks(columns, gap), *back_marks(recovered, moment)]
    marks += return_marks(struck.fault["id"], repeat.convergence, struck.origin_wall_ns)
    marks.sort(key=lambda mark: mark.at_ns)
    anatomy = anatomy_of(columns, marks, moment, gap, struck.clocks)
    before = rate_between(columns, repeat.start_ns, moment)
    window, operations = zoomed(columns, moment, marks, gap)
    content: dict[str, Any] = {
        "anatomy": anatomy,
        "absent": _absent(struck.fault, struck.definition, marks, gap),
        "election_cause": election_cause(marks, gap),
        "gap": _gap_content(gap, moment),
        "write_gap": _gap_content(outage.write_gap, moment),
        "slowest": _slowest(columns, gap),
        "meanwhile": _meanwhile(columns, moment, max(until, gap.end_ns if gap is not None else until)),
        "recovery": recovered,
        "client_failovers": {
            "started": _count(struck, "client.failover_started"),
            "completed": _count(struck, "client.failover_completed"),
            "attempts_failed": _count(struck, "client.attempt_failed"),
        },
        "marks": _marks_content(marks, gap, anatomy, struck),
        **window,
    }
    if gap is not None and before is not None:
        content["operations_not_sent"] = before * gap.duration_ms / 1000
    for mark in content["marks"]:
        mark["in_window"] = content["window_ms"][0] <= mark["since_fault_ms"] <= content["window_ms"][1]
    return content, operations


def _absent(
    fault: Mapping[str, Any], definition: Mapping[str, Any], marks: Iterable[Mark], gap: Gap | None
) -> list[str]:
    """Name the moments that were not recorded, of those that this system can have in this fault."""
    present = {mark.name for mark in marks}
    several = len(definition["members"]) > 1
    record = FaultRecord.of(fault)
    role = (record.role if record is not None else None) or fault["target"]
    ends_process = fault["action"] not in ACTIONS or ACTIONS[fault["action"]].ends_process
    holds = {
        LEADER_OF_SEVERAL: several and role != "follower",
        PROCESS_ENDS: ends_process,
        SEVERAL: several,
        OUTAGE: gap is not None,
    }
    return [
        kind.label
        for kind in MOMENTS.values()
        if kind.name not in present and kind.missed is not None and all(holds[needed] for needed in kind.missed)
    ]


def _meanwhile(columns: Columns, moment: int, until: int) -> dict[str, Any]:
    """Count what became of the operations that were in flight from the fault to its heal (or the next fault)."""
    chosen = operations_overlapping(columns, moment, until)
    outcomes = columns.outcome[chosen]
    latency = columns.latency_ns[chosen]
    return {
        "operations": len(chosen),
        **{name: int(np.count_nonzero(outcomes == number)) for number, name in enumerate(OUTCOMES) if name != "ok"},
        "worst_ms": int(latency.max()) / MS if len(chosen) else None,
        "worst_index": int(columns.index[chosen[np.argmax(latency)]]) if len(chosen) else None,
    }


def _marks_content(
    marks: Sequence[Mark], gap: Gap | None, found: dict[str, Any] | None, struck: Struck
) -> list[dict[str, Any]]:
    """Return the moments in order of time, those within the outage with the phase that each of them ends.

    ``place`` is before, within or after the outage; without one all are "after". Writes the letters into the phases.
    """
    moment = struck.moment_ns
    phases = list(found["phases"]) if found is not None else []
    rows = []
    for mark, letter in zip(marks, _letters(), strict=False):
        place = "after"
        if gap is not None and (mark.at_ns <= gap.start_ns or mark.at_ns < moment):
            place = "before"
        elif gap is not None and mark.at_ns <= gap.end_ns and mark.name not in ("throughput_back", "latency_back"):
            # What is back with the first operation already is back after the outage.
            place = "within"
        phase = None
        if place == "within" and phases and mark.name in (phases[0]["name"], phases[0]["mark"]):
            phase = phases.pop(0)
            phase["letter"] = letter
        clock = struck.clocks.get(mark.source)
        rows.append(
            {
                "letter": letter,
                "name": mark.name,
                "label": mark.label,
                "source": mark.source,
                "detail": mark.detail,
                "since_start_s": struck.repeat.worked_s(mark.at_ns),
                "since_fault_ms": (mark.at_ns - moment) / MS,
                # Of an operation: when it was sent.
                "invoked_ms": (mark.data["invoke_ns"] - moment) / MS if "invoke_ns" in mark.data else None,
                "place": place,
                "phase": phase,
                "since_heal_ms": mark.data.get("since_heal_ms"),
                "since_outage_ms": (mark.at_ns - gap.end_ns) / MS if gap is not None and place == "after" else None,
                "clock": None if clock is None else clock.as_dict(),
            }
        )
    return rows


def _letters() -> Iterator[str]:
    """Yield a, b, ..., z, aa, ab, ...; the moments are many where several members take part."""
    yield from string.ascii_lowercase
    for pair in product(string.ascii_lowercase, repeat=2):
        yield "".join(pair)


def _gap_content(gap: Gap | None, moment: int) -> dict[str, float | bool] | None:
    if gap is None:
        return None
    return gap.as_dict() | {
        "since_fault_start_ms": (gap.start_ns - moment) / MS,
        "since_fault_end_ms": (gap.end_ns - moment) / MS,
    }


def _slowest(columns: Columns, gap: Gap | None) -> dict[str, Any] | None:
    """Return the operation with the largest latency of those in flight in the gap."""
    if gap is None:
        return None
    chosen = np.flatnonzero((columns.invoke_ns < gap.end_ns) & (columns.complete_ns > gap.start_ns))
    if len(chosen) == 0:
        return None
    row = int(chosen[np.argmax(columns.latency_ns[chosen])])
    return {
        "index": int(columns.index[row]),
        "latency_ms": int(columns.latency_ns[row]) / MS,
        "attempts": int(columns.attempts[row]),
        "outcome": OUTCOMES[columns.outcome[row]],
    }


def _count(struck: Struck, name: str) -> int:
    """Count the events of that name from the fault to its heal or the next fault."""
    span = range(struck.moment_wall_ns, struck.until.effect_ns)
    return sum(1 for event in struck.events if event.event == name and event.wall_ns in span)

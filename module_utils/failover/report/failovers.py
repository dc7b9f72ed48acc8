# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The faults of an experiment as the report tells them: what was done, what followed, and how long each phase took."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ..actions.record import FaultRecord
from ..actions.registry import ACTIONS
from ..fault_names import FaultId
from ..moments import LEADER_OF_SEVERAL, MOMENTS, OUTAGE, PROCESS_ENDS, RETURN_STEPS, SEVERAL
from ..shapes import Event
from . import analysis, anatomy
from .analysis import MS, Clock, Columns, Ints, Mark, S
from .wording import milliseconds

# Around the moments of a fault the zoomed figure shows this share of their span, within these bounds.
MARGIN_SHARE = 0.25
MARGIN_MS = (15.0, 120.0)
# Lines of the zoomed figure. Beyond it, operations that nothing happened to are thinned evenly.
MOST_OPERATIONS_DRAWN = 5_000
# The share of its former median at which the throughput counts as back.
BASELINE_SHARE = 0.9
# What heals a fault just as its members begin to be watched; anything else heals it sooner.
WATCHED_HEAL = "request"


def events_of_records(faults: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Return what stands in for events that cannot be read: the signals, as the faults' records have them."""
    events = []
    for fault in faults:
        record = FaultRecord.of(fault)
        if record is not None and record.fired and record.signal_sent_wall_ns is not None:
            offset = record.clock_offset_ns or 0
            clock = analysis.Clock(record.struck, offset, record.clock_uncertainty_ns or 0)
            wall_ns = record.signal_sent_wall_ns - (offset if clock.significant else 0)
            events.append(Event(wall_ns, clock.host, "fault.signal_sent", {**fault["record"], "fault": fault["id"]}))
    return sorted(events, key=lambda event: event.wall_ns)


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
        the fault did not strike, or no operation was recorded). A fault has to do with the operations, the other
        faults and the heal of its own repeat alone.
    """
    origin = int(definition["origin_wall_ns"])
    planned = definition["faults"]
    events = events_of_records(planned) if recorded_events is None else recorded_events
    moments = {fault["id"]: analysis.fault_moment_ns(events, fault["id"]) for fault in planned}
    repeats = {repeat.number: repeat for repeat in analysis.repeats_of(definition, columns)}
    told, zoomed = [], []
    for fault in planned:
        moment = moments[fault["id"]]
        # What strikes several members at once is one fault in the data, and one outage.
        later = [
            (moments[other["id"]], other["repeat"])
            for other in planned
            if not _id(fault).strikes_with(_id(other)) and moment is not None and (moments[other["id"]] or 0) > moment
        ]
        heal = [
            event.wall_ns
            for event in events
            if event.event == "fault.heal_requested" and analysis.fault_id_of(event) == fault["id"]
        ]
        repeat = repeats.get(fault["repeat"])
        end = origin + (repeat.end_ns if repeat is not None else 0) + 1
        own_later = [at for at, number in later if at is not None and number == fault["repeat"]]
        limits = Limits(
            effect_ns=min([*own_later, *heal], default=end),
            next_ns=min(own_later, default=end),
            return_ns=min((at for at, _ in later if at is not None), default=None),
        )
        content, operations = _describe_fault(fault, definition, repeat, events, limits, clocks)
        if recorded_events is None:
            content["client_failovers"] = None
        told.append(content)
        zoomed.append(operations)
    return told, zoomed


@dataclass(frozen=True)
class Limits:
    """Until when (wall time, ns) something may be one fault's doing."""

    effect_ns: int  # of clients and servers: to the heal or the next fault
    next_ns: int  # of the service's recovery: to the next fault or the end of the workload
    return_ns: int | None  # of the member's return, which may outlast the workload: to the next fault


def _id(fault: Mapping[str, Any]) -> FaultId:
    return FaultId.parse(fault["id"])


def _describe_fault(
    fault: Mapping[str, Any],
    definition: Mapping[str, Any],
    repeat: analysis.Repeat | None,
    events: Sequence[Event],
    limits: Limits,
    clocks: Sequence[Clock],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell one fault; see :func:`describe_faults`."""
    origin = int(definition["origin_wall_ns"])
    until_wall = limits.effect_ns
    moment_wall = analysis.fault_moment_ns(events, fault["id"])
    own = [event for event in events if analysis.fault_id_of(event) == fault["id"]]
    record = FaultRecord.of(fault) or FaultRecord(fault["id"])
    member = _member_of(record, own)
    content: dict[str, Any] = {
        "id": fault["id"],
        "base": _id(fault).in_each_repeat,
        "repeat": fault["repeat"],
        "action": fault["action"],
        "several": _id(fault).part is not None,
        "past": ACTIONS[fault["action"]].past,
        "target": fault["target"],
        "member": member,
        "at_index": fault["at_index"],
        "heal": fault["heal"],
        "plan": {name: value for name, value in fault.items() if name not in ("record", "untold")},
        "record": fault.get("record"),
        "fired": moment_wall is not None,
        "untold": fault.get("untold"),
        "missed": [event.data for event in own if event.event == "fault.missed"],
        "proof": _proof(own, events, record, moment_wall, until_wall),
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
    }
    role = " (leader)" if fault["target"] == "leader" else ""
    content["headline"] = (
        f"{fault['action'].replace('_', ' ')} {member or fault['target']}{role} at operation {fault['at_index']:,}"
    )
    if moment_wall is None:
        return content, {}
    moment, until = moment_wall - origin, until_wall - origin
    content |= {"at_s": moment / S}
    if repeat is None:
        return content, {}
    if content["untold"]:
        return content | {"at_s": repeat.worked_s(moment)}, {}
    healed = [event.wall_ns for event in own if event.event == "fault.healed"]
    content |= {
        "at_s": repeat.worked_s(moment),
        "healed_s": repeat.worked_s(min(healed, default=origin + repeat.end_ns) - origin),
    }
    columns = repeat.columns

    def recorded_marks(end_wall: int) -> list[Mark]:
        found = analysis.fault_marks(events, fault["id"], origin, end_wall, member, limits.return_ns)
        return anatomy.with_attempt(columns, anatomy.without_echoes(found))

    marks = recorded_marks(until_wall)
    blame = analysis.attribution(moment, marks, until)
    start, end = repeat.start_ns, repeat.end_ns
    gap = analysis.longest_gap(columns.complete_ns[columns.ok], start, end, blame)
    write_gap = analysis.longest_gap(columns.complete_ns[columns.ok & columns.is_write], start, end, blame)
    if gap is not None and gap.end_ns > until:
        # An outage that its heal ended: what members and clients did after the heal was requested is part of it.
        marks = recorded_marks(origin + gap.end_ns + 1)
    recovery = _recovery(columns, start, moment, gap, min(end, limits.next_ns - origin))
    marks += _service_marks(columns, gap) + _back_marks(recovery, moment)
    returned = _return_marks(fault["id"], repeat.convergence, origin)
    marks = sorted([*marks, *returned], key=lambda mark: mark.at_ns)

    by_host = {clock.host: clock for clock in clocks}
    content |= {
        "anatomy": _anatomy(columns, marks, moment, gap, by_host),
        "absent": _absent(fault, definition, marks, gap),
        "election_cause": _election_cause(marks, gap),
        "gap": _gap_content(gap, moment),
        "write_gap": _gap_content(write_gap, moment),
        "slowest": _slowest(columns, gap),
        "meanwhile": _meanwhile(columns, moment, max(until, gap.end_ns if gap is not None else until)),
        "recovery": recovery,
        "client_failovers": {
            "started": _count(events, "client.failover_started", moment_wall, until_wall),
            "completed": _count(events, "client.failover_completed", moment_wall, until_wall),
            "attempts_failed": _count(events, "client.attempt_failed", moment_wall, until_wall),
        },
    }
    before = analysis.rate_between(columns, start, moment)
    if gap is not None and before is not None:
        content["operations_not_sent"] = before * gap.duration_ms / 1000
    content["marks"] = _marks_content(marks, moment, gap, content["anatomy"], by_host, repeat)
    window = _window(moment, marks, gap)
    chosen = analysis.operations_overlapping(columns, *window)
    drawn = _thin(columns, chosen, gap)
    content["window_ms"] = [(window[0] - moment) / MS, (window[1] - moment) / MS]
    for mark in content["marks"]:
        mark["in_window"] = content["window_ms"][0] <= mark["since_fault_ms"] <= content["window_ms"][1]
    content["in_window"], content["drawn"] = len(chosen), len(drawn)
    if len(chosen):
        content["first_index"], content["last_index"] = (
            int(columns.index[chosen].min()),
            int(columns.index[chosen].max()),
        )
    return content, _operations(columns, chosen, drawn, moment)


def _member_of(record: FaultRecord, own: Sequence[Event]) -> str | None:
    """Return the member that the fault went to, as its record or its events name it."""
    if record.member:
        return record.member
    named = [str(event.data["member"]) for event in own if event.data.get("member")]
    return named[0] if named else None


def _proof(
    own: Sequence[Event],
    events: Sequence[Event],
    record: FaultRecord,
    moment: int | None,
    until: int,
) -> list[dict[str, Any]]:
    """Return what shows who led: the check just before the fault, and the election after it.

    :returns: rows of ``name``, ``before``, ``after``; None where it was not recorded.
    """
    checked = [event for event in own if event.event == "fault.role_checked"]
    elected = [
        event
        for event in events
        if event.event == "server.leader_elected"
        and not analysis.is_joining(event)
        and moment is not None
        and moment <= event.wall_ns < until
    ]
    before = {"observed by": checked[-1].source, **checked[-1].data} if checked else {}
    after: dict[str, Any] = {}
    if elected:
        data = elected[0].data
        after = {
            "leader": data.get("leader") or elected[0].source,
            "id": data.get("leader_id"),
            "term": data.get("term"),
        }
        after["observed by"] = elected[0].source
    elif record.leader_after:
        after = {"leader": record.leader_after, "id": record.leader_id_after, "term": record.term_after}
        after["observed by"] = "polling"
    leads = before.get("role") == "leader"
    member = before.get("member")
    facts = {
        "observed by": before.get("observed by"),
        "leader": before.get("leader") or (member if leads else None),
        "id": before.get("leader_id") or (before.get("member_id") if leads else None),
        "term": before.get("term"),
    }
    rows = [{"name": name, "before": value, "after": after.get(name)} for name, value in facts.items()]
    if member is not None:
        rows.append({"name": f"role of {member}", "before": before.get("role"), "after": None})
    return [row for row in rows if row["before"] is not None or row["after"] is not None]


# Elections that follow a fault's heal up to this long later are still its doing.
ELECTION_AFTER_HEAL_NS = 10 * S
# Stamps of an election that are no further apart than this are of one: every member says it, with or without its term.
ONE_ELECTION_NS = 10 * S


def unprovoked_elections(
    definition: Mapping[str, Any], events: Sequence[Event], repeats: Sequence[analysis.Repeat]
) -> list[dict[str, Any]]:
    """List the elections that no fault caused, from the first operation to the last one.

    A fault's time is from its signal to ELECTION_AFTER_HEAL_NS after its heal; without a heal, to the end. An election
    that was started and not won counts as well.

    :param events: in order of time
    :returns: ``at_s`` (since the first operation, without idle time), ``term``, ``leader`` (None where nobody won),
        ``cause`` and ``members`` that told of it
    """
    if not repeats:
        return []
    origin = int(definition["origin_wall_ns"])
    spans = []
    for fault in definition["faults"]:
        struck = analysis.fault_moment_ns(events, fault["id"])
        if struck is not None:
            healed = [
                event.wall_ns
                for event in events
                if event.event == "fault.healed" and analysis.fault_id_of(event) == fault["id"]
            ]
            spans.append((struck, min(healed) + ELECTION_AFTER_HEAL_NS if healed else math.inf))
    first, last = origin + repeats[0].start_ns, origin + repeats[-1].end_ns
    said = [
        event
        for event in events
        if event.event in ("server.election_started", "server.leader_elected")
        and not analysis.is_joining(event)
        and first <= event.wall_ns <= last
        and not any(low <= event.wall_ns <= high for low, high in spans)
    ]
    found: list[dict[str, Any]] = []
    for event in said:
        row = next((row for row in reversed(found) if _is_of_election(event, row)), None)
        if row is None:
            row = {"wall_ns": event.wall_ns, "term": None, "leader": None, "cause": None, "members": []}
            found.append(row)
        row["last_ns"] = event.wall_ns
        row["term"] = event.data.get("term") if row["term"] is None else row["term"]
        row["cause"] = row["cause"] or event.data.get("cause")
        row["members"] = sorted({*row["members"], event.source})
        if event.event == "server.leader_elected":
            row["leader"] = event.data.get("leader") or event.source
    for row in found:
        del row["last_ns"]
        at_ns = row.pop("wall_ns") - origin
        within = next(repeat for repeat in reversed(repeats) if repeat.start_ns <= at_ns)
        row["at_s"] = within.worked_s(at_ns)
    return found


def _is_of_election(event: Event, row: Mapping[str, Any]) -> bool:
    """Tell whether an event is of the election that a row is about: by its term, else by its time."""
    term = event.data.get("term")
    if term is not None and row["term"] is not None:
        return bool(term == row["term"])
    return bool(event.wall_ns - row["last_ns"] <= ONE_ELECTION_NS)


def _letters() -> Iterator[str]:
    """Yield a, b, ..., z, aa, ab, ...; the moments are many where several members take part."""
    yield from string.ascii_lowercase
    for pair in product(string.ascii_lowercase, repeat=2):
        yield "".join(pair)


def _anatomy(
    columns: Columns, marks: Sequence[Mark], moment: int, gap: analysis.Gap | None, clocks: Mapping[str, Clock]
) -> dict[str, Any] | None:
    """Divide the outage into phases; None without one."""
    if gap is None:
        return None
    last = min(
        (mark for mark in marks if mark.name in ("first_ok_write", "first_ok_read")),
        key=lambda mark: mark.at_ns,
        default=None,
    )
    if not gap.ended:
        last = None
    rows = anatomy.divide(gap, marks, moment, last, anatomy.usual_before(columns, moment), clocks)
    return anatomy.told(rows, gap, moment)


def _absent(
    fault: Mapping[str, Any], definition: Mapping[str, Any], marks: Iterable[Mark], gap: analysis.Gap | None
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


def _back_marks(recovery: Mapping[str, Any] | None, moment: int) -> list[Mark]:
    """Return the moments at which throughput and latency were what they had been."""
    if recovery is None:
        return []
    marks = []
    if recovery["back_ms"] is not None:
        detail = f"{recovery['window_ms']:g} ms with at least {BASELINE_SHARE * 100:.0f} % of the former median"
        at = moment + round(recovery["back_ms"] * MS)
        marks.append(Mark("throughput_back", MOMENTS["throughput_back"].label, at, "history", detail))
    if recovery["latency_back_ms"] is not None:
        detail = f"medians of {recovery['window_ms']:g} ms stay at or below {recovery['latency_band_ms']:,.2f} ms"
        at = moment + round(recovery["latency_back_ms"] * MS)
        marks.append(Mark("latency_back", MOMENTS["latency_back"].label, at, "history", detail))
    return marks


def _return_marks(fault_id: str, watched: Mapping[str, Any] | None, origin: int) -> list[Mark]:
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


def _meanwhile(columns: Columns, moment: int, until: int) -> dict[str, Any]:
    """Count what became of the operations that were in flight from the fault to its heal (or the next fault)."""
    chosen = analysis.operations_overlapping(columns, moment, until)
    outcomes = columns.outcome[chosen]
    latency = columns.latency_ns[chosen]
    return {
        "operations": len(chosen),
        **{
            name: int(np.count_nonzero(outcomes == number))
            for number, name in enumerate(analysis.OUTCOMES)
            if name != "ok"
        },
        "worst_ms": int(latency.max()) / MS if len(chosen) else None,
        "worst_index": int(columns.index[chosen[np.argmax(latency)]]) if len(chosen) else None,
    }


def _election_cause(marks: Sequence[Mark], gap: analysis.Gap | None) -> str | None:
    """Return why the election in the gap began, in the words of the server's log; None without such an election."""
    election = analysis.mark_of(marks, "election_started")
    if election is None or gap is None or not gap.start_ns <= election.at_ns <= gap.end_ns:
        return None
    return election.data.get("cause")


def _marks_content(
    marks: Sequence[Mark],
    moment: int,
    gap: analysis.Gap | None,
    found: dict[str, Any] | None,
    clocks: Mapping[str, Clock],
    repeat: analysis.Repeat,
) -> list[dict[str, Any]]:
    """Return the moments in order of time, those within the outage with the phase that each of them ends.

    ``place`` is before, within or after the outage; without one all are "after". Writes the letters into the phases.
    """
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
        clock = clocks.get(mark.source)
        rows.append(
            {
                "letter": letter,
                "name": mark.name,
                "label": mark.label,
                "source": mark.source,
                "detail": mark.detail,
                "since_start_s": repeat.worked_s(mark.at_ns),
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


def _gap_content(gap: analysis.Gap | None, moment: int) -> dict[str, float | bool] | None:
    if gap is None:
        return None
    return gap.as_dict() | {
        "since_fault_start_ms": (gap.start_ns - moment) / MS,
        "since_fault_end_ms": (gap.end_ns - moment) / MS,
    }


def _slowest(columns: Columns, gap: analysis.Gap | None) -> dict[str, Any] | None:
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
        "outcome": analysis.OUTCOMES[columns.outcome[row]],
    }


def _service_marks(columns: Columns, gap: analysis.Gap | None) -> list[Mark]:
    """Mark the last ok operation before the gap, the first ok write and the first ok read from its end on."""
    if gap is None:
        return []
    marks = []
    before = np.flatnonzero(columns.ok & (columns.complete_ns == gap.start_ns))
    if len(before):
        marks.append(_operation_mark(columns, int(before[0]), "last_ok"))
    for name, kind in (("first_ok_write", columns.is_write), ("first_ok_read", columns.kind == analysis.READ)):
        row = analysis.first_completion(columns, columns.ok & kind, gap.end_ns)
        if row is not None:
            marks.append(_operation_mark(columns, row, name))
    return marks


def _operation_mark(columns: Columns, row: int, name: str) -> Mark:
    kind, index = analysis.KINDS[columns.kind[row]], int(columns.index[row])
    data = {"index": index, "invoke_ns": int(columns.invoke_ns[row])}
    detail = f"operation {index:,}, {kind}"
    return Mark(name, MOMENTS[name].label, int(columns.complete_ns[row]), "history", detail, data)


def _count(events: Sequence[Event], name: str, start: int, end: int) -> int:
    return sum(1 for event in events if event.event == name and start <= event.wall_ns < end)


def _recovery(
    columns: Columns, start: int, moment: int, gap: analysis.Gap | None, end: int
) -> dict[str, float | None] | None:
    """Compare throughput and latency before the fault with those after the gap, and find when they are back.

    Throughput is back at the first window after the gap in which at least 90 % of the former median is
    acknowledged; of latency see :func:`.analysis.latency_band`. Nothing is back after a gap that did not end.

    :param end: what comes from here on belongs to something else
    """
    if gap is None:
        return None
    width = analysis.baseline_window_ns(columns, start, moment)
    completions = np.sort(columns.complete_ns[columns.ok])
    starts = np.arange(start, moment - width, width)
    counted = np.searchsorted(completions, starts + width) - np.searchsorted(completions, starts)
    median = float(np.median(counted)) if len(counted) else None
    back = None
    if median:
        after = completions[completions >= gap.end_ns]
        after = after[after <= end - width]
        inside = np.searchsorted(completions, after + width) - np.searchsorted(completions, after)
        enough = np.flatnonzero(inside >= BASELINE_SHARE * median)
        back = float(after[enough[0]] - moment) / MS if len(enough) else None
    band = analysis.latency_band(columns, start, moment, gap.end_ns, end, width) if gap.ended else None
    return {
        "before_ops_per_s": analysis.rate_between(columns, start, moment),
        "after_ops_per_s": analysis.rate_between(columns, gap.end_ns, end) if gap.ended else None,
        "median_before_ops_per_s": median * S / width if median is not None else None,
        "back_ms": back,
        "window_ms": width / MS,
        "latency_band_ms": band.most_ns / MS if band is not None else None,
        "latency_windows": band.windows if band is not None else None,
        "latency_back_ms": (band.back_ns - moment) / MS if band is not None and band.back_ns is not None else None,
    }


def _window(moment: int, marks: Sequence[Mark], gap: analysis.Gap | None) -> tuple[int, int]:
    """Choose what the zoomed figure shows: the fault, the gap and all moments, with a margin."""
    # A read or write that the stream asked for long after the recovery would stretch the picture for nothing.
    limit = (gap.end_ns if gap else moment) + 2 * max((gap.end_ns - gap.start_ns) if gap else 0, 100 * MS)
    times = [moment, *(mark.at_ns for mark in marks if mark.at_ns <= limit)]
    if gap is not None:
        times += [gap.start_ns, gap.end_ns]
    low, high = min(times), max(times)
    margin = min(max((high - low) / MS * MARGIN_SHARE, MARGIN_MS[0]), MARGIN_MS[1]) * MS
    return int(low - margin), int(high + margin)


def _thin(columns: Columns, chosen: Ints, gap: analysis.Gap | None) -> Ints:
    """Keep at most MOST_OPERATIONS_DRAWN positions: all that something happened to, and every k-th of the rest."""
    if len(chosen) <= MOST_OPERATIONS_DRAWN:
        return chosen
    notable = (columns.attempts[chosen] > 1) | ~columns.ok[chosen]
    if gap is not None:
        notable |= (columns.invoke_ns[chosen] < gap.end_ns) & (columns.complete_ns[chosen] > gap.start_ns)
    # The slowest of the notable ones come first where even they are too many.
    special, rest = chosen[notable], chosen[~notable]
    if len(special) > MOST_OPERATIONS_DRAWN // 2:
        slowest = np.argsort(-columns.latency_ns[special], kind="stable")[: MOST_OPERATIONS_DRAWN // 2]
        special = special[slowest]
    step = -(-len(rest) // (MOST_OPERATIONS_DRAWN - len(special)))
    return np.sort(np.concatenate((special, rest[::step])))


def _operations(columns: Columns, chosen: Ints, drawn: Ints, moment: int) -> dict[str, Any]:
    """Return what the zoomed figure draws; rows count all operations of the window in the order of invocation."""
    order = chosen[np.argsort(columns.invoke_ns[chosen], kind="stable")]
    rows = {int(position): row for row, position in enumerate(order)}
    drawn = order[np.isin(order, drawn)]
    return {
        "row": [rows[int(position)] for position in drawn],
        "invoke_ms": ((columns.invoke_ns[drawn] - moment) / MS).tolist(),
        "complete_ms": ((columns.complete_ns[drawn] - moment) / MS).tolist(),
        "kind": [analysis.KINDS[code] for code in columns.kind[drawn]],
        "outcome": [analysis.OUTCOMES[code] for code in columns.outcome[drawn]],
        "attempts": columns.attempts[drawn].tolist(),
    }

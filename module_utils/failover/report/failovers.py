# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The faults of an experiment as the report tells them: what was done, what followed, and how long each phase took."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..fault_agent import ACTIONS
from ..shapes import Event
from . import analysis
from .analysis import MS, Columns, Ints, Mark, S

PAST = {"stop": "stopped", "kill": "killed", "restart": "restarted", "pause": "frozen", "partition": "cut off"}
# Around the moments of a fault the zoomed figure shows this share of their span, within these bounds.
MARGIN_SHARE = 0.25
MARGIN_MS = (15.0, 120.0)
# Lines of the zoomed figure. Beyond it, operations that nothing happened to are thinned evenly.
MOST_OPERATIONS_DRAWN = 5_000
# Length of the windows that tell when the throughput is back, and the share of its former median that counts as back.
BASELINE_WINDOW_NS = 100 * MS
BASELINE_SHARE = 0.9


def past(action: str) -> str:
    """Return what was done to a member: "stopped" for "stop"."""
    return PAST.get(action, f"hit by {action}")


def _values(*names: str) -> Callable[[Event], str]:
    """Return a description that names those of an event's data that are there."""

    def describe(event: Event) -> str:
        found = [(name, event.data[name]) for name in names if event.data.get(name) is not None]
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found)

    return describe


def _elected(event: Event) -> str:
    """Describe an election's result: who leads now, in which term."""
    leader = event.data.get("leader") or event.data.get("member") or event.source
    term = event.data.get("term")
    return f"{leader}, term {term}" if term is not None else str(leader)


DESCRIPTIONS: dict[str, Callable[[Event], str]] = {
    "fault.requested": _values("index"),
    "fault.role_checked": _values("role", "term"),
    "fault.signal_sent": _values("signal", "pid"),
    "fault.process_gone": _values("pid"),
    "fault.leader_after": _values("leader", "term"),
    "server.leader_lost": _values("leader", "term"),
    "server.election_started": _values("term", "cause"),
    "server.leader_elected": _elected,
    "client.attempt_failed": lambda event: str(event.data.get("error", "")),
    "client.failover_started": _values("endpoint"),
    "client.member_passed_over": _values("endpoint", "reason"),
    "client.failover_completed": _values("endpoint"),
}


def events_of_records(faults: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Return what stands in for events that cannot be read: the signals, as the faults' records have them."""
    events = []
    for fault in faults:
        record = fault.get("record") or {}
        if record.get("fired") and record.get("signal_sent_wall_ns") is not None:
            offset, error = record.get("clock_offset_ns") or 0, record.get("clock_uncertainty_ns") or 0
            clock = analysis.Clock(record["member"], offset, error)
            wall_ns = record["signal_sent_wall_ns"] - (offset if clock.significant else 0)
            events.append(Event(wall_ns, clock.host, "fault.signal_sent", {**record, "fault": fault["id"]}))
    return sorted(events, key=lambda event: event.wall_ns)


def describe_faults(
    definition: Mapping[str, Any], columns: Columns, recorded_events: Sequence[Event] | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Tell every fault of an experiment.

    :param definition: experiment.json
    :param recorded_events: in order of time; None where they cannot be read
    :returns: one object a fault for report.json, and for each the operations of its zoomed figure (empty where
        the fault did not strike, or no operation was recorded).
    """
    origin = int(definition["origin_wall_ns"])
    planned = definition["faults"]
    events = events_of_records(planned) if recorded_events is None else recorded_events
    moments = {fault["id"]: analysis.fault_moment_ns(events, fault["id"]) for fault in planned}
    told, zoomed = [], []
    for fault in planned:
        moment = moments[fault["id"]]
        # What strikes several members at once is one fault in the data, and one outage.
        later = [
            other
            for name, other in moments.items()
            if other is not None and moment is not None and other > moment and not _same_fault(name, fault["id"])
        ]
        heal = [
            event.wall_ns
            for event in events
            if event.event == "fault.heal_requested" and analysis.fault_id_of(event) == fault["id"]
        ]
        until = min([*later, *heal], default=origin + int(columns.complete_ns.max(initial=0)) + 1)
        content, operations = _describe_fault(fault, columns, events, origin, until)
        if recorded_events is None:
            content["client_failovers"] = None
        never = _cannot_be(fault["action"], len(definition["members"]))
        content["absent"] = [label for label in content["absent"] if label not in never]
        told.append(content)
        zoomed.append(operations)
    return told, zoomed


def _same_fault(one: str, other: str) -> bool:
    """Tell whether two ids like F1.1 and F1.2 are of one fault in the data."""
    return one.partition(".")[0] == other.partition(".")[0]


def _cannot_be(action: str, members: int) -> set[str]:
    """Return the labels of the moments that a fault of this kind, in a system of so many members, cannot have."""
    never = set()
    if action in ACTIONS and not ACTIONS[action].ends_process:
        never.add("process_gone")
    if members == 1:
        never |= {"leader_lost", "election_started", "leader_elected"}
    return {label for name, _, label in analysis.MARK_EVENTS if name in never}


def _describe_fault(
    fault: Mapping[str, Any], columns: Columns, events: Sequence[Event], origin: int, until_wall: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell one fault; see :func:`describe_faults`."""
    moment_wall = analysis.fault_moment_ns(events, fault["id"])
    own = [event for event in events if analysis.fault_id_of(event) == fault["id"]]
    member = _member_of(fault, own)
    content: dict[str, Any] = {
        "id": fault["id"],
        "action": fault["action"],
        "past": past(fault["action"]),
        "target": fault["target"],
        "member": member,
        "at_index": fault["at_index"],
        "heal": fault["heal"],
        "record": fault.get("record"),
        "fired": moment_wall is not None,
        "missed": [event.data for event in own if event.event == "fault.missed"],
        "proof": _proof(own, events, fault.get("record") or {}, moment_wall, until_wall),
        "index_hit": (fault.get("record") or {}).get("index_hit"),
        "delay_ms": (fault.get("record") or {}).get("delay_ms"),
        "at_s": None,
        "healed_s": None,
        "heal_marks": _heal_marks(own, origin),
        "marks": [],
        "phases": [],
        "absent": [],
        "election_cause": None,
        "gap": None,
        "write_gap": None,
        "slowest": None,
        "operations_not_sent": None,
        "window_ms": None,
        "in_window": 0,
        "drawn": 0,
        "recovery": None,
        "client_failovers": None,
    }
    role = " (leader)" if fault["target"] == "leader" else ""
    content["headline"] = f"{fault['action']} {member or fault['target']}{role} at operation {fault['at_index']:,}"
    if moment_wall is None:
        return content, {}
    moment, until = moment_wall - origin, until_wall - origin
    healed = [mark["since_start_s"] for mark in content["heal_marks"] if mark["event"] == "fault.healed"]
    content |= {"at_s": moment / S, "healed_s": healed[0] if healed else None}
    if len(columns) == 0:
        return content, {}

    marks = analysis.fault_marks(events, fault["id"], origin, until_wall, DESCRIPTIONS)
    if analysis.mark_of(marks, "leader_elected") is not None:
        # The server's own word is exact; that of polling comes up to one interval later and adds nothing.
        marks = [mark for mark in marks if mark.name != "leader_seen"]
    blame = analysis.attribution(moment, marks, until)
    end = int(columns.complete_ns.max())
    start = int(columns.invoke_ns.min())
    gap = analysis.longest_gap(columns.complete_ns[columns.ok], start, end, blame)
    write_gap = analysis.longest_gap(columns.complete_ns[columns.ok & columns.is_write], start, end, blame)
    marks += _service_marks(columns, gap)
    marks.sort(key=lambda mark: mark.at_ns)
    lettered = zip(marks, string.ascii_lowercase, strict=False)

    before = analysis.rate_between(columns, start, moment)
    content |= {
        "marks": [_mark_content(mark, letter, moment) for mark, letter in lettered],
        "phases": _phases(marks, gap),
        "absent": [
            label
            for name, _, label in analysis.MARK_EVENTS
            if name not in analysis.OPTIONAL_MARKS and analysis.mark_of(marks, name) is None
        ],
        "election_cause": _election_cause(marks, gap),
        "gap": _gap_content(gap, moment),
        "write_gap": _gap_content(write_gap, moment),
        "slowest": _slowest(columns, gap),
        "operations_not_sent": before * gap.duration_ms / 1000 if gap is not None and before is not None else None,
        "recovery": _recovery(columns, start, moment, gap, end),
        "client_failovers": {
            "started": _count(events, "client.failover_started", moment_wall, until_wall),
            "completed": _count(events, "client.failover_completed", moment_wall, until_wall),
            "attempts_failed": _count(events, "client.attempt_failed", moment_wall, until_wall),
        },
    }
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


def _member_of(fault: Mapping[str, Any], own: Sequence[Event]) -> str | None:
    """Return the member that the fault went to, as its record or its events name it."""
    record = fault.get("record")
    if isinstance(record, Mapping) and record.get("member"):
        return str(record["member"])
    named = [str(event.data["member"]) for event in own if event.data.get("member")]
    return named[0] if named else None


def _proof(
    own: Sequence[Event],
    events: Sequence[Event],
    record: Mapping[str, Any],
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
    elif record.get("leader_after"):
        after = {
            "leader": record["leader_after"],
            "id": record.get("leader_id_after"),
            "term": record.get("term_after"),
        }
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


# What the time up to a moment was spent on, by the moment. An outage is the sum of such phases.
PHASES = {
    "signal_sent": "before the fault struck",
    "process_gone": "the process ends",
    "member_unreachable": "the other members miss it",
    "leader_lost": "the loss of the leader is noticed",
    "election_started": "an election begins",
    "leader_elected": "the election",
    "leader_ready": "the new leader gets ready for writes",
    "first_attempt_failed": "the client waits for an answer that does not come",
    "failover_started": "the client gives the member up",
    "member_passed_over": "the client looks for a member that serves",
    "failover_completed": "the client is served by a member again",
}
SERVED = "the answer reaches the operation"
UNEXPLAINED = "unexplained: no recorded moment says what it was spent on"
ENDLESS = "the service did not come back"


def _phases(marks: Sequence[Mark], gap: analysis.Gap | None) -> list[dict[str, Any]]:
    """Divide an outage at the moments recorded in it, into phases that sum to it.

    Each has the ``label`` of what it was spent on, the moment that ``ends`` it, ``duration_ms``, its ``share`` of the
    outage, and whether it is ``explained``. What lies between the last such moment and the first ok operation is so
    only where that moment is the client's own word that it is served again.
    """
    if gap is None:
        return []
    parts: list[tuple[str, str | None, int, bool]] = []
    since, last = gap.start_ns, None
    for mark in marks:
        if mark.name in PHASES and gap.start_ns < mark.at_ns < gap.end_ns:
            parts.append((PHASES[mark.name], mark.label, mark.at_ns - since, True))
            since, last = mark.at_ns, mark.name
    if not gap.ended:
        parts.append((ENDLESS, None, gap.end_ns - since, False))
    else:
        served = last == "failover_completed"
        parts.append((SERVED if served else UNEXPLAINED, "first ok operation", gap.end_ns - since, served))
    whole = gap.end_ns - gap.start_ns
    return [
        {"label": label, "ends": ends, "duration_ms": length / MS, "share": length / whole, "explained": explained}
        for label, ends, length, explained in parts
    ]


def _election_cause(marks: Sequence[Mark], gap: analysis.Gap | None) -> str | None:
    """Return why the election in the gap began, in the words of the server's log; None without such an election."""
    election = analysis.mark_of(marks, "election_started")
    if election is None or gap is None or not gap.start_ns <= election.at_ns <= gap.end_ns:
        return None
    return election.data.get("cause")


def _heal_marks(own: Sequence[Event], origin: int) -> list[dict[str, Any]]:
    """List the moments of the heal, each once, in s since the first operation."""
    labels = {"fault.heal_requested": "heal requested", "fault.healed": "healed", "fault.heal_failed": "heal failed"}
    found = {(event.wall_ns, event.event): event for event in own if event.event in labels}
    return [
        {
            "event": event.event,
            "label": labels[event.event],
            "source": event.source,
            "since_start_s": (event.wall_ns - origin) / S,
        }
        for _, event in sorted(found.items())
    ]


def _mark_content(mark: Mark, letter: str, moment: int) -> dict[str, Any]:
    return {
        "letter": letter,
        "name": mark.name,
        "label": mark.label,
        "source": mark.source,
        "detail": mark.detail,
        "since_start_s": mark.at_ns / S,
        "since_fault_ms": (mark.at_ns - moment) / MS,
    }


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
        marks.append(_operation_mark(columns, int(before[0]), "last_ok", "last ok operation before the gap"))
    for name, label, mask in (
        ("first_ok_write", "first ok write", columns.ok & columns.is_write),
        ("first_ok_read", "first ok read", columns.ok & (columns.kind == analysis.READ)),
    ):
        row = analysis.first_completion(columns, mask, gap.end_ns)
        if row is not None:
            marks.append(_operation_mark(columns, row, name, label))
    return marks


def _operation_mark(columns: Columns, row: int, name: str, label: str) -> Mark:
    kind = analysis.KINDS[columns.kind[row]]
    return Mark(name, label, int(columns.complete_ns[row]), "history", f"operation {int(columns.index[row]):,}, {kind}")


def _count(events: Sequence[Event], name: str, start: int, end: int) -> int:
    return sum(1 for event in events if event.event == name and start <= event.wall_ns < end)


def _recovery(
    columns: Columns, start: int, moment: int, gap: analysis.Gap | None, end: int
) -> dict[str, float | None] | None:
    """Compare throughput before the fault with throughput after the gap, and find when it is back.

    Back means: the first window of 100 ms after the gap in which at least 90 % of the former median is acknowledged.
    There is no throughput after a gap that did not end.
    """
    if gap is None:
        return None
    completions = np.sort(columns.complete_ns[columns.ok])
    starts = np.arange(start, moment - BASELINE_WINDOW_NS, BASELINE_WINDOW_NS)
    counted = np.searchsorted(completions, starts + BASELINE_WINDOW_NS) - np.searchsorted(completions, starts)
    median = float(np.median(counted)) if len(counted) else None
    back = None
    if median:
        after = completions[completions >= gap.end_ns]
        after = after[after <= end - BASELINE_WINDOW_NS]
        inside = np.searchsorted(completions, after + BASELINE_WINDOW_NS) - np.searchsorted(completions, after)
        enough = np.flatnonzero(inside >= BASELINE_SHARE * median)
        back = float(after[enough[0]] - moment) / MS if len(enough) else None
    return {
        "before_ops_per_s": analysis.rate_between(columns, start, moment),
        "after_ops_per_s": analysis.rate_between(columns, gap.end_ns, end) if gap.ended else None,
        "median_before_ops_per_s": median * S / BASELINE_WINDOW_NS if median is not None else None,
        "back_ms": back,
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

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The anatomy of a failover: an outage divided into phases by the moments that were recorded within it.

A phase lies between two neighbouring moments, so the phases sum to the outage exactly. It is named by the moment that
ends it, and by what was waited for. It counts as explained only where the moment that began this wait was recorded as
well, at the phase's beginning or before: else nothing shows what the time went into, and it is called unexplained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import analysis
from .analysis import MS, Clock, Columns, Gap, Mark

# Whose time a phase is; "before" is what had begun when the fault had not struck yet.
BEFORE, SERVERS, CLIENTS, HEAL, UNEXPLAINED = "before", "servers", "clients", "heal", "unexplained"

# The moment that ends an outage, under a name of its own: it is the first ok read or the first ok write.
OUTAGE_END = "first_ok"


@dataclass(frozen=True)
class Wait:
    """What was waited for in a phase that one kind of moment ends."""

    part: str
    begins: tuple[str, ...]  # of these moments any that was recorded began the wait; without any it needs no beginning
    text: str | Mapping[str, str]  # what was waited for; by the moment that began it where that makes a difference


def _by_cause(mark: Mark) -> str:
    """Say what was waited for until an election began."""
    cause = mark.data.get("cause")
    return {
        "election timeout": "an election timeout: the members heard nothing from the leader",
        "leadership transfer": "the leader to hand over leadership",
        "the primary left the group": "the group to agree that the primary is gone",
    }.get(str(cause), "the members to begin an election")


def _answer(mark: Mark) -> str:
    """Name the attempt that was waited for until it failed."""
    index, endpoint = mark.data.get("index"), mark.data.get("endpoint")
    operation = f"operation {index:,}" if isinstance(index, int) else "an operation"
    return f"an answer to {operation}{f' from {endpoint}' if endpoint else ''}"


STRUCK = ("signal_sent",)
WAITS: dict[str, Wait] = {
    "process_gone": Wait(SERVERS, STRUCK, "the process to end"),
    "stopping": Wait(SERVERS, STRUCK, "the process to take the signal"),
    "member_unreachable": Wait(SERVERS, STRUCK, "the other members to notice the silence"),
    # Group Replication says so when it has expelled the leader; etcd's members as soon as they miss it.
    "leader_lost": Wait(
        SERVERS,
        ("member_unreachable", "signal_sent"),
        {"signal_sent": "the other members to notice that the leader is gone"},
    ),
    "quorum_lost": Wait(SERVERS, STRUCK, "the members to notice that they have no majority"),
    "member_removed": Wait(
        SERVERS,
        ("leader_lost", "member_unreachable", "signal_sent"),
        {"signal_sent": "the member to leave the group"},
    ),
    "election_started": Wait(SERVERS, STRUCK, "the members to begin an election"),
    "leader_elected": Wait(SERVERS, ("election_started",), "the members to agree on a leader"),
    "leader_ready": Wait(SERVERS, ("leader_elected",), "the new leader to take writes"),
    "leader_seen": Wait(SERVERS, STRUCK, "polling to see a new leader; no log tells when it was elected"),
    "attempt_sent": Wait(CLIENTS, (), "the client to send its next operation"),
    "first_attempt_failed": Wait(CLIENTS, ("attempt_sent",), "an answer"),
    "failover_started": Wait(CLIENTS, ("first_attempt_failed",), "the client to turn to the other members"),
    "member_passed_over": Wait(CLIENTS, ("failover_started",), "the client to ask the next member"),
    "failover_completed": Wait(CLIENTS, ("failover_started",), "attempts, until a member acknowledged one"),
    "heal_requested": Wait(HEAL, STRUCK, "the heal to be due"),
    "healed": Wait(HEAL, ("heal_requested",), "the heal to be done"),
    "member_reachable": Wait(SERVERS, ("healed", "heal_requested"), "the members to hear each other again"),
    "quorum_regained": Wait(SERVERS, ("healed", "heal_requested"), "the members to have a majority again"),
    "server_starting": Wait(
        SERVERS, ("heal_requested", "process_gone", "signal_sent"), "the service manager to start the process"
    ),
    "server_started": Wait(SERVERS, ("server_starting",), "the server to read its data and to listen"),
    "recovery": Wait(SERVERS, ("server_started", "healed", "heal_requested"), "the member to join its group"),
    "member_online": Wait(SERVERS, ("recovery",), "the member to fetch what it missed"),
}
SILENT = "the group to expel the silent member"
# Where the text depends on the event that ends the phase.
TEXTS: dict[str, Callable[[Mark], str]] = {"election_started": _by_cause, "first_attempt_failed": _answer}


@dataclass(frozen=True)
class Usual:
    """What was usual before the fault, by which the first and the last piece of an outage are judged."""

    longest_pause_ns: int | None  # longest time between two ok completions
    latency_ns: int | None  # p99.9 of the operations


def usual_before(columns: Columns, moment_ns: int) -> Usual:
    """Measure what was usual among the operations that were done when the fault struck."""
    done = columns.complete_ns < moment_ns
    completions = np.sort(columns.complete_ns[done & columns.ok])
    pauses = np.diff(completions)
    latency = analysis.quantile(columns.latency_ns[done], 999)
    return Usual(int(pauses.max()) if len(pauses) else None, latency)


def divide(
    gap: Gap, marks: Sequence[Mark], moment_ns: int, last: Mark | None, usual: Usual, clocks: Mapping[str, Clock]
) -> list[dict[str, Any]]:
    """Divide an outage into phases.

    :param marks: the fault's moments in order of time; those that are no moments of the outage are passed over
    :param moment_ns: when the fault struck
    :param last: the operation that ended the outage, None where none did
    :param clocks: of the hosts that stamped moments, by name; the client's own is not among them
    :returns: rows of ``name`` (of the moment that ends the phase), ``start_ns``, ``end_ns``, ``part``,
        ``waited_for``, ``uncertainty_ns`` and ``mark``; in order of time, without a hole between them
    """
    ends = [
        mark
        for mark in marks
        if gap.start_ns < mark.at_ns < gap.end_ns
        # Until the fault struck nobody waited for anything of it.
        and mark.at_ns >= moment_ns
        and (mark.name in WAITS or mark.name == "signal_sent")
    ]
    rows: list[dict[str, Any]] = []
    begin, source = gap.start_ns, "history"
    for mark in ends:
        part, text = _explain(mark, begin, marks, usual)
        rows.append(_row(mark.name, begin, mark.at_ns, part, text, (source, mark.source), clocks, mark))
        begin, source = mark.at_ns, mark.source
    part, text = _explain_end(begin, gap, marks, last, usual)
    rows.append(_row(OUTAGE_END, begin, gap.end_ns, part, text, (source, "history"), clocks, last))
    return rows


def _row(
    name: str,
    start_ns: int,
    end_ns: int,
    part: str,
    waited_for: str,
    sources: tuple[str, str],
    clocks: Mapping[str, Clock],
    mark: Mark | None,
) -> dict[str, Any]:
    # Two stamps of one clock are off by the same: their difference is exact.
    different = {clocks[source].host for source in sources if source in clocks} if sources[0] != sources[1] else set()
    return {
        "name": name,
        "start_ns": start_ns,
        "end_ns": end_ns,
        "part": part,
        "waited_for": waited_for,
        "uncertainty_ns": sum(clocks[host].uncertainty_ns for host in different),
        "mark": mark,
    }


def _explain(mark: Mark, begin_ns: int, marks: Sequence[Mark], usual: Usual) -> tuple[str, str]:
    """Say whose time the phase before a moment is, and what was waited for."""
    if mark.name == "signal_sent":
        if usual.longest_pause_ns is not None and mark.at_ns - begin_ns <= usual.longest_pause_ns:
            return BEFORE, "nothing: no longer than pauses between two operations were before the fault"
        return UNEXPLAINED, "longer than any pause before the fault, which had not struck yet"
    wait = WAITS[mark.name]
    begun = [
        other
        for name in wait.begins
        if (other := analysis.mark_of(marks, name)) is not None and other.at_ns <= begin_ns
    ]
    if wait.begins and not begun:
        return UNEXPLAINED, f"nothing recorded shows what went before “{mark.label}”"
    if mark.name in TEXTS:
        return wait.part, TEXTS[mark.name](mark)
    if isinstance(wait.text, str):
        return wait.part, wait.text
    return wait.part, wait.text.get(begun[0].name, SILENT)


def _explain_end(begin_ns: int, gap: Gap, marks: Sequence[Mark], last: Mark | None, usual: Usual) -> tuple[str, str]:
    """Say what the last piece of an outage was waited for."""
    if last is None:
        return UNEXPLAINED, "an operation to be acknowledged; none was until the workload ended"
    operation = f"operation {last.data['index']:,}"
    length_ns = gap.end_ns - begin_ns
    completed = analysis.mark_of(marks, "failover_completed")
    if completed is not None and completed.at_ns == begin_ns and completed.data.get("index") == last.data["index"]:
        return CLIENTS, f"the client to take the answer to {operation}"
    if usual.latency_ns is not None and length_ns <= usual.latency_ns:
        return CLIENTS, f"the answer to {operation}, no longer than usual (p99.9 before the fault)"
    sent_ms = (last.data["invoke_ns"] - gap.start_ns) / MS
    when = f"sent {sent_ms:,.1f} ms into the outage" if sent_ms >= 0 else "sent before the outage"
    return UNEXPLAINED, f"the answer to {operation}, {when}; nothing recorded shows what held it up"


def with_attempt(columns: Columns, marks: Iterable[Mark]) -> list[Mark]:
    """Add the moment at which the operation whose attempt failed first was sent: what its client waited since."""
    found = list(marks)
    failed = analysis.mark_of(found, "first_attempt_failed")
    if failed is None or failed.data.get("index") is None:
        return found
    rows = np.flatnonzero(columns.index == failed.data["index"])
    if len(rows):
        at = int(columns.invoke_ns[rows[0]])
        detail = f"operation {int(failed.data['index']):,}, {analysis.KINDS[columns.kind[rows[0]]]}"
        found.append(Mark("attempt_sent", "operation sent that fails first", at, "history", detail))
    return sorted(found, key=lambda mark: mark.at_ns)


def without_echoes(marks: Iterable[Mark]) -> list[Mark]:
    """Leave out the new leader that polling saw where a log tells of it: polling sees it up to one interval later."""
    found = list(marks)
    told_by_log = analysis.mark_of(found, "leader_elected") is not None
    return [mark for mark in found if not (mark.name == "leader_seen" and told_by_log)]


def told(rows: Sequence[Mapping[str, Any]], gap: Gap, moment_ns: int) -> dict[str, Any]:
    """Turn the phases into plain values: times in ms since the fault, and each one's share of the outage.

    ``name`` is the moment's that ends the phase; ``mark`` is first_ok_read or first_ok_write for the last one.
    """
    phases = []
    for row in rows:
        mark = row["mark"]
        length_ns = row["end_ns"] - row["start_ns"]
        phases.append(
            {
                "name": row["name"],
                "mark": mark.name if mark is not None else None,
                "letter": None,
                "label": mark.label if mark is not None else "end of the workload",
                "start_ms": (row["start_ns"] - moment_ns) / MS,
                "end_ms": (row["end_ns"] - moment_ns) / MS,
                "duration_ms": length_ns / MS,
                "share": length_ns / (gap.end_ns - gap.start_ns) if gap.end_ns > gap.start_ns else 0.0,
                "uncertainty_ms": row["uncertainty_ns"] / MS,
                "part": row["part"],
                "waited_for": row["waited_for"],
            }
        )
    unexplained_ns = sum(row["end_ns"] - row["start_ns"] for row in rows if row["part"] == UNEXPLAINED)
    return {
        "start_ms": (gap.start_ns - moment_ns) / MS,
        "end_ms": (gap.end_ns - moment_ns) / MS,
        "duration_ms": gap.duration_ms,
        "ended": gap.ended,
        "unexplained_ms": unexplained_ns / MS,
        "unexplained_share": unexplained_ns / (gap.end_ns - gap.start_ns) if gap.end_ns > gap.start_ns else 0.0,
        "phases": phases,
    }

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The waits of an outage side by side: what the servers were busy with, what the clients waited for meanwhile.

``anatomy`` cuts an outage into phases that sum to it; a phase is named by the moment that happened to end it, so whose
it is depends on who stamped last. Lanes are another view of the same moments: each wait at its own time, together with
those that ran beside it, and the critical path, the chain of waits without which the outage would have been shorter.
Until the service could answer again that chain is the servers'; from then on it is the clients'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ...moments import CLIENTS, MOMENTS, SERVERS
from .. import system_facts
from .repetition import spread

BEFORE, LAB = "before", "lab"

# Names that this module gives to the ends of a wait that no moment stands for.
OUTAGE_END, LAST_SENT = "outage_end", "last_sent"


@dataclass(frozen=True)
class Kind:
    """One kind of wait."""

    name: str
    side: str
    label: str
    begins: tuple[str, ...]  # moments: the first of these that was recorded
    ends: tuple[str, ...]


STRUCK = ("signal_sent",)
KINDS = (
    Kind("process_end", SERVERS, "process ends", STRUCK, ("process_gone",)),
    Kind(
        "detection",
        SERVERS,
        "detection",
        STRUCK,
        ("member_unreachable", "election_started", "leader_lost", "member_removed"),
    ),
    Kind("no_majority", SERVERS, "no majority", ("quorum_lost",), ("quorum_regained",)),
    Kind("expulsion", SERVERS, "expulsion", ("member_unreachable",), ("election_started", "member_removed")),
    # Polling sees a new leader up to one interval after it was elected: used where no log tells more.
    Kind("election", SERVERS, "election", ("election_started",), ("leader_elected", "leader_seen")),
    Kind("polled", SERVERS, "new leader, seen by polling", STRUCK, ("leader_seen",)),
    Kind("takeover", SERVERS, "new leader takes over", ("leader_elected",), ("leader_ready",)),
    Kind("heal_due", LAB, "heal is due", STRUCK, ("heal_requested",)),
    Kind("restart", SERVERS, "process is started", ("heal_requested",), ("server_starting",)),
    Kind("reading", SERVERS, "server reads its data", ("server_starting", "heal_requested"), ("server_started",)),
    Kind("healing", LAB, "heal is done", ("heal_requested",), ("healed",)),
    Kind("attempt", CLIENTS, "attempt under way", ("attempt_sent",), ("first_attempt_failed",)),
    Kind("retries", CLIENTS, "more attempts, backoff", ("failover_started",), (OUTAGE_END,)),
    Kind("answer", CLIENTS, "attempt under way", (LAST_SENT,), (OUTAGE_END,)),
)
# Of a fault that only held the service up, as a pause does, the heal is that moment.
ABLE_BY_HEAL = ("healed", "the fault was healed")


def lanes_of(
    system: str, fault: Mapping[str, Any], effective: Mapping[str, Any], client: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Lay the waits of one outage of a system side by side; None without an outage.

    :param fault: as the report tells it, with its ``marks`` and ``anatomy``
    :param effective: the system's recorded settings, which bound the servers' waits
    :param client: those of the clients
    :returns: ``lanes``, rows of ``name``, ``side``, ``label``, ``bound`` (the setting that bounds it, or None),
        ``start_ms`` and ``end_ms`` within the outage, and ``duration_ms``, the whole wait; ``critical``, the rows of
        ``start_ms``, ``end_ms`` and ``lane`` (None where no recorded wait covers it) that sum to the outage; ``able``,
        ``label`` and ``ms`` of the moment at which the service could answer again, and ``after_able_ms``, how long the
        outage lasted from there: None where that was not seen. Times count from the fault.
    """
    found = fault["anatomy"]
    if found is None:
        return None
    start, end = found["start_ms"], found["end_ms"]
    at = {mark["name"]: mark["since_fault_ms"] for mark in reversed(fault["marks"])} | {OUTAGE_END: end}
    if found["ended"] and "failover_started" not in at:
        # The operation that ended the outage was under way all the time, or began within it.
        last = [mark["invoked_ms"] for mark in fault["marks"] if mark["since_fault_ms"] == end]
        at[LAST_SENT] = next((sent for sent in last if sent is not None), None)
    bounds = {**system_facts.bounds(system, fault, effective), **_bounds_of_clients(client)}
    rows = [row for kind in KINDS if (row := _lane(kind, at, start, end, bounds)) is not None]
    if any(row["name"] in ("election", "detection") for row in rows):
        rows = [row for row in rows if row["name"] != "polled"]
    able = _able(at, end)
    return {
        "start_ms": start,
        "end_ms": end,
        "ended": found["ended"],
        "lanes": rows,
        "critical": _critical(rows, start, end, able["ms"] if able else None),
        "able": able,
        "after_able_ms": end - max(start, able["ms"]) if able and found["ended"] else None,
    }


def _lane(
    kind: Kind, at: Mapping[str, Any], start: float, end: float, bounds: Mapping[str, str]
) -> dict[str, Any] | None:
    """Return one wait as far as it lies within the outage; None where its moments are missing or elsewhere."""
    begun = next((at[name] for name in kind.begins if at.get(name) is not None), None)
    ended = next((at[name] for name in kind.ends if at.get(name) is not None), None)
    if begun is None or ended is None or ended < begun or begun >= end or ended <= start:
        return None
    if kind.side == LAB and ended > end:
        return None  # a heal that came after the outage has nothing to do with its length
    return {
        "name": kind.name,
        "side": kind.side,
        "label": kind.label,
        "bound": bounds.get(kind.name),
        "start_ms": max(begun, start),
        "end_ms": min(ended, end),
        "duration_ms": ended - begun,
        "cut": ended > end,
    }


def _able(at: Mapping[str, Any], end: float) -> dict[str, Any] | None:
    """Return the moment from which the service could answer: the last one within the outage that shows it."""
    shows = [kind.name for kind in MOMENTS.values() if kind.able]
    seen = {name: at[name] for name in shows if at.get(name) is not None and 0 < at[name] <= end}
    if "leader_elected" in seen:
        seen.pop("leader_seen", None)
    if seen:
        name = max(seen, key=lambda one: (seen[one], one))
        return {"name": name, "label": MOMENTS[name].able, "ms": seen[name]}
    name, label = ABLE_BY_HEAL
    return {"name": name, "label": label, "ms": at[name]} if name in at and 0 < at[name] <= end else None


def _critical(rows: Sequence[Mapping[str, Any]], start: float, end: float, able: float | None) -> list[dict[str, Any]]:
    """Walk back from the end of the outage, from each wait to the one that it waited for."""
    edges = sorted({start, end, *(edge for edge in (0.0, able) if edge is not None and start < edge < end)})
    path: list[dict[str, Any]] = []
    for low, high in reversed(list(pairwise(edges))):
        if high <= 0:
            path.append({"start_ms": low, "end_ms": high, "lane": BEFORE})
            continue
        sides = (SERVERS, LAB) if able is not None and high <= able else (CLIENTS,)
        waits = [row for row in rows if row["side"] in sides]
        position = high
        while position > low:
            covering = [row for row in waits if row["start_ms"] < position <= row["end_ms"]]
            # The wait that ended here is what was waited for; one that went on beyond ran beside it.
            wait = min(covering, key=lambda row: (row["end_ms"], row["start_ms"]), default=None)
            ends = [row["end_ms"] for row in waits if row["end_ms"] < position]
            back = max(low, wait["start_ms"] if wait is not None else max(ends, default=low))
            path.append({"start_ms": back, "end_ms": position, "lane": wait["name"] if wait is not None else None})
            position = back
    return path[::-1]


def _bounds_of_clients(client: Mapping[str, Any]) -> dict[str, str]:
    """Name the recorded settings that bound the clients' waits, by wait."""
    limit = client.get("attempt_timeout_ms")
    if limit is None:
        return {}
    one = f"attempt timeout {limit:,} ms"
    return {"attempt": one, "answer": one, "retries": f"each at most {limit:,} ms"}


# ---------------------------------------------------------------- repeats


def lanes_of_repeats(faults: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Put the lanes of a fault's repeats together; None where no repeat has an outage.

    :param faults: the repeats of one fault, each with its ``lanes``
    :returns: ``lanes``, rows of ``name``, ``side``, ``label``, ``bound``, ``spans`` (one a repeat that has it:
        ``repeat``, ``start_ms``, ``end_ms``, ``critical``, the spans of it on the critical path) and the spread of its
        durations; ``outages``, one row a repeat; ``able``, the label that most repeats have, and ``after_able``, the
        spread of what was left of the outage from there
    """
    found = [(fault["repeat"], fault["lanes"]) for fault in faults if fault["lanes"]]
    if not found:
        return None
    rows = []
    for kind in KINDS:
        spans = [
            {
                "repeat": repeat,
                **{name: row[name] for name in ("start_ms", "end_ms", "duration_ms")},
                "critical": critical_spans(told, kind.name),
            }
            for repeat, told in found
            for row in told["lanes"]
            if row["name"] == kind.name
        ]
        if spans:
            durations: list[float | None] = [span["duration_ms"] for span in spans]
            durations += [None] * (len(found) - len(spans))
            bound = next((row["bound"] for _, told in found for row in told["lanes"] if row["name"] == kind.name
                          and row["bound"]), None)  # fmt: skip
            rows.append(
                {"name": kind.name, "side": kind.side, "label": kind.label, "bound": bound, "spans": spans}
                | spread(durations).as_dict()
            )
    labels = [told["able"]["label"] for _, told in found if told["able"]]
    return {
        "lanes": rows,
        "outages": [
            {
                "repeat": repeat,
                "start_ms": told["start_ms"],
                "end_ms": told["end_ms"],
                "able_ms": told["able"]["ms"] if told["able"] else None,
            }
            for repeat, told in found
        ],
        "able": max(labels, key=lambda label: (labels.count(label), label)) if labels else None,
        "after_able": spread([told["after_able_ms"] for _, told in found]).as_dict(),
    }


def critical_spans(told: Mapping[str, Any], name: str | None) -> list[list[float]]:
    """Return where a lane is on the critical path, as [start, end] in ms."""
    return [[piece["start_ms"], piece["end_ms"]] for piece in told["critical"] if piece["lane"] == name]

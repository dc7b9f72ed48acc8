# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who led before and after a fault, why an election began, and elections that no fault caused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...actions.record import FaultRecord
from ...shapes import Event
from ..columns import (
    S,
)
from ..gaps import Gap
from ..repeats import Repeat
from ..wording import plural
from .marks import Mark, fault_id_of, fault_moment_ns, is_joining, mark_of

# Elections without a fault that are told one by one on the cover; report.json has all.
MOST_ELECTIONS_TOLD = 3
# Elections that follow a fault's heal up to this long later are still its doing.
ELECTION_AFTER_HEAL_NS = 10 * S

# Stamps of an election that are no further apart than this are of one: every member says it, with or without its term.
ONE_ELECTION_NS = 10 * S


def who_led(
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
        and not is_joining(event)
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


def election_cause(marks: Sequence[Mark], gap: Gap | None) -> str | None:
    """Return why the election in the gap began, in the words of the server's log; None without such an election."""
    election = mark_of(marks, "election_started")
    if election is None or gap is None or not gap.start_ns <= election.at_ns <= gap.end_ns:
        return None
    return election.data.get("cause")


def unprovoked_elections(
    definition: Mapping[str, Any], events: Sequence[Event], repeats: Sequence[Repeat]
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
        struck = fault_moment_ns(events, fault["id"])
        if struck is not None:
            healed = [
                event.wall_ns for event in events if event.event == "fault.healed" and fault_id_of(event) == fault["id"]
            ]
            spans.append((struck, min(healed) + ELECTION_AFTER_HEAL_NS if healed else math.inf))
    first, last = origin + repeats[0].start_ns, origin + repeats[-1].end_ns
    said = [
        event
        for event in events
        if event.event in ("server.election_started", "server.leader_elected")
        and not is_joining(event)
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


def election_notes(elections: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Warn of elections that no fault caused."""
    if not elections:
        return []
    told = [_election_told(row) for row in elections[:MOST_ELECTIONS_TOLD]]
    more = len(elections) - len(told)
    return [
        f"{plural(len(elections), 'election')} that no fault caused: {'; '.join(told)}"
        f"{f'; {more} more' if more else ''}. A slow disk or a starved CPU does that; the figures of this "
        "experiment include it"
    ]


def _election_told(row: Mapping[str, Any]) -> str:
    what = "an election was started and not won" if row["leader"] is None else f"{row['leader']} was elected"
    term = "" if row["term"] is None else f" (term {row['term']})"
    return f"{what} at {row['at_s']:,.2f} s{term}"

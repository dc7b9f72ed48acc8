# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who led before and after a fault, why an election began, and elections that no fault caused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...actions.record import FaultRecord
from ...measured.columns import S
from ...measured.gaps import Gap
from ...measured.marks import Mark, fault_id_of, fault_moment_ns, is_joining, mark_of
from ...measured.repeats import Repeat
from ...sentences import plural
from ...shapes import Event

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
    found: list[Election] = []
    for event in said:
        election = next((election for election in reversed(found) if election.is_told_by(event)), None)
        if election is None:
            election = Election(event.wall_ns, event.wall_ns)
            found.append(election)
        election.take(event)
    told = []
    for election in found:
        at_ns = election.began_wall_ns - origin
        within = next(repeat for repeat in reversed(repeats) if repeat.start_ns <= at_ns)
        told.append(election.as_dict() | {"at_s": within.worked_s(at_ns)})
    return told


@dataclass
class Election:
    """One election, as several members tell of it."""

    began_wall_ns: int
    last_wall_ns: int  # the latest stamp of it so far
    term: int | None = None
    leader: str | None = None  # None: nobody won
    cause: str | None = None
    members: set[str] = field(default_factory=set)  # that told of it

    def is_told_by(self, event: Event) -> bool:
        """Tell whether an event is of this election: by its term, else by its time."""
        term = event.data.get("term")
        if term is not None and self.term is not None:
            return bool(term == self.term)
        return event.wall_ns - self.last_wall_ns <= ONE_ELECTION_NS

    def take(self, event: Event) -> None:
        """Take what an event says of it."""
        self.last_wall_ns = event.wall_ns
        if self.term is None:
            self.term = event.data.get("term")
        self.cause = self.cause or event.data.get("cause")
        self.members.add(event.source)
        if event.event == "server.leader_elected":
            self.leader = event.data.get("leader") or event.source

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, without its times."""
        return {"term": self.term, "leader": self.leader, "cause": self.cause, "members": sorted(self.members)}


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

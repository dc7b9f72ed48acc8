# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The faults of an experiment on its time line, and the outage that each of them caused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..actions.record import FaultRecord
from ..fault_names import FaultId
from ..shapes import Event
from .clocks import Clock
from .columns import Columns
from .gaps import Gap, longest_gap
from .marks import (
    Mark,
    attribution,
    events_of_records,
    fault_id_of,
    fault_marks,
    fault_moment_ns,
    with_attempt,
    without_echoes,
)
from .repeats import Repeat, repeats_of


@dataclass(frozen=True)
class Until:
    """Until when (wall time, ns) something may be one fault's doing."""

    effect_ns: int  # of clients and servers: to the heal or the next fault
    next_ns: int  # of the service's recovery: to the next fault or the end of the workload
    return_ns: int | None  # of the member's return, which may outlast the workload: to the next fault


@dataclass(frozen=True)
class Struck:
    """A fault that struck while operations were sent, and what its outage is told from."""

    fault: Mapping[str, Any]  # of experiment.json
    definition: Mapping[str, Any]  # experiment.json
    repeat: Repeat
    events: Sequence[Event]
    until: Until
    clocks: Mapping[str, Clock]  # by host
    member: str | None
    moment_wall_ns: int

    @property
    def origin_wall_ns(self) -> int:
        """Return the wall time from which the history counts."""
        return int(self.definition["origin_wall_ns"])

    @property
    def moment_ns(self) -> int:
        """Return when it struck, since the origin."""
        return self.moment_wall_ns - self.origin_wall_ns

    @property
    def effect_ns(self) -> int:
        """Return until when clients and servers may show its effects, since the origin."""
        return self.until.effect_ns - self.origin_wall_ns

    def marks(self, end_wall_ns: int) -> list[Mark]:
        """Return its moments by the events before a wall time."""
        found = fault_marks(
            self.events, self.fault["id"], self.origin_wall_ns, end_wall_ns, self.member, self.until.return_ns
        )
        return with_attempt(self.repeat.columns, without_echoes(found))


@dataclass(frozen=True)
class Outage:
    """What a fault did to the service."""

    marks: list[Mark]  # the moments that events tell
    gap: Gap | None  # the longest time without an ok operation; None where no time could be the fault's
    write_gap: Gap | None  # the same of writes


@dataclass(frozen=True)
class Placed:
    """A planned fault: when it struck, if it did, and what its outage is told from."""

    fault: Mapping[str, Any]  # of experiment.json
    own: Sequence[Event]  # its events
    until: Until
    member: str | None  # whom it went to
    moment_wall_ns: int | None  # None where it did not strike
    repeat: Repeat | None  # None where no operation of its repeat was recorded
    struck: Struck | None  # None where there is no outage that could be told

    @property
    def record(self) -> FaultRecord:
        """Return what was recorded of it; of nothing, an empty record."""
        return FaultRecord.of(self.fault) or FaultRecord(self.fault["id"])

    def outage(self) -> Outage | None:
        """Find its outage; None where none could be told."""
        return None if self.struck is None else _outage_of(self.struck)


def place_faults(
    definition: Mapping[str, Any],
    columns: Columns,
    recorded_events: Sequence[Event] | None,
    clocks: Sequence[Clock] = (),
) -> tuple[list[Placed], Sequence[Event]]:
    """Place every fault of an experiment on its time line.

    :param definition: experiment.json
    :param recorded_events: in order of time; None where they cannot be read
    :param clocks: of the members' hosts, as measured
    :returns: the faults, and the events that they are told from. A fault has to do with the operations, the other
        faults and the heal of its own repeat alone.
    """
    origin = int(definition["origin_wall_ns"])
    planned = definition["faults"]
    events = events_of_records(planned) if recorded_events is None else recorded_events
    moments = {fault["id"]: fault_moment_ns(events, fault["id"]) for fault in planned}
    repeats = {repeat.number: repeat for repeat in repeats_of(definition, columns)}
    by_host = {clock.host: clock for clock in clocks}
    placed = []
    for fault in planned:
        moment, repeat = moments[fault["id"]], repeats.get(fault["repeat"])
        own = [event for event in events if fault_id_of(event) == fault["id"]]
        end = origin + (repeat.end_ns if repeat is not None else 0) + 1
        until = _until(fault, planned, moments, own, end)
        member = _member_of(FaultRecord.of(fault) or FaultRecord(fault["id"]), own)
        struck = None
        if moment is not None and repeat is not None and not fault.get("untold"):
            struck = Struck(fault, definition, repeat, events, until, by_host, member, moment)
        placed.append(Placed(fault, own, until, member, moment, repeat, struck))
    return placed, events


def _until(
    fault: Mapping[str, Any],
    planned: Sequence[Mapping[str, Any]],
    moments: Mapping[str, int | None],
    own: Sequence[Event],
    end: int,
) -> Until:
    """Return until when something may be a fault's doing.

    :param end: of its repeat, wall time in ns
    """
    moment = moments[fault["id"]]
    # What strikes several members at once is one fault in the data, and one outage.
    later = [
        (at, other["repeat"])
        for other in planned
        if not FaultId.parse(fault["id"]).strikes_with(FaultId.parse(other["id"]))
        and moment is not None
        and (at := moments[other["id"]]) is not None
        and at > moment
    ]
    heal = [event.wall_ns for event in own if event.event == "fault.heal_requested"]
    own_later = [at for at, number in later if number == fault["repeat"]]
    return Until(
        effect_ns=min([*own_later, *heal], default=end),
        next_ns=min(own_later, default=end),
        return_ns=min((at for at, _ in later), default=None),
    )


def _member_of(record: FaultRecord, own: Sequence[Event]) -> str | None:
    """Return the member that the fault went to, as its record or its events name it."""
    if record.member:
        return record.member
    named = [str(event.data["member"]) for event in own if event.data.get("member")]
    return named[0] if named else None


def _outage_of(struck: Struck) -> Outage:
    """Find the moments that events tell, and the longest times without an ok operation and without an ok write."""
    columns, start, end = struck.repeat.columns, struck.repeat.start_ns, struck.repeat.end_ns
    marks = struck.marks(struck.until.effect_ns)
    blame = attribution(struck.moment_ns, marks, struck.effect_ns)
    gap = longest_gap(columns.ok_ns, start, end, blame)
    write_gap = longest_gap(np.sort(columns.complete_ns[columns.ok & columns.is_write]), start, end, blame)
    if gap is not None and gap.end_ns > struck.effect_ns:
        # An outage that its heal ended: what members and clients did after the heal was requested is part of it.
        marks = struck.marks(struck.origin_wall_ns + gap.end_ns + 1)
    return Outage(marks, gap, write_gap)

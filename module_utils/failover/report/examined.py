# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One experiment, read and examined once for all chapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..measured.clocks import Clock
from ..measured.columns import Columns, columns_of
from ..measured.repeats import Repeat, repeats_of, without_idle, worked_span_ns
from ..measured.timeline import timeline_of
from ..results.read import Experiment
from ..results.rows import Rows
from ..shapes import Event, LabError
from .incidents import incidents
from .outage.elections import election_notes, unprovoked_elections
from .outage.explained import Explained, explain

T = TypeVar("T")


@dataclass(frozen=True)
class Examined:
    """What every chapter may need of one experiment. Its history is large, so it is kept no longer than that."""

    experiment: Experiment
    anchor: str
    table: Rows  # the history
    cut: Any  # what its file says of rows that are missing
    columns: Columns
    events: Sequence[Event] | None  # on one clock; None where they are damaged, or a clock was set
    clocks: Sequence[Clock]
    repeats: Sequence[Repeat]
    outages: Explained
    elections: Sequence[Mapping[str, Any]] | None  # that no fault caused; None where events are
    notes: list[str]  # for the reader, on the cover; takes what else is found damaged

    @property
    def info(self) -> Mapping[str, Any]:
        """Return what experiment.json says."""
        return self.experiment.info

    @property
    def worked(self) -> Columns:
        """Return the columns on a time line without the idle time between repeats: it is no outage, nobody worked.

        Made anew each time, as it takes as much as the columns.
        """
        return without_idle(self.repeats) or self.columns

    @property
    def checks(self) -> Sequence[Mapping[str, Any]]:
        """Return the checks of its verdict."""
        assert self.experiment.verdict is not None
        checks: Sequence[Mapping[str, Any]] = self.experiment.verdict["checks"]
        return checks

    @property
    def start_ns(self) -> int:
        """First invocation on the time line of ``worked``; 0 without any operation."""
        return worked_span_ns(self.repeats)[0]

    @property
    def end_ns(self) -> int:
        """Last completion on the time line of ``worked``; 0 without any operation."""
        return worked_span_ns(self.repeats)[1]


def examine(experiment: Experiment, anchor: str, settings: Mapping[str, Mapping[str, Any]]) -> Examined:
    """Read one experiment and explain its outages.

    :param anchor: under which the page has it
    :param settings: effective settings by system, and the clients' as ``client``

    Raises :class:`LabError` where its history cannot be read. Where its events cannot, that is a note.
    """
    info = experiment.info
    meta, table = experiment.history()
    columns = columns_of(table)
    notes = [] if len(columns) else ["no operation was recorded: its history is empty"]
    recorded_events = unless_damaged(experiment.events, experiment, notes)
    timeline = timeline_of(experiment, columns, recorded_events)
    events, clocks = timeline.events, timeline.clocks
    if timeline.note:
        notes.append(timeline.note)
    repeats = repeats_of(info, columns)
    elections = None if events is None else unprovoked_elections(info, events, repeats)
    notes += election_notes(elections) + incidents(info)
    return Examined(
        experiment=experiment,
        anchor=anchor,
        table=table,
        cut=meta.get("cut"),
        columns=columns,
        events=events,
        clocks=clocks,
        repeats=repeats,
        outages=explain(experiment, timeline.definition, columns, events, clocks, settings, anchor),
        elections=elections,
        notes=notes,
    )


def unless_damaged(read: Callable[[], T], experiment: Experiment, notes: list[str]) -> T | None:
    """Return what is read; None, and the reason as a note for the reader, where the file is damaged."""
    try:
        return read()
    except LabError as error:
        reason = str(error).replace(f"{experiment.path.parent}/", "")
        notes.append(f"this report lacks a file: {reason}")
        return None

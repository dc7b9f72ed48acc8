# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of an experiment's time: its events on one clock, and its faults, unless a wall clock was set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..results.read import Experiment
from ..shapes import Event
from .clocks import Clock, measured_clocks, on_one_clock
from .columns import Columns
from .steady import without_steps


@dataclass(frozen=True)
class Timeline:
    """An experiment's events, and the definition that they belong to."""

    definition: Mapping[str, Any]  # experiment.json, of which the faults may have been placed anew
    events: Sequence[Event] | None  # on one clock; None where they are damaged, or a clock was set
    clocks: Sequence[Clock]
    note: str | None  # for the reader: that a clock was set


def timeline_of(experiment: Experiment, columns: Columns, recorded: Sequence[Event] | None) -> Timeline:
    """Put an experiment's events on one clock.

    :param columns: its history
    :param recorded: its events in order of time; None where they cannot be read
    """
    steady = without_steps(experiment, columns) if recorded is not None else None
    if steady is not None:
        return Timeline(steady.info, None, [], steady.note)
    clocks = measured_clocks(recorded or [])
    return Timeline(experiment.info, None if recorded is None else on_one_clock(recorded, clocks), clocks, None)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be told of an experiment during which a wall clock stepped: what the history's own clock knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..clock_steps import asked_indexes, find_steps, placed_faults, told
from ..results.read import Experiment
from .columns import Columns

UNTOLD = "a wall clock was set during the run, so nobody knows which operations the fault held up"


@dataclass(frozen=True)
class Steady:
    """An experiment without the times of its events."""

    # experiment.json with the faults' signals placed by the operations, and why the rest is ``untold``.
    info: dict[str, Any]
    note: str  # for the reader


def without_steps(experiment: Experiment, columns: Columns) -> Steady | None:
    """Return what is left of an experiment during which a wall clock stepped; None where none did."""
    events = experiment.events_as_filed()
    asked = asked_indexes(experiment.info, events)
    there = np.flatnonzero(np.isin(columns.index, np.array(sorted(asked), dtype=np.int64)))
    rows = {int(columns.index[row]): row for row in there.tolist()}

    def span(index: int) -> tuple[int, int] | None:
        row = rows.get(index)
        return None if row is None else (int(columns.invoke_ns[row]), int(columns.complete_ns[row]))

    steps = find_steps(experiment.info, events, span)
    if not steps:
        return None
    faults = [{**fault, "untold": UNTOLD} for fault in placed_faults(experiment.info, span)]
    note = (
        f"{told(steps)}. The times of events and the lengths of outages are unknown; latencies and throughput are not "
        "affected, as they come from another clock"
    )
    return Steady({**experiment.info, "faults": faults}, note)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The anatomy of a failover: an outage divided into phases by the moments that were recorded within it.

A phase lies between two neighbouring moments, so the phases sum to the outage exactly. It is named by the moment that
ends it, and by what was waited for. It counts as explained only where the moment that began this wait was recorded as
well, at the phase's beginning or before: else nothing shows what the time went into, and it is called unexplained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...measured.clocks import Clock
from ...measured.columns import MS, Columns
from ...measured.gaps import Gap
from ...measured.marks import Mark, mark_of
from ...measured.percentiles import quantile
from ...moments import CLIENTS, MOMENTS, OUTAGE_END

# Whose time a phase is, beside those who are waited for: what had begun when the fault had not struck yet, and what
# nothing recorded explains.
BEFORE, UNEXPLAINED = "before", "unexplained"


@dataclass(frozen=True)
class Usual:
    """What was usual before the fault, by which the first and the last piece of an outage are judged."""

    longest_pause_ns: int | None  # longest time between two ok completions
    latency_ns: int | None  # p99.9 of the operations


@dataclass(frozen=True)
class Phase:
    """A piece of an outage."""

    name: str  # of the moment that ends it
    start_ns: int
    end_ns: int
    part: str  # whose time it is
    waited_for: str
    uncertainty_ns: int  # of its length, by the clocks that stamped its two ends
    mark: Mark | None  # that ends it; None: the workload ended

    @property
    def length_ns(self) -> int:
        """How long it took."""
        return self.end_ns - self.start_ns


def usual_before(columns: Columns, moment_ns: int) -> Usual:
    """Measure what was usual among the operations that were done when the fault struck."""
    done = columns.complete_ns < moment_ns
    completions = np.sort(columns.complete_ns[done & columns.ok])
    pauses = np.diff(completions)
    latency = quantile(columns.latency_ns[done], 999)
    return Usual(int(pauses.max()) if len(pauses) else None, latency)


def divide(
    gap: Gap, marks: Sequence[Mark], moment_ns: int, last: Mark | None, usual: Usual, clocks: Mapping[str, Clock]
) -> list[Phase]:
    """Divide an outage into phases, in order of time and without a hole between them.

    :param marks: the fault's moments in order of time; those that are no moments of the outage are passed over
    :param moment_ns: when the fault struck
    :param last: the operation that ended the outage, None where none did
    :param clocks: of the hosts that stamped moments, by name; the client's own is not among them
    """
    ends = [
        mark
        for mark in marks
        if gap.start_ns < mark.at_ns < gap.end_ns
        # Until the fault struck nobody waited for anything of it.
        and mark.at_ns >= moment_ns
        and (MOMENTS[mark.name].wait is not None or mark.name == "signal_sent")
    ]
    phases = []
    begin, source = gap.start_ns, "history"
    for mark in ends:
        part, text = _explain(mark, begin, marks, usual)
        phases.append(_phase(mark.name, begin, mark.at_ns, part, text, (source, mark.source), clocks, mark))
        begin, source = mark.at_ns, mark.source
    part, text = _explain_end(begin, gap, marks, last, usual)
    phases.append(_phase(OUTAGE_END, begin, gap.end_ns, part, text, (source, "history"), clocks, last))
    return phases


def _phase(
    name: str,
    start_ns: int,
    end_ns: int,
    part: str,
    waited_for: str,
    sources: tuple[str, str],
    clocks: Mapping[str, Clock],
    mark: Mark | None,
) -> Phase:
    # Two stamps of one clock are off by the same: their difference is exact.
    different = {clocks[source].host for source in sources if source in clocks} if sources[0] != sources[1] else set()
    uncertainty_ns = sum(clocks[host].uncertainty_ns for host in different)
    return Phase(name, start_ns, end_ns, part, waited_for, uncertainty_ns, mark)


def _explain(mark: Mark, begin_ns: int, marks: Sequence[Mark], usual: Usual) -> tuple[str, str]:
    """Say whose time the phase before a moment is, and what was waited for."""
    if mark.name == "signal_sent":
        if usual.longest_pause_ns is not None and mark.at_ns - begin_ns <= usual.longest_pause_ns:
            return BEFORE, "nothing: no longer than pauses between two operations were before the fault"
        return UNEXPLAINED, "longer than any pause before the fault, which had not struck yet"
    wait = MOMENTS[mark.name].wait
    assert wait is not None
    begun = [other for name in wait.begins if (other := mark_of(marks, name)) is not None and other.at_ns <= begin_ns]
    if wait.begins and not begun:
        return UNEXPLAINED, f"nothing recorded shows what went before “{mark.label}”"
    if isinstance(wait.text, str):
        return wait.part, wait.text
    return wait.part, wait.text(mark.data) if callable(wait.text) else wait.text[begun[0].name]


def _explain_end(begin_ns: int, gap: Gap, marks: Sequence[Mark], last: Mark | None, usual: Usual) -> tuple[str, str]:
    """Say what the last piece of an outage was waited for."""
    if last is None:
        return UNEXPLAINED, "an operation to be acknowledged; none was until the workload ended"
    operation = f"operation {last.data['index']:,}"
    length_ns = gap.end_ns - begin_ns
    completed = mark_of(marks, "failover_completed")
    if completed is not None and completed.at_ns == begin_ns and completed.data.get("index") == last.data["index"]:
        return CLIENTS, f"the client to take the answer to {operation}"
    if usual.latency_ns is not None and length_ns <= usual.latency_ns:
        return CLIENTS, f"the answer to {operation}, no longer than usual (p99.9 before the fault)"
    sent_ms = (last.data["invoke_ns"] - gap.start_ns) / MS
    when = f"sent {sent_ms:,.1f} ms into the outage" if sent_ms >= 0 else "sent before the outage"
    return UNEXPLAINED, f"the answer to {operation}, {when}; nothing recorded shows what held it up"


def told(phases: Sequence[Phase], gap: Gap, moment_ns: int) -> dict[str, Any]:
    """Turn the phases into plain values: times in ms since the fault, and each one's share of the outage.

    ``name`` is the moment's that ends the phase; ``mark`` is first_ok_read or first_ok_write for the last one.
    """
    length_ns = gap.end_ns - gap.start_ns
    unexplained_ns = sum(phase.length_ns for phase in phases if phase.part == UNEXPLAINED)
    return {
        "start_ms": (gap.start_ns - moment_ns) / MS,
        "end_ms": (gap.end_ns - moment_ns) / MS,
        "duration_ms": gap.duration_ms,
        "ended": gap.ended,
        "unexplained_ms": unexplained_ns / MS,
        "unexplained_share": unexplained_ns / length_ns if length_ns > 0 else 0.0,
        "phases": [
            {
                "name": phase.name,
                "mark": phase.mark.name if phase.mark is not None else None,
                "letter": None,
                "label": phase.mark.label if phase.mark is not None else "end of the workload",
                "start_ms": (phase.start_ns - moment_ns) / MS,
                "end_ms": (phase.end_ns - moment_ns) / MS,
                "duration_ms": phase.length_ns / MS,
                "share": phase.length_ns / length_ns if length_ns > 0 else 0.0,
                "uncertainty_ms": phase.uncertainty_ns / MS,
                "part": phase.part,
                "waited_for": phase.waited_for,
            }
            for phase in phases
        ],
    }


def anatomy_of(
    columns: Columns, marks: Sequence[Mark], moment: int, gap: Gap | None, clocks: Mapping[str, Clock]
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
    phases = divide(gap, marks, moment, last, usual_before(columns, moment), clocks)
    return told(phases, gap, moment)

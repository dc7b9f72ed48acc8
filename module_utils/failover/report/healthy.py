# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The background of an outage: the gaps between acknowledged operations while nothing was wrong.

A closed loop acknowledges an operation every millisecond or so, and now and then none for longer: a flush of the disk,
a turn that another process had on the core. An outage says something only where it is longer than these gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import analysis
from .analysis import MS, Ints, Repeat, S
from .wording import milliseconds, plural


def healthy_until_ns(repeat: Repeat, faults: Iterable[Mapping[str, Any]]) -> int:
    """Return when the first fault of a repeat struck, on the history's clock; its end where none did."""
    struck = [round(fault["at_s"] * S) + repeat.idle_ns for fault in faults if fault["repeat"] == repeat.number
              and fault["at_s"] is not None]  # fmt: skip
    return min(struck, default=repeat.end_ns)


def healthy_gaps_ns(repeats: Iterable[Repeat], faults: Sequence[Mapping[str, Any]]) -> Ints:
    """Return the times between two ok completions, of each repeat up to its first fault; sorted.

    :param faults: of the experiment, as the report tells them
    """
    gaps = [np.empty(0, dtype=np.int64)]
    for repeat in repeats:
        completions = np.sort(repeat.columns.complete_ns[repeat.columns.ok])
        gaps.append(np.diff(completions[completions <= healthy_until_ns(repeat, faults)]))
    return np.sort(np.concatenate(gaps))


def healthy_gap_ms(gaps_ns: Ints) -> dict[str, float | int] | None:
    """Return ``median``, ``p99`` and ``longest`` of the healthy gaps in ms, and their ``count``; None without any."""
    median, p99 = analysis.quantile(gaps_ns, 500), analysis.quantile(gaps_ns, 990)
    if median is None or p99 is None:
        return None
    return {"median": median / MS, "p99": p99 / MS, "longest": int(gaps_ns[-1]) / MS, "count": len(gaps_ns)}


def background(gap: Mapping[str, Any] | None, gaps_ns: Ints) -> dict[str, Any] | None:
    """Hold an outage against the healthy gaps of its experiment.

    :returns: ``as_long``, how many of them were as long or longer, and ``distinguishable``: none was, so nothing like
        it happened without the fault. None without an outage, or without a healthy gap.
    """
    if gap is None or not len(gaps_ns):
        return None
    as_long = len(gaps_ns) - int(np.searchsorted(gaps_ns, round(gap["duration_ms"] * MS), side="left"))
    return {"as_long": as_long, "distinguishable": as_long == 0}


def background_of_repeats(faults: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count the repeats that have an outage to compare (``compared``), and those like the ``background``."""
    known = [fault["background"] for fault in faults if fault["background"]]
    return {"compared": len(known), "background": sum(not found["distinguishable"] for found in known)}


# ---------------------------------------------------------------- in words


def healthy_told(healthy: Mapping[str, Any] | None) -> str:
    """Say how long the healthy gaps were."""
    if healthy is None:
        return "no healthy gap to compare with"
    return (
        f"healthy gaps: median {milliseconds(healthy['median'])} ms, p99 {milliseconds(healthy['p99'])} ms, longest "
        f"{milliseconds(healthy['longest'])} ms"
    )


NOT_DISTINGUISHABLE = "not distinguishable from background"


def background_told(found: Mapping[str, Any] | None, healthy: Mapping[str, Any] | None) -> str:
    """Put the healthy gaps beside one outage, and say so where it is like them."""
    text = healthy_told(healthy)
    if found is None or healthy is None or found["distinguishable"]:
        return text
    were = "was" if found["as_long"] == 1 else "were"
    return f"{text}; {found['as_long']:,} of {plural(healthy['count'], 'healthy gap')} {were} as long or longer, so " \
        f"this outage is {NOT_DISTINGUISHABLE}"  # fmt: skip


def background_of_repeats_told(found: Mapping[str, int], healthy: Mapping[str, Any] | None) -> str:
    """Put the healthy gaps beside the outages of all repeats, and say how many of these are like them."""
    text = healthy_told(healthy)
    if healthy is None or not found["background"]:
        return text
    if found["background"] == found["compared"]:
        return f"{text}; no outage is longer than the longest of them, so they are {NOT_DISTINGUISHABLE}"
    are = "is" if found["background"] == 1 else "are"
    return (
        f"{text}; {found['background']} of {plural(found['compared'], 'outage')} {are} no longer than the longest of "
        f"them, so {NOT_DISTINGUISHABLE}"
    )

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

from ...measured.columns import MS, Ints, S
from ...measured.percentiles import quantile
from ...measured.repeats import Repeat
from ...sentences import milliseconds, plural


def healthy_until_ns(repeat: Repeat, faults: Iterable[Mapping[str, Any]]) -> int:
    """Return when the first fault of a repeat struck, on the history's clock; its end where none did.

    Where it is not known when one struck, nothing of the repeat is known to be healthy: that is its beginning.
    """
    own = [fault for fault in faults if fault["repeat"] == repeat.number]
    if any(fault.get("untold") for fault in own):
        return repeat.start_ns
    struck = [round(fault["at_s"] * S) + repeat.idle_ns for fault in own if fault["at_s"] is not None]
    return min(struck, default=repeat.end_ns)


def healthy_gaps_ns(repeats: Iterable[Repeat], faults: Sequence[Mapping[str, Any]]) -> Ints:
    """Return the times between two ok completions, of each repeat up to its first fault; sorted.

    :param faults: of the experiment, as the report tells them
    """
    gaps = [np.empty(0, dtype=np.int64)]
    for repeat in repeats:
        gaps.append(np.diff(_ok_until_ns(repeat, healthy_until_ns(repeat, faults))))
    together = np.concatenate(gaps)
    del gaps
    together.sort()
    return together


def _ok_until_ns(repeat: Repeat, until_ns: int) -> Ints:
    completions = repeat.columns.ok_ns
    return completions[: np.searchsorted(completions, until_ns, side="right")]


def healthy_gap_ms(gaps_ns: Ints) -> dict[str, float | int] | None:
    """Return ``median``, ``p99`` and ``longest`` of the healthy gaps in ms, and their ``count``; None without any."""
    median, p99 = quantile(gaps_ns, 500), quantile(gaps_ns, 990)
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
    """Count the repeats that have an outage to compare (``compared``), and those ``like`` the background."""
    known = [fault["background"] for fault in faults if fault["background"]]
    return {"compared": len(known), "like": sum(not found["distinguishable"] for found in known)}


# Slices of the healthy time whose rates are compared; fewer where one would hold fewer operations than this.
SLICES = 10
OPERATIONS_PER_SLICE = 50


def healthy_ops_per_s(repeats: Sequence[Repeat], faults: Sequence[Mapping[str, Any]]) -> dict[str, float | int] | None:
    """Return how steady the throughput was before the faults: rates of equal slices of that time.

    Of repeats each one's time before its fault is cut, so that no slice spans the idle time between two.

    :returns: ``mean`` of all healthy time, ``least`` and ``most`` of the ``slices``, the ``first`` and the ``last`` of
        them in op/s, and ``drift``, from least to most as a share of the mean. None with fewer than two slices.
    """
    done, time_s, rates = 0, 0.0, []
    for repeat in repeats:
        until = healthy_until_ns(repeat, faults)
        completions = _ok_until_ns(repeat, until)
        if until <= repeat.start_ns:
            continue
        done, time_s = done + len(completions), time_s + (until - repeat.start_ns) / S
        slices = max(1, min(-(-SLICES // len(repeats)), len(completions) // OPERATIONS_PER_SLICE))
        edges = np.linspace(repeat.start_ns, until, slices + 1)
        if len(completions) >= OPERATIONS_PER_SLICE:
            rates += (np.histogram(completions, edges)[0] / (np.diff(edges) / S)).tolist()
    if len(rates) < 2:
        return None
    mean, least, most = done / time_s, min(rates), max(rates)
    return {
        "mean": mean,
        "least": least,
        "most": most,
        "first": rates[0],
        "last": rates[-1],
        "slices": len(rates),
        "drift": (most - least) / mean,
    }


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


def in_brief(healthy: Mapping[str, Any] | None, like: int, compared: int) -> str:
    """Say the same in as few words as the verdict's sentence allows.

    :param like: how many of the ``compared`` outages are like the background
    """
    if healthy is None:
        return healthy_told(None)
    times = "/".join(milliseconds(healthy[name]) for name in ("median", "p99", "longest"))
    which = "" if like == compared == 1 else f"{like} of {compared} "
    return f"healthy gaps: {times} ms, median/p99/longest{f'; {which}{NOT_DISTINGUISHABLE}' if like else ''}"


def background_of_repeats_told(found: Mapping[str, int], healthy: Mapping[str, Any] | None) -> str:
    """Put the healthy gaps beside the outages of all repeats, and say how many of these are like them."""
    text = healthy_told(healthy)
    if healthy is None or not found["like"]:
        return text
    if found["like"] == found["compared"]:
        return f"{text}; no outage is longer than the longest of them, so they are {NOT_DISTINGUISHABLE}"
    are = "is" if found["like"] == 1 else "are"
    return (
        f"{text}; {found['like']} of {plural(found['compared'], 'outage')} {are} no longer than the longest of "
        f"them, so {NOT_DISTINGUISHABLE}"
    )

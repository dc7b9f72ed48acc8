# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Throughput and latency over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...measured.columns import MS, Columns, S
from ...measured.percentiles import rank
from ..examined import Examined
from ..figures import over_time
from .base import Chapter

# As many columns as the figure has points (72 an inch): a finer grid could not be seen in print.
LATENCY_BUCKETS = 420
# Fewer where a column would hold fewer operations than this: a percentile of two or three says nothing.
OPERATIONS_PER_BUCKET = 16
# Crosses on the throughput figure's lower edge; more could not be told apart.
MOST_NOT_OK_SHOWN = 400
# The smallest window that still holds enough operations of one serial client (about 1 ms each) to be a rate.
WINDOW_LADDER_MS = (20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000)
PREFERRED_WINDOW_MS = 100
# Operations whose buckets are reckoned together: so many need little beside the columns.
_BUCKETED_AT_ONCE = 500_000


class Time(Chapter):
    """Each experiment on its own time line, all of them on the same scales."""

    anchor = "time"
    title = "Throughput and latency over time"

    def of_experiment(self, examined: Examined) -> dict[str, Any]:
        """Compute what is drawn over time, without the idle time between repeats."""
        worked, start, end = examined.worked, examined.start_ns, examined.end_ns
        width = window_ms(end - start)
        buckets = max(1, min(LATENCY_BUCKETS, len(worked) // OPERATIONS_PER_BUCKET))
        return {
            "throughput": {"window_ms": width, **throughput(worked, start, end, width)},
            "operations_scale": operations_scale(worked),
            "latency_over_time": latency_over_time(worked, start, end, buckets),
            "not_ok_s": _spaced(worked.complete_ns[~worked.ok] / S, MOST_NOT_OK_SHOWN),
        }

    def draw(self, content: Mapping[str, Any]) -> dict[str, str]:
        """Draw each experiment that has operations."""
        experiments = content["experiments"]
        rates = [rate for experiment in experiments for rate in experiment["throughput"]["ops_per_s"]]
        lows = [low for experiment in experiments for low in experiment["latency_over_time"]["min_ms"]]
        highs = [high for experiment in experiments for high in experiment["latency_over_time"]["max_ms"]]
        limits = {
            "ops_per_s": max(rates, default=1.0) or 1.0,
            "latency_low_ms": min(lows, default=0.1) * 0.8 or 0.001,
            "latency_high_ms": max(highs, default=10.0) * 3 or 1.0,
        }
        return {
            f"{experiment['anchor']}-time": over_time.draw(experiment, limits, f"{experiment['anchor']}-time")
            for experiment in experiments
            if experiment["operations"]
        }


def latency_over_time(columns: Columns, start_ns: int, end_ns: int, buckets: int) -> dict[str, list[float]]:
    """Aggregate latency by time of completion: one minimum, p50, p99 and maximum for each column of the picture.

    However many operations there are, no spike is lost: the slowest of every bucket is in ``max_ms``.
    Empty buckets are left out.
    """
    result: dict[str, list[float]] = {name: [] for name in ("t_s", "min_ms", "p50_ms", "p99_ms", "max_ms")}
    if len(columns) == 0 or end_ns <= start_ns:
        return result
    bucket = np.empty(len(columns), dtype=np.min_scalar_type(buckets))
    for begin in range(0, len(columns), _BUCKETED_AT_ONCE):
        some = slice(begin, begin + _BUCKETED_AT_ONCE)
        at = (columns.complete_ns[some] - start_ns) * buckets // (end_ns - start_ns)
        bucket[some] = np.clip(at, 0, buckets - 1)
    order = np.argsort(bucket, kind="stable")
    counts = np.bincount(bucket, minlength=buckets)
    ordered = columns.complete_ns[order]
    ordered -= columns.invoke_ns[order]
    filled = np.flatnonzero(counts)
    first = (np.cumsum(counts) - counts)[filled]
    size = counts[filled]
    for begin, own in zip(first.tolist(), size.tolist(), strict=True):
        ordered[begin : begin + own].sort()

    centres = start_ns + (filled + 0.5) * (end_ns - start_ns) / buckets
    result["t_s"] = (centres / S).tolist()
    result["min_ms"] = (ordered[first] / MS).tolist()
    result["p50_ms"] = (ordered[first + rank(size, 500)] / MS).tolist()
    result["p99_ms"] = (ordered[first + rank(size, 990)] / MS).tolist()
    result["max_ms"] = (ordered[first + size - 1] / MS).tolist()
    return result


def window_ms(duration_ns: int, most: int = 1_200, fewest: int = 40) -> int:
    """Choose the width of throughput windows: 100 ms, less in a run of a few seconds, more in a long one."""
    duration_ms = duration_ns / MS
    if duration_ms / PREFERRED_WINDOW_MS < fewest:
        fitting = [width for width in WINDOW_LADDER_MS if duration_ms / width >= fewest]
        return max(fitting, default=WINDOW_LADDER_MS[0])
    return next(
        (width for width in WINDOW_LADDER_MS if width >= PREFERRED_WINDOW_MS and duration_ms / width <= most),
        WINDOW_LADDER_MS[-1],
    )


def throughput(columns: Columns, start_ns: int, end_ns: int, width_ms: int) -> dict[str, list[float]]:
    """Count ok completions in windows of ``width_ms``; the last window may be shorter and is scaled by its own length.

    :returns: ``start_s`` and ``end_s`` of each window and its ``ops_per_s``.
    """
    width = width_ms * MS
    if end_ns <= start_ns:
        return {"start_s": [], "end_s": [], "ops_per_s": []}
    edges = np.arange(start_ns, end_ns, width, dtype=np.int64)
    # A sliver at the end would be a rate of two or three operations: it joins the window before it.
    if len(edges) > 1 and end_ns - edges[-1] < width // 2:
        edges = edges[:-1]
    edges = np.append(edges, end_ns)
    completions = columns.ok_ns
    # The last window includes its end, where the last operation completed.
    borders = np.searchsorted(completions, edges, side="left")
    borders[-1] = np.searchsorted(completions, edges[-1], side="right")
    rates = np.diff(borders) / (np.diff(edges) / S)
    return {
        "start_s": (edges[:-1] / S).tolist(),
        "end_s": (edges[1:] / S).tolist(),
        "ops_per_s": rates.tolist(),
    }


def operations_scale(columns: Columns, ticks: int = 5) -> list[tuple[int, float]]:
    """Return (operations completed so far, time in s when that many were) at round numbers, for a second axis."""
    count = len(columns)
    if count < ticks:
        return []
    raw = count / ticks
    magnitude = 10 ** int(np.floor(np.log10(raw)))
    step = int(next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw))
    completions = np.sort(columns.complete_ns)
    return [(n, float(completions[n - 1]) / S) for n in range(step, count + 1, step)]


def _spaced(values: npt.NDArray[np.float64], most: int) -> list[float]:
    """Return the values in order, thinned evenly where there are more than ``most``."""
    ordered = np.sort(values)
    return [float(value) for value in ordered[:: max(1, -(-len(ordered) // most))]]

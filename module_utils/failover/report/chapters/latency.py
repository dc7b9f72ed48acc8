# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chapter on the distribution of latency."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..columns import MS, Ints
from ..percentiles import LEAST_DECIDING, QUANTILES, decided_by, rank


def latency_summary(latency_ns: Ints) -> dict[str, Any]:
    """Return count, p50, p90, p99, p99.9 and max in ms; the figures are None where there is no operation.

    ``thin`` names the percentiles above which fewer than LEAST_DECIDING lie: those few decide them.

    Percentiles are observed values, never values between two operations: the smallest latency that at least
    that share of the operations did not exceed (the inverse of the empirical distribution function; definition 1
    of Hyndman & Fan, "Sample Quantiles in Statistical Packages", 1996).
    """
    summary: dict[str, Any] = {"count": len(latency_ns)}
    if len(latency_ns) == 0:
        return summary | {f"{name}_ms": None for name, _ in QUANTILES} | {"max_ms": None, "thin": []}
    ordered = np.sort(latency_ns)
    for name, thousandths in QUANTILES:
        summary[f"{name}_ms"] = int(ordered[rank(len(ordered), thousandths)]) / MS
    summary["max_ms"] = int(ordered[-1]) / MS
    summary["thin"] = [
        f"{name}_ms"
        for name, thousandths in QUANTILES
        if decided_by(len(ordered), 1 - thousandths / 1000) < LEAST_DECIDING
    ]
    return summary


def survival_curve(latency_ns: Ints, points_per_decade: int = 60) -> dict[str, list[float]]:
    """Return the share of operations that took longer than a latency, thinned evenly on a logarithmic scale.

    :returns: ``latency_ms`` (rising) and ``longer`` (the share, falling). The first and the last operation are
        always in it; the slowest is drawn at half of one operation's share, as a logarithmic scale has no zero.
    """
    count = len(latency_ns)
    if count == 0:
        return {"latency_ms": [], "longer": []}
    ordered = np.sort(latency_ns)
    decades = max(np.log10(count), 1.0)
    from_the_end = np.unique(np.round(np.geomspace(1, count, int(points_per_decade * decades))).astype(np.int64))
    ranks = np.sort(count - from_the_end)
    longer = (count - 1 - ranks) / count
    longer[longer == 0] = 0.5 / count
    return {"latency_ms": (ordered[ranks] / MS).tolist(), "longer": longer.tolist()}

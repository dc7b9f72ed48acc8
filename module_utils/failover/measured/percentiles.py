# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Percentiles: observed values, never values between two operations.

The smallest value that at least that share of the values did not exceed (the inverse of the empirical distribution
function; definition 1 of Hyndman & Fan, "Sample Quantiles in Statistical Packages", 1996).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .columns import MS, Ints

# In thousandths: as fractions of two they would not be exact, and the 999th of 1,000 would become the 1,000th.
QUANTILES: tuple[tuple[str, int], ...] = (("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999))

# A percentile that fewer operations than these decide is another one in the next run: it is shown as uncertain.
LEAST_DECIDING = 10


def quantile(values: Ints, thousandths: int) -> int | None:
    """Return one quantile of the values; None where there is no value."""
    return int(np.sort(values)[rank(len(values), thousandths)]) if len(values) else None


def decided_by(count: int, longer: Any) -> Any:
    """Return how many operations lie above a percentile: the share of them that took longer, of a number or an array.

    Rounded to whole operations so that no binary fraction decides.
    """
    return np.rint(np.asarray(longer) * count)


def rank(count: Any, thousandths: int) -> Any:
    """Return the position, from 0, of a quantile among ``count`` sorted values; of integers or of arrays of them."""
    return -(-count * thousandths // 1000) - 1


def latency_summary(latency_ns: Ints) -> dict[str, Any]:
    """Return count, p50, p90, p99, p99.9 and max in ms; the figures are None where there is no operation.

    ``thin`` names the percentiles above which fewer than LEAST_DECIDING lie: those few decide them.
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

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How latency is distributed, the service gap, and the worst operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...measured.columns import KINDS, MS, Columns, Ints, S
from ...measured.gaps import longest_gap_of
from ...measured.percentiles import latency_summary
from ...results.rows import Rows
from ..examined import Examined
from ..figures import latency
from .base import Chapter


class Latency(Chapter):
    """Percentiles and curves by kind, from the invocation and, where there is a rate, from the intended start."""

    anchor = "latency"
    title = "Latency distribution"

    def of_experiment(self, examined: Examined) -> dict[str, Any]:
        """Summarise latencies, and find the longest gap and the worst operation."""
        columns = examined.columns
        gap = longest_gap_of(examined.repeats)
        return {
            "latency": _latency(columns, columns.latency_ns),
            "intended_latency": _latency(columns, columns.intended_latency_ns) if examined.info["rate"] else None,
            "gap": gap.as_dict() if gap else None,
            "worst": _worst(examined.worked, examined.table),
        }

    def draw(self, content: Mapping[str, Any]) -> dict[str, str]:
        """Draw the curves of all experiments, one panel a kind."""
        drawings = {}
        drawn = [experiment for experiment in content["experiments"] if experiment["operations"]]
        kinds = [kind for kind in KINDS if any(kind in experiment["stream"] for experiment in drawn)]
        if drawn:
            drawings["latency"] = latency.draw(drawn, kinds, "latency", "latency")
        rated = [experiment for experiment in drawn if experiment["intended_latency"]]
        if rated:
            drawings["intended"] = latency.draw(rated, kinds, "intended_latency", "intended")
        return drawings


def _latency(columns: Columns, latency_ns: Ints) -> dict[str, Any]:
    """Summarise latency of all operations, whatever their outcome, together and by kind, with the curves."""
    by_kind = {kind: latency_ns[columns.kind == code] for code, kind in columns.kinds}
    return {
        "all": latency_summary(latency_ns),
        "by_kind": {kind: latency_summary(values) for kind, values in by_kind.items()},
        "curves": {kind: survival_curve(values) for kind, values in by_kind.items()},
    }


def _worst(columns: Columns, rows: Rows) -> dict[str, Any] | None:
    """Describe the operation that took longest."""
    if not len(columns):
        return None
    row = int(np.argmax(columns.latency_ns))
    operation = rows.row(row)
    return {
        "index": operation["index"],
        "kind": operation["kind"],
        "key": operation["key"],
        "latency_ms": int(columns.latency_ns[row]) / MS,
        "at_s": int(columns.invoke_ns[row]) / S,
        "outcome": operation["outcome"],
        "attempts": operation["attempts"],
        "endpoint": operation["endpoint"],
        "error": operation["error"],
    }


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

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the operations ended, and who answered them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ...measured.columns import OUTCOMES, Columns
from ...results.rows import Rows
from ...shapes import Outcome, Settled
from ..examined import Examined
from .base import Chapter


class Outcomes(Chapter):
    """Operations by kind, outcome and endpoint."""

    anchor = "outcomes"
    title = "Outcomes"

    def of_experiment(self, examined: Examined) -> dict[str, Any]:
        """Count the operations."""
        return {
            "history_cut": examined.cut,
            "outcomes": _outcomes(examined.columns),
            "endpoints": _endpoints(examined.table),
            **_retries(examined),
        }


def _retries(examined: Examined) -> dict[str, Any]:
    """Tell what the clients did about doubts, and what came of them; nothing of versions that had no choice."""
    info = examined.info
    if "retry_policy" not in info:
        return {}
    counted = Counter(word for part in examined.table.parts(["settled"]) for word in part.column(0).to_pylist())
    settled = {word.value: counted[word.value] for word in Settled}
    unknown = int(np.count_nonzero(examined.columns.outcome == OUTCOMES.index(Outcome.UNKNOWN)))
    return {
        "retries": {
            "retry_policy": info["retry_policy"],
            "read_consistency": info["read_consistency"],
            "settled": settled,
            "unresolved": unknown - sum(settled.values()),
        }
    }


def _outcomes(columns: Columns) -> list[dict[str, Any]]:
    """Count operations by kind and outcome, and those that took more than one attempt; the last row is the sum."""
    rows = []
    for code, kind in [*columns.kinds, (None, "all")]:
        mask = np.ones(len(columns), dtype=bool) if code is None else columns.kind == code
        row: dict[str, Any] = {"kind": kind, "operations": int(np.count_nonzero(mask))}
        for number, outcome in enumerate(OUTCOMES):
            row[outcome] = int(np.count_nonzero(mask & (columns.outcome == number)))
        row["retried"] = int(np.count_nonzero(mask & (columns.attempts > 1)))
        row["attempts"] = int(columns.attempts[mask].sum())
        rows.append(row)
    return rows


def _endpoints(table: Rows) -> dict[str, int]:
    """Count operations by the endpoint that answered last, or was tried last."""
    counted = {item["values"]: item["counts"] for item in table["endpoint"].value_counts().to_pylist()}
    return dict(sorted(counted.items()))

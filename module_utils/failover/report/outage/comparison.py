# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The faults of a run side by side: one row a fault, and the same fault on several systems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...checks.model import LOST, RESURRECTED, STALE
from ...shapes import Verdict
from .repetition import MEASURES, sameness

# A key in one of these states has lost an acknowledged write: it is not there, it is there again, or it is older.
LOST_WRITES = (LOST, RESURRECTED, STALE)

# What is added up over the repeats: (name, what a reader is told).
SUMS = (
    ("fail", "operations that failed"),
    ("unknown", "operations of unknown outcome"),
    ("lost", "acknowledged writes lost"),
    ("duplicated", "keys written twice"),
    ("missed", "faults that did not strike"),
    ("outside_bound", "faults later than the placement bound"),
)


def outages(experiments: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row a fault of the definition; what only the checks of a whole experiment tell stands with each."""
    rows = []
    for experiment in experiments:
        for group in experiment["repetition"]:
            measures = {measure["name"]: measure for measure in group["measures"]}
            rows.append(
                {
                    "experiment": experiment["name"],
                    "system": experiment["system"],
                    "anchor": group["anchor"],
                    "fault": group["fault"],
                    "what": group["what"],
                    "heal": group["heal"]["told"],
                    "repeats": group["repeats"],
                    "struck": group["struck"],
                    "untold": group["untold"],
                    "unexplained": group["unexplained"],
                    "sums": group["sums"],
                    "background": group["background"],
                    "healthy_gap_ms": experiment["healthy_gap_ms"],
                    **{name: measures[name] for name in ("gap", "write_gap", "worst", "converged")},
                }
            )
    return rows


def lost_writes(checks: Iterable[Mapping[str, Any]]) -> int | None:
    """Count the keys that lost an acknowledged write, on the member that lost most; None where that is not known."""
    found = [check for check in checks if check["name"].startswith("keys on ")]
    counts: list[int] = [
        sum((check["evidence"].get("by_class") or {}).get(name, 0) for name in LOST_WRITES)
        for check in found
        if check["verdict"] != Verdict.UNKNOWN.value or check["evidence"].get("by_class")
    ]
    if not counts or len(counts) < len(found):
        return None
    return max(counts)


def compared(experiments: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Group the faults that struck by what they did; only those that met more than one system.

    Their heals may differ: a single server has to be healed while the workload goes on. So they are told.

    :returns: ``title``; ``systems``, one object a column; ``measures``, rows of ``label``, ``since`` and one cell a
        column; and ``sums``, the same of what is counted
    """
    groups: dict[tuple[Any, ...], list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for experiment in experiments:
        for group in experiment["repetition"]:
            if group["struck"]:
                groups.setdefault(sameness(group["plan"]), []).append((experiment, group))
    return [
        _comparison(pairs) for pairs in groups.values() if len({experiment["system"] for experiment, _ in pairs}) > 1
    ]


def _comparison(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> dict[str, Any]:
    rows = []
    for number, measure in enumerate(MEASURES):
        cells = [group["measures"][number] for _, group in pairs]
        if any(cell["n"] for cell in cells):
            rows.append({"name": measure.name, "label": measure.label, "since": measure.since, "cells": cells})
    return {
        "title": pairs[0][1]["what"],
        "repeated": any(group["repeats"] > 1 for _, group in pairs),
        "systems": [
            {
                "experiment": experiment["name"],
                "system": experiment["system"],
                "heal": group["heal"]["told"],
                "healthy_gap_ms": experiment["healthy_gap_ms"],
                **{name: group[name] for name in ("fault", "anchor", "repeats", "struck", "background")},
            }
            for experiment, group in pairs
        ],
        "measures": rows,
        "unexplained": [group["unexplained"] for _, group in pairs],
        "sums": [{"label": label, "cells": [group["sums"][name] for _, group in pairs]} for name, label in SUMS],
    }

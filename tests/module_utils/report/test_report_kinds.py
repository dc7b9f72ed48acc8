# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kinds of operations beside the notebook's, in tables and figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from failover.measured.columns import KINDS, Columns
from failover.measured.percentiles import latency_summary
from failover.report.chapters.latency import survival_curve
from failover.report.figures.latency import draw

MS = 1_000_000


def columns_of(*kinds: str) -> Columns:
    numbers = np.arange(len(kinds), dtype=np.int64)
    codes = np.array([KINDS.index(kind) for kind in kinds], dtype=np.int8)
    times = numbers * MS
    return Columns(numbers, numbers, codes, codes * 0, times, times, times + MS, numbers + 1)


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ((), ["CREATE", "RETRIEVE", "DELETE"]),
        (("RETRIEVE",), ["CREATE", "RETRIEVE", "DELETE"]),
        (("CAS", "RETRIEVE", "WRITE"), ["RETRIEVE", "WRITE", "CAS"]),
    ],
)
def test_tables_have_the_notebooks_kinds_or_those_that_there_are(kinds: tuple[str, ...], told: list[str]) -> None:
    assert [kind for _, kind in columns_of(*kinds).kinds] == told


def test_experiments_of_which_one_has_fewer_kinds_are_drawn_together() -> None:
    latency_ns = np.arange(1, 200, dtype=np.int64) * MS

    def experiment(name: str, *kinds: str) -> dict[str, Any]:
        told = {"by_kind": {kind: latency_summary(latency_ns) for kind in kinds}}
        return {"name": name, "latency": {**told, "curves": {kind: survival_curve(latency_ns) for kind in kinds}}}

    both = [experiment("E1", "RETRIEVE", "WRITE"), experiment("E2", "RETRIEVE")]
    figure = draw(both, ["RETRIEVE", "WRITE"], "latency", "latency")
    assert "E1 WRITE, 199 operations" in figure
    assert "E2 WRITE" not in figure

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from failover.measured.columns import MS
from failover.report.outage.recovery import LatencyBand, baseline_window_ns, latency_band
from made_columns import columns


def steady(from_ms: int, until_ms: int, latency_ms: float) -> list[dict[str, Any]]:
    """Return ten operations in each 100 ms, all of one latency."""
    return [{"invoke": t - latency_ms, "complete": t} for t in range(from_ms, until_ms, 10)]


def band(rows: list[dict[str, Any]], until_ms: int = 10_000) -> LatencyBand | None:
    """Judge a fault at 1 s whose outage ended at 2 s."""
    return latency_band(columns(rows), 0, 1000 * MS, 2000 * MS, until_ms * MS, 100 * MS)


@pytest.mark.parametrize(
    ("before_ms", "every_ms", "window_ms"),
    [
        (1000, 2, 100),
        (999, 2, 50),  # of 100 ms only nine fit
        (240, 2, 20),
        (70, 1, 10),  # seven are better than none
        (240, 10, 50),  # 20 ms would hold two operations
        (240, 50, 100),  # and even 100 ms only these
        (0, 2, 100),
    ],
)
def test_windows_are_as_wide_as_the_time_before_the_fault_allows(before_ms: int, every_ms: int, window_ms: int) -> None:
    times = [*range(0, before_ms, every_ms), *range(2000, 4000, every_ms)]
    history = columns([{"invoke": t - every_ms, "complete": t} for t in times])
    assert baseline_window_ns(history, 0, before_ms * MS) == window_ms * MS


def test_the_latency_is_back_where_it_begins_to_stay_in_its_band() -> None:
    rows = [*steady(0, 1000, 2), *steady(2000, 2300, 9), *steady(2300, 2400, 2), *steady(2400, 2700, 9)]
    found = band([*rows, *steady(2700, 4000, 2)])
    # The one good window at 2.3 s does not count: the latency did not stay.
    assert found == LatencyBand(2 * MS, 10, 2700 * MS)


def test_one_window_in_ten_may_be_outside_of_the_band() -> None:
    rows = [*steady(0, 1000, 2), *steady(2000, 2500, 2), *steady(2500, 2600, 9), *steady(2600, 4000, 2)]
    found = band(rows)
    assert found is not None
    assert found.back_ns == 2000 * MS
    found = band([*rows, *({**row, "invoke": row["complete"] - 9} for row in steady(2700, 2800, 2) * 2)])
    assert found is not None
    assert found.back_ns == 2600 * MS


def test_the_latency_is_not_back_before_it_stayed_for_a_second() -> None:
    rows = [*steady(0, 1000, 2), *steady(2000, 4000, 2)]
    assert band(rows, until_ms=2900) == LatencyBand(2 * MS, 10, None)
    assert band([*steady(0, 1000, 2), *steady(2000, 4000, 3)], until_ms=4000) == LatencyBand(2 * MS, 10, None)


def test_the_band_reaches_to_p95_of_the_windows_before_the_fault() -> None:
    rows = [row for n in range(10) for row in steady(100 * n, 100 * n + 100, n + 1)]
    found = band(rows)
    assert found is not None
    assert found.most_ns == 10 * MS  # of fewer than 20 windows the largest
    assert found.back_ns is None  # nothing was done after the outage


def test_too_little_before_the_fault_makes_no_band() -> None:
    assert band([*steady(800, 1000, 2), *steady(2000, 4000, 2)]) is None

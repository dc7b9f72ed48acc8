# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from failover.measured.columns import MS, S
from failover.report.chapters.time import latency_over_time, operations_scale, throughput, window_ms
from made_columns import columns


def test_no_spike_is_lost_when_operations_are_aggregated() -> None:
    rows = [{"invoke": t, "complete": t + 1} for t in range(10_000)]
    rows[4711]["complete"] = rows[4711]["invoke"] + 333
    spread = latency_over_time(columns(rows), 0, 10_001 * MS, buckets=50)
    assert len(spread["t_s"]) == 50
    assert max(spread["max_ms"]) == 333
    assert sorted(spread["max_ms"])[-2] == 1
    assert set(spread["p50_ms"]) == {1.0}


def test_buckets_without_operations_are_left_out() -> None:
    spread = latency_over_time(columns([{"invoke": 0, "complete": 1}, {"invoke": 90, "complete": 95}]), 0, 100 * MS, 10)
    assert spread["t_s"] == [0.005, 0.095]
    assert spread["max_ms"] == [1, 5]


@pytest.mark.parametrize(
    ("duration_s", "width_ms"),
    [(0.5, 20), (2.1, 50), (70, 100), (119, 100), (200, 200), (3600, 5_000), (10**6, 60_000)],
)
def test_windows_fit_the_length_of_the_run(duration_s: float, width_ms: int) -> None:
    assert window_ms(int(duration_s * S)) == width_ms


def test_throughput_counts_every_ok_completion_once() -> None:
    rows = [{"invoke": t, "complete": t + 1} for t in range(250)]
    rows[10]["outcome"] = "unknown"
    series = throughput(columns(rows), 0, 250 * MS, 100)
    lengths = [end - start for start, end in zip(series["start_s"], series["end_s"], strict=True)]
    assert series["end_s"] == pytest.approx([0.1, 0.2, 0.25])
    assert sum(rate * length for rate, length in zip(series["ops_per_s"], lengths, strict=True)) == pytest.approx(249)


def test_a_sliver_at_the_end_joins_the_window_before_it() -> None:
    series = throughput(columns([{"invoke": 0, "complete": 1}]), 0, 210 * MS, 100)
    assert series["end_s"] == pytest.approx([0.1, 0.21])


def test_operations_so_far_are_placed_where_that_many_had_completed() -> None:
    rows = [{"invoke": t, "complete": t + 1} for t in range(1000)]
    scale = operations_scale(columns(rows))
    assert scale == [(200, 0.2), (400, 0.4), (600, 0.6), (800, 0.8), (1000, 1.0)]

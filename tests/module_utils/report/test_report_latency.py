# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import numpy as np
import pytest
from failover.measured.columns import MS
from failover.measured.percentiles import decided_by, latency_summary, quantile
from failover.report.chapters.latency import survival_curve


def test_percentiles_are_observed_values() -> None:
    # 1, 2, ... 1000 ms: p99.9 is the 999th smallest, never a value between two.
    summary = latency_summary(np.arange(1, 1001, dtype=np.int64) * MS)
    assert summary == {
        "count": 1000,
        "p50_ms": 500,
        "p90_ms": 900,
        "p99_ms": 990,
        "p99.9_ms": 999,
        "max_ms": 1000,
        "thin": ["p99.9_ms"],
    }


def test_two_operations_have_no_percentile_between_them() -> None:
    summary = latency_summary(np.asarray([1 * MS, 100 * MS], dtype=np.int64))
    assert summary["p50_ms"] == 1
    assert summary["p90_ms"] == summary["max_ms"] == 100


@pytest.mark.parametrize(
    ("count", "thin"),
    [
        (1, ["p50_ms", "p90_ms", "p99_ms", "p99.9_ms"]),
        (20, ["p90_ms", "p99_ms", "p99.9_ms"]),
        (18, ["p50_ms", "p90_ms", "p99_ms", "p99.9_ms"]),
        (100, ["p99_ms", "p99.9_ms"]),
        (94, ["p90_ms", "p99_ms", "p99.9_ms"]),
        (1_000, ["p99.9_ms"]),
        (10_000, []),
        (0, []),
    ],
)
def test_a_percentile_above_which_fewer_than_ten_operations_lie_is_thin(count: int, thin: list[str]) -> None:
    assert latency_summary(np.arange(1, count + 1, dtype=np.int64))["thin"] == thin


def test_no_operation_gives_no_figure() -> None:
    summary = latency_summary(np.asarray([], dtype=np.int64))
    assert summary["count"] == 0
    assert summary["p50_ms"] is None
    assert summary["max_ms"] is None


def test_survival_curve_says_how_many_took_longer() -> None:
    curve = survival_curve(np.arange(1, 101, dtype=np.int64) * MS)
    points = list(zip(curve["latency_ms"], curve["longer"], strict=True))
    assert len(points) > 30
    assert points[-1] == (100, 0.005)  # half of one operation's share stands for none
    assert all(longer == pytest.approx((100 - latency) / 100) for latency, longer in points[:-1])


def test_survival_curve_is_thinned_but_keeps_both_ends() -> None:
    values = np.arange(1, 100_001, dtype=np.int64)
    curve = survival_curve(values)
    assert len(curve["latency_ms"]) <= 300
    assert curve["latency_ms"][0] == 1 / MS
    assert curve["latency_ms"][-1] == 100_000 / MS
    assert curve["longer"] == sorted(curve["longer"], reverse=True)


def test_a_quantile_is_the_smallest_value_that_its_share_does_not_exceed() -> None:
    values = np.asarray([30, 10, 20], dtype=np.int64)
    assert [quantile(values, thousandths) for thousandths in (1, 333, 334, 667, 1000)] == [10, 10, 20, 30, 30]
    assert quantile(values[:0], 500) is None


def test_no_binary_fraction_decides_how_many_operations_decide_a_percentile() -> None:
    assert decided_by(1000, 1 - 990 / 1000) == 10
    assert decided_by(1000, np.asarray([0.01, 0.0005])).tolist() == [10, 0]

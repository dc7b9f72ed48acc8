# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The healthy gaps, against times that can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from failover.measured.columns import MS, Columns, S
from failover.measured.repeats import Repeat
from failover.report.outage.healthy import (
    NOT_DISTINGUISHABLE,
    background,
    background_of_repeats,
    background_of_repeats_told,
    background_told,
    healthy_gap_ms,
    healthy_gaps_ns,
    healthy_ops_per_s,
)


def repeat_of(number: int, completions_ms: list[float], *, failed: int | None = None, idle_ms: int = 0) -> Repeat:
    """Return a repeat whose operations end at these times, since its beginning."""
    start = idle_ms * MS
    ends = np.asarray([start + round(at * MS) for at in completions_ms], dtype=np.int64)
    numbers = np.arange(len(ends), dtype=np.int64)
    outcome = np.asarray([1 if row == failed else 0 for row in numbers], dtype=np.int8)
    kind = np.zeros(len(ends), dtype=np.int8)
    columns = Columns(numbers, numbers * 0, kind, outcome, ends - MS, ends - MS, ends, numbers * 0 + 1)
    return Repeat(number, start, int(ends[-1]), start, columns, None)


def struck(repeat: int, at_ms: float | None) -> dict[str, Any]:
    return {"repeat": repeat, "at_s": None if at_ms is None else at_ms * MS / S}


def test_healthy_are_the_gaps_before_the_first_fault_of_each_repeat() -> None:
    repeats = [repeat_of(1, [1, 2, 4, 7, 500, 501]), repeat_of(2, [1, 6, 7, 900], idle_ms=40_000)]
    faults = [struck(1, 8), struck(1, 400), struck(2, 6.5)]
    assert (healthy_gaps_ns(repeats, faults) / MS).tolist() == [1, 2, 3, 5]


def test_a_fault_that_did_not_strike_leaves_its_repeat_healthy() -> None:
    assert (healthy_gaps_ns([repeat_of(1, [1, 2, 4, 500])], [struck(1, None)]) / MS).tolist() == [1, 2, 496]


def test_where_it_is_not_known_when_a_fault_struck_nothing_is_known_to_be_healthy() -> None:
    repeats = [repeat_of(1, [1, 2, 4, 500]), repeat_of(2, [1, 6, 7, 900], idle_ms=40_000)]
    faults = [struck(1, None) | {"untold": "its clock was set"}, struck(2, 6.5)]
    assert (healthy_gaps_ns(repeats, faults) / MS).tolist() == [5]


def test_an_operation_that_was_not_acknowledged_ends_no_gap() -> None:
    assert (healthy_gaps_ns([repeat_of(1, [1, 2, 4, 7], failed=2)], []) / MS).tolist() == [1, 5]


def test_the_figures_are_observed_gaps() -> None:
    gaps = np.sort(np.asarray([*range(1, 100), 250], dtype=np.int64) * MS)
    assert healthy_gap_ms(gaps) == {"median": 50.0, "p99": 99.0, "longest": 250.0, "count": 100}
    assert healthy_gap_ms(gaps[:0]) is None


def evenly(first_ms: float, last_ms: float, count: int) -> list[float]:
    """Return so many times, the last of them at ``last_ms``."""
    return [first_ms + (last_ms - first_ms) * (number + 1) / count for number in range(count)]


def test_the_healthy_throughput_is_that_of_equal_slices_before_the_fault() -> None:
    # A second at 300 op/s, one at 100; what comes after the fault does not count.
    repeat = repeat_of(1, [*evenly(0, 1000, 300), *evenly(1000, 2000, 100), *evenly(2000, 9000, 50)])
    found = healthy_ops_per_s([repeat], [struck(1, 2000)])
    # Fifty operations a slice at least: eight slices of a quarter of a second.
    assert found is not None
    assert found["slices"] == 8
    assert found["mean"] == pytest.approx(200)
    assert (found["most"], found["first"]) == (pytest.approx(300, abs=4), pytest.approx(300, abs=4))
    assert (found["least"], found["last"]) == (pytest.approx(100, abs=4), pytest.approx(100, abs=4))
    assert found["drift"] == pytest.approx((found["most"] - found["least"]) / 200)


def test_of_repeats_no_slice_spans_the_idle_time_between_them() -> None:
    repeats = [
        repeat_of(1, evenly(0, 1000, 200)),
        repeat_of(2, evenly(0, 1000, 200), idle_ms=60_000),
        repeat_of(3, evenly(0, 1000, 20), idle_ms=120_000),
    ]
    found = healthy_ops_per_s(repeats, [struck(1, None)])
    assert found is not None
    # Ten slices shared by three repeats; the third has too few operations for one, but counts in the mean.
    assert found["slices"] == 8
    assert (found["least"], found["most"]) == (pytest.approx(200, abs=4), pytest.approx(200, abs=4))
    assert found["mean"] == pytest.approx(140)


def test_of_less_than_two_slices_no_drift_is_told() -> None:
    assert healthy_ops_per_s([repeat_of(1, evenly(0, 1000, 99))], []) is None
    untold = [struck(1, None) | {"untold": "its clock was set"}]
    assert healthy_ops_per_s([repeat_of(1, evenly(0, 1000, 500))], untold) is None


HEALTHY = {"median": 1.0, "p99": 9.5, "longest": 61.0, "count": 1_200}


@pytest.mark.parametrize(("outage_ms", "as_long"), [(14, 3), (20, 3), (20.1, 2), (61, 1), (61.1, 0)])
def test_an_outage_is_like_the_background_where_any_healthy_gap_was_as_long(outage_ms: float, as_long: int) -> None:
    gaps = np.sort(np.asarray([1, 1, 2, 20, 30, 61], dtype=np.int64) * MS)
    found = background({"duration_ms": outage_ms}, gaps)
    assert found == {"as_long": as_long, "distinguishable": as_long == 0}
    assert (NOT_DISTINGUISHABLE in background_told(found, HEALTHY)) is (as_long > 0)


def test_without_anything_to_compare_nothing_is_claimed() -> None:
    assert background({"duration_ms": 5.0}, np.empty(0, dtype=np.int64)) is None
    assert background(None, np.asarray([MS])) is None
    assert background_told(None, None) == "no healthy gap to compare with"


def test_the_healthy_gap_is_told_in_words() -> None:
    assert background_told({"as_long": 199, "distinguishable": False}, HEALTHY) == (
        "healthy gaps: median 1.00 ms, p99 9.50 ms, longest 61.0 ms; 199 of 1,200 healthy gaps were as long or longer, "
        "so this outage is not distinguishable from background"
    )


def test_repeats_like_the_background_are_counted() -> None:
    known = [{"background": {"as_long": n, "distinguishable": n == 0}} for n in (0, 3, 0)]
    found = background_of_repeats([*known, {"background": None}])
    assert found == {"compared": 3, "like": 1}
    assert "1 of 3 outages is no longer than the longest of them" in background_of_repeats_told(found, HEALTHY)
    assert NOT_DISTINGUISHABLE not in background_of_repeats_told({"compared": 3, "like": 0}, HEALTHY)
    assert "no outage is longer" in background_of_repeats_told({"compared": 3, "like": 3}, HEALTHY)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from failover.report import analysis
from failover.report.analysis import KINDS, MS, OUTCOMES, Columns, Gap, S
from failover.shapes import Event


def columns(rows: list[dict[str, Any]]) -> Columns:
    """Make columns of operations given in ms: invoke, complete, and optionally kind, outcome, attempts."""

    def numbers(values: list[int]) -> analysis.Ints:
        return np.asarray(values, dtype=np.int64)

    return Columns(
        index=numbers(list(range(len(rows)))),
        client=numbers([row.get("client", 0) for row in rows]),
        kind=np.asarray([KINDS.index(row.get("kind", "CREATE")) for row in rows], dtype=np.int8),
        outcome=np.asarray([OUTCOMES.index(row.get("outcome", "ok")) for row in rows], dtype=np.int8),
        intended_ns=numbers([int(row.get("intended", row["invoke"]) * MS) for row in rows]),
        invoke_ns=numbers([int(row["invoke"] * MS) for row in rows]),
        complete_ns=numbers([int(row["complete"] * MS) for row in rows]),
        attempts=numbers([row.get("attempts", 1) for row in rows]),
    )


def test_percentiles_are_observed_values() -> None:
    # 1, 2, ... 1000 ms: p99.9 is the 999th smallest, never a value between two.
    summary = analysis.latency_summary(np.arange(1, 1001, dtype=np.int64) * MS)
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
    summary = analysis.latency_summary(np.asarray([1 * MS, 100 * MS], dtype=np.int64))
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
    assert analysis.latency_summary(np.arange(1, count + 1, dtype=np.int64))["thin"] == thin


def test_no_operation_gives_no_figure() -> None:
    summary = analysis.latency_summary(np.asarray([], dtype=np.int64))
    assert summary["count"] == 0
    assert summary["p50_ms"] is None
    assert summary["max_ms"] is None


def test_latency_counts_from_invocation_or_from_the_intended_start() -> None:
    history = columns([{"intended": 0, "invoke": 30, "complete": 31}])
    assert history.latency_ns.tolist() == [1 * MS]
    assert history.intended_latency_ns.tolist() == [31 * MS]


def test_survival_curve_says_how_many_took_longer() -> None:
    curve = analysis.survival_curve(np.arange(1, 101, dtype=np.int64) * MS)
    points = list(zip(curve["latency_ms"], curve["longer"], strict=True))
    assert len(points) > 30
    assert points[-1] == (100, 0.005)  # half of one operation's share stands for none
    assert all(longer == pytest.approx((100 - latency) / 100) for latency, longer in points[:-1])


def test_survival_curve_is_thinned_but_keeps_both_ends() -> None:
    values = np.arange(1, 100_001, dtype=np.int64)
    curve = analysis.survival_curve(values)
    assert len(curve["latency_ms"]) <= 300
    assert curve["latency_ms"][0] == 1 / MS
    assert curve["latency_ms"][-1] == 100_000 / MS
    assert curve["longer"] == sorted(curve["longer"], reverse=True)


def test_no_spike_is_lost_when_operations_are_aggregated() -> None:
    rows = [{"invoke": t, "complete": t + 1} for t in range(10_000)]
    rows[4711]["complete"] = rows[4711]["invoke"] + 333
    spread = analysis.latency_over_time(columns(rows), 0, 10_001 * MS, buckets=50)
    assert len(spread["t_s"]) == 50
    assert max(spread["max_ms"]) == 333
    assert sorted(spread["max_ms"])[-2] == 1
    assert set(spread["p50_ms"]) == {1.0}


def test_buckets_without_operations_are_left_out() -> None:
    spread = analysis.latency_over_time(
        columns([{"invoke": 0, "complete": 1}, {"invoke": 90, "complete": 95}]), 0, 100 * MS, 10
    )
    assert spread["t_s"] == [0.005, 0.095]
    assert spread["max_ms"] == [1, 5]


@pytest.mark.parametrize(
    ("duration_s", "width_ms"),
    [(0.5, 20), (2.1, 50), (70, 100), (119, 100), (200, 200), (3600, 5_000), (10**6, 60_000)],
)
def test_windows_fit_the_length_of_the_run(duration_s: float, width_ms: int) -> None:
    assert analysis.window_ms(int(duration_s * S)) == width_ms


def test_throughput_counts_every_ok_completion_once() -> None:
    rows = [{"invoke": t, "complete": t + 1} for t in range(250)]
    rows[10]["outcome"] = "unknown"
    series = analysis.throughput(columns(rows), 0, 250 * MS, 100)
    lengths = [end - start for start, end in zip(series["start_s"], series["end_s"], strict=True)]
    assert series["end_s"] == pytest.approx([0.1, 0.2, 0.25])
    assert sum(rate * length for rate, length in zip(series["ops_per_s"], lengths, strict=True)) == pytest.approx(249)


def test_a_sliver_at_the_end_joins_the_window_before_it() -> None:
    series = analysis.throughput(columns([{"invoke": 0, "complete": 1}]), 0, 210 * MS, 100)
    assert series["end_s"] == pytest.approx([0.1, 0.21])


def test_operations_so_far_are_placed_where_that_many_had_completed() -> None:
    rows = [{"invoke": t, "complete": t + 1} for t in range(1000)]
    scale = analysis.operations_scale(columns(rows))
    assert scale == [(200, 0.2), (400, 0.4), (600, 0.6), (800, 0.8), (1000, 1.0)]


def test_longest_gap_lies_between_two_completions() -> None:
    completions = np.asarray([10, 20, 75, 80], dtype=np.int64) * MS
    gap = analysis.longest_gap(completions, 0, 100 * MS)
    assert gap == Gap(20 * MS, 75 * MS)
    assert gap.duration_ms == 55


def test_time_before_the_first_and_after_the_last_completion_counts() -> None:
    completions = np.asarray([50, 60], dtype=np.int64) * MS
    assert analysis.longest_gap(completions, 0, 70 * MS) == Gap(0, 50 * MS)
    assert analysis.longest_gap(completions, 45 * MS, 200 * MS) == Gap(60 * MS, 200 * MS, ended=False)
    assert analysis.longest_gap(np.asarray([], dtype=np.int64), 0, 7 * MS) == Gap(0, 7 * MS, ended=False)


def test_a_gap_that_the_last_completion_ends_has_ended() -> None:
    completions = np.asarray([50, 60, 200], dtype=np.int64) * MS
    gap = analysis.longest_gap(completions, 45 * MS, 200 * MS)
    assert gap == Gap(60 * MS, 200 * MS)
    assert gap.as_dict() == {"start_s": 0.06, "end_s": 0.2, "duration_ms": 140, "ended": True}


def test_a_longer_gap_elsewhere_is_not_blamed_on_the_fault() -> None:
    completions = np.asarray([1, 2, 40, 41, 500, 501], dtype=np.int64) * MS
    assert analysis.longest_gap(completions, 0, 501 * MS) == Gap(41 * MS, 500 * MS)
    assert analysis.longest_gap(completions, 0, 501 * MS, within=(3 * MS, 30 * MS)) == Gap(2 * MS, 40 * MS)
    assert analysis.longest_gap(completions, 0, 501 * MS, within=(600 * MS, 700 * MS)) is None


def event(at_ms: float, name: str, source: str = "etcd1", **data: Any) -> Event:
    return Event(int(1000 * S + at_ms * MS), source, name, data)


def test_marks_are_placed_since_the_origin_and_the_first_of_a_kind_counts() -> None:
    events = [
        event(1, "server.leader_elected", leader="etcd9", term=3),  # before the fault: another election
        event(10, "fault.requested", fault="F1"),
        event(12, "fault.signal_sent", fault="F1"),
        event(20, "server.leader_elected", source="etcd2", leader="etcd2", term=4),
        event(21, "server.leader_elected", source="etcd3", leader="etcd2", term=4),
        event(30, "fault.process_gone", fault="F2"),  # of another fault
        event(90, "client.failover_completed"),  # after the next fault began
    ]
    marks = analysis.fault_marks(events, "F1", 1000 * S, 1000 * S + 80 * MS)
    assert [(mark.name, mark.at_ns / MS, mark.source) for mark in marks] == [
        ("requested", 10, "etcd1"),
        ("signal_sent", 12, "etcd1"),
        ("leader_elected", 20, "etcd2"),
    ]


def test_a_fault_without_a_signal_has_no_marks() -> None:
    events = [event(10, "fault.requested", fault="F1"), event(11, "fault.missed", fault="F1")]
    assert analysis.fault_moment_ns(events, "F1") is None
    assert analysis.fault_marks(events, "F1", 1000 * S, 2000 * S) == []


def test_a_gap_is_blamed_until_the_last_effect_of_the_fault() -> None:
    marks = [
        analysis.Mark("process_gone", "", 2000 * MS, "etcd1"),  # still closing when all was well again
        analysis.Mark("leader_elected", "", 1300 * MS, "etcd2"),
        analysis.Mark("first_ok_read", "", 9000 * MS, "history"),  # waits for the stream, not for the fault
    ]
    assert analysis.attribution(10 * MS, marks, 10_000 * MS) == (10 * MS, 1300 * MS)
    assert analysis.attribution(10 * MS, marks[:1], 10_000 * MS) == (10 * MS, 2000 * MS)
    assert analysis.attribution(10 * MS, [], 10**15) == (10 * MS, 10 * MS + analysis.ATTRIBUTION_LIMIT_NS)


def test_clocks_are_corrected_only_beyond_the_error_of_their_measurement() -> None:
    agents = {
        "etcd1": {"clock_offset_ns": 3 * MS, "clock_uncertainty_ns": MS},
        "etcd2": {"clock_offset_ns": MS // 2, "clock_uncertainty_ns": MS},
    }
    events = [
        event(0, "fault.armed", source="client1", agents=agents),
        event(10, "x", source="etcd1"),
        event(8, "y", source="etcd2"),
    ]
    clocks = analysis.measured_clocks(events)
    moved = analysis.on_one_clock(events, clocks)
    assert [(item.event, (item.wall_ns - 1000 * S) / MS) for item in moved] == [("fault.armed", 0), ("x", 7), ("y", 8)]


def test_operations_in_flight_at_a_moment_are_found() -> None:
    history = columns([{"invoke": 0, "complete": 5}, {"invoke": 4, "complete": 40}, {"invoke": 50, "complete": 51}])
    assert analysis.operations_overlapping(history, 10 * MS, 20 * MS).tolist() == [1]


def test_first_completion_takes_the_earliest_at_or_after_a_time() -> None:
    history = columns([{"invoke": 0, "complete": 30}, {"invoke": 0, "complete": 20}, {"invoke": 0, "complete": 5}])
    assert analysis.first_completion(history, history.ok, 10 * MS) == 1
    assert analysis.first_completion(history, history.ok, 31 * MS) is None


def steady(from_ms: int, until_ms: int, latency_ms: float) -> list[dict[str, Any]]:
    """Return ten operations in each 100 ms, all of one latency."""
    return [{"invoke": t - latency_ms, "complete": t} for t in range(from_ms, until_ms, 10)]


def band(rows: list[dict[str, Any]], until_ms: int = 10_000) -> analysis.LatencyBand | None:
    """Judge a fault at 1 s whose outage ended at 2 s."""
    return analysis.latency_band(columns(rows), 0, 1000 * MS, 2000 * MS, until_ms * MS, 100 * MS)


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
    assert analysis.baseline_window_ns(history, 0, before_ms * MS) == window_ms * MS


def test_the_latency_is_back_where_it_begins_to_stay_in_its_band() -> None:
    rows = [*steady(0, 1000, 2), *steady(2000, 2300, 9), *steady(2300, 2400, 2), *steady(2400, 2700, 9)]
    found = band([*rows, *steady(2700, 4000, 2)])
    # The one good window at 2.3 s does not count: the latency did not stay.
    assert found == analysis.LatencyBand(2 * MS, 10, 2700 * MS)


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
    assert band(rows, until_ms=2900) == analysis.LatencyBand(2 * MS, 10, None)
    assert band([*steady(0, 1000, 2), *steady(2000, 4000, 3)], until_ms=4000) == analysis.LatencyBand(2 * MS, 10, None)


def test_the_band_reaches_to_p95_of_the_windows_before_the_fault() -> None:
    rows = [row for n in range(10) for row in steady(100 * n, 100 * n + 100, n + 1)]
    found = band(rows)
    assert found is not None
    assert found.most_ns == 10 * MS  # of fewer than 20 windows the largest
    assert found.back_ns is None  # nothing was done after the outage


def test_too_little_before_the_fault_makes_no_band() -> None:
    assert band([*steady(800, 1000, 2), *steady(2000, 4000, 2)]) is None


def test_moments_of_the_own_member_do_not_come_from_another() -> None:
    events = [
        event(12, "fault.signal_sent", fault="F1"),
        event(15, "server.started", source="etcd3"),
        event(40, "server.started", source="etcd2"),
    ]
    marks = analysis.fault_marks(events, "F1", 1000 * S, 1000 * S + 80 * MS, "etcd2")
    assert [(mark.name, mark.source) for mark in marks] == [("signal_sent", "etcd1"), ("server_started", "etcd2")]


def repeats(*spans: tuple[int, int]) -> list[analysis.Repeat]:
    """Divide operations at 0 to 30 ms and at 1,000 to 1,050 ms into repeats by these indexes."""
    history = columns(
        [{"invoke": t, "complete": t + 4} for t in (0, 10, 26)]
        + [{"invoke": t, "complete": t + 4} for t in (1000, 1046)]
    )
    described = [
        {"repeat": number, "first_index": first, "end_index": end, "convergence": None}
        for number, (first, end) in enumerate(spans, 1)
    ]
    return analysis.repeats_of({"repeats": described}, history)


def test_idle_time_between_repeats_is_on_no_time_line() -> None:
    found = repeats((0, 3), (3, 5))
    assert [(repeat.start_ns / MS, repeat.end_ns / MS, repeat.idle_ns / MS) for repeat in found] == [
        (0, 30, 0),
        (1000, 1050, 970),
    ]
    worked = analysis.without_idle(found)
    assert worked is not None
    assert (worked.invoke_ns / MS).tolist() == [0, 10, 26, 30, 76]
    assert worked.latency_ns.tolist() == [4 * MS] * 5
    assert found[1].worked_s(1046 * MS) == 0.076
    assert found[1].worked_s(5000 * MS) == 0.08  # the repeat is over: up to its end


def test_idle_time_between_repeats_is_no_gap() -> None:
    gap = analysis.longest_gap_of(repeats((0, 3), (3, 5)))
    assert gap is not None
    assert gap.duration_ms == 46
    assert (gap.start_ns / MS, gap.end_ns / MS) == (34, 80)


def test_without_repeats_a_pause_is_a_gap() -> None:
    gap = analysis.longest_gap_of(repeats((0, 5)))
    assert gap is not None
    assert gap.duration_ms == 974


def test_repeats_of_which_nothing_was_recorded_are_left_out() -> None:
    assert [repeat.number for repeat in repeats((0, 3), (3, 5), (5, 9))] == [1, 2]
    assert repeats((5, 9)) == []
    assert analysis.without_idle([]) is None
    assert analysis.longest_gap_of([]) is None

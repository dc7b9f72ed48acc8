# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import numpy as np
from failover.measured.columns import MS
from failover.measured.gaps import Gap, longest_gap, longest_gap_of
from failover.measured.repeats import Repeat, repeats_of, without_idle
from made_columns import columns


def test_longest_gap_lies_between_two_completions() -> None:
    completions = np.asarray([10, 20, 75, 80], dtype=np.int64) * MS
    gap = longest_gap(completions, 0, 100 * MS)
    assert gap == Gap(20 * MS, 75 * MS)
    assert gap.duration_ms == 55


def test_time_before_the_first_and_after_the_last_completion_counts() -> None:
    completions = np.asarray([50, 60], dtype=np.int64) * MS
    assert longest_gap(completions, 0, 70 * MS) == Gap(0, 50 * MS)
    assert longest_gap(completions, 45 * MS, 200 * MS) == Gap(60 * MS, 200 * MS, ended=False)
    assert longest_gap(np.asarray([], dtype=np.int64), 0, 7 * MS) == Gap(0, 7 * MS, ended=False)


def test_a_gap_that_the_last_completion_ends_has_ended() -> None:
    completions = np.asarray([50, 60, 200], dtype=np.int64) * MS
    gap = longest_gap(completions, 45 * MS, 200 * MS)
    assert gap == Gap(60 * MS, 200 * MS)
    assert gap.as_dict() == {"start_s": 0.06, "end_s": 0.2, "duration_ms": 140, "ended": True}


def test_a_longer_gap_elsewhere_is_not_blamed_on_the_fault() -> None:
    completions = np.asarray([1, 2, 40, 41, 500, 501], dtype=np.int64) * MS
    assert longest_gap(completions, 0, 501 * MS) == Gap(41 * MS, 500 * MS)
    assert longest_gap(completions, 0, 501 * MS, within=(3 * MS, 30 * MS)) == Gap(2 * MS, 40 * MS)
    assert longest_gap(completions, 0, 501 * MS, within=(600 * MS, 700 * MS)) is None


def repeats(*spans: tuple[int, int]) -> list[Repeat]:
    """Divide operations at 0 to 30 ms and at 1,000 to 1,050 ms into repeats by these indexes."""
    history = columns(
        [{"invoke": t, "complete": t + 4} for t in (0, 10, 26)]
        + [{"invoke": t, "complete": t + 4} for t in (1000, 1046)]
    )
    described = [
        {"repeat": number, "first_index": first, "end_index": end, "convergence": None}
        for number, (first, end) in enumerate(spans, 1)
    ]
    return repeats_of({"repeats": described}, history)


def test_idle_time_between_repeats_is_on_no_time_line() -> None:
    found = repeats((0, 3), (3, 5))
    assert [(repeat.start_ns / MS, repeat.end_ns / MS, repeat.idle_ns / MS) for repeat in found] == [
        (0, 30, 0),
        (1000, 1050, 970),
    ]
    worked = without_idle(found)
    assert worked is not None
    assert (worked.invoke_ns / MS).tolist() == [0, 10, 26, 30, 76]
    assert worked.latency_ns.tolist() == [4 * MS] * 5
    assert found[1].worked_s(1046 * MS) == 0.076
    assert found[1].worked_s(5000 * MS) == 0.08  # the repeat is over: up to its end


def test_idle_time_between_repeats_is_no_gap() -> None:
    gap = longest_gap_of(repeats((0, 3), (3, 5)))
    assert gap is not None
    assert gap.duration_ms == 46
    assert (gap.start_ns / MS, gap.end_ns / MS) == (34, 80)


def test_without_repeats_a_pause_is_a_gap() -> None:
    gap = longest_gap_of(repeats((0, 5)))
    assert gap is not None
    assert gap.duration_ms == 974


def test_repeats_of_which_nothing_was_recorded_are_left_out() -> None:
    assert [repeat.number for repeat in repeats((0, 3), (3, 5), (5, 9))] == [1, 2]
    assert repeats((5, 9)) == []
    assert without_idle([]) is None
    assert longest_gap_of([]) is None

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When operations are due."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from statistics import mean, stdev

import pytest
from failover.run.arrivals import plan_arrivals
from failover.shapes import LabError, RunSettings

SETTINGS = RunSettings(iterations=10, seed=3, rate=200.0)


def test_a_closed_loop_has_no_plan() -> None:
    assert plan_arrivals(replace(SETTINGS, rate=0.0), 10) is None


def test_fixed_arrivals_are_at_equal_distances() -> None:
    assert list(plan_arrivals(SETTINGS, 4) or []) == [0, 5_000_000, 10_000_000, 15_000_000]


def test_poisson_arrivals_have_the_rate_and_the_spread_of_independent_users() -> None:
    poisson = replace(SETTINGS, arrivals="poisson")
    due = plan_arrivals(poisson, 20_000)
    assert due is not None
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert due[0] == 0
    assert min(gaps) >= 0
    assert mean(gaps) == pytest.approx(5_000_000, rel=0.03)
    assert stdev(gaps) == pytest.approx(5_000_000, rel=0.05)  # of an exponential as large as its mean
    assert list(plan_arrivals(poisson, 20_000) or []) == list(due)
    assert list(plan_arrivals(replace(poisson, seed=4), 20_000) or []) != list(due)


def test_other_words_are_refused() -> None:
    with pytest.raises(LabError, match="arrivals is often; it has to be one of fixed, poisson"):
        plan_arrivals(replace(SETTINGS, arrivals="often"), 10)

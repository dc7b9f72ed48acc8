# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import time

import pytest
from failover.clock import SteadyClock

MS = 1_000_000


def set_the_wall_clock(monkeypatch: pytest.MonkeyPatch, by_ns: int) -> None:
    """Have the wall clock be another one from now on."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + by_ns)


def test_it_is_the_wall_clock() -> None:
    clock = SteadyClock()
    before = time.time_ns()
    now = clock.now_ns()
    assert before - MS <= now <= time.time_ns() + MS
    assert abs(clock.stepped_ns()) < MS


@pytest.mark.parametrize("step_ms", [-3000, 3000])
def test_it_does_not_step_and_knows_that_the_wall_clock_did(monkeypatch: pytest.MonkeyPatch, step_ms: int) -> None:
    clock = SteadyClock()
    before = clock.now_ns()
    set_the_wall_clock(monkeypatch, step_ms * MS)
    assert 0 <= clock.now_ns() - before < 1000 * MS
    assert abs(clock.stepped_ns() - step_ms * MS) < MS
    clock.set()
    assert abs(clock.stepped_ns()) < MS
    assert abs(clock.now_ns() - time.time_ns()) < 100 * MS


def test_a_thread_that_loses_its_core_while_it_reads_is_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteadyClock()
    real, late = time.monotonic_ns, iter([0, 0, 0, 500 * MS] + [0] * 100)
    lost = 0

    def monotonic_ns() -> int:
        nonlocal lost
        lost += next(late)
        return real() + lost

    wall = time.time_ns
    monkeypatch.setattr(time, "monotonic_ns", monotonic_ns)
    monkeypatch.setattr(time, "time_ns", lambda: wall() + lost)
    assert abs(clock.stepped_ns()) < MS


def test_what_the_monotonic_clock_gains_by_somebodys_doing_is_allowed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 1_000 * MS
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    clock = SteadyClock()
    clock.allow_for(50_000)
    # 1,000 ms of an even clock, and what this one gains in them.
    now_ns += 1_050 * MS
    assert clock.now_ns() == 2_000 * MS
    clock.allow_for(0)
    now_ns += 1_000 * MS
    assert clock.now_ns() == 3_000 * MS
    clock.allow_for(-50_000)
    now_ns += 950 * MS
    assert clock.now_ns() == 4_000 * MS

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a repeat counts as stalled, and what is said of one that was."""

from __future__ import annotations

import pytest
from failover.run.progress import Tally
from failover.shapes import FaultSpec, LabError
from failover.stall import StallGuard, check_stall_timeout

S = 1_000_000_000


def note(tally: Tally, outcome: str, at_s: float, kind: str = "CREATE") -> None:
    tally.note(kind, outcome, "h:1", int((at_s - 0.1) * S), int(at_s * S))


def test_failing_operations_are_no_progress() -> None:
    tallies = [Tally(), Tally()]
    guard = StallGuard(tallies, 30, 0)
    for second in range(1, 30):
        if second % 10 == 0:
            note(tallies[0], "fail", second)
            note(tallies[1], "unknown", second)
        tallies[0].started_ns = second * S
        assert not guard.is_stalled(second * S), second
    assert guard.is_stalled(30 * S)
    assert guard.stalled == {"what": "operation", "since_ns": 0, "tried_s": 30}


def test_one_acknowledged_operation_of_any_client_begins_anew() -> None:
    tallies = [Tally(), Tally()]
    tallies[0].started_ns = 0
    guard = StallGuard(tallies, 10, 0)
    assert not guard.is_stalled(9 * S)
    note(tallies[1], "ok", 9.5)
    assert not guard.is_stalled(11 * S)
    assert guard.stalled == {"what": "operation", "since_ns": 11 * S, "tried_s": 0}
    assert not guard.is_stalled(20 * S)
    assert guard.is_stalled(21 * S)


def test_reads_that_are_answered_do_not_hide_writes_that_hang() -> None:
    tally = Tally()
    guard = StallGuard([tally], 30, 0)
    for second in range(1, 100):
        note(tally, "ok", second, "RETRIEVE")
        tally.started_ns = second * S
        # Nobody has tried to write yet.
        assert not guard.is_stalled(second * S), second
    note(tally, "unknown", 100)
    for second in range(100, 129):
        assert not guard.is_stalled(second * S), second
        note(tally, "ok", second, "RETRIEVE")
        tally.started_ns = second * S
    assert guard.is_stalled(129 * S)
    assert guard.stalled["what"] == "write"
    note(tally, "ok", 129.5, "DELETE")
    assert not guard.is_stalled(130 * S)


def test_waiting_for_the_plan_of_a_low_rate_is_no_stall() -> None:
    tally = Tally()
    guard = StallGuard([tally], 10, 0)
    for second in range(1, 200):
        assert not guard.is_stalled(second * S)
    # Operations that fail at once are tried all the same, though none is under way at any look.
    for second in range(200, 209):
        note(tally, "fail", second)
        assert not guard.is_stalled(second * S)
    note(tally, "fail", 209)
    assert guard.is_stalled(209 * S)


@pytest.mark.parametrize(
    ("heal_after_ms", "timeout_s", "is_refused"),
    [(30_000.0, 40, True), (30_000.0, 41, False), (None, 10, True), (None, 11, False), (300_000.0, 180, True)],
)
def test_an_outage_that_is_meant_is_no_stall(heal_after_ms: float | None, timeout_s: float, is_refused: bool) -> None:
    fault = FaultSpec("F2", "stop", "leader", 5, "delay" if heal_after_ms else "end", heal_after_ms=heal_after_ms)
    if not is_refused:
        check_stall_timeout([fault], timeout_s, 10_000)
        return
    with pytest.raises(LabError, match=rf"^stall_timeout_s is {timeout_s}, and fault F2 alone .* Try -e stall_timeout"):
        check_stall_timeout([fault], timeout_s, 10_000)


def test_without_faults_any_timeout_will_do() -> None:
    check_stall_timeout([], 1, 10_000)

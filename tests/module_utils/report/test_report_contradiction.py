# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from failover.checks.operations import Action, Call
from failover.report.figures import finding
from failover.report.figures.contradiction import MOST_LINES, Bar, bar_of, draw
from failover.report.figures.distances import log_distances, since

BARS = [
    Bar("A", "WRITE of 'k'", 1000.0, 1004.0, reads=False),
    Bar("B", "CAS of 'k'", 1001.0, None, reads=False),
    Bar("C", "RETRIEVE of 'k'", 1500.0, 1501.5, reads=True),
]
FAULT: dict[str, Any] = {"id": "F1", "action": "pause", "member": "etcd2", "struck_ms": 1002.0, "healed_ms": None}


def test_each_operation_has_a_line_and_the_fault_its_name() -> None:
    page = draw(BARS, [FAULT, {**FAULT, "id": "F9", "struck_ms": 9000.0}], "why", "k", in_ms=True)
    for word in ("A: WRITE of 'k'", "F1: pause of etcd2", "+501.5 ms", "Operations of k that no order explains"):
        assert word.replace("'", "&#x27;") in page or word in page, word
    assert "F9" not in page


def test_where_only_the_order_counts_no_time_is_printed() -> None:
    bar = bar_of(Call(Action.READ, None, "v", 3, 4, "read, which found 'v'"), 2)
    assert bar == Bar("C", "read, which found 'v'", 3, 4, reads=True)
    assert " ms" not in draw([bar], (), "why", "k")


@pytest.mark.parametrize("more", [0, 3])
def test_of_very_many_the_first_are_drawn(more: int) -> None:
    bars = [Bar(str(n), f"read {n}", float(n), float(n + 1), reads=True) for n in range(MOST_LINES + more)]
    assert ("3 more are not shown" in draw(bars, (), "why", "k")) is (more > 0)


def test_moments_keep_their_order_and_not_their_distances() -> None:
    place, ordered = log_distances({1000.0, 0.0, 1.0})
    assert ordered == [0.0, 1.0, 1000.0]
    at = [place(moment) for moment in (0.0, 0.5, 1.0, 1000.0, 2000.0)]
    assert at == sorted(at)
    assert at[3] < 10 * at[2]
    assert [since(ms) for ms in (0.0, 12.34, -1500.0)] == ["0", "+12.3 ms", "-1.50 s"]


def test_the_attempts_of_a_key_are_drawn_with_the_fault_and_what_it_holds() -> None:
    attempts = [
        {"member": "etcd1", "start_ms": 10.0, "end_ms": 510.0, "ended": "no answer", "error": "timeout"},
        {"member": "etcd3", "start_ms": 510.0, "end_ms": 515.0, "ended": "acknowledged", "error": None},
    ]
    operation = {"kind": "DELETE", "start_ms": 10.0, "end_ms": 515.0, "attempts": attempts}
    stray = {"revision": 1234, "after_ms": 900.0, "before_ms": 905.0}
    key = {"key": "device-1", "operations": [operation], "stray": stray}
    page = finding.draw({"title": "1 deleted key came back", "keys": [key], "drawn": 1, "faults": [FAULT]}, "f1")
    for word in ("device-1", "DELETE", "etcd3", "revision 1,234", "DELETE at etcd1 no answer after 500.0 ms"):
        assert word in page, word

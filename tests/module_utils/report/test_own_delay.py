# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How late the load generator itself was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from failover.measured.columns import Columns
from failover.measured.repeats import Repeat
from failover.report.chapters.threats import OWN_SHARE, threats
from failover.report.own_delay import own_delay

MS = 1_000_000


def repeat_of(rows: list[tuple[int, int, int, int]]) -> Repeat:
    """Return a repeat of operations: client, and intended, begin and end in ms."""
    client, intended, begin, end = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    zeros = np.zeros(len(rows), dtype=np.int64)
    kinds = np.zeros(len(rows), dtype=np.int8)
    columns = Columns(np.arange(len(rows)), client, kinds, kinds, intended * MS, begin * MS, end * MS, zeros + 1)
    return Repeat(1, int(begin.min()) * MS, int(end.max()) * MS, 0, columns, None)


def test_in_a_closed_loop_it_is_the_time_between_two_operations_of_a_client() -> None:
    rows = [(0, 0, 0, 10), (1, 0, 0, 4), (0, 12, 12, 20), (1, 5, 5, 20)]
    found = own_delay([repeat_of(rows)], open_loop=False)
    assert found == {"p50_ms": 1.0, "p99_ms": 2.0, "max_ms": 2.0, "share": pytest.approx(3 / 40)}


def test_in_an_open_loop_nobody_is_late_before_an_operation_is_due() -> None:
    # The second is due while the client is busy, the third long after it is free.
    rows = [(0, 0, 0, 10), (0, 5, 11, 12), (0, 30, 33, 40)]
    found = own_delay([repeat_of(rows)], open_loop=True)
    assert found == {"p50_ms": 1.0, "p99_ms": 3.0, "max_ms": 3.0, "share": pytest.approx(4 / 40)}


def test_one_operation_a_client_tells_nothing() -> None:
    assert own_delay([repeat_of([(0, 0, 0, 10), (1, 0, 5, 10)])], open_loop=False) is None
    assert own_delay([], open_loop=False) is None


@pytest.mark.parametrize(("share", "limits"), [(OWN_SHARE / 2, False), (OWN_SHARE, True)])
def test_a_generator_that_takes_much_of_the_time_is_called_a_bottleneck(share: float, limits: bool) -> None:
    delay = {"p50_ms": 0.05, "p99_ms": 1.0, "max_ms": 30.0, "share": share}
    experiment: dict[str, Any] = {
        "name": "E1-etcd",
        "system": "etcd",
        "client_cpu_share": 0.5,
        "load_generators": [],
        "own_delay": delay,
        "faults": [],
        "repeats": 1,
        "repetition": [],
        "elections_unexplained": None,
        "latency": {"by_kind": {}},
        "clocks": [],
    }
    told = threats({}, {}, {"rate": 5.0, "settings": {}}, [experiment], {})
    (text,) = [threat["text"] for threat in told if threat["title"] == "The client's share"]
    assert "0.05 ms in E1-etcd (p99 1.00, longest 30.0)" in text
    assert ("the generator was a bottleneck" in text) is limits

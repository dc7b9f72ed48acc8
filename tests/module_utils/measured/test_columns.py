# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from failover.measured.columns import MS, first_completion, operations_overlapping
from made_columns import columns


def test_latency_counts_from_invocation_or_from_the_intended_start() -> None:
    history = columns([{"intended": 0, "invoke": 30, "complete": 31}])
    assert history.latency_ns.tolist() == [1 * MS]
    assert history.intended_latency_ns.tolist() == [31 * MS]


def test_operations_in_flight_at_a_moment_are_found() -> None:
    history = columns([{"invoke": 0, "complete": 5}, {"invoke": 4, "complete": 40}, {"invoke": 50, "complete": 51}])
    assert operations_overlapping(history, 10 * MS, 20 * MS).tolist() == [1]


def test_first_completion_takes_the_earliest_at_or_after_a_time() -> None:
    history = columns([{"invoke": 0, "complete": 30}, {"invoke": 0, "complete": 20}, {"invoke": 0, "complete": 5}])
    assert first_completion(history, history.ok, 10 * MS) == 1
    assert first_completion(history, history.ok, 31 * MS) is None

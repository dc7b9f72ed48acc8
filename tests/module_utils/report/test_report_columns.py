# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import numpy as np
from failover.report.columns import KINDS, MS, OUTCOMES, Columns, Ints, first_completion, operations_overlapping


def columns(rows: list[dict[str, Any]]) -> Columns:
    """Make columns of operations given in ms: invoke, complete, and optionally kind, outcome, attempts."""

    def numbers(values: list[int]) -> Ints:
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

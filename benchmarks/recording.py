#!/usr/bin/env python3
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time what an operation costs the load generator to record, beside encoding the same rows as JSON in the same run."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from failover.results.history import HistoryWriter
from failover.shapes import HistoryRow


def rows_of(count: int) -> list[HistoryRow]:
    """Return rows as long as those of an etcd run."""
    return [
        HistoryRow(
            index,
            index % 8,
            "CREATE",
            f"device-{index:06d}",
            "192.168.100.100",
            index * 1_000_000,
            index * 1_000_000,
            index * 1_000_000 + 900_000,
            "ok",
            1,
            "10.89.0.11:2379",
            None,
            1,
            None,
            index,
        )
        for index in range(count)
    ]


def least_us(action: Callable[[], object], rows: int, times: int) -> float:
    """Return the least CPU time of several calls, in µs a row: the one that other work disturbed least."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        action()
        taken.append(time.process_time() - started)
    return min(taken) / rows * 1e6


def main() -> None:
    """Run the benchmark and print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    arguments = parser.parse_args()
    rows = rows_of(arguments.rows)
    with tempfile.TemporaryDirectory() as folder:

        def record() -> None:
            with HistoryWriter(Path(folder, "history.jsonl"), {"origin_wall_ns": 0}) as writer:
                for row in rows:
                    writer.append(row)

        recorded_us = least_us(record, len(rows), 5)
    encoded_us = least_us(lambda: [json.dumps(row) for row in rows], len(rows), 5)
    print(f"recorded {recorded_us:.2f} us a row; json.dumps alone {encoded_us:.2f} us, {recorded_us / encoded_us:.2f}")


main()

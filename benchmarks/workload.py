#!/usr/bin/env python3
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time the workload's generator against the rules word for word, in one run on one machine."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "module_utils"), str(ROOT / "tests")]

from failover.workloads.registry import create_simulation  # noqa: E402  (needs the line above; 2026-11)
from failover.workloads.stream import stream_digest  # noqa: E402  (needs the line above; 2026-11)
from naive_workload import draw_naively  # noqa: E402  (needs the line above; 2026-11)
from packing import packed  # noqa: E402  (needs the line above; 2026-11)


def best_cpu_s(action: Callable[[], object], times: int) -> float:
    """Return the least CPU time of several calls, in s: the one that other work on the machine disturbed least."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        action()
        taken.append(time.process_time() - started)
    return min(taken)


def main() -> None:
    """Run the benchmark and print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=20_000, help="of both; the naive one's time is quadratic")
    parser.add_argument("--large", type=int, default=1_000_000, help="iterations of ours alone")
    parser.add_argument("--seed", type=int, default=123)
    arguments = parser.parse_args()
    iterations, seed = arguments.iterations, arguments.seed

    ours = stream_digest(create_simulation(iterations, seed))
    if ours != stream_digest(packed(draw_naively(iterations, random.Random(seed)))):
        raise SystemExit("the two generators differ: there is nothing to compare")
    ours_s = best_cpu_s(lambda: create_simulation(iterations, seed), 5)
    naive_s = best_cpu_s(lambda: draw_naively(iterations, random.Random(seed)), 1)
    print(f"{iterations:>9,} iterations, word for word  {naive_s:8.3f} s")
    print(f"{iterations:>9,} iterations, the lab's      {ours_s:8.3f} s  {naive_s / ours_s:,.0f} times as fast")
    for size in (100_000, arguments.large):
        size_s = best_cpu_s(lambda size=size: create_simulation(size, seed), 3)
        print(f"{size:>9,} iterations, the lab's      {size_s:8.3f} s  {size_s / size * 1e6:.2f} us each")


main()

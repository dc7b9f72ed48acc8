#!/usr/bin/env python3
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measure what the watch on etcd's keys takes from the clients: runs with and without it, in turns, on one cluster."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from failover.run.config import RunnerConfig
from failover.run.makers import client_maker, watcher_of
from failover.run.runner import run_workload
from failover.shapes import LabError, RunSettings, Target
from failover.systems.registry import SYSTEMS

PREFIX = "BENCHMARK-WATCH-"


def config_of(target: Target, settings: RunSettings, folder: str) -> RunnerConfig:
    """Return one run's configuration; its clients are in as many processes as there are processors."""
    processes = min(settings.clients, len(os.sched_getaffinity(0)))
    return RunnerConfig("benchmark", PREFIX, settings, target, Path(folder), processes=processes)


def measure(target: Target, settings: RunSettings) -> tuple[float, float]:
    """Make one run; return operations per second, and the CPU time of the watch in µs an event (0 without one)."""
    SYSTEMS["etcd"].empty(target, PREFIX, longest_value=0, dry_run=False)
    with tempfile.TemporaryDirectory() as folder:
        config = config_of(target, settings, folder)
        summary = run_workload(config, make_client=client_maker(config), watcher=watcher_of(config))
    told = summary["watch"]
    if told is None:
        return summary["ops_per_s"], 0.0
    if told["error"] is not None:
        raise LabError(f"the watch: {told['error']}")
    return summary["ops_per_s"], told["cpu_s"] / max(1, told["events"]) * 1e6


def main() -> int:
    """Run the benchmark and print one line a turn, and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoints", nargs="+", metavar="HOST:PORT", help="the members of an etcd cluster")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=5_000, help="of each run (5000)")
    parser.add_argument("--turns", type=int, default=10)
    arguments = parser.parse_args()
    members = {f"etcd{number}": {"client_url": f"http://{at}"} for number, at in enumerate(arguments.endpoints, 1)}
    target = Target("etcd", members, arguments.endpoints)
    ratios, costs = [], []
    try:
        for turn in range(arguments.turns):
            found: dict[bool, float] = {}
            # Which of the two comes first takes turns, too.
            for watch in (True, False) if turn % 2 else (False, True):
                settings = RunSettings(arguments.iterations, 123 + turn, clients=arguments.clients, watch=watch)
                found[watch], cost = measure(target, settings)
                costs += [cost] if watch else []
            ratios.append(found[True] / found[False])
            print(
                f"turn {turn + 1}: {found[False]:,.0f} op/s without, {found[True]:,.0f} with: {ratios[-1]:.2f}; "
                f"{costs[-1]:.0f} us of CPU time an event",
                flush=True,
            )
    except LabError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 3
    print(f"median of {len(ratios)}: {statistics.median(ratios):.2f}, {statistics.median(costs):.0f} us an event")
    print(f"Load of {os.cpu_count()} processors at the end: {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

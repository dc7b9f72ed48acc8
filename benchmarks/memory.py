#!/usr/bin/env python3
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measure the memory of a run of many operations, step by step: stream and recording, Parquet, verify, report.

The run is one of etcd without faults, made up and written to disk as it goes. Each step is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "module_utils"), str(ROOT / "tests")]

# Steps import what else they need: it is measured with them.
from failover.results.history import HistoryWriter  # noqa: E402  (needs the line above; 2026-11)
from failover.shapes import LIST_SEPARATOR, Event, HistoryRow  # noqa: E402  (needs the line above; 2026-11)
from failover.workloads.base import (  # noqa: E402  (needs the line above; 2026-11)
    APPEND,
    CAS,
    DELETE,
    RETRIEVE,
    Sharing,
    expected_of,
    value_of,
)
from failover.workloads.packed import Stream  # noqa: E402  (needs the line above; 2026-11)
from failover.workloads.registry import WORKLOADS, create_simulation  # noqa: E402  (needs the line above; 2026-11)
from failover.workloads.stream import stream_digest  # noqa: E402  (needs the line above; 2026-11)

NAME, SYSTEM, SEED = "E1-etcd", "etcd", 123
MEMBERS, ENDPOINT = ["etcd1", "etcd2", "etcd3"], "10.89.77.11:2379"
MS, S, START_WALL_NS = 1_000_000, 1_000_000_000, 1_793_000_000_000_000_000
LIMIT_MB = 1024
# Rows that come in the order in which they were complete, as those of several clients do.
ROWS_AT_ONCE = 256


class Store:
    """What the members hold: of each key of the stream the operation that made its value, or a list that grew."""

    def __init__(self, operations: Stream) -> None:
        self.operations = operations
        self.made = array("i", [-1]) * len(operations.keys)
        self.revision_of = array("i", [0]) * len(operations.keys)
        self.lists: dict[int, str] = {}
        self.revision = 1

    def held(self, key: int) -> str | None:
        """Return what a key holds, by its number."""
        made = self.made[key]
        return self.lists.get(key) if made < 0 else self.operations[made][2]

    def do(self, index: int, operation: Sequence[str]) -> tuple[str | None, int | None]:
        """Run one operation; return what it read and how many keys it changed."""
        kind, key = operation[0], self.operations.key_numbers[index]
        if kind == RETRIEVE:
            return self.held(key), None
        if kind == CAS and (found := self.held(key)) != operation[3]:
            return found, 0
        if kind == DELETE and self.held(key) is None:
            return None, 0
        self.revision += 1
        self.revision_of[key] = self.revision
        if kind == APPEND:
            former = self.lists.get(key)
            self.lists[key] = operation[2] if former is None else f"{former}{LIST_SEPARATOR}{operation[2]}"
        else:
            self.made[key] = -1 if kind == DELETE else index
        return None, 1

    def lines(self) -> Iterator[list[object]]:
        """Yield the keys in order of their names, as a member's file has them."""
        keys = self.operations.keys
        held = [number for number in range(len(self.made)) if self.held(number) is not None]
        for number in sorted(held, key=keys.__getitem__):
            yield [keys[number], self.held(number), 1, self.revision_of[number]]


def record(folder: Path, iterations: int, clients: int, workload: str) -> None:
    """Make the stream and write each operation down, as the load generator does; the result of the run beside."""
    operations = create_simulation(iterations, SEED, {"name": workload})
    WORKLOADS[workload].assign(operations, clients)
    experiment = folder / NAME
    meta = {
        "experiment": NAME, "system": SYSTEM, "iterations": iterations, "seed": SEED, "clients": clients, "rate": 0.0,
        "key_prefix": "", "digest": stream_digest(operations), "origin_wall_ns": START_WALL_NS,
    }  # fmt: skip
    experiment.mkdir(parents=True)
    store, end_ns = Store(operations), 0
    with HistoryWriter(experiment / "history.jsonl", meta) as history:
        for row in _rows(store, clients, by_key=WORKLOADS[workload].sharing is Sharing.ONE_CLIENT):
            history.append(row)
            end_ns = max(end_ns, row.complete_ns)
    told_mb("recording", len(operations))
    os.rename(experiment / "history.jsonl", folder / "history.jsonl")
    _describe(folder, store, iterations, clients, end_ns, workload)
    (experiment / "history.parquet").unlink()
    os.rename(folder / "history.jsonl", experiment / "history.jsonl")


def _rows(store: Store, clients: int, *, by_key: bool) -> Iterator[HistoryRow]:
    """Yield the rows as they are complete: each takes effect in its own millisecond.

    :param by_key: a key is one client's; else operations are dealt out one by one
    """
    operations, draw = store.operations, random.Random(SEED).random
    places = operations.key_numbers if by_key else range(len(operations))
    some: list[HistoryRow] = []
    for index, operation in enumerate(operations):
        client = places[index] % clients
        begin_ns = index * MS + MS // 10
        effect_ns = begin_ns + MS // 2
        end_ns = effect_ns + int(draw() * 0.3 * MS)
        if index + 1 < len(operations) and places[index + 1] % clients != client:
            end_ns += int(draw() * 0.3 * MS)  # another client's next one may be over sooner
        read, affected = store.do(index, operation)
        some.append(
            HistoryRow(index, client, operation[0], operation[1], value_of(operation), begin_ns, begin_ns, end_ns,
                       "ok", 1, ENDPOINT, read, affected, None, store.revision, expected=expected_of(operation))
        )  # fmt: skip
        if len(some) == ROWS_AT_ONCE:
            yield from sorted(some, key=lambda row: row.complete_ns)
            some.clear()
    yield from sorted(some, key=lambda row: row.complete_ns)


def _describe(folder: Path, store: Store, iterations: int, clients: int, end_ns: int, workload: str) -> None:
    """Write what belongs to a run beside the history."""
    from planted.files import run_json, write_experiment, write_json
    from planted.heal import Heal
    from planted.observed import observed
    from planted.parts import Parts

    count = len(store.operations)
    events = [
        Event(START_WALL_NS, "client1", "experiment.started", {}),
        Event(START_WALL_NS + end_ns, "client1", "experiment.finished", {"interrupted": False}),
    ]
    heal = Heal(None, MEMBERS[0], end_ns + 200 * MS, MEMBERS, MEMBERS[-1], 4, store.revision)
    watched = heal.watch(
        lambda at_ns, by, event, **data: events.append(Event(START_WALL_NS + at_ns, by, event, data)), START_WALL_NS
    )
    after = observed(SYSTEM, MEMBERS[-1], 4, store.revision, START_WALL_NS + end_ns + 2 * S)
    repeat = {"repeat": 1, "first_index": 0, "end_index": count, "began_ns": 0, "ended_ns": end_ns}
    parts = Parts(
        NAME, SYSTEM, "", store.operations, random.Random(SEED), START_WALL_NS, [], {}, events, [], after,
        [{**repeat, "convergence": watched}], "safe", "linearizable",
    )  # fmt: skip
    write_experiment(folder / NAME, parts, iterations, SEED, clients)
    path = folder / NAME / "experiment.json"
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), "stream": {"name": workload}})
    first, *others = (folder / NAME / "nodes" / f"{member}.jsonl" for member in MEMBERS)
    with first.open("w", encoding="utf-8") as file:
        header = {"system": SYSTEM, "prefix": "", "wall_ns": events[-1].wall_ns + S, "revision": store.revision}
        file.write(json.dumps(header) + "\n")
        file.writelines(json.dumps(line) + "\n" for line in store.lines())
    for other in others:
        os.link(first, other)
    write_json(folder / "run.json", run_json(folder.name, iterations, SEED, clients, 1, [NAME], START_WALL_NS + end_ns))


def convert(folder: Path, operations: int) -> None:
    """Make the history as it is kept."""
    from failover.results.parquet import keep_as_parquet

    keep_as_parquet(folder / NAME)
    told_mb("parquet", operations)


def judge(folder: Path, operations: int) -> None:
    """Let all checks judge the run."""
    from failover.checks.verdict import verify

    found = verify(folder, NAME)
    if found["verdict"] != "valid":
        raise SystemExit(found["summary"])
    told_mb("verify", operations)


def report(folder: Path, operations: int) -> None:
    """Write the report of the run."""
    from failover.report import write_report
    from failover.report.progress import Steps

    write_report(folder, Steps(quiet=True, terminal=False))
    told_mb("report", operations)


def told_mb(step: str, operations: int) -> None:
    """Print what this process took so far."""
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{step:12}{peak_kb / 1024:10,.0f} MB peak {peak_kb * 1024 / operations:9,.0f} bytes an operation "
        f"{time.process_time():8,.1f} s CPU   {'held' if peak_kb <= LIMIT_MB * 1024 else 'missed'}",
        flush=True,
    )


def in_a_process(step: Callable[[], object]) -> None:
    """Run a step in a process of its own."""
    child = os.fork()
    if not child:
        try:
            step()
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("a step failed")


def main() -> None:
    """Run the benchmark and print one line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--workload", default="name_service", choices=[name for name in WORKLOADS if name != "ycsb_e"])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where there is room")
    arguments = parser.parse_args()
    count = arguments.operations
    print(f"{count:,} operations; the limit is {LIMIT_MB:,} MB")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name) / "run"
        in_a_process(lambda: record(folder, count, arguments.clients, arguments.workload))
        in_a_process(lambda: convert(folder, count))
        in_a_process(lambda: judge(folder, count))
        in_a_process(lambda: report(folder, count))


main()

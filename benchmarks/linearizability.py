#!/usr/bin/env python3
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time how long it takes to decide whether histories are linearizable, easy ones and hard ones, and in how much memory.

The histories are those of the workload ``register`` on a register that is simulated: each operation takes effect at one
moment between its begin and its end, and one of unknown outcome at any time from its begin on, or never. Of an invalid
variant one read near the end is stale. Each is decided by a process of its own, which also finds the few operations
that contradict each other.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from failover.checks.counterexample import shrink
from failover.checks.linearizability import check
from failover.checks.operations import Action, Answer, Call, History
from failover.workloads.base import CAS, DELETE, RETRIEVE
from failover.workloads.register import Register

LIMIT_S, LIMIT_MB = 60.0, 1_000
# What porcupine (github.com/anishathalye/porcupine) took for histories of the same sizes, clients, keys and unknown
# shares, as it was measured beside the lab's earlier search, which took 2.2 s and 7.5 s. None: no verdict in 8 GB.
PORCUPINE_S: dict[str, float | None] = {"10 keys": 0.2, "32 clients, unknowns": None}
# Mean times of an operation, and of how long one of unknown outcome may still take effect, in ns.
LATENCY_NS, LATE_NS = 1_000_000, 20_000_000


@dataclass(frozen=True)
class Case:
    """A history to decide."""

    name: str
    operations: int
    clients: int
    keys: int
    unknown: float  # share of all operations
    is_stale: bool = False


CASES = (
    Case("10 keys", 100_000, 8, 10, 0.0),
    Case("10 keys, unknowns", 100_000, 8, 10, 0.03),
    Case("32 clients, unknowns", 100_000, 32, 10, 0.01),
    Case("many keys", 1_000_000, 8, 40_000, 0.0),
    Case("one key, some unknowns", 20_000, 32, 1, 0.005),
    Case("one key", 100_000, 64, 1, 0.0),
    Case("one key, unknowns", 100_000, 16, 1, 0.01),
    Case("one key, both", 100_000, 64, 1, 0.03),
    Case("10 keys, stale", 100_000, 8, 10, 0.0, is_stale=True),
    Case("one key, stale", 100_000, 64, 1, 0.0, is_stale=True),
    Case("one key, unknowns, stale", 100_000, 16, 1, 0.01, is_stale=True),
)


@dataclass(frozen=True)
class Sent:
    """An operation of the stream with its times; ``moment_ns`` is None where it never takes effect."""

    number: int
    begin_ns: int
    moment_ns: int | None
    end_ns: int | None


def history_of(case: Case, seed: int) -> History:
    """Simulate a history."""
    source = Random(seed)
    stream = Register().operations(case.operations, seed, {"keys": case.keys})
    free_at = [(source.randrange(LATENCY_NS), client) for client in range(case.clients)]
    heapq.heapify(free_at)
    effects: list[tuple[int, Sent]] = []
    calls: dict[str, list[Call]] = {}
    for number, operation in enumerate(stream):
        begin, client = free_at[0]
        end = begin + int(source.expovariate(1 / LATENCY_NS)) + 1
        heapq.heapreplace(free_at, (end + 1, client))
        if source.random() >= case.unknown:
            sent = Sent(number, begin, source.randint(begin, end), end)
        else:
            late = begin + int(source.expovariate(1 / LATE_NS))
            sent = Sent(number, begin, late if source.random() < 0.5 else None, None)
        if sent.moment_ns is not None:
            effects.append((sent.moment_ns, sent))
        elif operation[0] != RETRIEVE:
            calls.setdefault(operation[1], []).append(_unknown(operation, sent))
    effects.sort(key=lambda effect: effect[0])
    held: dict[str, str | None] = {}
    for _, sent in effects:
        operation = stream[sent.number]
        key = operation[1]
        call, held[key] = _answered(operation, sent, held.get(key))
        if call is not None:
            calls.setdefault(key, []).append(call)
    if case.is_stale:
        _make_stale(calls)
    return History(None, calls)


def _unknown(operation: Any, sent: Sent) -> Call:
    kind, key, *given = operation
    label = f"{kind} of {key}, operation {sent.number}"
    if kind == CAS:
        return Call(Action.CAS, (given[1], given[0]), None, sent.begin_ns, None, label)
    return Call(Action.WRITE, given[0] if given else None, None, sent.begin_ns, None, label)


def _answered(operation: Any, sent: Sent, held: str | None) -> tuple[Call | None, str | None]:
    """Return what the clients know of an operation, None where that is nothing, and what the key holds after it."""
    kind, key, *given = operation
    changes = kind != RETRIEVE and not (kind == CAS and held != given[1]) and not (kind == DELETE and held is None)
    after = (given[0] if given else None) if changes else held
    if sent.end_ns is None:
        return (None if kind == RETRIEVE else _unknown(operation, sent)), after
    label = f"{kind} of {key}, operation {sent.number}"
    if not changes:
        return Call(Action.READ, None, held, sent.begin_ns, sent.end_ns, label), after
    if kind == DELETE:
        return Call(Action.REMOVE, None, None, sent.begin_ns, sent.end_ns, label), after
    return _unknown(operation, sent)._replace(end=sent.end_ns), after


def _make_stale(calls: dict[str, list[Call]]) -> None:
    """Let a read late in the history of a key find a value that had been replaced, for sure, when it began."""
    own = next(iter(calls.values()))
    first = len(own) * 9 // 10
    writes = [call for call in own[:first] if call.action is Action.WRITE and call.end and call.argument is not None]
    new = writes[-1]
    old = next(call for call in reversed(writes) if (call.end or 0) < new.begin)
    at = next(
        number
        for number, call in enumerate(own)
        if number >= first and call.action is Action.READ and call.begin > (new.end or 0)
    )
    own[at] = own[at]._replace(result=old.argument)


# ---------------------------------------------------------------- deciding


def decide(path: Path) -> None:
    """Decide a history, in the process that was started for it, and print what it took."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_MB * 1_000_000, LIMIT_MB * 1_000_000))
    with path.open("rb") as file:
        history: History = pickle.load(file)
    started, cpu = time.monotonic(), time.process_time()
    try:
        result = check(history, LIMIT_S)
        told: dict[str, Any] = {"verdict": result.answer.value, "time_s": time.monotonic() - started}
        told["cpu_s"] = time.process_time() - cpu
        if result.answer is Answer.NOT_LINEARIZABLE:
            started = time.monotonic()
            found = shrink(history.calls[str(result.key)], history.initial, LIMIT_S)
            told |= {"contradict": None if found is None else len(found.calls), "found_s": time.monotonic() - started}
    except MemoryError:
        told = {"verdict": "out of memory", "time_s": time.monotonic() - started, "cpu_s": time.process_time() - cpu}
    print(json.dumps({**told, "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """Return the most memory that this process had, history and all; what getrusage says is its parent's, if more."""
    [peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(peak.split()[1]) * 1024 / 1e6


def measured(case: Case, seed: int) -> dict[str, Any]:
    """Simulate a history, and let a process decide it."""
    history = history_of(case, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history"
        path.write_bytes(pickle.dumps(history))
        command = [sys.executable, __file__, "--decide", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def rows(cases: tuple[Case, ...], seed: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield (
        "| case | operations | clients | keys | unknown | verdict | time_s | cpu_s | peak_mb | limits | porcupine | "
        "contradict | found_s |"
    )
    yield f"|{'---|' * 13}"
    for case in cases:
        told = measured(case, seed)
        wanted = Answer.NOT_LINEARIZABLE if case.is_stale else Answer.LINEARIZABLE
        held = told["verdict"] == wanted.value and told["time_s"] <= LIMIT_S and told["peak_mb"] <= LIMIT_MB
        beside = "-"
        if case.name in PORCUPINE_S:
            other_s = PORCUPINE_S[case.name]
            beside = "no verdict in 8 GB" if other_s is None else f"{other_s:g} s"
        found = f"{told['contradict']} | {told['found_s']:.1f}" if "contradict" in told else "- | -"
        yield (
            f"| {case.name} | {case.operations:,} | {case.clients} | {case.keys:,} | {case.unknown:.1%} | "
            f"{told['verdict']} | {told['time_s']:.2f} | {told['cpu_s']:.2f} | {told['peak_mb']:.0f} | "
            f"{'held' if held else 'missed'} | {beside} | {found} |"
        )


def main() -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="only this one")
    parser.add_argument("--decide", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.decide is not None:
        decide(arguments.decide)
        return
    chosen = tuple(case for case in CASES if not arguments.case or case.name in arguments.case)
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, limits {LIMIT_S:g} s and {LIMIT_MB:,} MB")
    for row in rows(chosen, arguments.seed):
        print(row, flush=True)


if __name__ == "__main__":
    main()

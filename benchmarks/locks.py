#!/usr/bin/env python3
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What locked doors cost: the same clients at two labs on this machine, one with TLS and one without, in turns.

Needs root and two labs that are up: ./scripts/lab up, and the same with -e tls=false, another lab_name and another
lab_subnet. No experiment may run meanwhile. In each turn one client of a lab reads and writes a key a number of times,
and in the next one a client of the other lab does; what counts is the ratio of two turns that follow each other, as the
machine's other load changes. Opening a connection is timed beside it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from contest.lab import endpoint_of, join_load_generator
from failover.shapes import LabError, RetryPolicy
from failover.systems.base import ClientIdentity
from failover.systems.endpoints import split_endpoint
from failover.systems.loop import FailoverPolicy

ROOT = Path(__file__).resolve().parents[1]
LOCKED, OPEN = "locked", "open"
# Under the prefix of the labs' first experiments, which the workload's account may touch.
PORTS = {"etcd": ("etcd1", 2379), "mysql": ("mysql1", 3306)}
POLICY = FailoverPolicy(attempt_timeout_ms=5_000, connect_timeout_ms=5_000, retry_policy=RetryPolicy.BLIND)


def secret(lab: str, name: str) -> str:
    """Return what a lab of this folder keeps; empty where it has none."""
    path = ROOT / ".lab" / lab / "credentials" / name
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def maker(system: str, lab: str, door: str, prefix: str) -> Callable[[], Any]:
    """Return what opens a client of a lab."""
    container, port = PORTS[system]
    endpoint = endpoint_of(f"{lab}-{container}", port)
    if endpoint is None:
        raise LabError(f"no {lab}-{container} runs here; bring the lab {lab} up with ./scripts/lab up")
    ca = str(ROOT / ".lab" / lab / "tls" / "ca.pem") if door == LOCKED else ""
    host, number = split_endpoint(endpoint)
    if system == "etcd":
        from failover.systems.etcd.access import Access
        from failover.systems.etcd.client import ClientWithFailover

        access = Access(ca, "lab", secret(lab, "etcd_password")) if ca else Access()
        return lambda: ClientWithFailover(host, number, policy=POLICY, identity=ClientIdentity(prefix), access=access)
    from failover.systems.mysql.client import MySQLClient

    password = secret(lab, "mysql_password")
    return lambda: MySQLClient(
        host, number, "lab", password, "failover_lab", policy=POLICY, identity=ClientIdentity(prefix), ca=ca
    )


def serve(channel: Connection, system: str, lab: str, door: str, prefix: str, operations: int) -> None:
    """Take a turn whenever told to, in the network of the lab's load generator, until there are no more."""
    try:
        make = maker(system, lab, door, prefix)
        join_load_generator(lab)
        began = time.perf_counter()
        client = make()
        channel.send({"connect_ms": (time.perf_counter() - began) * 1000})
    except LabError as error:
        channel.send({"error": str(error)})
        return
    key = f"{prefix}price"
    with closing(client):
        while channel.recv():
            client.delete_with_retry(key)
            times = []
            for number in range(operations):
                begin = time.perf_counter()
                if number % 3 == 0:
                    result = client.put_with_retry(key, "10.0.0.1")
                elif number % 3 == 1:
                    result = client.get_with_retry(key)
                else:
                    result = client.delete_with_retry(key)
                times.append(time.perf_counter() - begin)
                if result.outcome != "ok":
                    channel.send({"error": f"{lab}: {result.error}; measure a healthy system"})
                    return
            began = time.perf_counter()
            make().close()
            channel.send({"times_s": times, "connect_ms": (time.perf_counter() - began) * 1000})


def compared(turns: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the medians of both, and the ratios of the turns that followed each other, locked to open.

    :param turns: by door, in the order in which they were taken
    """

    def rate(turn: Mapping[str, Any]) -> float:
        return len(turn["times_s"]) / float(sum(turn["times_s"]))

    def p99_ms(turn: Mapping[str, Any]) -> float:
        return float(statistics.quantiles(turn["times_s"], n=100)[98]) * 1000

    told: dict[str, Any] = {}
    measures: dict[str, Callable[[Mapping[str, Any]], float]] = {
        "ops_per_s": rate,
        "p50_ms": lambda turn: statistics.median(turn["times_s"]) * 1000,
        "p99_ms": p99_ms,
        "connect_ms": lambda turn: float(turn["connect_ms"]),
    }
    for name, measure in measures.items():
        values = {door: [measure(turn) for turn in turns[door]] for door in (LOCKED, OPEN)}
        ratios = sorted(locked / open_ for locked, open_ in zip(values[LOCKED], values[OPEN], strict=True))
        told[name] = {door: round(statistics.median(values[door]), 3) for door in (LOCKED, OPEN)} | {
            "ratio": round(statistics.median(ratios), 3),
            "ratios": [round(ratios[0], 3), round(ratios[-1], 3)],
        }
    return told


def measured(system: str, labs: Mapping[str, str], prefix: str, operations: int, turns: int) -> dict[str, Any]:
    """Have clients of both labs take turns; LabError where one cannot."""
    channels = {}
    for door, lab in labs.items():
        channels[door], other = multiprocessing.Pipe()
        given = (other, system, lab, door, prefix, operations)
        multiprocessing.Process(target=serve, args=given, daemon=True).start()
    found: dict[str, list[dict[str, Any]]] = {LOCKED: [], OPEN: []}
    for channel in channels.values():
        if "error" in (told := channel.recv()):
            raise LabError(told["error"])
    for number in range(turns):
        # Who goes first changes: what disturbs the machine for a while then disturbs both alike.
        for door in (LOCKED, OPEN) if number % 2 == 0 else (OPEN, LOCKED):
            channels[door].send(True)
            if "error" in (told := channels[door].recv()):
                raise LabError(told["error"])
            found[door].append(told)
    for channel in channels.values():
        channel.send(False)
    return compared(found)


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="What TLS and accounts cost, in turns.")
    parser.add_argument("--locked", default="failover", metavar="LAB", help="lab with tls")
    parser.add_argument("--open", required=True, metavar="LAB", help="lab without")
    parser.add_argument("--systems", nargs="+", default=list(PORTS), choices=list(PORTS))
    parser.add_argument("--prefix", default="EXP1-", help="of keys that the account may touch")
    parser.add_argument("--operations", type=int, default=600, help="a turn")
    parser.add_argument("--turns", type=int, default=20, help="of each")
    given = parser.parse_args()
    try:
        for system in given.systems:
            labs = {LOCKED: given.locked, OPEN: given.open}
            told = measured(system, labs, given.prefix, given.operations, given.turns)
            print(json.dumps({"system": system, **told}))
    except LabError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())

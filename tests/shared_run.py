# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A healthy run of any workload, its clients at the same keys at once, against a store in memory that is right."""

from __future__ import annotations

import json
import random
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from failover.checks.verdict import verify
from failover.results.watched import keep_watch
from failover.shapes import LIST_SEPARATOR, WATCH_COLUMNS, Event, HistoryRow, WatchRow
from failover.workloads.base import Operation, value_of
from failover.workloads.packed import Stream
from failover.workloads.registry import create_simulation, workload_of
from planted.files import run_json, write_experiment, write_json
from planted.heal import Heal
from planted.observed import observed
from planted.parts import ADDRESSES, MS, START_WALL_NS, Parts, S, members_of, port_of

NAME = "E1-{}"
# Of 1,000 writes, how many end unknown; every other one of these took effect.
UNKNOWN = 20


class Store:
    """Keys with their values, and the counts that etcd keeps."""

    def __init__(self) -> None:
        self.keys: dict[str, list[Any]] = {}  # key -> [value, version, revision]
        self.revision = 1
        self.changes: list[tuple[int, str, str | None]] = []  # revision, key, value

    def do(self, operation: Operation) -> tuple[str | None, int | None]:
        """Let an operation take effect; return what it read and how many keys it affected."""
        kind, key = operation[:2]
        held = self.keys.get(key)
        if kind == "RETRIEVE":
            return (held[0] if held else None), None
        if kind == "SCAN":
            names = sorted(self.keys)
            found = names[bisect_left(names, key) :][: int(operation[2])]  # type: ignore[misc]
            return (found[-1] if found else None), len(found)
        if kind == "DELETE":
            if held is None:
                return None, 0
            self.revision += 1
            del self.keys[key]
            self.changes.append((self.revision, key, None))
            return None, 1
        value = operation[2]  # type: ignore[misc]
        if kind == "CAS" and (held is None or held[0] != operation[3]):  # type: ignore[misc]
            return (held[0] if held else None), 0
        if kind == "APPEND" and held:
            value = f"{held[0]}{LIST_SEPARATOR}{value}"
        self.revision += 1
        self.keys[key] = [value, held[1] + 1 if held else 1, self.revision]
        self.changes.append((self.revision, key, value))
        return None, 1


def make_shared_run(
    path: Path,
    workload: dict[str, Any],
    *,
    system: str = "etcd",
    iterations: int = 600,
    clients: int = 4,
    seed: int = 7,
    read_consistency: str = "linearizable",
) -> Path:
    """Write a run of one experiment, verify it, and return its folder."""
    operations = create_simulation(iterations, seed, workload)
    source = random.Random(seed)
    rows, store = _run(operations, workload_of(workload)[0].assign(operations, clients), source, system)
    members = members_of(system)
    origin_wall_ns, end_ns = START_WALL_NS + 3 * S, max(row.complete_ns for row in rows)
    name = NAME.format(system)
    events = [
        Event(origin_wall_ns, "client1", "experiment.started", {}),
        Event(origin_wall_ns + end_ns, "client1", "experiment.finished", {"interrupted": False}),
    ]

    def tell(at_ns: int, by: str, event: str, **data: Any) -> None:
        events.append(Event(origin_wall_ns + at_ns, by, event, data))

    heal = Heal(None, members[0], end_ns + 200 * MS, members, members[-1], 4, store.revision)
    watched = heal.watch(tell, origin_wall_ns) if len(members) > 1 else None
    repeat = {"repeat": 1, "first_index": 0, "end_index": len(operations), "began_ns": 0, "ended_ns": end_ns}
    keys = {key: entry if system == "etcd" else [entry[0], None, None] for key, entry in store.keys.items()}
    parts = Parts(
        name, system, "", operations, source, origin_wall_ns, rows, dict.fromkeys(members, keys), events, [],
        observed(system, members[-1], 4, store.revision, origin_wall_ns + end_ns + 2 * S),
        [{**repeat, "convergence": watched}], "safe", read_consistency,
    )  # fmt: skip
    write_experiment(path / name, parts, iterations, seed, clients)
    info = json.loads((path / name / "experiment.json").read_text())
    if system == "etcd":
        endpoint = f"{ADDRESSES[members[0]]}:{port_of(system)}"
        info["workload"]["watch"] = write_watch(path / name, store.changes, endpoint, origin_wall_ns)
    write_json(path / name / "experiment.json", {**info, "stream": workload, "read_consistency": read_consistency})
    write_json(path / "run.json", run_json(path.name, iterations, seed, clients, 1, [name], origin_wall_ns + end_ns))
    verify(path, name)
    return path


def write_watch(
    folder: Path, changes: Sequence[tuple[int, str, str | None]], endpoint: str, origin_wall_ns: int
) -> dict[str, Any]:
    """Write what a watch was told of all changes; return what there is to say of it."""
    rows = [WatchRow(*change, origin_wall_ns + number * MS, endpoint) for number, change in enumerate(changes)]
    header = {"schema_version": 1, "columns": WATCH_COLUMNS}
    (folder / "watch.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (header, *rows)))
    keep_watch(folder, origin_wall_ns)
    stream = {"endpoint": endpoint, "revision": 2, "wall_ns": origin_wall_ns - MS, "why": ""}
    last = changes[-1][0] if changes else 1
    told = {"from_revision": 2, "to_revision": last, "gaps": [], "streams": [stream]}
    return {"error": None, "events": len(rows), **told}


def _run(
    operations: Stream, shares: Sequence[Sequence[int]], source: random.Random, system: str
) -> tuple[list[HistoryRow], Store]:
    """Let each client run its share, one after the other, each operation taking effect at some moment of its time."""
    spans: dict[int, tuple[int, int, int, int]] = {}  # index -> moment, client, begin and end
    for client, share in enumerate(shares):
        at_ns = source.randrange(MS)
        for index in share:
            end_ns = at_ns + source.randrange(MS // 2, 3 * MS)
            spans[index] = (source.randrange(at_ns, end_ns), client, at_ns, end_ns)
            at_ns = end_ns + source.randrange(1, MS // 10)
    store, rows = Store(), []
    endpoint = f"{ADDRESSES[members_of(system)[0]]}:{port_of(system)}"
    for index, (_, client, begin_ns, end_ns) in sorted(spans.items(), key=lambda item: item[1]):
        operation = operations[index]
        is_write = operation[0] not in ("RETRIEVE", "SCAN")
        unknown = is_write and source.randrange(1000) < UNKNOWN
        read = affected = None
        if not unknown or source.random() < 0.5:
            read, affected = store.do(operation)
        known = not unknown
        rows.append(
            HistoryRow(
                index, client, operation[0], operation[1], value_of(operation), begin_ns, begin_ns, end_ns,
                "ok" if known else "unknown", 1, endpoint, read if known else None, affected if known else None, None,
                store.revision if known and system == "etcd" else None,
                expected=operation[3] if len(operation) > 3 else None,
            )
        )  # fmt: skip
    return sorted(rows, key=lambda row: row.complete_ns), store

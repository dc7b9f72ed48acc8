# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole synthetic results folder, valid unless a defect is planted in it.

The operations of the real generator run against a store in memory, with latencies drawn from a seeded
source; E2-etcd loses its leader at 12 % of the stream. :func:`make_run` returns what was planted where,
so that a test can ask whether the checkers name exactly that.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from failover.results.parquet import write_parquet
from failover.shapes import SCHEMA_VERSION, Event, HistoryRow
from failover.workloads.base import CREATE, DELETE, RETRIEVE, Operation
from failover.workloads.registry import create_simulation
from failover.workloads.stream import cut_stream, stream_digest

MS = 1_000_000
S = 1_000_000_000
START_WALL_NS = 1_793_000_000 * S  # 2026-10-26

ADDRESSES = {
    "etcd1": "10.89.77.11",
    "etcd2": "10.89.77.12",
    "etcd3": "10.89.77.13",
    "mysql1": "10.89.77.21",
    "client1": "10.89.77.31",
}
MEMBER_IDS = {"etcd1": "1a2f5e3b9c0d4e11", "etcd2": "6be4a2d0317f8c22", "etcd3": "c3d19f60ab725d33"}
MYSQL_SETTINGS = {"innodb_flush_log_at_trx_commit": "1", "sync_binlog": "1", "log_bin": "ON"}
OUTCOMES = ("ok", "fail", "unknown")
REFUSED = "UNAVAILABLE: failed to connect to all addresses; last error: Connection refused"
NO_SPACE = "RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded"
DEFAULT_EXPERIMENTS = ("E1-etcd", "E1-mysql", "E2-etcd")
TITLES = {
    "E1-etcd": "etcd, healthy",
    "E1-mysql": "MySQL, healthy",
    "E2-etcd": "etcd, the leader stopped at 12 % of the operations",
}


@dataclass
class Planted:
    """What :func:`make_run` wrote: the run's folder and, where something was planted, what and where."""

    path: Path
    experiment: str | None = None
    plant: str | None = None
    details: dict[str, Any] = field(default_factory=dict)  # key, index, indices, member, value as they apply


@dataclass
class _Parts:
    """One experiment in memory, before it is written."""

    name: str
    system: str
    prefix: str
    operations: list[Operation]
    random: random.Random
    origin_wall_ns: int
    rows: list[HistoryRow]
    dumps: dict[str, dict[str, list[Any]]]  # member -> key -> [value, version, mod_revision]
    events: list[Event]
    faults: list[dict[str, Any]]
    after: dict[str, Any]
    repeats: list[dict[str, Any]]  # as in experiment.json

    @property
    def convergence(self) -> dict[str, Any] | None:
        """What the heal after the last repeat saw."""
        found: dict[str, Any] | None = self.repeats[-1]["convergence"]
        return found

    def position_of(self, kind: str, *, touched_later: bool, after: float = 0.5) -> int:
        """Return the first operation of a kind after that share of the stream, whose key is (not) used again."""
        last_use = {operation[1]: index for index, operation in enumerate(self.operations)}
        start = int(len(self.operations) * after)
        for index in range(start, len(self.operations)):
            operation = self.operations[index]
            if operation[0] == kind and (last_use[operation[1]] > index) is touched_later:
                return index
        raise ValueError(f"the stream is too short to plant in a {kind}")


def make_run(
    path: Path,
    *,
    iterations: int = 2000,
    seed: int = 123,
    experiments: Iterable[str] = DEFAULT_EXPERIMENTS,
    plant: str | None = None,
    plant_in: str | None = None,
    clients: int = 1,
    repeats: int = 1,
) -> Planted:
    """Write a run's folder at ``path`` (without verdicts and reports) and return what it is.

    :param plant: a name from PLANTS; its defect goes into the experiment ``plant_in`` (the last by default).
    :param repeats: into so many slices the stream is cut; each of E2's has its own fault, and a heal after it
    """
    names = list(experiments)
    target = (plant_in or names[-1]) if plant else None
    planted = Planted(path, target, plant)
    operations = create_simulation(iterations, seed)
    path.mkdir(parents=True, exist_ok=True)
    started_ns = START_WALL_NS
    for number, name in enumerate(names):
        source = random.Random(f"{seed} {name}")
        defect = PLANTS[plant] if plant and name == target else None
        outcomes = defect.outcomes(operations, planted) if defect and defect.outcomes else {}
        parts = _simulate(name, number, operations, source, started_ns, clients, outcomes, repeats)
        started_ns = parts.origin_wall_ns + parts.rows[-1].complete_ns + 20 * S
        if defect and defect.change:
            defect.change(parts, planted)
        _write_experiment(path / name, parts, iterations, seed, clients)
    _write_json(path / "run.json", _run_json(path.name, iterations, seed, clients, repeats, names, started_ns))
    return planted


# ---------------------------------------------------------------- the simulated experiment

Outcomes = dict[int, tuple[str, bool]]  # index -> (outcome, applied)


def _simulate(
    name: str,
    number: int,
    operations: list[Operation],
    source: random.Random,
    started_ns: int,
    clients: int,
    outcomes: Outcomes,
    repeats: int,
) -> _Parts:
    """Run the operations against the store; the fault of E2 hits the operation at 12 % of each repeat."""
    system = "mysql" if "mysql" in name else "etcd"
    prefix = "" if system == "mysql" else f"EXP{number + 1}-"
    members = ["mysql1"] if system == "mysql" else ["etcd1", "etcd2", "etcd3"]
    # Each repeat's fault goes to the leader, and the next one leads from then on.
    leaders = ["etcd2", "etcd3", "etcd1"] if system == "etcd" else ["mysql1"]
    leader, term = leaders[0], 4
    port = 3306 if system == "mysql" else 2379
    median_ms = {
        "etcd": {CREATE: 1.05, DELETE: 1.05, RETRIEVE: 0.95},
        "mysql": {CREATE: 0.62, DELETE: 0.63, RETRIEVE: 0.21},
    }
    origin_wall_ns = started_ns + 3 * S
    slices = cut_stream(len(operations), repeats)
    fault_ids = {
        part.start + int(len(part) * 0.12): (f"F1@{repeat}" if repeats > 1 else "F1", repeat)
        for repeat, part in enumerate(slices, 1)
        if name.startswith("E2")
    }

    store: dict[str, list[Any]] = {}
    revision = 1
    rows: list[HistoryRow] = []
    events: list[Event] = []
    faults: list[dict[str, Any]] = []
    endpoint = f"{ADDRESSES[leader]}:{port}"
    numbers: dict[str, int] = {}
    clock_ns = [source.randrange(50_000, 90_000) for _ in range(clients)]

    def event(at_ns: int, source_name: str, event_name: str, **data: Any) -> None:
        events.append(Event(origin_wall_ns + at_ns, source_name, event_name, data))

    for fault_index, (fault_id, _) in fault_ids.items():
        clocks = {member: {"clock_offset_ns": 1_000, "clock_uncertainty_ns": 60_000} for member in members}
        event(-60 * MS, "client1", "fault.armed", fault=fault_id, action="stop", target="leader", at_index=fault_index,
              agents=clocks)  # fmt: skip
    for client in range(clients):
        of_client = {"client": client, "index": None, "endpoint": endpoint}
        urls = {f"{ADDRESSES[m]}:{port}": m for m in members}
        event(-40 * MS, "client1", "client.members_discovered", **of_client, members=urls)
        event(-20 * MS, "client1", "client.connected", **of_client)
    event(0, "client1", "experiment.started", experiment=name, operations=len(operations), clients=clients, rate=0.0)

    told: list[dict[str, Any]] = []  # the repeats
    for index, operation in enumerate(operations):
        kind, key = operation[0], operation[1]
        value = operation[2] if kind == CREATE else None  # type: ignore[misc]
        if len(told) < len(slices) and index == slices[len(told)].start:
            part = slices[len(told)]
            told.append({"repeat": len(told) + 1, "first_index": part.start, "end_index": part.stop,
                         "began_ns": min(clock_ns) if told else 0})  # fmt: skip
        client = numbers.setdefault(key, len(numbers)) % clients
        invoke_ns = clock_ns[client]
        latency_ns = int(median_ms[system][kind] * MS * source.lognormvariate(0, 0.22))
        if source.random() < 0.002:
            latency_ns += int(source.expovariate(1 / 4) * MS)
        attempts, error = 1, None
        struck = fault_ids.get(index)
        if struck is not None:
            latency_ns = int(source.uniform(43, 47) * MS)
            attempts, error = 2, REFUSED
            successor = leaders[struck[1] % len(leaders)]
            faults.append(
                _strike(event, origin_wall_ns, invoke_ns, latency_ns, index, leader, successor, port, struck, term)
            )
            endpoint = f"{ADDRESSES[successor]}:{port}"
        outcome, applied = outcomes.get(index, ("ok", True))
        if outcome != "ok":
            latency_ns, attempts = 5 * S, 2
            error = REFUSED if outcome == "fail" else "DEADLINE_EXCEEDED: no answer within 1.0 s"
        affected = None
        read = None
        if kind == RETRIEVE:
            read = store[key][0] if outcome == "ok" and key in store else None
        elif applied:
            revision += 1
            if kind == CREATE:
                version = store[key][1] + 1 if key in store else 1
                store[key] = [value, version, revision]
                affected = 1
            else:
                affected = 1 if store.pop(key, None) is not None else 0
        elif outcome == "ok":
            raise AssertionError("an acknowledged write is applied")
        rows.append(
            HistoryRow(
                index, client, kind, key, value, invoke_ns, invoke_ns, invoke_ns + latency_ns,
                outcome, attempts, endpoint, read, affected if outcome == "ok" else None, error,
            )
        )  # fmt: skip
        clock_ns[client] = invoke_ns + latency_ns + source.randrange(15_000, 30_000)
        if index == told[-1]["end_index"] - 1:
            end_ns = max(row.complete_ns for row in rows)
            healed, fault_id = leader, faults[-1]["id"] if fault_ids else None
            if fault_ids:
                leader, term = leaders[len(told) % len(leaders)], term + 1
            watched = None
            if system == "etcd":
                watched = _converge(
                    event, origin_wall_ns, end_ns, fault_id, members, healed, revision, leader=leader, term=term
                )
            told[-1] |= {"ended_ns": end_ns, "convergence": watched}
            # All clients wait for the heal.
            clock_ns = [end_ns + 2 * S] * clients

    if clients > 1:
        rows.sort(key=lambda row: row.complete_ns)
    end_ns = max(row.complete_ns for row in rows)
    event(end_ns, "client1", "experiment.finished", experiment=name, operations=len(operations), interrupted=False)
    dumps = {
        member: {key: list(entry) if system == "etcd" else [entry[0], None, None] for key, entry in store.items()}
        for member in members
    }
    return _Parts(
        name, system, prefix, operations, source, origin_wall_ns, rows, dumps, events, faults,
        _observed(system, members, leader, term, revision, origin_wall_ns + end_ns + 2 * S), told,
    )  # fmt: skip


Emit = Callable[..., None]


def _strike(
    event: Emit,
    origin_wall_ns: int,
    at_ns: int,
    gap_ns: int,
    index: int,
    leader: str,
    successor: str,
    port: int,
    struck: tuple[str, int],
    term: int,
) -> dict[str, Any]:
    """Emit the events of a leader's stop and return the fault with its record.

    :param struck: id of the fault, and its repeat
    :param term: in which the leader leads
    """
    fault_id, repeat = struck
    endpoint, next_endpoint = f"{ADDRESSES[leader]}:{port}", f"{ADDRESSES[successor]}:{port}"
    leader_id, successor_id = MEMBER_IDS[leader], MEMBER_IDS[successor]
    checked_ns, sent_ns, gone_ns = at_ns + 1 * MS, at_ns + 2 * MS, at_ns + 18 * MS
    of_fault = {"fault": fault_id, "member": leader}
    of_client = {"client": 0, "index": index}
    event(at_ns, "client1", "fault.requested", fault=fault_id, action="stop", target="leader", index=index)
    event(checked_ns, leader, "fault.role_checked", **of_fault, role="leader", member_id=leader_id, leader=leader,
          leader_id=leader_id, term=term, attempts=1)  # fmt: skip
    event(sent_ns, leader, "fault.signal_sent", **of_fault, action="stop", signal="SIGTERM", via="systemctl",
          pid=412, index_asked=index, index_hit=index, delay_ms=2.0)  # fmt: skip
    event(at_ns + 3 * MS, leader, "server.stopping", member=leader, signal="terminated")
    event(
        at_ns + 9 * MS, successor, "server.leader_lost", member=successor, leader=leader, leader_id=leader_id, term=term
    )
    event(at_ns + 10 * MS, successor, "server.election_started", member=successor, term=term + 1, term_before=term,
          cause="leadership transfer", **{"from": leader})  # fmt: skip
    event(at_ns + 13 * MS, successor, "server.leader_elected", member=successor, leader=successor,
          leader_id=successor_id, term=term + 1)  # fmt: skip
    event(gone_ns, leader, "fault.process_gone", **of_fault, pid=412, gone_ms=16.0)
    event(at_ns + 19 * MS, leader, "server.stopped", member=leader, how="closed", status=None)
    event(at_ns + 20 * MS, "client1", "client.attempt_failed", **of_client, endpoint=endpoint, kind="CREATE",
          error=REFUSED, ambiguous=False)  # fmt: skip
    event(at_ns + 20 * MS + 1000, "client1", "client.failover_started", **of_client, endpoint=endpoint,
          reason=REFUSED, **{"from": endpoint})  # fmt: skip
    event(at_ns + gap_ns, "client1", "client.failover_completed", **of_client, to=next_endpoint,
          endpoint=next_endpoint, duration_ms=(gap_ns - 20 * MS) / MS, **{"from": endpoint})  # fmt: skip
    record = {
        "fault": fault_id,
        "token": f"0123456789abcdef-{fault_id}",
        "action": "stop",
        "target": "leader",
        "heal": "end",
        "fired": True,
        "reason": None,
        "index_asked": index,
        "index_called": index,
        "index_hit": index,
        "requested_wall_ns": origin_wall_ns + at_ns,
        "delay_ms": 2.0,
        "attempts": 1,
        "member": leader,
        "member_id": leader_id,
        "role": "leader",
        "leader_before": leader,
        "leader_id_before": leader_id,
        "term_before": term,
        "signal": "SIGTERM",
        "via": "systemctl",
        "pid": 412,
        "role_checked_wall_ns": origin_wall_ns + checked_ns,
        "signal_sent_wall_ns": origin_wall_ns + sent_ns,
        "signal_call_ms": 0.4,
        "process_gone_wall_ns": origin_wall_ns + gone_ns,
        "gone_ms": 16.0,
        "clock_offset_ns": 1_000,
        "clock_uncertainty_ns": 60_000,
        "leader_after": successor,
        "leader_id_after": successor_id,
        "term_after": term + 1,
        "healed_wall_ns": None,
        "healed_by": None,
    }
    return {
        "id": fault_id,
        "action": "stop",
        "target": "leader",
        "at_index": index,
        "heal": "end",
        "repeat": repeat,
        "record": record,
    }


def _converge(
    event: Emit,
    origin_wall_ns: int,
    end_ns: int,
    fault_id: str | None,
    members: list[str],
    healed: str,
    revision: int,
    *,
    leader: str,
    term: int,
) -> dict[str, Any]:
    """Emit the heal and the samples of the members' revisions until they are equal; return the heal's result."""
    start_ns = end_ns + 200 * MS
    steps = 12 if fault_id else 1
    leader_id = MEMBER_IDS[leader]
    lag = int(revision * 0.88)
    samples = []

    def sample(at_ns: int, behind: int | None) -> None:
        states = {
            member: {
                "reachable": True,
                "error": None,
                "id": MEMBER_IDS[member],
                "leader_id": leader_id,
                "leader": leader,
                "term": term,
                "revision": revision,
                "raft_index": revision + 7,
                "applied_index": revision + 7,
            }
            for member in members
        }
        if behind is None:
            states[healed] = {"reachable": False, "error": "connection refused"}
        else:
            states[healed]["revision"] = revision - behind
        event(at_ns, "client1", "cluster.sample", members=states)
        samples.append({"wall_ns": origin_wall_ns + at_ns, "members": states})

    records = []
    if fault_id:
        event(
            start_ns + 1 * MS,
            healed,
            "fault.heal_requested",
            fault=fault_id,
            member=healed,
            action="stop",
            by="request",
        )
        sample(start_ns + 2 * MS, None)
        event(start_ns + 40 * MS, healed, "server.starting", member=healed, version="3.5.16")
        event(start_ns + 305 * MS, healed, "server.leader_elected", member=healed, leader=leader,
              leader_id=leader_id, term=term, joined=True)  # fmt: skip
        event(start_ns + 310 * MS, healed, "server.started", member=healed)
        event(start_ns + 320 * MS, healed, "fault.healed", fault=fault_id, member=healed, action="stop", by="request")
    for step in range(steps):
        behind = int(lag * (1 - step / (steps - 1)) ** 2) if steps > 1 else 0
        sample(start_ns + (330 + 25 * step if fault_id else 4) * MS, behind)
    duration_ms = float(332 + 25 * (steps - 1)) if fault_id else 6.0
    if fault_id:
        phases = {
            "heal_received": 1.0,
            "process_started": 40.0,
            "active": 320.0,
            "first_answer": 330.0,
            "leader_known": 330.0,
            "caught_up": duration_ms - 2,
            "converged": duration_ms,
        }
        records = [{"fault": fault_id, "member": healed, "action": "stop", "healed_by": "request", "phases_ms": phases}]
    hashes = dict.fromkeys(members, 2_718_281_828)
    event(start_ns + int(duration_ms * MS), "client1", "cluster.converged", duration_ms=duration_ms,
          revision=revision, hashes=hashes)  # fmt: skip
    return {
        "healed": records,
        "errors": {},
        "converged": True,
        "duration_ms": duration_ms,
        "reasons": [],
        "samples": samples,
        "revision": revision,
        "hashes": hashes,
        "started_wall_ns": origin_wall_ns + start_ns,
    }


def _observed(system: str, members: list[str], leader: str, term: int, revision: int, wall_ns: int) -> dict[str, Any]:
    """Return what the modules that observe a system say of it."""
    if system == "mysql":
        return {
            "reachable": True,
            "error": None,
            "healthy": True,
            "reasons": [],
            "version": "9.7.4",
            "hostname": "mysql1",
            "read_only": False,
            "variables": dict(MYSQL_SETTINGS),
        }
    states = {
        member: {
            "name": member,
            "url": f"http://{ADDRESSES[member]}:2379",
            "reachable": True,
            "error": None,
            "latency_ms": 0.8,
            "id": MEMBER_IDS[member],
            "cluster_id": "9f1c0e7d5a3b2846",
            "is_leader": member == leader,
            "leader_id": MEMBER_IDS[leader],
            "term": term,
            "raft_index": revision + 7,
            "applied_index": revision + 7,
            "revision": revision,
            "db_size_bytes": 4_194_304,
            "version": "3.5.16",
            "errors": [],
            "knows": members,
        }
        for member in members
    }
    return {
        "leader": leader,
        "healthy": True,
        "reasons": [],
        "observation": {
            "wall_ns": wall_ns,
            "members": states,
            "leader": leader,
            "leader_id": MEMBER_IDS[leader],
            "term": term,
        },
    }


# ---------------------------------------------------------------- defects


@dataclass(frozen=True)
class _Defect:
    """``outcomes`` decides before the run what happens to operations, ``change`` falsifies what was recorded."""

    change: Callable[[_Parts, Planted], None] | None = None
    outcomes: Callable[[list[Operation], Planted], Outcomes] | None = None


def _some_key(parts: _Parts) -> str:
    """Return a key that is alive at the end and was created by an operation in the middle of the stream."""
    index = parts.position_of(CREATE, touched_later=False)
    return parts.operations[index][1]


def _lost_key(parts: _Parts, planted: Planted) -> None:
    key = _some_key(parts)
    for entries in parts.dumps.values():
        del entries[key]
    planted.details = {"key": key}


def _wrong_value(parts: _Parts, planted: Planted) -> None:
    key = _some_key(parts)
    for entries in parts.dumps.values():
        entries[key][0] = "0.0.0.0"
    planted.details = {"key": key, "value": "0.0.0.0"}


def _extra_key(parts: _Parts, planted: Planted) -> None:
    for entries in parts.dumps.values():
        entries["Nobody7 toaster"] = ["9.9.9.9", 1, 2] if parts.system == "etcd" else ["9.9.9.9", None, None]
    planted.details = {"key": "Nobody7 toaster", "value": "9.9.9.9"}


def _diverged_node(parts: _Parts, planted: Planted) -> None:
    key = _some_key(parts)
    member = list(parts.dumps)[-1]
    parts.dumps[member][key][0] = "0.0.0.0"
    planted.details = {"key": key, "member": member, "value": "0.0.0.0"}


def _resurrected_key(parts: _Parts, planted: Planted) -> None:
    index = parts.position_of(DELETE, touched_later=False)
    key = parts.operations[index][1]
    value = next(operation[2] for operation in parts.operations if operation[0] == CREATE and operation[1] == key)  # type: ignore[misc]
    for entries in parts.dumps.values():
        entries[key] = [value, 1, 5] if parts.system == "etcd" else [value, None, None]
    planted.details = {"key": key, "index": index, "value": value}


def _late_duplicate(parts: _Parts, planted: Planted) -> None:
    """A key that was deleted is there again, and its CREATE had been sent twice."""
    _resurrected_key(parts, planted)
    key = planted.details["key"]
    created = next(row.index for row in parts.rows if row.kind == CREATE and row.key == key)
    parts.rows = [row._replace(attempts=2) if row.index == created else row for row in parts.rows]
    planted.details["created"] = created


def _ghosts(parts: _Parts, planted: Planted) -> None:
    """Two deleted keys are back: attempts that got no answer were passed on in the heal after the first repeat."""
    first = parts.repeats[0]
    created = {operation[1]: index for index, operation in enumerate(parts.operations) if operation[0] == CREATE}
    last_use = {operation[1]: index for index, operation in enumerate(parts.operations)}
    deletes = [
        index
        for index in range(first["first_index"], first["end_index"])
        if parts.operations[index][0] == DELETE and last_use[parts.operations[index][1]] == index
    ][:2]
    keys = [parts.operations[index][1] for index in deletes]
    revision = 1 + sum(row.kind != RETRIEVE for row in parts.rows if row.index < first["end_index"])
    for entries in parts.dumps.values():
        for entry in entries.values():
            entry[2] += len(keys) if entry[2] > revision else 0
        for number, key in enumerate(keys, 1):
            entries[key] = [parts.operations[created[key]][-1], 1, revision + number]
    resent = {created[key] for key in keys}
    for row in [row for row in parts.rows if row.index in resent]:
        at_wall_ns = parts.origin_wall_ns + (row.invoke_ns + row.complete_ns) // 2
        data = {"client": row.client, "index": row.index, "endpoint": f"{ADDRESSES['etcd2']}:2379", "kind": CREATE,
                "error": "DEADLINE_EXCEEDED: Deadline Exceeded", "ambiguous": True}  # fmt: skip
        parts.events.insert(0, Event(at_wall_ns, "client1", "client.attempt_failed", data))
    parts.rows = [row._replace(attempts=2) if row.index in resent else row for row in parts.rows]
    planted.details = {"keys": keys, "created": sorted(resent), "deleted": deletes, "revision": revision}


def _refused_and_resurrected(parts: _Parts, planted: Planted) -> None:
    """The same, but the first attempt of the CREATE was refused, so that there is no duplicate to blame."""
    _late_duplicate(parts, planted)
    data = {"client": 0, "index": planted.details["created"], "error": REFUSED, "ambiguous": False}
    parts.events.insert(0, Event(parts.origin_wall_ns, "client1", "client.attempt_failed", data))


def _duplicate_apply(parts: _Parts, planted: Planted) -> None:
    key = _some_key(parts)
    for entries in parts.dumps.values():
        entries[key][1] = 2
    planted.details = {"key": key}


def _duplicate_apply_after_retry(parts: _Parts, planted: Planted) -> None:
    _duplicate_apply(parts, planted)
    key = planted.details["key"]
    parts.rows = [row._replace(attempts=2, error="UNAVAILABLE: gone") if row.key == key else row for row in parts.rows]


def _change_read(parts: _Parts, planted: Planted, value: str | None) -> None:
    index = parts.position_of(RETRIEVE, touched_later=True)
    position = next(at for at, row in enumerate(parts.rows) if row.index == index)
    parts.rows[position] = parts.rows[position]._replace(read=value)
    planted.details = {"key": parts.rows[position].key, "index": index, "value": value}


def _missing_read(parts: _Parts, planted: Planted) -> None:
    _change_read(parts, planted, None)


def _wrong_read(parts: _Parts, planted: Planted) -> None:
    _change_read(parts, planted, "0.0.0.0")


def _lost_before_delete(parts: _Parts, planted: Planted) -> None:
    index = parts.position_of(DELETE, touched_later=False)
    position = next(at for at, row in enumerate(parts.rows) if row.index == index)
    parts.rows[position] = parts.rows[position]._replace(affected=0)
    planted.details = {"key": parts.rows[position].key, "index": index}


def _missing_rows(parts: _Parts, planted: Planted) -> None:
    start = len(parts.rows) // 3
    planted.details = {"indices": sorted(row.index for row in parts.rows[start : start + 7])}
    del parts.rows[start : start + 7]


def _cut_history(parts: _Parts, planted: Planted) -> None:
    keep = len(parts.rows) - 5
    planted.details = {"indices": sorted(row.index for row in parts.rows[keep:])}
    del parts.rows[keep:]


def _repeated_row(parts: _Parts, planted: Planted) -> None:
    at = len(parts.rows) // 3
    planted.details = {"index": parts.rows[at].index}
    parts.rows.insert(at, parts.rows[at])


def _reordered_rows(parts: _Parts, planted: Planted) -> None:
    """Swap the times of two operations on the same key, so that the second ran before the first."""
    index = parts.position_of(RETRIEVE, touched_later=True, after=0.3)
    first = next(at for at, row in enumerate(parts.rows) if row.index == index)
    key = parts.rows[first].key
    second = next(at for at in range(first + 1, len(parts.rows)) if parts.rows[at].key == key)
    a, b = parts.rows[first], parts.rows[second]
    parts.rows[first] = a._replace(invoke_ns=b.invoke_ns, complete_ns=b.complete_ns, intended_ns=b.intended_ns)
    parts.rows[second] = b._replace(invoke_ns=a.invoke_ns, complete_ns=a.complete_ns, intended_ns=a.intended_ns)
    planted.details = {"indices": [a.index, b.index], "key": key}


def _foreign_row(parts: _Parts, planted: Planted) -> None:
    at = len(parts.rows) // 3
    planted.details = {"index": parts.rows[at].index, "key": "Nobody7 toaster"}
    parts.rows[at] = parts.rows[at]._replace(key="Nobody7 toaster")


def _missed_fault(parts: _Parts, planted: Planted) -> None:
    """The member that was to be hit was not the leader any more."""
    parts.faults[0]["record"].update(fired=False, reason="etcd2 was not the leader when the fault reached it")
    parts.events = [event for event in parts.events if event.event not in ("fault.signal_sent", "fault.process_gone")]
    planted.details = {"fault": "F1"}


def _held_back_fault(parts: _Parts, planted: Planted) -> None:
    """No majority would have been left without its target, as after a fault shortly before it."""
    _missed_fault(parts, planted)
    parts.faults[0]["keep_majority"] = True
    parts.faults[0]["record"]["reason"] = (
        "without etcd2 only 1 of 3 members would be left that count (etcd1 is recovering, as the leader sees it)"
    )


def _fault_on_follower(parts: _Parts, planted: Planted) -> None:
    parts.faults[0]["record"].update(role="follower", leader_before="etcd1")
    planted.details = {"fault": "F1"}


def _fault_without_effect(parts: _Parts, planted: Planted) -> None:
    parts.faults[0]["record"].update(term_after=4, leader_after="etcd2")
    planted.details = {"fault": "F1"}


def _not_converged(parts: _Parts, planted: Planted) -> None:
    assert parts.convergence is not None
    parts.convergence.update(converged=False, duration_ms=None)


def _missing_dump(parts: _Parts, planted: Planted) -> None:
    member = list(parts.dumps)[-1]
    del parts.dumps[member]
    planted.details = {"member": member}


def _unknown_create(applied: bool) -> Callable[[list[Operation], Planted], Outcomes]:
    """A CREATE in the middle ends unknown; its key is looked up later, but never deleted."""

    def outcomes(operations: list[Operation], planted: Planted) -> Outcomes:
        last = {operation[1]: operation[0] for operation in operations}
        uses = {operation[1]: 0 for operation in operations}
        for operation in operations:
            uses[operation[1]] += 1
        index = next(
            at
            for at in range(len(operations) // 2, len(operations))
            if operations[at][0] == CREATE and last[operations[at][1]] == CREATE and uses[operations[at][1]] == 1
        )
        planted.details = {"index": index, "key": operations[index][1], "applied": applied}
        return {index: ("unknown", applied)}

    return outcomes


def _without_space(applied: bool) -> _Defect:
    """A CREATE ends ``fail``, as an earlier client had it, by an answer that etcd gives after applying the key."""
    unknown = _unknown_create(applied)

    def outcomes(operations: list[Operation], planted: Planted) -> Outcomes:
        return {index: ("fail", took) for index, (_, took) in unknown(operations, planted).items()}

    def change(parts: _Parts, planted: Planted) -> None:
        parts.rows = [
            row._replace(attempts=1, error=NO_SPACE) if row.index == planted.details["index"] else row
            for row in parts.rows
        ]

    return _Defect(change, outcomes)


def _ended_delete(outcome: str, applied: bool) -> Callable[[list[Operation], Planted], Outcomes]:
    """The last operation on some key, a DELETE, ends ``outcome``."""

    def outcomes(operations: list[Operation], planted: Planted) -> Outcomes:
        last_use = {operation[1]: at for at, operation in enumerate(operations)}
        index = next(
            at
            for at in range(len(operations) // 2, len(operations))
            if operations[at][0] == DELETE and last_use[operations[at][1]] == at
        )
        planted.details = {"index": index, "key": operations[index][1], "applied": applied}
        return {index: (outcome, applied)}

    return outcomes


def _no_delete_acknowledged(operations: list[Operation], _planted: Planted) -> Outcomes:
    """Every DELETE is refused."""
    return {index: ("fail", False) for index, operation in enumerate(operations) if operation[0] == DELETE}


def _left_out_of_the_first(operations: list[Operation], planted: Planted) -> Outcomes:
    """The first of two repeats is ended by the stall guard: what is left of it is never sent."""
    first = cut_stream(len(operations), 2)[0]
    planted.details = {"indices": list(range(first.start + len(first) * 2 // 3, first.stop))}
    return dict.fromkeys(planted.details["indices"], ("fail", False))


def _stalled(parts: _Parts, planted: Planted) -> None:
    left_out = set(planted.details["indices"])
    parts.rows = [row for row in parts.rows if row.index not in left_out]
    done = min(left_out)
    parts.repeats[0]["stalled"] = {"since_ns": 5 * S, "tried_s": 180.2, "done": done, "left_out": len(left_out)}


PLANTS: dict[str, _Defect] = {
    "lost_key": _Defect(_lost_key),
    "wrong_value": _Defect(_wrong_value),
    "extra_key": _Defect(_extra_key),
    "diverged_node": _Defect(_diverged_node),
    "resurrected_key": _Defect(_resurrected_key),
    "late_duplicate": _Defect(_late_duplicate),
    "ghosts": _Defect(_ghosts),
    "refused_and_resurrected": _Defect(_refused_and_resurrected),
    "duplicate_apply": _Defect(_duplicate_apply),
    "duplicate_apply_after_retry": _Defect(_duplicate_apply_after_retry),
    "missing_read": _Defect(_missing_read),
    "wrong_read": _Defect(_wrong_read),
    "lost_before_delete": _Defect(_lost_before_delete),
    "missing_rows": _Defect(_missing_rows),
    "stalled": _Defect(_stalled, outcomes=_left_out_of_the_first),
    "cut_history": _Defect(_cut_history),
    "repeated_row": _Defect(_repeated_row),
    "reordered_rows": _Defect(_reordered_rows),
    "foreign_row": _Defect(_foreign_row),
    "missed_fault": _Defect(_missed_fault),
    "held_back_fault": _Defect(_held_back_fault),
    "fault_on_follower": _Defect(_fault_on_follower),
    "fault_without_effect": _Defect(_fault_without_effect),
    "not_converged": _Defect(_not_converged),
    "missing_dump": _Defect(_missing_dump),
    "unknown_applied": _Defect(outcomes=_unknown_create(True)),
    "unknown_not_applied": _Defect(outcomes=_unknown_create(False)),
    "unknown_delete_applied": _Defect(outcomes=_ended_delete("unknown", True)),
    "no_space_applied": _without_space(True),
    "no_space_not_applied": _without_space(False),
    "no_delete_acknowledged": _Defect(outcomes=_no_delete_acknowledged),
    "failed_delete": _Defect(outcomes=_ended_delete("fail", False)),
    "failed_delete_applied": _Defect(outcomes=_ended_delete("fail", True)),
}


# ---------------------------------------------------------------- the files


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def _write_lines(path: Path, values: Iterable[Any]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def _write_experiment(path: Path, parts: _Parts, iterations: int, seed: int, clients: int) -> None:
    (path / "nodes").mkdir(parents=True, exist_ok=True)
    (path / "logs").mkdir(exist_ok=True)
    port = 3306 if parts.system == "mysql" else 2379
    members = ["mysql1"] if parts.system == "mysql" else ["etcd1", "etcd2", "etcd3"]
    meta = {
        "experiment": parts.name,
        "system": parts.system,
        "iterations": iterations,
        "seed": seed,
        "clients": clients,
        "rate": 0.0,
        "key_prefix": parts.prefix,
        "digest": stream_digest(parts.operations),
        "origin_wall_ns": parts.origin_wall_ns,
        "cut": None,
    }
    write_parquet(path / "history.parquet", meta, parts.rows)
    _write_lines(path / "events.jsonl", [e.as_dict() for e in sorted(parts.events, key=lambda e: e.wall_ns)])
    for member, entries in parts.dumps.items():
        header = {
            "member": member,
            "system": parts.system,
            "prefix": parts.prefix,
            "count": len(entries),
            "wall_ns": parts.events[-1].wall_ns + S,
            "revision": parts.convergence["revision"] if parts.convergence else None,
        }
        lines = [[key, *entry] for key, entry in sorted(entries.items())]
        _write_lines(path / "nodes" / f"{member}.jsonl", [header, *lines])
    for member in members:
        (path / "logs" / f"{member}.log").write_text(f"the log of {member}\n", encoding="utf-8")
    duration_s = sum(repeat["ended_ns"] - repeat["began_ns"] for repeat in parts.repeats) / S
    by_kind = {
        kind: {name: sum(row.kind == kind and row.outcome == name for row in parts.rows) for name in OUTCOMES}
        for kind in (CREATE, RETRIEVE, DELETE)
    }
    _write_json(
        path / "experiment.json",
        {
            "schema_version": SCHEMA_VERSION,
            "name": parts.name,
            "title": TITLES.get(parts.name, parts.name),
            "system": parts.system,
            "iterations": iterations,
            "seed": seed,
            "clients": clients,
            "rate": 0.0,
            "key_prefix": parts.prefix,
            "members": {member: {"client_url": f"http://{ADDRESSES[member]}:{port}"} for member in members}
            if parts.system == "etcd"
            else {"mysql1": {"address": f"{ADDRESSES['mysql1']}:{port}"}},
            "faults": parts.faults,
            "repeats": parts.repeats,
            "origin_wall_ns": parts.origin_wall_ns,
            "workload": {
                "schema_version": SCHEMA_VERSION,
                "experiment": parts.name,
                "system": parts.system,
                "operations": len(parts.operations),
                "done": len(parts.operations),
                "duration_s": duration_s,
                "ops_per_s": len(parts.operations) / duration_s,
                "outcomes": {name: sum(counts[name] for counts in by_kind.values()) for name in OUTCOMES},
                "by_kind": by_kind,
                "client_cpu_s": duration_s * 0.36,
                "digest": stream_digest(parts.operations),
                "endpoints": dict(Counter(row.endpoint for row in parts.rows)),
                "failovers": len(parts.faults),
                "origin_wall_ns": parts.origin_wall_ns,
                "interrupted": False,
                "message": None,
            },
            "before": _observed(parts.system, members, "etcd2", 4, 1, parts.origin_wall_ns - S),
            "after": parts.after,
            "convergence": parts.convergence,
        },
    )


def _run_json(
    run_id: str, iterations: int, seed: int, clients: int, repeats: int, experiments: list[str], finished_ns: int
) -> dict[str, Any]:
    def stamp(wall_ns: int) -> str:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=wall_ns // 1000)).isoformat()

    hardware = {"kernel": "6.18.0", "cpu": "Example CPU @ 2.10GHz", "cores": 2, "memory_mb": 24000}
    systems = {"etcd": "etcd 3.5.16", "mysql": "MySQL 9.7.4", "client": "etcd3 0.12.0, PyMySQL 1.2.4"}
    hosts = {
        member: {
            **hardware,
            "os": "Debian GNU/Linux sid" if member == "mysql1" else "Debian GNU/Linux 13 (trixie)",
            "python": "3.14.0" if member == "mysql1" else "3.13.5",
            "system": member.rstrip("0123456789"),
            "versions": {member.rstrip("0123456789"): systems[member.rstrip("0123456789")]},
        }
        for member in ADDRESSES
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "lab_name": "failover",
        "seed": seed,
        "iterations": iterations,
        "clients": clients,
        "rate": 0.0,
        "repeats": {"mysql" if "mysql" in name else "etcd": repeats for name in experiments},
        "sole_server_heal": "30s",
        "resumed_at": [],
        "started_at": stamp(START_WALL_NS),
        "finished_at": stamp(finished_ns),
        "experiments": experiments,
        "hosts": hosts,
        "settings": {
            "etcd": {"heartbeat-interval": 100, "election-timeout": 1000, "snapshot-count": 100000},
            "mysql": dict(MYSQL_SETTINGS),
            "client": {"attempt_timeout_ms": 1000, "connect_timeout_ms": 500, "operation_budget_ms": 10000},
        },
        "versions": {
            "etcd": "3.5.16",
            "mysql": "9.7.4",
            "etcd3": "0.12.0",
            "protobuf": "3.20.3",
            "PyMySQL": "1.2.4",
            "ansible-core": "2.19.14",
            "failover-lab": "0.1.0",
        },
        "checkout": {
            "commit": "8f95194d3b0c5a5b1f0d0c1e2a3b4c5d6e7f8091",
            "dirty": False,
            "origin": "https://git.example.org/teams/databases/failover-lab.git",
        },
        "controller": {
            **hardware,
            "os": "Debian GNU/Linux 12 (bookworm)",
            "container_runtime": "podman 4.3.1 with runc",
        },
    }

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a planted run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from failover.results.parquet import write_parquet
from failover.shapes import SCHEMA_VERSION
from failover.workloads.base import CREATE, DELETE, RETRIEVE
from failover.workloads.stream import stream_digest

from .observed import observed
from .parts import ADDRESSES, MYSQL_SETTINGS, START_WALL_NS, Parts, S

OUTCOMES = ("ok", "fail", "unknown")
TITLES = {
    "E1-etcd": "etcd, healthy",
    "E1-mysql": "MySQL, healthy",
    "E2-etcd": "etcd, the leader stopped at 12 % of the operations",
}
HARDWARE = {"kernel": "6.18.0", "cpu": "Example CPU @ 2.10GHz", "cores": 2, "memory_mb": 24000}
VERSIONS = {
    "etcd": "3.5.16",
    "mysql": "9.7.4",
    "etcd3": "0.12.0",
    "protobuf": "3.20.3",
    "PyMySQL": "1.2.4",
    "ansible-core": "2.19.14",
    "failover-lab": "0.1.0",
}


def write_json(path: Path, value: Any) -> None:
    """Write a value as people can read it."""
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def _write_lines(path: Path, values: Iterable[Any]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def write_experiment(path: Path, parts: Parts, iterations: int, seed: int, clients: int) -> None:
    """Write the folder of an experiment."""
    (path / "nodes").mkdir(parents=True, exist_ok=True)
    (path / "logs").mkdir(exist_ok=True)
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
    if parts.retry_policy is not None:
        meta["retry_policy"] = parts.retry_policy
    if parts.read_consistency is not None:
        meta["read_consistency"] = parts.read_consistency
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
    for member in parts.members:
        (path / "logs" / f"{member}.log").write_text(f"the log of {member}\n", encoding="utf-8")
    write_json(path / "experiment.json", _experiment_json(parts, iterations, seed, clients))


def _experiment_json(parts: Parts, iterations: int, seed: int, clients: int) -> dict[str, Any]:
    addresses = {member: f"{ADDRESSES[member]}:{parts.port}" for member in parts.members}
    return {
        "schema_version": SCHEMA_VERSION,
        "name": parts.name,
        "title": TITLES.get(parts.name, parts.name),
        "system": parts.system,
        "iterations": iterations,
        "seed": seed,
        "clients": clients,
        "rate": 0.0,
        "key_prefix": parts.prefix,
        "members": {
            member: {"client_url": f"http://{address}"} if parts.system == "etcd" else {"address": address}
            for member, address in addresses.items()
        },
        "faults": parts.faults,
        "repeats": parts.repeats,
        "origin_wall_ns": parts.origin_wall_ns,
        "workload": _workload(parts),
        "before": observed(parts.system, "etcd2", 4, 1, parts.origin_wall_ns - S),
        "after": parts.after,
        "convergence": parts.convergence,
        **(
            {}
            if parts.retry_policy is None
            else {"retry_policy": parts.retry_policy, "read_consistency": "linearizable"}
        ),
    }


def _workload(parts: Parts) -> dict[str, Any]:
    """Return what the workload's module returned."""
    duration_s = sum(repeat["ended_ns"] - repeat["began_ns"] for repeat in parts.repeats) / S
    by_kind = {
        kind: {name: sum(row.kind == kind and row.outcome == name for row in parts.rows) for name in OUTCOMES}
        for kind in (CREATE, RETRIEVE, DELETE)
    }
    return {
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
    }


def _hosts() -> dict[str, Any]:
    systems = {"etcd": "etcd 3.5.16", "mysql": "MySQL 9.7.4", "client": "etcd3 0.12.0, PyMySQL 1.2.4"}
    return {
        member: {
            **HARDWARE,
            "os": "Debian GNU/Linux sid" if member == "mysql1" else "Debian GNU/Linux 13 (trixie)",
            "python": "3.14.0" if member == "mysql1" else "3.13.5",
            "system": member.rstrip("0123456789"),
            "versions": {member.rstrip("0123456789"): systems[member.rstrip("0123456789")]},
        }
        for member in ADDRESSES
    }


def run_json(
    run_id: str, iterations: int, seed: int, clients: int, repeats: int, experiments: list[str], finished_ns: int
) -> dict[str, Any]:
    """Return what run.json says."""

    def stamp(wall_ns: int) -> str:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=wall_ns // 1000)).isoformat()

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
        "hosts": _hosts(),
        "settings": {
            "etcd": {"heartbeat-interval": 100, "election-timeout": 1000, "snapshot-count": 100000},
            "mysql": dict(MYSQL_SETTINGS),
            "client": {"attempt_timeout_ms": 1000, "connect_timeout_ms": 500, "operation_budget_ms": 10000},
        },
        "versions": VERSIONS,
        "checkout": {
            "commit": "8f95194d3b0c5a5b1f0d0c1e2a3b4c5d6e7f8091",
            "dirty": False,
            "origin": "https://git.example.org/teams/databases/failover-lab.git",
        },
        "controller": {
            **HARDWARE,
            "os": "Debian GNU/Linux 12 (bookworm)",
            "container_runtime": "podman 4.3.1 with runc",
        },
    }

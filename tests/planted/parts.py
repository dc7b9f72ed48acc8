# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a planted run is made of, before it is written."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from failover.shapes import Event, HistoryRow
from failover.workloads.packed import Stream

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
REFUSED = "UNAVAILABLE: failed to connect to all addresses; last error: Connection refused"
NO_SPACE = "RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded"
DEFAULT_EXPERIMENTS = ("E1-etcd", "E1-mysql", "E2-etcd")

Outcomes = dict[int, tuple[str, bool]]  # index -> (outcome, applied)
# Takes the time since the run's origin in ns, the source, the event's name, and its data.
Emit = Callable[..., None]


@dataclass
class Planted:
    """What :func:`.run.make_run` wrote: the run's folder and, where something was planted, what and where."""

    path: Path
    experiment: str | None = None
    plant: str | None = None
    details: dict[str, Any] = field(default_factory=dict)  # key, index, indices, member, value as they apply


@dataclass
class Parts:
    """One experiment in memory, before it is written."""

    name: str
    system: str
    prefix: str
    operations: Stream
    random: random.Random
    origin_wall_ns: int
    rows: list[HistoryRow]
    dumps: dict[str, dict[str, list[Any]]]  # member -> key -> [value, version, mod_revision]
    events: list[Event]
    faults: list[dict[str, Any]]
    after: dict[str, Any]
    repeats: list[dict[str, Any]]  # as in experiment.json
    retry_policy: str | None = None  # None: as the lab was before it had a choice
    read_consistency: str | None = None  # None: the same

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

    @property
    def members(self) -> list[str]:
        """The members of its system."""
        return members_of(self.system)

    @property
    def port(self) -> int:
        """Where a member serves clients."""
        return port_of(self.system)


def members_of(system: str) -> list[str]:
    """Return the members of a system."""
    return ["mysql1"] if system == "mysql" else ["etcd1", "etcd2", "etcd3"]


def port_of(system: str) -> int:
    """Return where a member of a system serves clients."""
    return 3306 if system == "mysql" else 2379

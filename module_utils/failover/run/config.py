# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one experiment's workload is run with, and whether it can begin so."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..failover_policy import FailoverPolicy
from ..prepare import split_endpoint
from ..shapes import FaultSpec, LabError

SYSTEMS = ("etcd", "mysql", "mysql_cluster")
MYSQL_ACCOUNT = ("user", "password", "database")


@dataclass(frozen=True)
class RunnerConfig:
    """One experiment's workload."""

    experiment: str
    system: str  # one of SYSTEMS
    iterations: int
    seed: int
    clients: int
    rate: float  # operations per second of all clients together; 0 is a closed loop
    key_prefix: str
    endpoints: Sequence[str]  # "host:port"; the first is connected to, the others are where to go from there
    members: Mapping[str, Mapping[str, Any]]  # name -> {"client_url" or "address"}
    policy: FailoverPolicy
    work_dir: Path
    faults: Sequence[FaultSpec] = ()
    repeats: int = 1
    stall_timeout_s: float = float("inf")  # a repeat without an acknowledged operation for so long is ended
    mysql: Mapping[str, str] = field(default_factory=dict)  # MYSQL_ACCOUNT
    source: str = field(default_factory=socket.gethostname)  # who stamps the clients' events


def check_config(config: RunnerConfig) -> None:
    """Raise :class:`LabError` where a run with ``config`` could not begin."""
    if config.system not in SYSTEMS:
        raise LabError(f"system is {config.system!r}; known are {', '.join(SYSTEMS)}")
    if config.clients < 1:
        raise LabError(f"clients is {config.clients}; it has to be at least 1")
    if not 0 <= config.rate < float("inf"):
        raise LabError(f"rate is {config.rate}; it has to be 0 (closed loop) or operations per second")
    if config.repeats < 1:
        raise LabError(f"repeats is {config.repeats}; it has to be at least 1")
    if not config.stall_timeout_s > 0:
        raise LabError(f"stall_timeout_s is {config.stall_timeout_s}; it has to be more than 0 seconds")
    if not config.endpoints:
        raise LabError(f"endpoints of {config.experiment} is empty; give at least one host:port")
    for endpoint in config.endpoints:
        split_endpoint(endpoint)
    if config.system == "etcd" and not all("client_url" in member for member in config.members.values()):
        raise LabError(f"members of {config.experiment}: each needs a client_url like http://10.0.0.11:2379")
    if config.system == "mysql_cluster" and not all("address" in member for member in config.members.values()):
        raise LabError(f"members of {config.experiment}: each needs an address like 10.0.0.21:3306")
    missing = [name for name in MYSQL_ACCOUNT if not config.mysql.get(name)]
    if config.system != "etcd" and missing:
        raise LabError(
            f"{config.experiment} lacks the MySQL {', '.join(missing)}; the load generator logs in with them"
        )

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A single MySQL server, as the lab drives, watches and judges it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...shapes import ClientEmit, Event, Target
from ..base import Client, ClientIdentity, LeaderFinder, Observation, System, Watched, need_account
from ..endpoints import split_endpoint
from ..loop import FailoverPolicy
from . import keys, log, refusals
from .connect import MySQLAddress
from .gtids import InLog
from .observe import await_server
from .watch import MySQLSampler, OnlyServer

# How long the server may take for each answer when it is observed, in s.
OBSERVE_TIMEOUT_S = 3.0


class MySQL(System):
    """One server without replicas."""

    name = "mysql"
    title = phrase = "MySQL"
    leader_word = "server"
    several = False
    member_counts = "1"
    uses_prefix = False
    reads = ("linearizable",)
    rejoins = False
    fence_price: tuple[float, ...] = (0.94, 0.82, 0.85)  # benchmarks/clients.py, from the load generator, on two cores
    acknowledges = "A single MySQL server has it on its own."
    in_memory = False
    versions = ("mysql", "pymysql")
    first_version = own_hash = ""
    # Reference manual: the redo log and the binary log are written and synced at each commit.
    durable_with: tuple[tuple[str, str], ...] = (("innodb_flush_log_at_trx_commit", "1"), ("sync_binlog", "1"))
    cover_settings = (
        "innodb_flush_log_at_trx_commit",
        "sync_binlog",
        "innodb_doublewrite",
        "innodb_flush_method",
        "log_bin",
        "transaction_isolation",
    )

    def check(self, target: Target) -> None:
        """Refuse a target without the workload's account."""
        need_account(target)

    def client(self, target: Target, policy: FailoverPolicy, emit: ClientEmit, identity: ClientIdentity) -> Client:
        """Connect a client to the server."""
        from .client import MySQLClient

        host, port = split_endpoint(target.endpoints[0])
        return MySQLClient(host, port, **target.account, policy=policy, emit=emit, identity=identity, ca=target.ca)

    def leader(self, target: Target, timeout_s: float) -> LeaderFinder:
        """Name the only server."""
        return OnlyServer(target.members)

    def watch(self, target: Target, *, sample_timeout_s: float, compare_timeout_s: float) -> Watched:
        """Wait for the server's greeting; it has nobody to be compared with."""
        return Watched({member: MySQLSampler(given, sample_timeout_s) for member, given in target.addresses.items()})

    def empty(self, target: Target, key_prefix: str, *, longest_value: int, dry_run: bool) -> dict[str, Any]:
        """Make the table empty."""
        return keys.empty(target.endpoints[0], target.account, longest_value, dry_run=dry_run, ca=target.ca)

    def dump(self, target: Target, member: str, key_prefix: str, dest: Path, *, write: bool) -> dict[str, Any]:
        """Write the rows of the server."""
        return keys.dump(self.name, member, target.addresses[member], target.account, dest, write=write, ca=target.ca)

    def observe(self, target: Target, wait_for: str, timeout_s: float) -> Observation:
        """Ask the server for its version and settings, and whether it takes writes."""
        need_account(target)
        address = MySQLAddress.of(
            next(iter(target.addresses.values())), target.account, OBSERVE_TIMEOUT_S, ca=target.ca
        )
        # Equal data is no question of a single server.
        found = await_server(address, "none" if wait_for == "none" else "healthy", timeout_s)
        reached = found.pop("reached")
        return Observation(found, reached, "/var/log/mysql/error.log")

    def executed(self, observed: Mapping[str, Any], members: Sequence[str]) -> dict[str, Container[str]]:
        """Read the server's sets of GTIDs: what a replica that comes later would get of it."""
        if "gtid_executed" not in observed:
            return {}
        return dict.fromkeys(members, InLog(observed["gtid_executed"], observed.get("gtid_purged", "")))

    def events(
        self, logs: Mapping[str, Sequence[str]], members: Mapping[str, Mapping[str, Any]], ids: Mapping[str, str]
    ) -> list[Event]:
        """Read the server's error log."""
        return log.parse_logs(logs, {given["address"]: member for member, given in members.items()})

    def refused(self, error: str) -> bool:
        """Look the error up among those after which a statement has not taken effect."""
        return refusals.refused(error)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""etcd, as the lab drives, watches and judges it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from ...shapes import ClientEmit, Event, LabError, Target
from ..base import Client, ClientIdentity, LeaderFinder, Observation, System, Watched, Watcher
from ..endpoints import endpoint_of, split_endpoint
from ..loop import FailoverPolicy
from . import keys, log, refusals
from .access import client_url, of_lab, of_workload
from .accounts import GRANT_TIMEOUT_S, grant_only
from .http import EtcdHttp
from .known_bugs import KNOWN_BUGS
from .observe import alarms_of, await_cluster, compare_data
from .transport.base import DEFAULT_TRANSPORT, TRANSPORTS, Transport
from .watch import EtcdLeader, EtcdSampler


class Etcd(System):
    """A cluster of etcd members, reached through any of them."""

    name = "etcd"
    title = phrase = "etcd"
    leader_word = "leader"
    several = True
    member_counts = "1, 3 or 5"
    uses_prefix = True
    reads = ("linearizable", "serializable")
    rejoins = False
    fence_price = (0.92, 0.89, 0.93)  # benchmarks/clients.py, from the controller, on two cores
    acknowledges = "etcd has it on the disks of a majority then."
    in_memory = False
    versions = ("etcd", "etcd3", "grpcio", "hpack")
    first_version = "version 1: etcd counts from a key's creation, so this is one write after the DELETE"
    own_hash = "what etcd computes over its whole store at one revision, the same for all members"
    known_bugs = KNOWN_BUGS
    durable_with = (("unsafe_no_fsync", "false"),)
    cover_settings = ("heartbeat_interval", "election_timeout", "unsafe_no_fsync", "pre_vote", "snapshot_count")

    def check(self, target: Target) -> None:
        """Refuse members without a client URL."""
        if not all("client_url" in member for member in target.members.values()):
            raise LabError("members: each needs a client_url like https://10.0.0.11:2379")
        if transport_of(target) not in TRANSPORTS:
            raise LabError(f"etcd_transport is {transport_of(target)}; it has to be one of {', '.join(TRANSPORTS)}")

    def client(self, target: Target, policy: FailoverPolicy, emit: ClientEmit, identity: ClientIdentity) -> Client:
        """Connect a client to the first member that answers; it finds the others itself."""
        from .client import ClientWithFailover

        host, port = split_endpoint(target.endpoints[0])
        return ClientWithFailover(
            host,
            port,
            seeds=target.endpoints[1:],
            policy=policy,
            emit=emit,
            identity=identity,
            transport=transport_of(target),
            access=of_workload(target),
        )

    def leader(self, target: Target, timeout_s: float) -> LeaderFinder:
        """Ask the members who leads."""
        return EtcdLeader(target.addresses, timeout_s, of_lab(target))

    def watch(self, target: Target, *, sample_timeout_s: float, compare_timeout_s: float) -> Watched:
        """Look at each member's status; compare their data by etcd's own hash."""
        access = of_lab(target)
        try:
            samplers = {member: EtcdSampler(url, sample_timeout_s, access) for member, url in target.addresses.items()}
            hashers = {member: EtcdHttp(url, compare_timeout_s, access) for member, url in target.addresses.items()}
        except ValueError as error:
            raise LabError(str(error)) from None

        def close() -> None:
            for hasher in hashers.values():
                hasher.close()

        return Watched(samplers, partial(compare_data, hashers), close)

    def watcher(self, target: Target, key_prefix: str, policy: FailoverPolicy) -> Watcher:
        """Watch the keys under the prefix, over HTTP/2 of the lab's own whatever carries the clients' requests."""
        from .watcher import EtcdWatcher

        def leader() -> str | None:
            finding = EtcdLeader(target.addresses, policy.attempt_timeout_ms / 1000, of_lab(target))
            with closing(finding) as finder:
                name = finder.ask()
            return None if name is None else endpoint_of(target.addresses[name])

        return EtcdWatcher(target.endpoints, key_prefix, policy, leader, of_workload(target))

    def empty(self, target: Target, key_prefix: str, *, longest_value: int, dry_run: bool) -> dict[str, Any]:
        """Remove all keys under the prefix; the workload's account may touch these from now on, and no others."""
        access = of_lab(target)
        emptied = keys.empty(target.endpoints, key_prefix, dry_run=dry_run, access=access)
        if target.user and not dry_run:
            with closing(EtcdHttp(client_url(emptied["endpoint"], access), GRANT_TIMEOUT_S, access)) as member:
                grant_only(member, [key_prefix, keys.FENCES])
        return emptied

    def dump(self, target: Target, member: str, key_prefix: str, dest: Path, *, write: bool) -> dict[str, Any]:
        """Write the keys under the prefix, as one member has them."""
        return keys.dump(member, target.addresses[member], key_prefix, dest, write=write, access=of_lab(target))

    def observe(self, target: Target, wait_for: str, timeout_s: float) -> Observation:
        """Ask all members for their views, and compare these."""
        try:
            urls, names = list(target.addresses.values()), list(target.members)
            found = await_cluster(urls, names, wait_for, timeout_s, of_lab(target))
        except ValueError as error:
            raise LabError(str(error)) from None
        reached = found.pop("reached")
        return Observation({"leader": found["observation"]["leader"], **found}, reached, "journalctl -u etcd")

    def alarms(self, members: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
        """Return NOSPACE and CORRUPT, each with the member that raised it."""
        return alarms_of(members)

    def events(
        self, logs: Mapping[str, Sequence[str]], members: Mapping[str, Mapping[str, Any]], ids: Mapping[str, str]
    ) -> list[Event]:
        """Read etcd's journal."""
        return log.parse_logs(logs, ids)

    def waits(self, fault: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
        """Name the election timeout where it was waited for."""
        election = as_ms(settings.get("election_timeout"))
        if election is None or fault["election_cause"] != "election timeout":
            return {}
        # Each member draws its own timeout from one to two times the setting (raft's randomizedElectionTimeout).
        return {"detection": f"election timeout {election / 1000:g} to {2 * election / 1000:g} s"}

    def refused(self, error: str) -> bool:
        """Look the answer up among those that come before anything is proposed."""
        return refusals.refused(error)


def transport_of(target: Target) -> Transport:
    """Return what carries the clients' requests."""
    transport: Transport = target.client.get("transport", DEFAULT_TRANSPORT)
    return transport


def as_ms(value: Any) -> float | None:
    """Read a duration as etcd prints it (100ms, 1s, 1m0s; a bare number is ms) in ms; None where it is none."""
    text = str(value)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[unit] for number, unit in parts)

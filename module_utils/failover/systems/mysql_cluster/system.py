# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""MySQL Group Replication, as the lab drives, watches and judges it; what it shares with a single server is there."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...actions.registry import ACTIONS
from ...shapes import ClientEmit, LabError, Target
from ..base import Client, ClientIdentity, LeaderFinder, Observation, Watched, need_account
from ..dump_file import PAGE_TIMEOUT_S
from ..endpoints import split_endpoint
from ..loop import FailoverPolicy
from ..mysql import keys
from ..mysql.connect import MySQLAddress, connected
from ..mysql.gtids import GtidSet
from ..mysql.system import MySQL
from .observe import await_group, compare_tables, look_at_modes
from .views import addresses_of, is_online, read_members, why_not_primary
from .watch import GroupLeader, GroupSampler

# After which a group calls a member unreachable, in s; no setting changes it.
SILENCE_S = 5


class MySQLCluster(MySQL):
    """A group of servers with one primary, which takes all operations."""

    name = "mysql_cluster"
    title = "MySQL Group Replication"
    phrase = "the MySQL cluster"
    leader_word = "primary"
    several = True
    member_counts = "3 or 5"
    rejoins = True
    fence_price = ()
    acknowledges = (
        "The MySQL cluster has it on the disk of its primary and in the memory of a majority, from where the others "
        "write and apply it later: a primary that is lost for ever together with the memory of the others would take "
        "acknowledged writes with it."
    )
    in_memory = True

    def check(self, target: Target) -> None:
        """Refuse members without an address, and a target without the workload's account."""
        if not all("address" in member for member in target.members.values()):
            raise LabError("members: each needs an address like 10.0.0.21:3306")
        need_account(target)

    def client(self, target: Target, policy: FailoverPolicy, emit: ClientEmit, identity: ClientIdentity) -> Client:
        """Connect a client to the primary, as the first member says that answers."""
        from .client import GroupClient

        host, port = split_endpoint(target.endpoints[0])
        return GroupClient(
            host,
            port,
            **target.account,
            seeds=target.endpoints[1:],
            policy=policy,
            emit=emit,
            identity=identity,
            ca=target.ca,
        )

    def leader(self, target: Target, timeout_s: float) -> LeaderFinder:
        """Ask the members for the primary."""
        need_account(target)
        return GroupLeader({name: replace(each, timeout_s=timeout_s) for name, each in _addresses(target).items()})

    def watch(self, target: Target, *, sample_timeout_s: float, compare_timeout_s: float) -> Watched:
        """Look at each member's view of the group; compare their tables by MySQL's own checksum."""
        need_account(target)
        addresses = _addresses(target)
        slower = {member: replace(address, timeout_s=compare_timeout_s) for member, address in addresses.items()}
        return Watched(
            {member: GroupSampler(address) for member, address in addresses.items()},
            partial(compare_tables, slower, f"{target.database}.{keys.TABLE}"),
        )

    def why_not_whole(self, state: Mapping[str, Any]) -> str | None:
        """Ask for a member that is online; the primary may be another's business."""
        return None if is_online(state) else str(state["state"]).lower()

    def empty(self, target: Target, key_prefix: str, *, longest_value: int, dry_run: bool) -> dict[str, Any]:
        """Make the primary's table empty; the other members follow."""
        reasons = []
        for endpoint in target.endpoints:
            try:
                with connected(MySQLAddress.of(endpoint, target.account, PAGE_TIMEOUT_S, ca=target.ca)) as connection:
                    reason = why_not_primary(read_members(connection))
            except OSError as error:
                reason = error.strerror
            if reason is None:
                return keys.empty(endpoint, target.account, longest_value, dry_run=dry_run, ca=target.ca)
            reasons.append(f"{endpoint}: {reason}")
        raise LabError(
            f"the replication group has no primary through which it could be emptied ({'; '.join(reasons)}); "
            "check mysql_user and mysql_database, and bring the group up with playbooks/up.yml"
        )

    def dump(self, target: Target, member: str, key_prefix: str, dest: Path, *, write: bool) -> dict[str, Any]:
        """Write the rows that a member has applied, whatever its state and its role are."""
        return keys.dump(
            self.name,
            member,
            target.addresses[member],
            target.account,
            dest,
            # By default a new primary has readers wait until it has applied all that it received.
            before=("SET SESSION group_replication_consistency = 'EVENTUAL'",),
            write=write,
            ca=target.ca,
        )

    def observe(self, target: Target, wait_for: str, timeout_s: float) -> Observation:
        """Ask all members for their views of the group, and whether they take what their roles promise."""
        need_account(target)
        addresses = _addresses(target)
        found = await_group(addresses, wait_for, timeout_s)
        contradictions = look_at_modes(addresses, found["observation"])
        found["healthy"] = found["healthy"] and not contradictions
        found["reasons"] += contradictions
        reached = found.pop("reached")
        return Observation(found, reached, "/var/log/mysql/error.log")

    def executed(self, observed: Mapping[str, Any], members: Sequence[str]) -> dict[str, Container[str]]:
        """Read each member's set of GTIDs."""
        seen = observed.get("observation", {}).get("members", {})
        return {
            member: GtidSet(seen[member]["gtid_executed"])
            for member in members
            if "gtid_executed" in seen.get(member, {})
        }

    def waits(self, fault: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
        """Name how long a silent member is waited for before it is expelled."""
        expel = settings.get("group_replication_member_expel_timeout")
        if expel is None:
            return {}
        found = {"expulsion": f"expel timeout {expel} s"}
        if any(mark["name"] == "member_unreachable" for mark in fault["marks"]):
            found["detection"] = f"silence noticed after {SILENCE_S} s"
        elif not ACTIONS[fault["action"]].says_goodbye:
            found["detection"] = f"silence {SILENCE_S} s, expel timeout {expel} s"
        return found


def _addresses(target: Target) -> dict[str, MySQLAddress]:
    """Return where and as whom each member is asked; without a database, which one that is being made anew lacks."""
    return addresses_of(target.addresses, target.account["user"], target.account["password"], target.ca)

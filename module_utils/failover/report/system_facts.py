# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the report knows of single systems by name. No other file of it but the notebook's chapter names one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..actions.registry import ACTIONS


@dataclass(frozen=True)
class Facts:
    """What is known of one system."""

    title: str  # as sentences name it
    acknowledges: str  # where an acknowledged write is: a sentence
    replicated: bool = True  # several members hold the data, and another takes over
    in_memory: bool = False  # the majority that an acknowledgement rests on need not have the write on disk


SYSTEMS = {
    "etcd": Facts("etcd", "etcd has it on the disks of a majority then."),
    "mysql": Facts("MySQL", "A single MySQL server has it on its own.", replicated=False),
    "mysql_cluster": Facts(
        "the MySQL cluster",
        "The MySQL cluster has it on the disk of its primary and in the memory of a majority, from where the others "
        "write and apply it later: a primary that is lost for ever together with the memory of the others would take "
        "acknowledged writes with it.",
        in_memory=True,
    ),
}


# Versions that the cover shows, as far as they are recorded, whatever the case of their letters; the appendix has all.
COVER_VERSIONS = (
    "etcd",
    "mysql",
    "python",
    "etcd3",
    "grpcio",
    "pymysql",
    "ansible",
    "ansible-core",
    "failover-lab",
)

# Effective settings that decide durability and failover; the cover shows these, the appendix all.
COVER_SETTINGS = (
    "heartbeat_interval",
    "election_timeout",
    "unsafe_no_fsync",
    "pre_vote",
    "snapshot_count",
    "innodb_flush_log_at_trx_commit",
    "sync_binlog",
    "innodb_doublewrite",
    "innodb_flush_method",
    "log_bin",
    "transaction_isolation",
)

# What a key's version of 1 shows where it was written again after a DELETE.
VERSION_ONE = "version 1: etcd counts from a key's creation, so this is one write after the DELETE"
# Whose own hash stands beside the digests of the keys.
SERVER_HASH = "what etcd computes over its whole store at one revision, the same for all members"

GROUP_SILENCE_S = 5  # after which a group of MySQL calls a member unreachable; no setting changes it


def title_of(system: str) -> str:
    """Return how sentences name a system; one that is not known by its name."""
    return SYSTEMS[system].title if system in SYSTEMS else system


def is_replicated(system: str) -> bool:
    """Tell whether another member takes over; of a system that is not known that is assumed."""
    return system not in SYSTEMS or SYSTEMS[system].replicated


def acknowledged(systems: Collection[str]) -> str:
    """Say what an acknowledgement means; empty where it means the same for all these systems."""
    if len(systems) < 2 or not any(name in SYSTEMS and SYSTEMS[name].in_memory for name in systems):
        return ""
    meanings = " ".join(facts.acknowledges for facts in SYSTEMS.values())
    return f"Every system acknowledges a write when it is on a disk. {meanings} This run does not test that."


def setting_name(name: str) -> str:
    """Return a setting's name in one spelling: ETCD_HEARTBEAT_INTERVAL and heartbeat-interval are one setting."""
    return name.lower().removeprefix("etcd_").replace("-", "_")


def bounds(fault: Mapping[str, Any], effective: Mapping[str, Any]) -> dict[str, str]:
    """Name the recorded settings of its servers that bound the waits of an outage, by wait (see outage/lanes).

    :param fault: as the report tells it
    :param effective: the system's recorded settings
    """
    settings = {setting_name(name): value for name, value in effective.items()}
    found = {}
    election = as_ms(settings.get("election_timeout"))
    if election is not None and fault["election_cause"] == "election timeout":
        # Each etcd member draws its own timeout from one to two times the setting (raft's randomizedElectionTimeout).
        found["detection"] = f"election timeout {_seconds(election)} to {_seconds(2 * election)} s"
    expel = settings.get("group_replication_member_expel_timeout")
    if expel is not None:
        found["expulsion"] = f"expel timeout {expel} s"
        if any(mark["name"] == "member_unreachable" for mark in fault["marks"]):
            found["detection"] = f"silence noticed after {GROUP_SILENCE_S} s"
        elif not ACTIONS[fault["action"]].says_goodbye:
            found["detection"] = f"silence {GROUP_SILENCE_S} s, expel timeout {expel} s"
    return found


def as_ms(value: Any) -> float | None:
    """Read a duration as etcd prints it (100ms, 1s, 1m0s; a bare number is ms) in ms; None where it is none."""
    text = str(value)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[unit] for number, unit in parts)


def _seconds(value_ms: float) -> str:
    return f"{value_ms / 1000:g}"

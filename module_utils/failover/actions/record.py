# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was done for one fault: the agent's record, and what the fault's own record takes over from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# What a fault's record takes over from the agent's when it has fired.
AGENT_FIELDS = (
    "member",
    "member_id",
    "role",
    "signal",
    "via",
    "pid",
    "signal_call_ms",
    "processes",
    "effect",
    "role_checked_wall_ns",
    "signal_sent_wall_ns",
    "inject_error",
)


@dataclass
class FaultRecord:
    """What was done for one fault on this host; all times are of this host's wall clock, in ns."""

    token: str  # unique for ever, made by who fires
    fault: str  # id within the experiment, e.g. "F1"
    action: str
    member: str
    held: bool = True  # not healed yet
    asked_wall_ns: int | None = None
    role: str | None = None
    member_id: str | None = None
    leader_id: str | None = None
    term: int | None = None
    role_checked_wall_ns: int | None = None
    isolate: str | None = None
    direction: str | None = None
    options: dict[str, float] = field(default_factory=dict)
    processes: int | None = None  # how many were paused, or killed together
    effect: str | None = None  # what the kernel says of what was done to disk or network
    signal: str | None = None
    via: str | None = None  # dbus, systemctl, pidfd, nft, fallocate, cgroup, tc
    pid: int | None = None
    signal_sent_wall_ns: int | None = None  # right before the signal, or the request for it, left this process
    signal_call_ms: float | None = None  # how long sending it took
    process_gone_wall_ns: int | None = None
    heal_requested_wall_ns: int | None = None
    process_started_wall_ns: int | None = None
    healed_wall_ns: int | None = None
    # By how much this host's wall clock was set between the last ping before the fault and the heal. The stamps here
    # are steady (clock.py); those of the server's log are not.
    clock_stepped_ns: int | None = None
    healed_by: str | None = None  # request, dead man's switch, or the action itself where it comes back
    inject_error: str | None = None  # what went wrong once the signal was on its way
    error: str | None = None  # why the last heal failed
    # What the heal did to bring the member back into its group: {act, why, wall_ns} each.
    group_steps: list[dict[str, Any]] = field(default_factory=list)


def heal_events(done: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the events of a heal and their stamps, as an agent's record has them: none where it is still held."""
    if done["healed_wall_ns"] is None:
        return []
    stamps = [("fault.heal_requested", done["heal_requested_wall_ns"]), ("fault.healed", done["healed_wall_ns"])]
    return [(name, wall_ns) for name, wall_ns in stamps if wall_ns is not None]


def take_over_heal(record: dict[str, Any], done: Mapping[str, Any]) -> None:
    """Note in a fault's record what its agent knows of the heal."""
    for name in ("healed_wall_ns", "healed_by", "effect"):
        record[name] = done[name]
    record["clock_stepped_ns"] = done.get("clock_stepped_ns")
    record["group_steps"] = done.get("group_steps", [])  # an agent of before this was there has none


def take_over_end(record: dict[str, Any], done: Mapping[str, Any]) -> dict[str, Any]:
    """Note in a fault's record when its agent saw the process gone; return the data of fault.process_gone."""
    record["process_gone_wall_ns"] = done["process_gone_wall_ns"]
    record["gone_ms"] = (done["process_gone_wall_ns"] - done["signal_sent_wall_ns"]) / 1e6
    return {
        "fault": done["fault"],
        "member": done["member"],
        "source": done["member"],
        "wall_ns": done["process_gone_wall_ns"],
        "pid": done["pid"],
        "gone_ms": record["gone_ms"],
    }


def group_events(
    member: str, steps: Sequence[Mapping[str, Any]], fault: str | None
) -> list[tuple[str, dict[str, Any]]]:
    """Return the event of each step by which the lab brought a member back into its group.

    :param fault: id of the fault whose heal did it; None where the member held none
    """
    return [
        (
            "group.step",
            {
                "member": member,
                "fault": fault,
                "act": step["act"],
                "why": step["why"],
                "source": member,
                "wall_ns": step["wall_ns"],
            },
        )
        for step in steps
    ]

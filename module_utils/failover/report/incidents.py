# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the lab had to do beyond its plan while it measured: repeats that it ended, members that it made to rejoin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..actions.record import FaultRecord
from ..stall import describe_stall, stalled_repeats

# What the steps are beyond the join, which every member does once its server runs again.
FORCED = {
    "leave": "{member} was made to leave its group and join it again",
    "release": "{member} took another member out of a group without a majority",
    "bootstrap": "the group was formed anew, beginning with {member}",
}


def incidents(info: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each, from experiment.json."""
    told = [describe_stall(repeat, len(info["repeats"])).rstrip(".") for repeat in stalled_repeats(info)]
    forced: dict[tuple[str, str], list[str]] = {}
    for member, step, healed in _steps(info):
        if step["act"] in FORCED:
            forced.setdefault((FORCED[step["act"]].format(member=member), step["why"]), []).append(healed)
    return told + [f"{what}, as {why} ({', '.join(healed)})" for (what, why), healed in forced.items()]


def _steps(info: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Return each step by which a heal brought a member into its group: member, step, and which heal it was."""
    for fault in info["faults"]:
        record = FaultRecord.of(fault)
        if record is not None:
            yield from ((record.struck, step, f"heal of {fault['id']}") for step in record.group_steps)
    for repeat in info["repeats"]:
        convergence = repeat.get("convergence") or {}
        for healed in map(FaultRecord.from_dict, convergence.get("healed", [])):
            yield from ((healed.struck, step, f"heal of {healed.fault}") for step in healed.group_steps)
        for step in convergence.get("rejoined", []):
            yield step["member"], step, f"after repeat {repeat['repeat']}"

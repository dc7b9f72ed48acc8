# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What comparing the data of all members says, for every system.

A comparison is ``{"equal", "revision", "hashes": {member: hash or None}, "errors": {member: text}}``; of etcd also
``"compact_revisions": {member: revision}``, from which on the data are hashed.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .base import Watched


def why_different(compared: Mapping[str, Any]) -> list[str]:
    """Tell in one sentence what a comparison found; empty where the data are equal."""
    if compared["equal"]:
        return []
    told = [f"{name} {hashed}" for name, hashed in compared["hashes"].items() if hashed is not None]
    told += [f"{name} {error}" for name, error in compared["errors"].items()]
    return [f"the members' data differ at revision {compared['revision']}: {', '.join(told)}"]


def compare_now(watched: Watched) -> dict[str, Any] | None:
    """Compare the data of all members at the newest revision that each of them has by now; None where none can be.

    Closes what it is given.

    :returns: a comparison with ``revisions``, {member: revision}; a member that does not answer is among ``errors``
    """
    try:
        if watched.compare is None:
            return None
        with ThreadPoolExecutor(max_workers=max(1, len(watched.samplers))) as pool:
            states = dict(
                zip(watched.samplers, pool.map(lambda each: each.sample(), watched.samplers.values()), strict=True)
            )
        revisions = {member: int(state["revision"]) for member, state in states.items() if state.get("reachable")}
        if not revisions:
            errors = {member: str(state["error"]) for member, state in states.items()}
            return {
                "equal": False,
                "revision": None,
                "hashes": dict.fromkeys(states),
                "errors": errors,
                "revisions": {},
            }
        return {**watched.compare(min(revisions.values())), "revisions": revisions}
    finally:
        for sampler in watched.samplers.values():
            sampler.close()
        watched.close()

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a replication group is, as all of its members say: whole, healthy, and with equal data.

Healthy is more than whole: a primary that is read-only takes no write, though a secondary is so by its role, and a
member in offline mode (MySQL sets it where a member left its group and ``group_replication_exit_state_action`` says so)
lets no client in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..base import look_until_reached
from ..mysql.connect import MySQLAddress, connected
from .views import LOOK_INTERVAL_S, State, describe, view_of

MODES = ("read_only", "super_read_only", "offline_mode")
_ASK = f"SELECT {', '.join(f'@@GLOBAL.{mode}' for mode in MODES)}"


def observe_group(addresses: Mapping[str, MySQLAddress]) -> dict[str, Any]:
    """Ask all members at once.

    :returns: ``members`` (name -> :func:`describe`), ``leader`` (name of the primary that says so itself, or None),
        ``leader_id``, ``term`` and ``wall_ns``
    """
    wall_ns = time.time_ns()
    with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
        members = dict(zip(addresses, map(describe, pool.map(view_of, addresses.values())), strict=True))
    leader = next((n for n, m in members.items() if m.get("role") == "PRIMARY" and m["leader_id"] == m["id"]), None)
    return {
        "members": members,
        "leader": leader,
        "leader_id": members[leader]["id"] if leader else None,
        "term": members[leader]["term"] if leader else None,
        "wall_ns": wall_ns,
    }


def why_not_whole(observation: Mapping[str, Any]) -> list[str]:
    """Return what keeps the group from being whole, one sentence each; empty where nothing does."""
    members = observation["members"]
    reasons = [f"{name} does not answer: {m['error']}" for name, m in members.items() if not m["reachable"]]
    answered = {name: m for name, m in members.items() if m["reachable"]}
    reasons += [f"{name} is {m['state'].lower()}" for name, m in answered.items() if m["state"] != State.ONLINE]
    for fact, words in (("view_id", "are in different views"), ("leader_id", "follow different primaries")):
        if len({m[fact] for m in answered.values()}) > 1:
            told = ", ".join(f"{name} {m[fact] or 'none'}" for name, m in answered.items())
            reasons.append(f"the members {words}: {told}")
    if not reasons and observation["leader"] is None:
        reasons.append("no member is primary")
    return reasons


def why_unequal(observation: Mapping[str, Any]) -> list[str]:
    """Return in one sentence how the members' transactions differ; empty where they are the same."""
    sets = {name: member.get("gtid_executed") for name, member in observation["members"].items()}
    if len(set(sets.values())) == 1:
        return []
    return ["the members have different transactions: " + ", ".join(f"{name} {have}" for name, have in sets.items())]


def await_group(addresses: Mapping[str, MySQLAddress], wait_for: str, timeout_s: float) -> dict[str, Any]:
    """Observe the group until it is as wanted or the time is over.

    :param wait_for: ``none`` looks once, ``healthy`` waits until it is whole, ``converged`` until the members have the
        same transactions as well
    :returns: ``observation``, ``healthy``, ``reasons``, ``reached``, ``leader`` and ``elapsed_s``
    """

    def look() -> dict[str, Any]:
        observation = observe_group(addresses)
        reasons = why_not_whole(observation)
        healthy = not reasons
        if wait_for == "converged" and healthy:
            reasons = why_unequal(observation)
        return {
            "observation": observation,
            "healthy": healthy,
            "reasons": reasons,
            "reached": wait_for == "none" or not reasons,
            "leader": observation["leader"],
        }

    return look_until_reached(look, interval_s=LOOK_INTERVAL_S, timeout_s=timeout_s)


def compare_tables(addresses: Mapping[str, MySQLAddress], table: str, revision: int) -> dict[str, Any]:
    """Have each member compute a checksum over all rows of a table.

    :param table: ``database.table``
    :param revision: number of transactions that all members have, as they said
    :returns: the same as what :mod:`..comparison` says
    """

    def ask(name: str) -> int | str:
        try:
            with connected(addresses[name]) as connection, connection.cursor() as cursor:
                cursor.execute(f"CHECKSUM TABLE {table} EXTENDED")
                checksum = cursor.fetchone()[1]
        except OSError as error:
            return error.strerror or str(error)
        return f"there is no table {table}" if checksum is None else int(checksum)

    with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
        answers = dict(zip(addresses, pool.map(ask, addresses), strict=True))
    hashes = {name: answer for name, answer in answers.items() if isinstance(answer, int)}
    return {
        "equal": len(hashes) == len(addresses) and len(set(hashes.values())) == 1,
        "revision": revision,
        "hashes": {name: hashes.get(name) for name in addresses},
        "errors": {name: answer for name, answer in answers.items() if isinstance(answer, str)},
    }


def look_at_modes(addresses: Mapping[str, MySQLAddress], observation: Mapping[str, Any]) -> list[str]:
    """Add ``modes`` to each member of an observation that answers; return what contradicts its role, one sentence each.

    :param observation: as of :func:`observe_group`
    """
    reasons = []
    for name, facts in observation["members"].items():
        if not facts["reachable"]:
            continue
        try:
            with connected(addresses[name]) as connection, connection.cursor() as cursor:
                cursor.execute(_ASK)
                modes = {mode: bool(int(value)) for mode, value in zip(MODES, cursor.fetchone(), strict=True)}
        except OSError as error:
            reasons.append(f"{name} does not say whether it is read-only: {error.strerror or error}")
            continue
        facts["modes"] = modes
        if name == observation["leader"] and (modes["read_only"] or modes["super_read_only"]):
            reasons.append(f"{name} is primary, and read-only")
        if modes["offline_mode"]:
            reasons.append(f"{name} is in offline mode")
    return reasons

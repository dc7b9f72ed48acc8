# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What etcd members say of themselves and of each other. One that does not answer is a finding, not an error."""

from __future__ import annotations

import re
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ..base import look_until_reached
from ..comparison import why_different
from .access import OPEN, Access
from .http import EtcdHttp, EtcdUnreachableError, HashKV, hex_id

# Between two looks at a cluster that is waited for, in s: a look takes a few ms of each member.
AWAIT_INTERVAL_S = 0.1
# A member that does not answer within this time is not reachable, in s.
REQUEST_TIMEOUT_S = 1.0
# Hashing reads all data of a member: far longer than any other request, in s.
HASH_TIMEOUT_S = 30.0

# An alarm among the errors of a member's status, with the decimal id of the member that raised it.
_ALARM = re.compile(r"memberID:(\d+) alarm:(\w+)")


def observe_cluster(
    client_urls: Sequence[str], expected_members: Sequence[str] = (), access: Access = OPEN
) -> dict[str, Any]:
    """Ask all members at once how they are.

    :param expected_members: names in the order of ``client_urls``; they name a member that no other one knows either.
    :returns: ``{"wall_ns", "members": {name: {...}}, "alarms", "leader", "leader_id", "term"}``. Each member has
        ``url``, ``reachable``, ``error``, ``latency_ms`` and, where it answered, ``id``, ``name``, ``cluster_id``,
        ``is_leader``, ``leader_id``, ``term``, ``raft_index``, ``applied_index``, ``revision``, ``db_size_bytes``,
        ``version``, ``errors`` and ``knows`` (names of the members it knows). ``leader`` is the name of the member
        that says it leads, the one of the highest term where there are several; None where there is none.
    """
    wall_ns = time.time_ns()
    with ThreadPoolExecutor(max_workers=max(1, len(client_urls))) as pool:
        answers = list(pool.map(partial(_observe_member, access), client_urls))
    names_by_url = {
        url: member["name"]
        for _, known in answers
        for member in known.values()
        for url in member["client_urls"]
        if member["name"]
    }
    by_position = expected_members if len(expected_members) == len(client_urls) else [""] * len(client_urls)
    members: dict[str, dict[str, Any]] = {}
    for (found, known), url, position in zip(answers, client_urls, by_position, strict=True):
        own = known.get(found.get("id", ""), {}).get("name")
        found["name"] = own or names_by_url.get(url) or position or urllib.parse.urlsplit(url).netloc
        if found["reachable"]:
            found["knows"] = sorted(member["name"] for member in known.values())
        members[found["name"]] = found
    leaders = [member for member in members.values() if member.get("is_leader")]
    leader = max(leaders, key=lambda member: int(member["term"]), default=None)
    return {
        "wall_ns": wall_ns,
        "members": members,
        "alarms": [{"alarm": alarm, "member": member} for alarm, member in alarms_of(members)],
        "leader": leader["name"] if leader else None,
        "leader_id": leader["id"] if leader else None,
        "term": max((member["term"] for member in members.values() if member["reachable"]), default=None),
    }


def _observe_member(access: Access, url: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return what one member says of itself and which members it knows."""
    client = EtcdHttp(url, REQUEST_TIMEOUT_S, access)
    started = time.monotonic()
    try:
        status = client.status()
        latency_ms = (time.monotonic() - started) * 1000
        known = client.member_list()
    except EtcdUnreachableError as error:
        return {"url": url, "reachable": False, "error": str(error), "latency_ms": None}, {}
    finally:
        client.close()
    return {
        "url": url,
        "reachable": True,
        "error": None,
        "latency_ms": latency_ms,
        "id": status.member_id,
        "cluster_id": status.cluster_id,
        "is_leader": status.is_leader,
        "leader_id": status.leader_id,
        "term": status.term,
        "raft_index": status.raft_index,
        "applied_index": status.applied_index,
        "revision": status.revision,
        "db_size_bytes": status.db_size_bytes,
        "version": status.version,
        "errors": list(status.errors),
    }, known


def alarms_of(members: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the alarms that any member reports (NOSPACE, CORRUPT), each with the member that raised it, sorted.

    :param members: as in :func:`observe_cluster`; a raiser that is none of them stands with its id
    """
    names = {str(member["id"]): name for name, member in members.items() if member.get("id")}
    found = {
        (alarm, names.get(hex_id(member_id), hex_id(member_id)))
        for member in members.values()
        for error in member.get("errors") or []
        for member_id, alarm in _ALARM.findall(str(error))
    }
    return sorted(found)


def assess(observation: dict[str, Any], expected_members: Sequence[str]) -> tuple[bool, list[str]]:
    """Tell whether the cluster is whole: every member answers, one cluster id, one leader agreed on by all.

    ``/health`` of a member is not enough: it says true with two clusters mixed up and with a member too few.

    :returns: ``(healthy, reasons)``; one sentence for each thing that is wrong.
    """
    members = observation["members"]
    reasons = []
    for name in expected_members:
        if name not in members:
            reasons.append(f"{name} is not among the members asked ({', '.join(members)})")
        elif not members[name]["reachable"]:
            reasons.append(f"{name} ({members[name]['url']}) does not answer: {members[name]['error']}")
    up = {name: member for name, member in members.items() if member["reachable"]}
    for name, member in up.items():
        missing = sorted(set(expected_members) - set(member["knows"]))
        foreign = sorted(set(member["knows"]) - set(expected_members))
        if missing:
            reasons.append(f"{name} does not know {', '.join(missing)} as a member")
        if foreign:
            reasons.append(f"{name} knows a member that is not expected: {', '.join(foreign)}")
        reasons += [f"{name} reports: {error}" for error in member["errors"]]
    reasons += _disagreement(up, "cluster_id", "belong to different clusters")
    leaders = {name: member["leader_id"] for name, member in up.items()}
    without = sorted(name for name, leader in leaders.items() if leader is None)
    if without:
        reasons.append(f"no leader is known to {', '.join(without)}")
    elif up:
        reasons += _disagreement(up, "leader_id", "follow different leaders")
        reasons += _disagreement(up, "term", "are in different terms")
        if observation["leader"] is None:
            reasons.append(f"no member says that it leads; the others follow {next(iter(leaders.values()))}")
    return not reasons, reasons


def _disagreement(members: dict[str, dict[str, Any]], field: str, words: str) -> list[str]:
    """Return one sentence where the members do not have one value of ``field``, else nothing."""
    values = {name: member[field] for name, member in members.items()}
    if len(set(values.values())) <= 1:
        return []
    return [f"the members {words}: " + ", ".join(f"{name} {value}" for name, value in values.items())]


def await_cluster(
    client_urls: Sequence[str],
    expected_members: Sequence[str],
    wait_for: str,
    timeout_s: float,
    access: Access = OPEN,
) -> dict[str, Any]:
    """Observe the cluster until it is as wanted or the time is over.

    :param wait_for: ``none`` looks once, ``healthy`` waits for :func:`assess`, ``converged`` also for equal data.
    :returns: ``observation``, ``healthy``, ``converged`` (None where it was not asked for), ``reasons``, ``reached``
        and ``elapsed_s``.
    """

    def look() -> dict[str, Any]:
        observation = observe_cluster(client_urls, expected_members, access)
        healthy, reasons = assess(observation, expected_members)
        converged = None
        if wait_for == "converged":
            reasons += _why_not_converged(observation, access) if healthy else []
            converged = not reasons
        return {
            "observation": observation,
            "healthy": healthy,
            "converged": converged,
            "reasons": reasons,
            "reached": {"none": True, "healthy": healthy, "converged": bool(converged)}[wait_for],
        }

    return look_until_reached(look, interval_s=AWAIT_INTERVAL_S, timeout_s=timeout_s)


def _why_not_converged(observation: dict[str, Any], access: Access) -> list[str]:
    """Return what differs between the members' data; empty where nothing does."""
    members = observation["members"]
    different = _disagreement(members, "revision", "are at different revisions")
    if different:
        return different
    clients = {name: EtcdHttp(member["url"], HASH_TIMEOUT_S, access) for name, member in members.items()}
    try:
        return why_different(compare_data(clients, next(iter(members.values()))["revision"]))
    finally:
        for client in clients.values():
            client.close()


def compare_data(clients: dict[str, EtcdHttp], revision: int) -> dict[str, Any]:
    """Hash the data of all members up to one revision, at once.

    :returns: what :mod:`..comparison` says. Hashes reach back to the last compaction, so members that compacted at
        different revisions are not equal yet.
    """

    def ask(name: str) -> HashKV | str:
        try:
            return clients[name].hash_kv(revision)
        except EtcdUnreachableError as error:
            return str(error)

    with ThreadPoolExecutor(max_workers=max(1, len(clients))) as pool:
        answers = dict(zip(clients, pool.map(ask, clients), strict=True))
    hashes = {name: answer for name, answer in answers.items() if isinstance(answer, HashKV)}
    return {
        "equal": len(hashes) == len(clients) and len(set(hashes.values())) == 1,
        "revision": revision,
        "hashes": {name: hashes[name].hash if name in hashes else None for name in clients},
        "compact_revisions": {name: answer.compact_revision for name, answer in hashes.items()},
        "errors": {name: answer for name, answer in answers.items() if isinstance(answer, str)},
    }

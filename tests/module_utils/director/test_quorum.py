# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who counts for a majority: what the system says, not which hosts hold no fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from failover.director.quorum import MajorityKept

NAMES = ("group1", "group2", "group3")


def status(name: str, *, leader: str = "group1", term: int = 3, **changes: Any) -> dict[str, Any]:
    role = "leader" if name == leader else "follower"
    found = {"role": role, "member_id": name, "leader_id": leader, "term": term, "error": None, "holding": []}
    return {**found, "sees": dict.fromkeys(NAMES, "ONLINE"), **changes}


def group(**changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: status(name) | changes.get(name, {}) for name in NAMES}


def nobody_is_away(_member: str, _status: Any) -> bool:
    return False


def why_not(target: str, statuses: dict[str, dict[str, Any]], members: Sequence[str] = NAMES) -> str | None:
    return MajorityKept(members).why_not(target, statuses, nobody_is_away)


def test_a_whole_group_spares_one_member() -> None:
    kept = MajorityKept(NAMES)
    assert kept.why_not("group1", group(), nobody_is_away) is None
    assert kept.counted == ["group2", "group3"]


OLD = {"role": "leader", "leader_id": "group1", "term": 3}
NEW = {"leader_id": "group2", "term": 4, "sees": {"group2": "ONLINE", "group3": "ONLINE"}}


@pytest.mark.parametrize(
    ("target", "statuses", "reason"),
    [
        # The case of the issue: thawed, expelled meanwhile, and still sure that it leads the group that it knew.
        (
            "group2",
            group(group1=OLD, group2=NEW | {"role": "leader"}, group3=NEW),
            "group1 is in another term or group than the leader",
        ),
        # The same a moment later: it tries to come back.
        (
            "group2",
            group(
                group1={"role": "unknown", "leader_id": None, "term": None, "error": "its state in the group is ERROR"},
                group2=NEW | {"role": "leader"},
                group3=NEW,
            ),
            "group1 is not working: its state in the group is ERROR",
        ),
        # What it says of itself is one thing, what the leader sees another.
        (
            "group1",
            group(group1={"sees": {"group1": "ONLINE", "group2": "ONLINE", "group3": "UNREACHABLE"}}),
            "group3 is unreachable, as the leader sees it",
        ),
        (
            "group1",
            group(group1={"sees": {"group1": "ONLINE", "group2": "ONLINE", "group3": "RECOVERING"}}),
            "group3 is recovering, as the leader sees it",
        ),
        (
            "group1",
            group(group1={"sees": {"group1": "ONLINE", "group2": "ONLINE"}}),
            "group3 is not in the group, as the leader sees it",
        ),
        ("group1", group(group3={"votes": False}), "group3 is not a voting member"),
        ("group1", {name: status(name) for name in NAMES[:2]}, "group3 is silent"),
    ],
)
def test_who_does_not_count_is_named(target: str, statuses: dict[str, dict[str, Any]], reason: str) -> None:
    told = why_not(target, statuses)
    assert told is not None
    assert told.startswith(f"without {target} only 1 of 3 members that count would be left (")
    assert reason in told


def test_a_group_of_two_is_no_group_to_strike() -> None:
    """An expelled member is no part of the group's own count, and of two one is no majority either."""
    two = {"sees": {"group1": "ONLINE", "group2": "ONLINE"}, "term": 5}
    statuses = {"group1": status("group1") | two, "group2": status("group2") | two}
    assert why_not("group2", statuses) is not None


def test_without_a_leader_nobody_counts() -> None:
    followers = {name: status(name, leader="group9") for name in NAMES}
    assert why_not("group1", followers) == "no member leads now, so nobody can say who counts"
    old = group(group2={"role": "unknown", "term": 9}, group3={"role": "unknown", "term": 9})
    assert why_not("group1", old) == "group1 leads an older term than other members are in"


def test_five_members_spare_two() -> None:
    names = [f"etcd{number}" for number in range(1, 6)]
    statuses = {name: status(name, leader="etcd1", sees=None) for name in names}
    assert why_not("etcd1", statuses, names) is None
    del statuses["etcd5"]
    assert why_not("etcd1", statuses, names) is None
    del statuses["etcd4"]
    assert why_not("etcd1", statuses, names) is not None


def test_a_member_counts_once_it_has_what_the_leader_had_at_first() -> None:
    kept = MajorityKept(NAMES)

    def look(leader: int, behind: int) -> str | None:
        statuses = {name: status(name, sees=None, committed=leader) for name in NAMES}
        statuses["group3"]["committed"] = behind
        return kept.why_not("group1", statuses, nobody_is_away)

    assert "group3 is still catching up" in str(look(100, 90))
    assert "group3 is still catching up" in str(look(200, 99))
    # The leader has gone on meanwhile, as under load: it is enough to follow it.
    assert look(300, 100) is None


def test_what_the_lab_has_taken_away_does_not_count_though_nobody_has_noticed_yet() -> None:
    told = MajorityKept(NAMES).why_not("group1", group(), lambda member, _status: member == "group2")
    assert "group2 is held by a fault" in str(told)

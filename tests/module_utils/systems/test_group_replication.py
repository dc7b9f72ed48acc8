# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who makes the group, who joins it and who leaves it, told from what the members say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from failover.shapes import LabError
from failover.systems.mysql.connect import MySQLAddress
from failover.systems.mysql.gtids import count_transactions
from failover.systems.mysql_cluster import deciding
from failover.systems.mysql_cluster import keeper as keeping
from failover.systems.mysql_cluster import views as seeing
from failover.systems.mysql_cluster.deciding import ERROR_PATIENCE_S, PATIENCE_S, REJOIN_PATIENCE_S, Act, Step, decide
from failover.systems.mysql_cluster.keeper import GroupConfig, GroupKeeper
from failover.systems.mysql_cluster.observe import compare_tables, why_not_whole, why_unequal
from failover.systems.mysql_cluster.views import (
    GroupMember,
    Seen,
    State,
    View,
    addresses_of,
    describe,
)
from failover.systems.mysql_cluster.watch import GroupLeader
from group_doubles import MEMBERS, FakeGroup

NAMES = ("group1", "group2", "group3")
LONG = dict.fromkeys(NAMES, PATIENCE_S)


def seen(name: str, state: str = State.ONLINE, primary: str = "group1") -> Seen:
    return Seen(name, f"{name}:3306", state, "PRIMARY" if name == primary else "SECONDARY")


def online(name: str, *, unreachable: tuple[str, ...] = (), gtids: str = "g:1-9") -> View:
    members = tuple(seen(n, State.UNREACHABLE if n in unreachable else State.ONLINE) for n in NAMES)
    role = "PRIMARY" if name == "group1" else "SECONDARY"
    return View(None, name, State.ONLINE, role, "g", "123:3", gtids, members=members)


def out(name: str, gtids: str = "g:1-9", state: str = State.OFFLINE) -> View:
    return View(None, name, state, "", "g", "", gtids, members=(seen(name, state),))


DEAD = View(error="connection refused")


def contains(whole: str, part: str) -> bool:
    """Compare sets of the form "g:1-N,h:1-M", where only their ends differ."""

    def ends(text: str) -> dict[str, int]:
        return {p.split(":")[0]: int(p.rpartition("-")[2]) for p in text.split(",") if p}

    return all(ends(whole).get(source, 0) >= end for source, end in ends(part).items())


def acts(views: dict[str, View], lost_for_s: dict[str, float] | None = None) -> dict[str, Act]:
    return {n: decide(n, views, contains, lost_for_s or {}).act for n in views if views[n].error is None}


def test_a_whole_group_needs_nothing() -> None:
    assert acts({name: online(name) for name in NAMES}) == dict.fromkeys(NAMES, Act.DONE)


def test_members_in_two_groups_are_told() -> None:
    views = {name: online(name) for name in NAMES}
    views["group3"] = replace(views["group3"], members=(seen("group3", primary="group3"),), role="PRIMARY")
    assert set(acts(views).values()) == {Act.WAIT}
    assert decide("group3", views, contains, {}) == Step(Act.WAIT, "group1 is in another group than group3")


def test_a_member_that_does_not_know_yet_that_it_was_expelled_waits() -> None:
    views = {name: online(name) for name in NAMES}
    for name in ("group2", "group3"):
        views[name] = replace(views[name], members=(seen("group2", primary="group2"), seen("group3", primary="group2")))
    assert acts(views)["group1"] == Act.WAIT


def test_of_new_members_the_first_makes_the_group() -> None:
    views = {name: out(name, "") for name in NAMES}
    assert acts(views) == {"group1": Act.BOOTSTRAP, "group2": Act.WAIT, "group3": Act.WAIT}


def test_after_all_were_down_the_one_with_all_transactions_makes_the_group() -> None:
    views = {"group1": out("group1", "g:1-7"), "group2": out("group2", "g:1-9"), "group3": out("group3", "g:1-8")}
    assert acts(views) == {"group1": Act.WAIT, "group2": Act.BOOTSTRAP, "group3": Act.WAIT}
    assert decide("group2", views, contains, {}).why == (
        "no member is in a group, and this one has every transaction (group2 9, group1 7, group3 8)"
    )


def test_no_group_is_made_while_a_member_does_not_answer() -> None:
    views = {"group1": out("group1"), "group2": out("group2"), "group3": DEAD}
    assert acts(views) == {"group1": Act.WAIT, "group2": Act.WAIT}
    assert "group3: connection refused" in decide("group1", views, contains, {}).why


def test_data_that_parted_is_told_and_nobody_makes_a_group() -> None:
    views = {"group1": out("group1", "g:1-9,h:1-1"), "group2": out("group2", "g:1-10"), "group3": out("group3")}
    assert set(acts(views).values()) == {Act.WAIT}
    assert "data have diverged, and no member has every transaction" in decide("group3", views, contains, {}).why


def test_a_member_that_is_out_joins_a_group_that_can_decide() -> None:
    views = {"group1": online("group1"), "group2": out("group2"), "group3": DEAD}
    views["group1"] = replace(views["group1"], members=(seen("group1"), seen("group3")))
    assert acts(views) == {"group1": Act.DONE, "group2": Act.JOIN}


def test_a_member_that_recovers_is_waited_for() -> None:
    members = (seen("group1"), seen("group2"), seen("group3", State.RECOVERING))
    recovering = View(None, "group3", State.RECOVERING, "SECONDARY", "g", "1:4", "g:1-2", members=members)
    views = {"group1": online("group1"), "group2": online("group2"), "group3": recovering}
    assert acts(views)["group3"] == Act.WAIT


def test_a_member_in_error_leaves_to_join() -> None:
    views = {"group1": online("group1"), "group2": online("group2"), "group3": out("group3", state=State.ERROR)}
    assert acts(views, {"group3": 0.1})["group3"] == Act.WAIT
    assert acts(views, {"group3": ERROR_PATIENCE_S})["group3"] == Act.LEAVE


def test_nobody_waits_for_the_pause_between_two_attempts_of_mysql() -> None:
    views = {"group1": online("group1"), "group2": online("group2"), "group3": out("group3", state=State.ERROR)}
    views["group3"] = replace(views["group3"], rejoins=True)
    assert acts(views, {"group3": REJOIN_PATIENCE_S - 1})["group3"] == Act.WAIT
    step = decide("group3", views, contains, {"group3": REJOIN_PATIENCE_S})
    assert step == Step(Act.LEAVE, "MySQL pauses between its own attempts to rejoin")
    # Also where the others are out, and it alone holds on: they take it out, and all come together anew.
    views["group1"], views["group2"] = out("group1"), out("group2")
    assert decide("group1", views, contains, LONG).act == Act.RELEASE


def test_a_member_without_a_majority_gets_time_before_it_leaves() -> None:
    views = {"group1": online("group1", unreachable=("group2", "group3")), "group2": DEAD, "group3": DEAD}
    assert acts(views, {"group1": PATIENCE_S / 2}) == {"group1": Act.WAIT}
    assert acts(views, LONG) == {"group1": Act.LEAVE}


def test_after_a_majority_was_down_the_survivor_is_taken_out_by_one_only() -> None:
    survivor = online("group2", unreachable=("group1", "group3"))
    views = {"group1": out("group1", "g:1-8"), "group2": survivor, "group3": out("group3", "g:1-9")}
    assert acts(views) == {"group1": Act.WAIT, "group2": Act.WAIT, "group3": Act.WAIT}
    assert decide("group1", views, contains, LONG) == Step(
        Act.RELEASE, "group2 holds on to a group without a majority", "group2"
    )
    assert decide("group3", views, contains, LONG).act == Act.WAIT


STATES = {
    "dead": lambda name: DEAD,
    "out": out,
    "behind": lambda name: out(name, "g:1-5"),
    "error": lambda name: out(name, state=State.ERROR),
    "working": online,
    "minority": lambda name: online(name, unreachable=tuple(n for n in NAMES if n != name)),
}


@pytest.mark.parametrize("patience", [{}, LONG])
def test_whatever_the_members_say_there_are_never_two_groups(patience: dict[str, float]) -> None:
    for chosen in itertools.product(STATES, repeat=3):
        views = {name: STATES[state](name) for name, state in zip(NAMES, chosen, strict=True)}
        done = [name for name, act in acts(views, patience).items() if act == Act.BOOTSTRAP]
        inside = [name for name, view in views.items() if view.error is not None or view.state != State.OFFLINE]
        assert len(done) <= 1, chosen
        assert not (done and inside), chosen


@pytest.mark.parametrize(
    ("gtid_set", "count"),
    [("", 0), ("u:1", 1), ("u:1-5", 5), ("u:1-5:7:9-10,\nv:1-2", 10), ("u:1-5:tag:1-3", 8)],
)
def test_transactions_are_counted(gtid_set: str, count: int) -> None:
    assert count_transactions(gtid_set) == count


def observation(views: dict[str, View]) -> dict[str, object]:
    members = {name: describe(view) for name, view in views.items()}
    return {"members": members, "leader": "group1"}


def test_a_whole_group_is_told_from_one_that_is_not() -> None:
    views = {name: online(name) for name in NAMES}
    assert why_not_whole(observation(views)) == []
    views["group2"] = replace(views["group2"], view_id="123:4")
    assert why_not_whole(observation(views)) == [
        "the members are in different views: group1 123:3, group2 123:4, group3 123:3"
    ]
    views["group2"] = out("group2", state=State.ERROR)
    views["group3"] = DEAD
    reasons = why_not_whole(observation(views))
    assert "group3 does not answer: connection refused" in reasons
    assert "group2 is error" in reasons


def test_equal_members_have_the_same_transactions_and_not_only_as_many() -> None:
    views = {name: online(name) for name in NAMES}
    assert why_unequal(observation(views)) == []
    views["group2"] = online("group2", gtids="h:1-9")
    assert "group2 h:1-9" in why_unequal(observation(views))[0]


def test_the_term_is_the_number_of_the_view() -> None:
    assert online("group1").term == 3
    assert out("group1").term is None
    assert describe(online("group1", unreachable=("group2", "group3")))["leader_id"] is None


def test_addresses_that_are_none_are_named() -> None:
    assert addresses_of({"group1": "10.0.0.1:3306"}, "lab", "secret")["group1"].port == 3306
    with pytest.raises(LabError, match="'group1' is not the address of a member"):
        addresses_of({"group1": "group1"}, "lab", "secret")


def test_a_configuration_never_shows_its_password(tmp_path: Path) -> None:
    path = tmp_path / "group.json"
    path.write_text('{"members": {"group1": "a:1"}, "user": "u", "password": "secret", "socket": "/s"}')
    config = GroupConfig.load(str(path))
    assert (config.members, config.password) == ({"group1": "a:1"}, "secret")
    assert "secret" not in repr(config)
    path.write_text('{"members": {}}')
    with pytest.raises(LabError, match="does not describe a group"):
        GroupConfig.load(str(path))


def keeper(member: str) -> GroupKeeper:
    return GroupKeeper(member, GroupConfig(MEMBERS, "lab_group", "hidden-secret"))


def test_three_new_members_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch)
    for name in NAMES:
        group.home = name
        keeper(name).ensure(5)
    assert group.groups_made == ["group1"]
    assert {server.state for server in group.servers.values()} == {"ONLINE"}
    assert all(server.locked_by is None and not server.bootstraps for server in group.servers.values())


def test_nobody_makes_a_group_while_another_holds_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch)
    group.servers["group3"].locked_by = object()
    with pytest.raises(LabError, match=r"group1 is not in its group after 0\.3 s"):
        keeper("group1").ensure(0.3)
    assert group.groups_made == []


def test_with_the_lock_it_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another member may have made the group between the look and the lock."""
    group = FakeGroup(monkeypatch)
    slow = keeper("group1")
    stale = slow.look()
    group.form()
    group.servers["group1"].state, group.primary = "OFFLINE", "group2"
    fresh = slow.look
    answers = iter([stale])
    monkeypatch.setattr(slow, "look", lambda: next(answers, None) or fresh())
    slow.ensure(5)
    assert group.groups_made == []
    assert [step["act"] for step in slow.steps] == ["join"]


def test_a_refusal_is_tried_again_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch)
    group.form()
    group.servers["group1"].state, group.primary = "OFFLINE", "group2"
    group.servers["group1"].refuses = ["the group is being reconfigured"]
    keeper("group1").ensure(5)
    group.servers["group1"].state = "OFFLINE"
    group.servers["group1"].refuses = ["no"] * 50
    with pytest.raises(LabError, match=r"the last try said: no\)"):
        keeper("group1").ensure(0.5)


def test_a_member_that_pauses_is_made_to_rejoin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "REJOIN_PATIENCE_S", 0.3)
    group = FakeGroup(monkeypatch, home="group3")
    group.form()
    group.servers["group3"].state, group.servers["group3"].rejoins = "ERROR", 1
    waiting = keeper("group3")
    waiting.ensure(20)
    assert [step["act"] for step in waiting.steps] == ["leave", "join"]
    assert (group.servers["group3"].state, group.servers["group3"].rejoins) == ("ONLINE", 0)


def test_patience_begins_with_each_heal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier heal saw of a member long ago must not have it thrown out at once now."""
    group = FakeGroup(monkeypatch, home="group3")
    group.form()
    group.servers["group3"].state = "ERROR"
    waiting = keeper("group3")
    waiting._lost_since["group3"] = -1000.0
    with pytest.raises(LabError, match="it is in error"):
        waiting.ensure(0.3)
    assert waiting.steps == []


def test_a_member_whose_data_have_diverged_is_told_at_once_and_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "PATIENCE_S", 0.3)
    group = FakeGroup(monkeypatch, home="group3")
    group.form()
    for server in group.servers.values():
        server.gtids = "g:1-9"
    lost = group.servers["group3"]
    lost.state, lost.gtids = "OFFLINE", "h:1"
    with pytest.raises(LabError, match=r"its data have diverged\. It has transactions that group1 lacks: h:1; START"):
        keeper("group3").ensure(60)
    assert (lost.state, lost.gtids) == ("OFFLINE", "h:1")


def test_a_survivor_without_a_majority_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch, home="group2")
    views = {"group1": out("group1"), "group2": out("group2"), "group3": out("group3")}
    views["group1"] = online("group1", unreachable=("group2", "group3"))
    waiting = keeper("group2")
    group.servers["group1"].state = "ONLINE"
    monkeypatch.setattr("failover.systems.mysql_cluster.deciding.PATIENCE_S", 0.0)
    looks = iter([views])
    fresh = waiting.look
    monkeypatch.setattr(waiting, "look", lambda: next(looks, None) or fresh())
    waiting._lost_since["group1"] = 0.0
    with pytest.raises(LabError):  # group1 makes the new group, and nobody runs it here
        waiting.ensure(0.3)
    assert waiting.steps[0]["act"] == "release"
    assert group.servers["group1"].state == "OFFLINE"


def test_a_member_is_asked_over_one_connection_until_it_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch)
    group.form()
    member = GroupMember(addresses_of(MEMBERS, "lab", "secret")["group2"])
    assert [member.view().role, member.view().role] == ["SECONDARY", "SECONDARY"]
    assert len(group.logins) == 1
    group.servers["group2"].up = False
    assert member.view().error == "connection refused"
    group.servers["group2"].up = True
    assert member.view().error is None
    member.close()


def test_tables_are_compared_by_their_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch)
    addresses = addresses_of(MEMBERS, "lab", "secret")
    assert compare_tables(addresses, "db.ips", 5) == {
        "equal": True,
        "revision": 5,
        "hashes": dict.fromkeys(NAMES, 7),
        "errors": {},
    }
    group.servers["group2"].checksum = None
    group.servers["group3"].up = False
    compared = compare_tables(addresses, "db.ips", 5)
    assert (compared["equal"], compared["hashes"]["group2"]) == (False, None)
    assert compared["errors"] == {"group2": "there is no table db.ips", "group3": "connection refused"}


# ---------------------------------------------------------------- one connection for many questions


@pytest.mark.parametrize(
    ("errors", "answers", "opened"),
    [
        ([], True, 1),
        # The server was started anew since the last question: its member answers the first one all the same.
        (["Lost connection to MySQL server during query"], True, 2),
        (["Lost connection to MySQL server during query", "Connection refused"], False, 2),
        # One that hangs is not waited for twice.
        (["Lost connection to MySQL server during query (timed out)"], False, 1),
    ],
)
def test_a_connection_that_broke_is_opened_again(
    monkeypatch: pytest.MonkeyPatch, errors: list[str], answers: bool, opened: int
) -> None:
    connections: list[object] = []
    failing: list[str] = []

    @contextmanager
    def connect(_address: MySQLAddress) -> Iterator[object]:
        connections.append(object())
        yield connections[-1]

    def read(_connection: object) -> View:
        if failing:
            raise OSError(2013, failing.pop(0))
        return View(uuid="u1")

    monkeypatch.setattr(seeing, "connected", connect)
    monkeypatch.setattr(seeing, "read_view", read)
    monkeypatch.setattr(seeing, "translated", nullcontext)
    member = GroupMember(MySQLAddress("10.0.0.1", 3306, "u", "p"))
    assert member.view().error is None
    failing += errors
    view = member.view()
    assert (view.error is None, view.error) == (answers, None if answers else errors[-1])
    assert len(connections) == opened


def test_the_primary_is_named_for_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch)
    group.form()
    leader = GroupLeader(addresses_of(MEMBERS, "lab", "secret"))
    assert leader.ask() == "group1"
    group.servers["group1"].up = False
    group.primary = "group2"
    assert leader.ask() == "group2"
    logins = len(group.logins)
    assert leader.ask() == "group2"
    assert len(group.logins) == logins
    for server in group.servers.values():
        server.state = "OFFLINE"
    assert leader.ask() is None
    leader.close()


def test_a_member_that_lost_its_majority_is_forced_to_be_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    group = FakeGroup(monkeypatch, home="group3")
    group.form()
    keeper("group3").force()
    assert [server.name for server in group.inside] == ["group3"]
    assert group.primary == "group3"
    assert group.servers["group3"].forced == ""  # was set, and is not left behind


def test_a_member_that_cannot_be_forced_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "FORCED_TIMEOUT_S", 0.0)
    group = FakeGroup(monkeypatch, home="group3")
    group.form()
    group.servers["group3"].refuses = ["Error resetting group_replication_force_members"]
    with pytest.raises(
        LabError, match=r"group3 could not be forced: .*Error resetting group_replication_force_members"
    ):
        keeper("group3").force()
    group.servers["group3"].stuck = True
    with pytest.raises(LabError, match="group3 was forced, and is offline all the same"):
        keeper("group3").force()
    group.servers["group3"].up = False
    with pytest.raises(LabError, match=r"group3 could not be forced: .*connection refused"):
        keeper("group3").force()

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a member of Group Replication has to do next, as it decides for itself.

Nobody coordinates. Each member looks at what all members say and decides by rules that give the same answer everywhere:

- a group with a majority exists: join it;
- every member answers and is in no group: the one that has all transactions bootstraps one, the others join;
- everything else: wait, or leave a group that is lost.

Start, return after a fault and repair after all were down are the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..mysql.gtids import count_transactions
from .views import State, View

# How long a member may be without a majority, or in error, before it is taken out of the group to come in again, in s:
# MySQL expels a silent member after 5 + 5 s (detection and member_expel_timeout), and one that hears of the others
# again, or is expelled, goes on by itself.
PATIENCE_S = 15.0
# A member that was expelled goes into error a moment before it begins to come back by itself, in s.
ERROR_PATIENCE_S = 3.0
# How long one that tries to come back by itself is left alone, in s. Its first attempt comes at once, and one that
# finds the group takes a few seconds; after one that fails MySQL pauses 300 s, which no setting shortens
# (https://dev.mysql.com/doc/refman/8.4/en/group-replication-responses-failure-rejoin.html). STOP ends the procedure.
REJOIN_PATIENCE_S = 10.0


class Act(StrEnum):
    """What a member does next."""

    DONE = "done"
    WAIT = "wait"
    JOIN = "join"
    BOOTSTRAP = "bootstrap"
    LEAVE = "leave"
    RELEASE = "release"


@dataclass(frozen=True)
class Step:
    """One decision, why, and for ``release`` which other member is meant."""

    act: Act
    why: str
    member: str | None = None


def decide(
    me: str,
    views: Mapping[str, View],
    contains: Callable[[str, str], bool],
    lost_for_s: Mapping[str, float],
) -> Step:
    """Return what member ``me`` has to do next.

    :param views: of every configured member, by name
    :param contains: whether the first GTID set has all of the second
    :param lost_for_s: for how long each member has been in error or without a majority
    """
    own = views[me]
    if own.error is not None:
        return Step(Act.WAIT, f"its server does not answer: {own.error}")
    if own.is_working:
        # One that was paused or partitioned believes for a while what was so before: the others know that it is out.
        others = [
            name
            for name, view in views.items()
            if view.is_working and (view.uuid not in own.uuids or own.uuid not in view.uuids)
        ]
        if others:
            return Step(Act.WAIT, f"{others[0]} is in another group than {me}")
        return Step(Act.DONE, f"{me} is {own.role.lower()}")
    if own.state == State.RECOVERING and own.has_quorum:
        return Step(Act.WAIT, "it is recovering what it missed")
    working = sorted(name for name, view in views.items() if view.is_working)
    if own.state == State.OFFLINE and working:
        return Step(Act.JOIN, f"{working[0]} is in a group with a majority")
    if own.state != State.OFFLINE:
        if own.rejoins:
            why, patience_s = "MySQL pauses between its own attempts to rejoin", REJOIN_PATIENCE_S
        elif own.state == State.ERROR:
            why, patience_s = "it is in error", ERROR_PATIENCE_S
        else:
            why, patience_s = "it reaches no majority of its group", PATIENCE_S
        return Step(Act.WAIT if lost_for_s.get(me, 0.0) < patience_s else Act.LEAVE, why)
    silent = {name: view.error for name, view in views.items() if view.error is not None}
    if silent:
        told = "; ".join(f"{name}: {error}" for name, error in silent.items())
        return Step(Act.WAIT, f"there is no group, and none is formed while a member does not answer ({told})")
    return _begin(me, views, contains, lost_for_s)


def _begin(
    me: str,
    views: Mapping[str, View],
    contains: Callable[[str, str], bool],
    lost_for_s: Mapping[str, float],
) -> Step:
    """Decide for a member that is in no group, while every member answers and none is in a working one."""
    # Only one of those that are out takes the others out, so that nobody is released twice.
    out = sorted(name for name, view in views.items() if view.state == State.OFFLINE)
    inside = sorted(name for name, view in views.items() if view.state != State.OFFLINE)
    lost = [name for name in inside if lost_for_s.get(name, 0.0) >= PATIENCE_S]
    if inside:
        if lost and me == out[0]:
            return Step(Act.RELEASE, f"{lost[0]} holds on to a group without a majority", lost[0])
        return Step(Act.WAIT, f"{inside[0]} is {views[inside[0]].state.lower()} in a group without a majority")
    complete = [
        name
        for name in sorted(views)
        if all(contains(views[name].gtid_executed, other.gtid_executed) for other in views.values())
    ]
    if not complete:
        sets = "; ".join(f"{name} has {view.gtid_executed or 'none'}" for name, view in sorted(views.items()))
        return Step(Act.WAIT, f"data have diverged, and no member has every transaction: {sets}")
    if me == complete[0]:
        have = ", ".join(
            f"{name} {count_transactions(view.gtid_executed):,}"
            for name, view in sorted(views.items(), key=lambda each: (each[0] != me, each[0]))
        )
        return Step(Act.BOOTSTRAP, f"no member is in a group, and this one has every transaction ({have})")
    return Step(Act.WAIT, f"{complete[0]} makes the group")

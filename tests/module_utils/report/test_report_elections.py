# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

from failover.measured.repeats import repeats_of
from failover.report.outage.elections import unprovoked_elections
from failover.shapes import Event
from made_columns import columns
from test_report_faults import DEFINITION, FAULT, event, outage_events, outage_rows


def unprovoked(*events: Event, faulted: bool = True) -> list[dict[str, Any]]:
    definition = {**DEFINITION, "faults": [FAULT] if faulted else []}
    rows = [*outage_rows(), {"invoke": 29_000, "complete": 30_000}]
    found = [*events, *(outage_events() if faulted else [])]
    found.sort(key=lambda item: item.wall_ns)
    return unprovoked_elections(definition, found, repeats_of(definition, columns(rows)))


def test_the_elections_of_a_fault_are_its_doing_until_some_time_after_its_heal() -> None:
    assert unprovoked() == []
    soon, late = (event(at, "server.leader_elected", "etcd3", leader="etcd3", term=6) for at in (14_000, 15_000))
    assert unprovoked(soon) == []
    (found,) = unprovoked(late)
    assert found == {"at_s": 15.0, "term": 6, "leader": "etcd3", "cause": None, "members": ["etcd3"]}


def test_an_election_that_several_members_tell_of_is_one() -> None:
    (found,) = unprovoked(
        event(100, "server.election_started", "etcd3", term=5, cause="election timeout"),
        event(110, "server.leader_elected", "etcd3", leader="etcd3", term=5),
        event(111, "server.leader_elected", "etcd1", leader="etcd3", term=5),
        faulted=False,
    )
    assert (found["at_s"], found["leader"], found["cause"]) == (0.1, "etcd3", "election timeout")
    assert found["members"] == ["etcd1", "etcd3"]


def test_an_election_without_a_term_is_that_of_its_time() -> None:
    """MySQL names the term only when the election is over."""
    first, second = unprovoked(
        event(100, "server.election_started", "group2", cause="the primary left the group"),
        event(101, "server.leader_elected", "group2", leader="group2", term=7),
        event(20_000, "server.election_started", "group2", cause="the primary left the group"),
        faulted=False,
    )
    assert (first["term"], first["leader"]) == (7, "group2")
    assert (second["term"], second["leader"]) == (None, None)  # started, and not won


def test_an_election_before_the_first_operation_or_of_a_member_that_joins_is_none() -> None:
    assert unprovoked(event(-5, "server.leader_elected", leader="etcd2", term=4), faulted=False) == []
    assert unprovoked(event(50, "server.leader_elected", leader="etcd2", term=4, joined=True), faulted=False) == []

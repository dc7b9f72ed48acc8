# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When the members of a system count as equal."""

from __future__ import annotations

from typing import Any

import pytest
from failover.run.watching import Watch
from failover.shapes import Target


@pytest.mark.parametrize(
    ("state", "whole"),
    [
        ({"reachable": False}, True),
        ({"reachable": True, "state": "ONLINE", "leader_id": "a"}, True),
        ({"reachable": True, "state": "ONLINE", "leader_id": None}, False),
        ({"reachable": True, "state": "RECOVERING", "leader_id": "a"}, False),
    ],
)
def test_a_silent_member_is_no_member_that_is_out_of_its_group(state: dict[str, Any], whole: bool) -> None:
    target = Target(
        "mysql_cluster", {"group1": {"address": "127.0.0.1:3306"}}, user="lab", database="db", password="secret"
    )
    watch = Watch(target, timeout_s=1, sample_interval_ms=20, source="client1")
    assert watch.is_whole(state) is whole


def test_what_was_seen_before_the_heal_shows_nothing() -> None:
    target = Target("mysql", {"mysql1": {"address": "127.0.0.1:3306"}})
    watch = Watch(target, timeout_s=1, sample_interval_ms=20, source="client1")
    assert watch.why_unequal({}, 5) == ["mysql1 has not been looked at since the heal"]
    assert (watch.samples, watch.events, watch.rejoins) == ([], [], False)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from failover.shapes import LabError
from failover.systems.mysql.gtids import GtidSet
from failover.systems.registry import SYSTEMS

A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "5e1f0d0c-0000-0000-0000-1e2a3b4c5d6e"
# As the manual writes them: several intervals, several sources, and tags, each for the intervals behind it.
TEXT = f"{A.upper()}:1-3:11:47-49,\n{B}:7:blue:1-5:9:green:2"


@pytest.mark.parametrize(
    ("gtid", "there"),
    [
        (f"{A}:1", True),
        (f"{A}:3", True),
        (f"{A}:4", False),
        (f"{A}:11", True),
        (f"{A}:46", False),
        (f"{A}:49", True),
        (f"{A}:50", False),
        (f"{A}:0", False),
        (f"{B}:7", True),
        (f"{B}:1", False),
        (f"{B}:blue:5", True),
        (f"{B}:blue:9", True),
        (f"{B}:blue:7", False),
        (f"{B}:green:2", True),
        (f"{B}:red:2", False),
    ],
)
def test_a_set_has_what_its_intervals_have(gtid: str, there: bool) -> None:
    assert (gtid in GtidSet(TEXT)) is there


def test_an_empty_set_has_nothing() -> None:
    assert f"{A}:1" not in GtidSet("")


@pytest.mark.parametrize("text", [f"{A}:1-x", f"{A}:3-", f"{A}:1--2"])
def test_what_is_no_set_is_refused(text: str) -> None:
    with pytest.raises(LabError, match="is no set of MySQL's transactions"):
        assert f"{A}:1" in GtidSet(text)


def test_what_a_server_counts_as_purged_is_not_in_its_log() -> None:
    observed = {"gtid_executed": f"{A}:1-9", "gtid_purged": f"{A}:4-5"}
    known = SYSTEMS["mysql"].executed(observed, ["mysql1"])["mysql1"]
    assert [number for number in range(11) if f"{A}:{number}" in known] == [1, 2, 3, 6, 7, 8, 9]


def test_members_of_a_group_say_each_what_they_executed() -> None:
    seen = {"group1": {"gtid_executed": f"{A}:1-5"}, "group2": {"gtid_executed": f"{A}:1-4"}, "group3": {}}
    executed = SYSTEMS["mysql_cluster"].executed({"observation": {"members": seen}}, ["group1", "group2", "group3"])
    assert {name for name, known in executed.items() if f"{A}:5" in known} == {"group1"}
    assert sorted(executed) == ["group1", "group2"]
    assert SYSTEMS["mysql"].executed({"reachable": False}, ["mysql1"]) == {}

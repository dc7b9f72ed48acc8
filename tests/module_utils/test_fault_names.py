# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from failover.fault_names import FaultId, rank, rank_of, role_of, towards
from failover.shapes import LabError


@pytest.mark.parametrize(
    ("text", "parsed", "in_data", "in_each_repeat"),
    [
        ("F1", FaultId(1), "F1", "F1"),
        ("F12.3", FaultId(12, 3), "F12", "F12.3"),
        ("F1@20", FaultId(1, None, 20), "F1", "F1"),
        ("F1.2@3", FaultId(1, 2, 3), "F1", "F1.2"),
    ],
)
def test_an_id_is_read_and_written(text: str, parsed: FaultId, in_data: str, in_each_repeat: str) -> None:
    assert FaultId.parse(text) == parsed
    assert str(parsed) == text
    assert (parsed.in_data, parsed.in_each_repeat) == (in_data, in_each_repeat)


@pytest.mark.parametrize("text", ["", "1", "F", "F1.", "F1@", "F1@2.1", "F1.2@3x", " F1"])
def test_what_is_no_id_is_named(text: str) -> None:
    with pytest.raises(LabError, match=r"is not the id of a fault\. It should look like F1, F1\.2, F1@3 or F1\.2@3"):
        FaultId.parse(text)


def test_what_strikes_together_is_one_fault_of_one_repeat() -> None:
    first = FaultId.parse("F1.1@1")
    assert first.strikes_with(FaultId.parse("F1.2@1"))
    assert not first.strikes_with(FaultId.parse("F1.2@2"))
    assert not first.strikes_with(FaultId.parse("F2.2@1"))


def test_to_whom_is_told_after_whom() -> None:
    assert towards([]) == ""
    assert towards(["etcd2"]) == " to etcd2"
    assert towards(["peers", "clients"]) == " to its peers and the clients"
    assert towards(["clients", "etcd1", "etcd2"]) == " to the clients, etcd1 and etcd2"


def test_a_target_is_a_role_or_a_name() -> None:
    assert [role_of(target) for target in ("leader", "follower", "follower 2", "etcd1")] == [
        "leader",
        "follower",
        "follower",
        None,
    ]
    assert [rank(number) for number in (1, 2)] == ["follower", "follower 2"]
    assert [rank_of(rank(number)) for number in (1, 2)] == [1, 2]

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys that were written twice are counted once each, whoever tells of them."""

from __future__ import annotations

from typing import Any

import pytest
from failover.report.outage.duplicates import duplicates, duplicates_told


def once(verdict: str = "valid", **keys: list[str]) -> dict[str, Any]:
    listed = {name: {"count": len(of), "listed": [{"key": key} for key in of]} for name, of in keys.items()}
    return {"name": "applied once", "verdict": verdict, "evidence": listed}


def late(member: str, *keys: str) -> dict[str, Any]:
    listed = [{"key": key, "class": "late-duplicate"} for key in keys]
    evidence = {"by_class": {"late-duplicate": len(keys)}, "wrong": {"count": len(keys), "listed": listed}}
    return {"name": f"keys on {member}", "verdict": "unknown", "evidence": evidence}


@pytest.mark.parametrize(
    ("checks", "counted"),
    [
        ([], None),
        ([{"name": "keys on m1", "verdict": "valid", "evidence": {}}], None),
        ([once("unknown")], None),
        ([once()], (0, 0, 0)),
        ([once(after_a_retry=["a", "b"])], (0, 0, 2)),
        ([once("invalid", after_a_retry=["a", "b"], unexplained=["c"])], (0, 1, 2)),
        # Three members tell of the same three keys: three, not nine.
        ([late("m1", "a", "b", "c"), late("m2", "a", "b", "c"), late("m3", "a", "b", "c")], (3, 0, 0)),
        # One that comes back late has been written once more, too: it is one key.
        ([once(after_a_retry=["a", "b"]), late("m1", "a", "d"), late("m2", "d")], (2, 0, 1)),
    ],
)
def test_each_key_counts_once(checks: list[dict[str, Any]], counted: tuple[int, int, int] | None) -> None:
    found = duplicates(checks)
    assert (None if found is None else tuple(found.values())) == counted


def test_beyond_the_keys_that_are_listed_by_name_their_number_counts() -> None:
    check = once(after_a_retry=[f"k{number}" for number in range(100)])
    check["evidence"]["after_a_retry"]["count"] = 140
    assert sum((duplicates([check]) or {}).values()) == 140


def test_how_they_came_about_is_told() -> None:
    found = duplicates([once(after_a_retry=["a", "b"]), late("m1", "a", "d")])
    assert duplicates_told(found) == "2 late, after another write to the key, 1 again with the same value"
    assert duplicates_told(None) == duplicates_told(duplicates([once()])) == ""

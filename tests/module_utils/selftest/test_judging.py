# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When evidence names what was planted."""

from __future__ import annotations

from typing import Any

import pytest
from failover.selftest.judging import Judged, names_one, unless_broken

WRONG = {"key": "k", "class": "lost", "found": None, "operation": {"index": 7}}


@pytest.mark.parametrize(
    ("evidence", "named"),
    [
        ({"wrong": {"count": 1, "listed": [WRONG]}}, True),
        ({}, False),
        ({"wrong": {"count": 0, "listed": []}}, False),
        # It accuses somebody else, too.
        ({"wrong": {"count": 2, "listed": [WRONG, WRONG]}}, False),
        ({"wrong": {"count": 1, "listed": [{**WRONG, "key": "j"}]}}, False),
        ({"wrong": {"count": 1, "listed": [{**WRONG, "class": "stale"}]}}, False),
        ({"wrong": {"count": 1, "listed": [{**WRONG, "operation": {"index": 8}}]}}, False),
        ({"wrong": {"count": 1, "listed": [{**WRONG, "found": "x"}]}}, False),
    ],
)
def test_naming_is_naming_this_and_nothing_else(evidence: dict[str, Any], named: bool) -> None:
    assert names_one("wrong", key="k", kind="lost", index=7, found=None)(evidence) is named


def test_what_the_machine_does_is_no_finding() -> None:
    def breaks(error: Exception) -> Judged:
        raise error

    assert not unless_broken(lambda: breaks(KeyError("x"))).caught
    for error in (OSError("no space"), MemoryError()):
        with pytest.raises(type(error)):
            unless_broken(lambda error=error: breaks(error))

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When faults were healed: not when they should have been."""

from __future__ import annotations

from typing import Any

import pytest
from failover.report.outage.heals import heals


def healed(*after_ms: float | None) -> list[dict[str, Any]]:
    return [{"marks": [] if at is None else [{"name": "heal_requested", "since_fault_ms": at}]} for at in after_ms]


@pytest.mark.parametrize(
    ("plan", "after_ms", "told"),
    [
        ({"heal_after_ms": 30_000}, [30_004.0, 30_011.0], "30.0 s after the fault"),
        (
            {"heal_after_ms": 30_000},
            [7_123.0, 12_400.0],
            "7.1 to 12.4 s after the fault: the repeat ended before the 30 s planned",
        ),
        (
            {"heal_after_ms": 30_000},
            [7_123.0, 30_001.0],
            "7.1 to 30.0 s after the fault: the repeat ended in 1 of 2 before the 30 s planned",
        ),
        ({"at_index": 100, "heal_index": 300}, [900.0, 1_900.0], "200 operations later, 0.9 to 1.9 s after the fault"),
        ({}, [7_000.0, 7_000.0], "at the end of the repeat, 7.0 s after the fault"),
        ({"heal_after_ms": 30_000}, [None, None], "after 30 s (planned; not recorded)"),
    ],
)
def test_what_is_told_is_when_they_were_healed(plan: dict[str, Any], after_ms: list[float | None], told: str) -> None:
    found = heals(plan, healed(*after_ms), repeats=2)
    assert found["told"] == told
    known = [at / 1000 for at in after_ms if at is not None]
    assert (found["n"], found["min_s"], found["max_s"]) == (
        len(known),
        min(known, default=None),
        max(known, default=None),
    )


def test_a_fault_that_did_not_strike_has_a_plan_only() -> None:
    assert heals({"heal_after_ms": 500}, [], repeats=1)["told"] == "after 0.5 s (planned)"
    assert heals({}, healed(900.0), repeats=1)["told"] == "at the end of the workload, 0.9 s after the fault"

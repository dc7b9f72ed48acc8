# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest
from locks import LOCKED, OPEN, compared


def turn(each_s: float, connect_ms: float) -> dict[str, object]:
    return {"times_s": [each_s] * 100, "connect_ms": connect_ms}


def test_ratios_are_of_turns_that_followed_each_other() -> None:
    """A machine that is four times as slow for a while does not change what is compared."""
    told = compared({LOCKED: [turn(0.002, 6), turn(0.008, 24)], OPEN: [turn(0.001, 2), turn(0.004, 8)]})
    assert told["ops_per_s"]["ratio"] == 0.5
    assert told["ops_per_s"]["ratios"] == [0.5, 0.5]
    assert told["p99_ms"]["ratio"] == told["p50_ms"]["ratio"] == 2
    assert told["connect_ms"] == {LOCKED: pytest.approx(15), OPEN: pytest.approx(5), "ratio": 3, "ratios": [3, 3]}

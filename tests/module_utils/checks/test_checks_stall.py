# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from failover.checks.stall import Stall
from failover.shapes import Check, Verdict


def check_of(repeats: list[dict[str, Any]]) -> Check | None:
    case: Any = SimpleNamespace(info={"repeats": repeats})
    (check,) = Stall().judge(case) if Stall().applies(case) else (None,)
    return check


def test_a_stalled_repeat_is_named_and_its_verdict_unknown() -> None:
    stalled = {"since_ns": 5, "tried_s": 180.2, "done": 300, "left_out": 4_700}
    repeats = [{"repeat": 1, "stalled": None}, {"repeat": 2, "stalled": stalled}, {"repeat": 3}]
    check = check_of(repeats)
    assert (check.name, check.verdict) == ("stall", Verdict.UNKNOWN)
    assert check.summary == (
        "Repeat 2 was ended early: no operation was acknowledged for 180 s, so the lab healed all faults and left out "
        "the remaining 4,700 operations."
    )
    assert check.evidence == {"repeats": [{"repeat": 2, **stalled}]}
    assert check_of(repeats[:1]) is None
    check = check_of([{"repeat": 1, "stalled": stalled | {"what": "write"}}])
    assert check.summary.startswith("The workload was ended early: no write was acknowledged for 180 s, ")
    check = check_of([{"repeat": 1, "stalled": stalled}])
    assert check.summary.startswith("The workload was ended early: ")

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What determined the length of an outage, of one and of many."""

from __future__ import annotations

from typing import Any

import pytest
from failover.report.outage.length import length_of_one, length_of_repeats


def outage(
    *phases: tuple[str, float, str], cause: str | None = None, ended: bool = True, **slowest: Any
) -> dict[str, Any]:
    """Return a fault whose outage has these phases: label, ms, what was waited for ("" where unexplained)."""
    length_ms = sum(ms for _, ms, _ in phases)
    rows = [
        {
            "name": label,
            "label": label,
            "duration_ms": ms,
            "share": ms / length_ms,
            "part": "servers" if waited_for else "unexplained",
            "waited_for": waited_for,
        }
        for label, ms, waited_for in phases
    ]
    defaults = {"latency_ms": 9.0, "attempts": 1, "outcome": "ok"}
    return {
        "gap": {"duration_ms": length_ms, "ended": ended},
        "anatomy": {"phases": rows},
        "election_cause": cause,
        "slowest": defaults | slowest,
    }


ELECTION = ("election started", 1200.0, "an election timeout: the members heard nothing from the leader")
CLIENT = ("first error seen by a client", 500.0, "an answer to operation 1,234 from etcd2:2379")


def test_one_outage_is_as_long_as_its_longest_phase() -> None:
    assert length_of_one("F1 of E2-etcd", outage(ELECTION, CLIENT), None) == (
        "Of the 1,700 ms of F1 of E2-etcd, the longest phase after the fault took 1,200 ms and ended with “election "
        "started”; waited for: an election timeout: the members heard nothing from the leader."
    )
    assert "; it is unexplained." in length_of_one("F1", outage(("first ok write", 40.0, "")), None)


def test_an_ordinary_pause_before_the_fault_explains_nothing() -> None:
    fault = outage(("SIGTERM sent (the fault)", 900.0, "nothing"), CLIENT)
    fault["anatomy"]["phases"][0]["part"] = "before"
    assert "took 500.0 ms and ended with “first error seen by a client”" in length_of_one("F1", fault, None)


def test_an_election_timeout_is_named_where_it_was_the_cause() -> None:
    text = length_of_one("F1 of E3-etcd", outage(ELECTION, cause="election timeout"), None)
    assert text.startswith("In F1 of E3-etcd the members waited for an election timeout, which each draws at random")


def test_of_an_outage_that_did_not_end_nothing_is_known() -> None:
    endless = outage(ELECTION, ended=False)
    assert length_of_one("F1", endless, 500.0) == length_of_repeats([endless], 500.0) == ""
    assert length_of_repeats([], 500.0) == ""


@pytest.mark.parametrize(
    ("latency_ms", "gap_ms", "attempts", "is_timeout"),
    [
        (508.8, 508.9, 2, True),
        (549.0, 549.9, 2, True),
        (560.0, 560.1, 2, False),
        (440.0, 440.1, 2, False),
        (508.8, 1500.0, 2, False),  # several timeouts, one after the other
        (508.8, 508.9, 1, False),  # slow, but it did not time out
    ],
)
def test_a_gap_as_long_as_an_attempt_may_take_measures_that_setting(
    latency_ms: float, gap_ms: float, attempts: int, is_timeout: bool
) -> None:
    fault = outage(("x", gap_ms, "y"), latency_ms=latency_ms, attempts=attempts)
    for text in (length_of_one("F1", fault, 500.0), length_of_repeats([fault, fault], 500.0)):
        assert ("client_attempt_timeout_ms = 500" in text) is is_timeout
    assert "client_attempt_timeout_ms" not in length_of_one("F1", fault, None)


def test_repeats_say_which_phase_was_the_longest_how_often_and_why() -> None:
    others = [
        ("first error seen by a client", 600.0, f"an answer to operation {n:,} from etcd2:2379") for n in (7, 8000)
    ]
    text = length_of_repeats(
        [
            *(outage(ELECTION, CLIENT, cause="election timeout") for _ in range(5)),
            *(outage(other) for other in others),
        ],
        None,
    )
    assert text == (
        "In 5 of 7 repeats the longest phase after the fault ended with “election started” (1,200 to 1,200 ms, median "
        "1,200 ms, about 71 % of its outage); waited for: an election timeout: the members heard nothing from the "
        "leader. In 2 of 7 repeats it was the one that ended with “first error seen by a client” (600.0 to 600.0 ms, "
        "median 600.0 ms, about 100 % of its outage); waited for: an answer to an operation from etcd2:2379. In 5 of 7 "
        "repeats the members waited for an election timeout, which each draws at random between one and two times the "
        "configured one: that alone spreads the lengths."
    )


def test_one_repeat_has_no_median() -> None:
    text = length_of_repeats([outage(ELECTION, CLIENT)], None)
    assert text.startswith("In the one repeat the longest phase")
    assert "median" not in text

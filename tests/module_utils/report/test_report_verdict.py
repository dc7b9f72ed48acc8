# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from failover.report.verdict import verdict_sentence


def test_an_unknown_run_does_not_claim_to_be_valid() -> None:
    checks = [
        {"experiment": "E1-etcd", "name": "reads", "verdict": "valid", "summary": "All right."},
        {
            "experiment": "E2-etcd",
            "name": "keys on etcd3",
            "verdict": "unknown",
            "summary": "The keys of etcd3 are missing, and not compared.",
        },
    ]
    said = "".join(str(piece["text"]) for piece in verdict_sentence("unknown", checks, []))
    assert said == (
        "Unknown: no check failed, but 1 of 2 checks could not be decided; in E2-etcd: "
        "The keys of etcd3 are missing, and not compared."
    )


def test_a_run_without_checks_is_not_called_checked() -> None:
    said = "".join(str(piece["text"]) for piece in verdict_sentence("unknown", [], []))
    assert said == "Unknown: no check failed, but no check is recorded."


READS = {"experiment": "E2-etcd", "name": "reads", "verdict": "valid", "summary": "All right."}
DOUBT = {"experiment": "E2-etcd", "name": "events", "verdict": "unknown", "summary": "There are none."}
LOST = {"experiment": "E2-etcd", "name": "keys on etcd1", "verdict": "invalid", "summary": "A key is lost."}
MISSED = {"experiment": "E2-etcd", "name": "limit p99_ms", "verdict": "invalid", "summary": "p99_ms is 9, not 5."}
KEPT = {"experiment": "E2-etcd", "name": "limit not_ok", "verdict": "valid", "summary": "not_ok is 0."}


@pytest.mark.parametrize(
    ("checks", "wanted"),
    [
        (
            [READS, MISSED, KEPT],
            "Invalid: the data is right, but 1 limit of yours was missed; in E2-etcd: p99_ms is 9, not 5.",
        ),
        (
            [READS, MISSED, MISSED, DOUBT],
            "Invalid: no check found the data wrong, but 2 limits of yours were missed; in E2-etcd: p99_ms is 9, "
            "not 5; 1 more below.",
        ),
        (
            [READS, LOST, MISSED],
            "Invalid: 1 of 2 checks failed; in E2-etcd: A key is lost; 1 limit of yours was missed, too.",
        ),
    ],
)
def test_a_missed_limit_is_no_lost_data_and_does_not_hide_it(checks: list[dict[str, Any]], wanted: str) -> None:
    assert "".join(str(piece["text"]) for piece in verdict_sentence("invalid", checks, [])) == wanted


def test_limits_that_were_kept_are_told_beside_the_checks() -> None:
    said = "".join(str(piece["text"]) for piece in verdict_sentence("valid", [READS, KEPT], [told()]))
    assert said.startswith("Valid: 1 check passed over 100 operations in 1 experiment; 1 limit of yours was kept;")


def valid_sentence(*experiments: dict[str, Any]) -> str:
    return "".join(
        str(piece["text"]) for piece in verdict_sentence("valid", [{"name": "reads", "verdict": "valid"}], experiments)
    )


def told(**changed: Any) -> dict[str, Any]:
    """Return what the sentence needs of an experiment."""
    groups = [{"repeats": 1, "struck": 1} for _ in changed.get("faults", [])]
    return {
        "repetition": groups,
        "name": "E1-etcd",
        "anchor": "e1",
        "operations": 100,
        "not_ok": 0,
        "members": [{"keys": 40}, {"keys": 40}],
        "checks": [{"name": "outcomes", "evidence": {"expected_keys": {"least": 40, "most": 40}}}],
        "faults": [],
        "gap": {"duration_ms": 812.4, "ended": True},
        "healthy_gap_ms": {"median": 1.0, "p99": 2.0, "longest": 3.0, "count": 50},
    } | changed


HEALTHY = "healthy gaps: 1.00/2.00/3.00 ms, median/p99/longest"


def outage_of(duration_ms: float, **changed: Any) -> dict[str, Any]:
    return {
        "id": "F1",
        "anchor": "e1-outage1",
        "fired": True,
        "target": "leader",
        "member": "etcd2",
        "past": "stopped",
        "at_index": 12,
        "gap": {"duration_ms": duration_ms, "ended": True},
        "background": None,
    } | changed


def test_counts_of_one_have_the_singular() -> None:
    said = valid_sentence(told(operations=1, not_ok=1, members=[{"keys": 1}]))
    assert said.startswith("Valid: 1 check passed over 1 operation in 1 experiment; 1 operation was not ok; every")
    assert "ends with 1 key," in said


def test_operations_that_were_not_ok_are_in_the_sentence() -> None:
    assert "; 1,203 operations were not ok; every member" in valid_sentence(told(not_ok=1200), told(not_ok=3))
    assert "not ok" not in valid_sentence(told())


@pytest.mark.parametrize(
    ("members", "least", "most", "words"),
    [
        ([40, 40], 40, 40, "ends with the expected 40 keys."),
        ([40, 40], 39, 41, "ends with 40 keys, where 39 to 41 may remain."),
        ([39, 41], 39, 41, "ends with 39 to 41 keys, where 39 to 41 may remain."),
    ],
)
def test_keys_are_called_expected_only_where_their_number_is_certain(
    members: list[int], least: int, most: int, words: str
) -> None:
    checks = [{"name": "outcomes", "evidence": {"expected_keys": {"least": least, "most": most}}}]
    assert words in valid_sentence(told(members=[{"keys": keys} for keys in members], checks=checks))


def test_without_the_number_of_keys_of_a_member_the_sentence_says_nothing_of_keys() -> None:
    assert "keys" not in valid_sentence(told(members=[{"keys": 40}, {"keys": None}]))


def test_a_longer_gap_than_that_of_the_fault_is_in_the_sentence() -> None:
    said = valid_sentence(told(faults=[outage_of(45.2)]))
    assert said.endswith(
        "when the leader etcd2 was stopped at operation 12 of E1-etcd, no operation was acknowledged for 45.2 ms "
        f"({HEALTHY}); "
        "outside that outage, no operation of E1-etcd was acknowledged for 812.4 ms."
    )
    assert "outside those outages" in valid_sentence(told(faults=[outage_of(45.2), outage_of(46.2)]))
    assert "outside" not in valid_sentence(told(faults=[outage_of(45.2), outage_of(812.4)]))
    assert "outside" not in valid_sentence(told(faults=[]))


def test_a_service_that_did_not_come_back_is_told_in_the_sentence() -> None:
    endless = {"duration_ms": 812.4, "ended": False}
    words = "no operation was acknowledged for at least 812.4 ms, the service did not come back ("
    assert words in valid_sentence(told(gap=endless, faults=[outage_of(0, gap=endless)]))
    outside = "no operation of E1-etcd was acknowledged for at least 812.4 ms, the service did not come back."
    assert outside in valid_sentence(told(gap=endless, faults=[outage_of(45.2)]))


def test_a_fault_that_did_not_strike_is_told_with_whom_it_was_to() -> None:
    plain = outage_of(0, fired=False, gap=None, action="slow_network", plan={})
    words = "; the slow network of the leader planned for E1-etcd did not strike"
    assert words in valid_sentence(told(faults=[plain]))
    words = "; the slow network of the leader to etcd3 planned for E1-etcd did not strike"
    assert words in valid_sentence(told(faults=[plain | {"plan": {"to": ["etcd3"]}}]))


def test_many_outages_are_told_as_a_range() -> None:
    def group(what: str, gap_ms: float, struck: int = 1) -> dict[str, Any]:
        measures = [{"name": "gap", "n": struck, "median_ms": gap_ms}]
        background = {"compared": struck, "like": 0}
        return {
            "what": what,
            "repeats": 1,
            "struck": struck,
            "anchor": what,
            "measures": measures,
            "background": background,
        }

    groups = [group("stop", 10.0), group("kill", 90.0), group("pause", 40.0), group("restart", 0.0, struck=0)]
    said = valid_sentence(told(repetition=groups))
    outages = f"10.0 ms (stop in E1-etcd; {HEALTHY}) to 90.0 ms (kill in E1-etcd; {HEALTHY})"
    assert f"; of 4 faults 1 did not strike; no operation was acknowledged for {outages}" in said

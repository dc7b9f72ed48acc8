# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from failover.report.outage.comparison import compared, lost_writes, outages
from failover.report.outage.repetition import repeated
from test_report_repetition import fault


def check(name: str, verdict: str = "valid", **evidence: Any) -> dict[str, Any]:
    return {"name": name, "verdict": verdict, "evidence": evidence}


def experiment(system: str, name: str, repeats: int = 1, fired: bool = True, **plan: Any) -> dict[str, Any]:
    faults = [fault(repeat, 400.0 + 100 * repeat, plan=plan, fired=fired) for repeat in range(1, repeats + 1)]
    groups = repeated(faults)
    for group in groups:
        group["anchor"] = f"{name}-outage1"
        group["sums"] |= {"lost": 0, "duplicated": None}
        group |= {"duplicated": "", "background_told": ""}
    return {"name": name, "system": system, "repetition": groups, "healthy_gap_ms": None}


def test_each_fault_has_a_row_with_what_it_cost() -> None:
    (row,) = outages([experiment("etcd", "E2-etcd")])
    assert (row["experiment"], row["fault"], row["what"]) == ("E2-etcd", "F1", "stop of the leader")
    assert (row["gap"]["median_ms"], row["worst"]["median_ms"], row["unexplained"]["median_ms"]) == (500, 499, 2)
    assert (row["sums"]["fail"], row["sums"]["unknown"]) == (1, 2)
    assert (row["sums"]["lost"], row["sums"]["duplicated"]) == (0, None)
    assert row["converged"]["median_ms"] is None


def test_a_fault_that_did_not_strike_has_a_row_without_numbers() -> None:
    (row,) = outages([experiment("etcd", "E2-etcd", fired=False)])
    assert (row["repeats"], row["struck"], row["gap"]["n"]) == (1, 0, 0)


def test_the_repeats_of_a_fault_have_one_row() -> None:
    (row,) = outages([experiment("etcd", "E2-etcd", repeats=3)])
    assert (row["repeats"], row["gap"]["min_ms"], row["gap"]["median_ms"], row["gap"]["max_ms"]) == (3, 500, 600, 700)


@pytest.mark.parametrize(
    ("checks", "lost"),
    [
        ([check("keys on m1"), check("keys on m2")], 0),
        ([check("keys on m1", "invalid", by_class={"lost": 2, "phantom": 9}), check("keys on m2")], 2),
        ([check("keys on m1", "invalid", by_class={"lost": 1, "stale": 1, "resurrected": 1})], 3),
        ([check("keys on m1"), check("keys on m2", "unknown")], None),
        ([check("keys on m1", "unknown", by_class={"late-duplicate": 1})], 0),
        ([], None),
    ],
)
def test_lost_writes_are_counted_on_the_member_that_lost_most(checks: list[dict[str, Any]], lost: int | None) -> None:
    assert lost_writes(checks) == lost


def test_the_same_fault_on_two_systems_is_compared_though_their_heals_differ() -> None:
    other = experiment("mysql", "E2-mysql", at_index=9, heal="delay", heal_after_ms=3000.0)
    (group,) = compared([experiment("etcd", "E2-etcd"), other])
    assert group["title"] == "stop of the leader"
    assert not group["repeated"]
    told = [(system["system"], system["heal"]) for system in group["systems"]]
    assert told == [
        ("etcd", "at the end of the workload, 1.0 s after the fault"),
        ("mysql", "1.0 s after the fault: the workload ended before the 3 s planned"),
    ]
    rows = {row["name"]: [cell["median_ms"] for cell in row["cells"]] for row in group["measures"]}
    assert rows["leader_elected"] == [31, 31]
    assert rows["caught_up"] == [200, 200]
    assert "first_answer" not in rows  # nobody has it
    assert {row["label"]: row["cells"] for row in group["sums"]}["acknowledged writes lost"] == [0, 0]


def test_repeats_are_compared_by_their_points_and_medians() -> None:
    (group,) = compared([experiment("etcd", "E2-etcd", repeats=7), experiment("mysql", "E2-mysql", repeats=6)])
    assert group["repeated"]
    gap = next(row for row in group["measures"] if row["name"] == "gap")
    assert [len(cell["points"]) for cell in gap["cells"]] == [7, 6]
    assert [cell["median_ms"] for cell in gap["cells"]] == [800, 750]
    assert all(cell["low_ms"] is not None for cell in gap["cells"])


def test_what_is_not_the_same_fault_on_another_system_is_not_compared() -> None:
    one = experiment("etcd", "E2-etcd")
    assert compared([one, experiment("etcd", "E3-etcd")]) == []
    assert compared([one, experiment("mysql", "E2-mysql", action="kill")]) == []
    assert compared([one, experiment("mysql", "E2-mysql", isolate="peers")]) == []
    assert compared([one, experiment("mysql", "E2-mysql", fired=False)]) == []
    assert compared([one, experiment("mysql", "E2-mysql", to=["peers"])]) == []
    (alike,) = compared([experiment(system, f"E2-{system}", to=["peers"]) for system in ("etcd", "mysql_cluster")])
    assert alike["title"] == "stop of the leader to its peers"

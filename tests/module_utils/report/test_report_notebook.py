# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from failover.report.chapters.notebook import compare
from printed import Content
from test_report_content import content_of
from test_report_threats import with_outage
from verified import verified_run

pytestmark = pytest.mark.usefixtures("without_pictures")


def test_the_notebook_is_not_compared_with_another_stream(valid_content: Content) -> None:
    table = valid_content[0]["notebook"]
    assert not table["comparable"]
    assert table["reasons"] == ["this run has 2,000 iterations, the notebook 100,000"]


def test_the_notebook_stands_beside_the_experiment_of_the_same_kind(valid_content: Content) -> None:
    content, _ = valid_content
    groups = {group["title"]: group for group in content["notebook"]["groups"]}
    healthy = {row["label"]: (row["notebook"], row["ours"]) for row in groups["etcd, healthy"]["rows"]}
    assert groups["etcd, healthy"]["experiment"] == "E1-etcd"
    assert healthy["operations per s"] == (1396.94, content["experiments"][0]["ops_per_s"])
    assert groups["etcd, one node stopped"]["experiment"] == "E2-etcd"
    ratios = {row["label"]: row["ours"] for row in groups["Ratios of operations per s"]["rows"]}
    rates = [experiment["ops_per_s"] for experiment in content["experiments"]]
    assert ratios["etcd to MySQL, healthy"] == pytest.approx(rates[0] / rates[1], rel=1e-4)
    assert "innodb_flush_log_at_trx_commit = 1" in groups["MySQL, healthy"]["why"]


NOTEBOOK_RUN = {"iterations": 100_000, "seed": 123, "clients": 1, "rate": 0.0}


def test_iterations_and_seed_of_the_notebook_are_comparable() -> None:
    table = compare(NOTEBOOK_RUN, [], {})
    assert table["comparable"]
    assert all(
        group["why"] == "No experiment of this run measures it." for group in (table["groups"][1], table["groups"][2])
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"clients": 4}, "this run has 4 clients, the notebook one"),
        (
            {"rate": 500.0},
            "this run has a rate of 500 op/s, the notebook sent each operation when the last was done",
        ),
    ],
)
def test_the_notebook_is_not_compared_with_another_load(changed: dict[str, Any], reason: str) -> None:
    table = compare({**NOTEBOOK_RUN, **changed}, [], {})
    assert table["same_stream"]
    assert not table["comparable"]
    assert table["reasons"] == [reason]


STOP_GROUP = "etcd, one node stopped"


def stop_rows(content: dict[str, Any], experiments: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the notebook's group of the stop, and this run's values in it by label."""
    groups = {group["title"]: group for group in compare(content["run"], experiments, {})["groups"]}
    return groups[STOP_GROUP], {row["label"]: row["ours"] for row in groups[STOP_GROUP]["rows"]}


def test_the_row_of_the_stop_is_filled_by_a_stop(valid_content: Content) -> None:
    content, _ = valid_content
    group, rows = stop_rows(content, content["experiments"])
    assert group["experiment"] == "E2-etcd"
    assert rows["stopped at operation"] == 240
    gap = content["experiments"][2]["faults"][0]["gap"]["duration_ms"]
    assert rows["time without an acknowledged operation"] == gap


@pytest.mark.parametrize("action", ["kill", "restart", "partition"])
def test_other_actions_do_not_fill_the_row_of_the_stop(valid_content: Content, action: str) -> None:
    content, _ = valid_content
    group, rows = stop_rows(content, with_outage(content, action=action))
    assert (group["experiment"], group["why"]) == (
        None,
        "No experiment of this run stops one etcd node and does nothing else.",
    )
    assert set(rows.values()) == {None}


def test_a_stop_that_did_not_strike_stopped_nothing(valid_content: Content) -> None:
    content, _ = valid_content
    group, rows = stop_rows(content, with_outage(content, fired=False))
    assert (group["experiment"], group["why"]) == ("E2-etcd", "The fault did not strike: no node was stopped.")
    assert set(rows.values()) == {None}


def test_a_stop_that_did_not_end_is_at_least_as_long(valid_content: Content) -> None:
    content, _ = valid_content
    _, rows = stop_rows(content, with_outage(content, gap={"duration_ms": 812.4, "ended": False}))
    assert rows["time without an acknowledged operation, at least"] == 812.4


def test_a_run_without_mysql_says_so(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-etcd", "E2-etcd"], clients=4)
    groups = {group["title"]: group for group in content_of(path)[0]["notebook"]["groups"]}
    assert groups["MySQL, healthy"]["why"] == "No experiment of this run measures it."
    assert [row["ours"] for row in groups["MySQL, healthy"]["rows"]] == [None, None, None]
    assert "4 clients instead of one" in groups["etcd, healthy"]["why"]

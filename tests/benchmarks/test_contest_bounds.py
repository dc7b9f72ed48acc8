# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from contest.bounds import BOUNDS, BOUNDS_HEAD, FIGURES_HEAD, bound_rows, figure_rows, judged, ratios, table
from contest.turns import Figures

ONE, OTHER = Figures([0.5, 1.0, 1.0], [0.1, 0.1, 0.1]), Figures([1.0, 1.0, 1.5], [0.2, 0.2, 0.2])


def test_a_ratio_is_of_throughput_and_of_one_turn() -> None:
    assert ratios(ONE, OTHER) == [2.0, 1.0, 1.5]


@pytest.mark.parametrize(
    ("asked", "cell", "verdict"), [(1.5, ">= 1.50", "held"), (1.51, ">= 1.51", "missed"), (None, "-", "")]
)
def test_the_median_decides(asked: float | None, cell: str, verdict: str) -> None:
    assert judged(asked, [2.0, 1.0, 1.5]) == (cell, "1.50", "1.00 to 2.00", "3", verdict)


def test_a_bound_is_never_held_by_rounding() -> None:
    assert judged(0.9, [0.899, 0.899])[-1] == "missed"


def asked(system: str, clients: int) -> dict[str, float | None]:
    return {f"{bound.one} : {bound.other}": bound.asked(clients) for bound in BOUNDS[system]}


def test_what_is_asked() -> None:
    assert asked("etcd", 1) == {
        "blind : clientv3": 1.2,
        "blind : etcd3": 1.3,
        "safe : blind": 0.9,
        "blind : grpcio": None,
        "blind : clientv3-all": None,
    }
    assert [asked("etcd", clients)["blind : clientv3"] for clients in (8, 32, 5)] == [1.0, 0.9, None]
    assert asked("etcd", 32)["safe : blind"] == 0.9
    assert [asked("mysql", clients)["blind : PyMySQL"] for clients in (1, 8)] == [0.97, None]


def test_a_contender_that_is_missing_is_told_in_each_of_its_bounds() -> None:
    names = {"safe", "blind", "grpcio", "etcd3"}
    missing = {"clientv3": "no program", "clientv3-all": "no program"}
    rows = {row[2]: row for row in bound_rows("etcd", 8, dict.fromkeys(names, ONE), missing)}
    assert rows["blind : clientv3"] == ("etcd", "8", "blind : clientv3", ">= 1.00", "not measured: no program")
    assert rows["blind : clientv3-all"][3:] == ("-", "not measured: no program")
    assert rows["safe : blind"] == ("etcd", "8", "safe : blind", ">= 0.90", "1.00", "1.00 to 1.00", "3", "held")


def test_figures_are_medians() -> None:
    assert list(figure_rows({"safe": ONE})) == [("safe", "1", "100000")]


def test_a_table_is_aligned_and_a_reason_may_be_long() -> None:
    rows = [("etcd", "1", "a : b", "-", "not measured: " + "x" * 50), ("etcd", "1", "a : c", "-", "1.00", "", "2", "")]
    lines = table(BOUNDS_HEAD, rows).splitlines()
    assert lines[2].endswith("x" * 50)
    assert lines[3].index("1.00") == lines[0].index("measured")
    assert all(line == line.rstrip() for line in lines)


def test_a_table_without_rows_has_its_head() -> None:
    assert table(FIGURES_HEAD, []).splitlines()[0].split() == ["contender", "op/s", "CPU", "us/op"]

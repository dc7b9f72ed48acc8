# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is a limit, and which of several counts."""

from __future__ import annotations

from typing import Any

import pytest
from failover.limits import limit_of, limits_told, read_limits, refuse_other_limits, wrong_limits
from failover.measured.figures import FIGURES
from failover.shapes import LabError


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (2000, "limits is 2000: it must be a mapping of figures to their limits. Try -e"),
        ("outage_ms", 'limits is "outage_ms": it must be a mapping'),
        (["outage_ms"], "it must be a mapping"),
        ({"outages_ms": 1}, "limits has no figure outages_ms: figures are outage_ms, "),
        ({"outages_ms": 1}, "Did you mean outage_ms?"),
        ({"p99_ms": -1}, "limits: p99_ms is -1, and has to be a number of at least 0."),
        ({"p99_ms": "5"}, 'limits: p99_ms is "5", and has to be a number of at least 0, as in -e'),
        ({"p99_ms": True}, "limits: p99_ms is true, and has to be a number"),
        ({"p99_ms": None}, "limits: p99_ms is null, and has to be a number"),
        ({"p99_ms": float("nan")}, "limits: p99_ms is NaN, and has to be a number"),
        ({"outage_ms": {"etcd": [1]}}, "limits: outage_ms of etcd is [1], and has to be a number"),
        (
            {"outage_ms": {"ectd": 1}},
            "limits: outage_ms has a limit for ectd, which is no experiment, action or system",
        ),
        ({"outage_ms": {"ectd": 1}}, "Did you mean etcd?"),
    ],
)
def test_what_is_no_limit_is_one_line(given: Any, said: str) -> None:
    (line,) = wrong_limits(given, ["E2-etcd"])
    assert said in line
    assert "\n" not in line


def test_limits_are_read_as_they_were_given() -> None:
    limits = {"outage_ms": {"E2-etcd": 1, "kill": 2.5, "mysql": 0}, "ops_per_s": 100}
    assert wrong_limits(limits, ["E2-etcd"]) == []
    assert read_limits(limits) == limits
    assert read_limits(None) == read_limits({}) == {}
    assert limits_told(limits) == ["outage_ms at most 1 of E2-etcd, 2.5 of kill, 0 of mysql", "ops_per_s at least 100"]
    with pytest.raises(LabError, match=r"^run.json: limits has no figure p98_ms"):
        read_limits({"p98_ms": 1}, "run.json: limits")
    # What a run recorded may name experiments that no catalog has any more.
    assert read_limits({"outage_ms": {"E99-etcd": 1}}) == {"outage_ms": {"E99-etcd": 1}}


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        (7, 7),
        ({"etcd": 1}, 1),
        ({"etcd": 1, "kill": 2}, 2),
        ({"etcd": 1, "kill": 2, "E3-etcd": 3}, 3),
        ({"pause": 5, "kill": 4, "etcd": 1}, 4),  # of an experiment with both: the stricter one
        ({"mysql": 1, "stop": 2, "E2-etcd": 3}, None),
        ({}, None),
    ],
)
def test_the_experiments_own_limit_counts_before_the_actions_and_the_systems(limit: Any, wanted: float | None) -> None:
    names = (["E3-etcd"], ["kill", "pause"], ["etcd"])
    assert limit_of(FIGURES["p99_ms"], limit, names) == wanted


def test_of_what_must_not_fall_below_its_limit_the_larger_one_is_stricter() -> None:
    assert limit_of(FIGURES["ops_per_s"], {"kill": 4, "pause": 5}, (["E3-etcd"], ["kill", "pause"], ["etcd"])) == 5


@pytest.mark.parametrize(
    ("given", "judged", "said"),
    [
        (None, {"outage_ms": 1}, None),
        ({"outage_ms": 1}, {"outage_ms": 1.0}, None),
        ({}, None, None),
        ({"outage_ms": 2}, {"outage_ms": 1}, 'was judged with the limits {"outage_ms": 1}. To judge it'),
        (
            {"outage_ms": 2},
            None,
            "was judged without limits. To judge it with those given now: ./scripts/lab verify -e",
        ),
        ({}, {"outage_ms": 1}, """results_run=/r -e '{"limits": {}}'"""),
        ({"nonsense": 1}, None, "limits has no figure nonsense"),
    ],
)
def test_a_verdict_by_other_limits_is_not_repeated(given: Any, judged: Any, said: str | None) -> None:
    if said is None:
        refuse_other_limits(given, judged, "/r")
        return
    with pytest.raises(LabError) as refused:
        refuse_other_limits(given, judged, "/r")
    assert said in str(refused.value)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run that shows nothing of a kind of operation, or of a system that was not well, is not valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from failover.checks.evidence import check_evidence, reported
from failover.checks.verdict import verify, verify_experiment
from failover.shapes import Check, Verdict
from planted.run import make_run

WELL: dict[str, Any] = {"healthy": True, "reasons": []}
KINDS = ["CREATE", "RETRIEVE", "DELETE", "DELETE"]
NO_SPACE = "memberID:6536347635391062242 alarm:NOSPACE "


def check(outcomes: list[str | None], before: dict[str, Any] = WELL, after: dict[str, Any] = WELL) -> Check:
    return check_evidence(KINDS, outcomes, {"system": "etcd", "before": before, "after": after})


def cluster(*errors: str) -> dict[str, Any]:
    """What the observing module recorded of two members that report the same."""
    members = {
        name: {"id": member_id, "reachable": True, "errors": list(errors)}
        for name, member_id in (("etcd1", "5ab5c58b17f2e0e2"), ("etcd2", "1f9b73a69d9ec3ab"))
    }
    reasons = [f"{name} reports: {error}" for name in members for error in errors]
    return {"healthy": not errors, "reasons": reasons, "observation": {"members": members}}


def test_one_acknowledged_operation_of_each_kind_is_enough() -> None:
    found = check(["ok", "ok", "unknown", "ok"])
    assert found.verdict is Verdict.VALID
    assert found.evidence["acknowledged"]["DELETE"] == {"operations": 2, "ok": 1}


@pytest.mark.parametrize("ended", ["fail", "unknown", None])
def test_a_kind_that_was_never_acknowledged_is_no_evidence(ended: str | None) -> None:
    found = check(["ok", "ok", ended, ended])
    assert found.verdict is Verdict.UNKNOWN
    assert "none of 2 DELETE operations was acknowledged" in found.summary


def test_a_kind_that_the_stream_does_not_have_is_not_missed() -> None:
    info = {"system": "etcd", "before": WELL, "after": WELL}
    assert check_evidence(["CREATE"], ["ok"], info).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("observed", "told"),
    [
        (cluster(NO_SPACE), ["etcd1 has raised the alarm NOSPACE"]),  # by both members, once
        (cluster("memberID:9 alarm:CORRUPT "), ["9 has raised the alarm CORRUPT"]),
        (
            cluster(NO_SPACE, "etcdserver: no leader"),
            ["etcd1 has raised the alarm NOSPACE"] + [f"etcd{n} reports: etcdserver: no leader" for n in (1, 2)],
        ),
        ({"healthy": False, "reasons": ["it is read-only"]}, ["it is read-only"]),
        ({"healthy": False, "reasons": ["group2 is recovering"]}, ["group2 is recovering"]),
        ({"healthy": False}, ["the system was not healthy, and no reason was recorded"]),
        ({}, ["nobody looked at the system"]),
        (cluster(), []),
    ],
)
def test_what_a_system_reports_of_itself_counts(observed: dict[str, Any], told: list[str]) -> None:
    assert reported("etcd", observed) == told
    for when in ("before", "after"):
        found = check(["ok"] * 4, **{when: observed})
        assert found.verdict is (Verdict.UNKNOWN if told else Verdict.VALID)
        assert all(reason in found.summary for reason in told)
        assert found.evidence["reported"][when] == told


@pytest.mark.parametrize("experiment", ["E2-etcd", "E1-mysql"])
def test_an_experiment_of_a_system_that_was_not_well_is_unknown(tmp_path: Path, experiment: str) -> None:
    run = make_run(tmp_path / "run", experiments=[experiment]).path
    assert verify(run, experiment)["verdict"] == "valid"
    path = run / experiment / "experiment.json"
    info = json.loads(path.read_text())
    info["after"].update(healthy=False, reasons=["it is read-only"])
    path.write_text(json.dumps(info))
    assert verify(run, experiment)["verdict"] == "unknown"


def test_an_experiment_without_one_acknowledged_delete_is_unknown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", experiments=["E1-etcd"], plant="no_delete_acknowledged").path
    checks = verify_experiment(run / "E1-etcd")
    assert [found.name for found in checks if found.verdict is not Verdict.VALID] == ["evidence"]

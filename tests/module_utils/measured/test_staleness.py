# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from pathlib import Path

import pytest
from failover.checks.verdict import verify_experiment
from failover.measured.staleness import Staleness, staleness_of
from failover.results.read import load_experiment
from failover.shapes import Verdict
from judged import only
from planted.run import make_run


def test_an_old_answer_is_told_with_ms_and_revisions(tmp_path: Path) -> None:
    made = make_run(tmp_path, experiments=["E2-etcd"], plant="old_serializable_read", iterations=600, clients=3)
    folder = made.path / "E2-etcd"
    path = folder / "experiment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"read_consistency": "serializable"}))
    checks = {check.name: check for check in verify_experiment(folder, {"staleness_ms": 0})}
    told = only(checks["revisions"], "old_reads")
    found = staleness_of(load_experiment(folder, need_verdict=False))
    assert found is not None
    assert found.old == 1 < found.reads
    assert (found.most_ms, found.most_revisions) == (pytest.approx(told["later_ms"]), told["revisions_behind"])
    assert found.most_ms > 0
    assert found.most_revisions > 0
    limit = checks["limit staleness_ms"]
    assert (limit.verdict, limit.evidence["value"]) == (Verdict.INVALID, pytest.approx(found.most_ms))
    # One that is old enough to be allowed.
    allowed = {check.name: check for check in verify_experiment(folder, {"staleness_ms": found.most_ms + 1})}
    assert allowed["limit staleness_ms"].verdict is Verdict.VALID


def test_of_linearizable_reads_and_without_revisions_there_is_none(tmp_path: Path) -> None:
    folder = make_run(tmp_path, experiments=["E1-etcd"], plant="numbered", iterations=200).path / "E1-etcd"
    assert staleness_of(load_experiment(folder, need_verdict=False)) is None
    path = folder / "experiment.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps(described | {"read_consistency": "serializable"}))
    found = staleness_of(load_experiment(folder, need_verdict=False))
    assert found is not None
    assert found == Staleness(found.reads, 0, 0.0, 0)
    assert found.as_dict()["reads"] == found.reads > 0
    plain = make_run(tmp_path / "plain", experiments=["E1-etcd"], iterations=200).path / "E1-etcd"
    path = plain / "experiment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"read_consistency": "serializable"}))
    assert staleness_of(load_experiment(plain, need_verdict=False)) is None

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from pathlib import Path

import pytest
from failover.checks.verdict import verify_experiment
from failover.shapes import Check
from planted.run import make_run


def logs_check(folder: Path) -> list[Check]:
    return [check for check in verify_experiment(folder) if check.name == "server logs"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", iterations=300, experiments=["E2-etcd"]).path / "E2-etcd"


def struck(folder: Path) -> str:
    return str(json.loads((folder / "experiment.json").read_text())["faults"][0]["record"]["member"])


def test_logs_that_speak_are_not_mentioned(folder: Path) -> None:
    assert logs_check(folder) == []


@pytest.mark.parametrize("content", ["", "\n \n"])
@pytest.mark.parametrize("member", ["etcd1", "etcd2", "etcd3"])
def test_an_empty_log_of_any_member_makes_a_run_with_a_stop_unknown(folder: Path, member: str, content: str) -> None:
    (folder / "logs" / f"{member}.log").write_text(content)
    (check,) = logs_check(folder)
    assert check.verdict == "unknown"
    assert f"logs/{member}.log is empty" in check.summary


def test_a_log_that_is_not_there_is_named(folder: Path) -> None:
    (folder / "logs" / "etcd2.log").unlink()
    (check,) = logs_check(folder)
    assert check.evidence["members"] == {"etcd2": "logs/etcd2.log is not there"}


def test_a_log_of_the_member_that_was_struck_has_to_be_understood(folder: Path) -> None:
    path = folder / "events.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [
        event for event in events if not (event["source"] == struck(folder) and event["event"].startswith("server."))
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in kept))
    (check,) = logs_check(folder)
    assert "nothing could be read from the 1 lines" in check.summary


def test_without_a_fault_nothing_is_asked(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", iterations=50, experiments=["E1-etcd"]).path / "E1-etcd"
    (folder / "logs" / "etcd1.log").write_text("")
    assert logs_check(folder) == []

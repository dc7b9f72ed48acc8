# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from failover.checks.verdict import verify_experiment
from failover.shapes import Verdict
from judged import PlantIt, wrong


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missed_fault", "missed"),
        ("held_back_fault", "as the leader sees it). More iterations or fewer faults leave members more time"),
        ("fault_on_follower", "which was follower"),
        ("fault_without_effect", "later term"),
    ],
)
def test_a_fault_that_proves_nothing_makes_the_verdict_unknown(plant: PlantIt, name: str, words: str) -> None:
    _, checks = plant(name)
    assert wrong(checks) == set()
    assert wrong(checks, Verdict.UNKNOWN) == {"fault F1"}
    assert words in checks["fault F1"].summary


def test_the_proof_of_a_fault(plant: PlantIt) -> None:
    _, checks = plant(None)
    fault = checks["fault F1"]
    assert "the leader of term 4" in fault.summary
    assert "etcd3 led in term 5" in fault.summary
    evidence = fault.evidence
    assert (evidence["index_asked"], evidence["index_hit"]) == (240, 240)
    assert evidence["role"] == "leader"
    assert (evidence["leader_before"], evidence["leader_after"]) == ("etcd2", "etcd3")


def test_a_fault_that_came_late_says_so(plant: PlantIt, tmp_path: Path) -> None:
    plant(None)
    path = tmp_path / "run" / "E2-etcd" / "experiment.json"
    info = json.loads(path.read_text())
    summaries = []
    for late in ({"index_hit": 261}, {"delay_ms": 20.5}, {"index_hit": 261, "delay_ms": 20.5}):
        changed = {**info, "faults": [{**info["faults"][0], "record": {**info["faults"][0]["record"], **late}}]}
        path.write_text(json.dumps(changed))
        check = next(check for check in verify_experiment(path.parent) if check.name == "fault F1")
        assert check.verdict is Verdict.VALID
        summaries.append(check.summary)
    assert [" late, " in summary for summary in summaries] == [False, False, True]
    assert "21 operations and 20.5 ms late" in summaries[2]


def test_a_fault_that_was_to_some_says_to_whom(plant: PlantIt, tmp_path: Path) -> None:
    plant("missed_fault")
    path = tmp_path / "run" / "E2-etcd" / "experiment.json"
    info = json.loads(path.read_text())
    info["faults"][0] |= {"action": "slow_network", "to": ["etcd3", "clients"]}
    path.write_text(json.dumps(info))
    check = next(check for check in verify_experiment(path.parent) if check.name == "fault F1")
    assert check.summary.startswith("The slow_network of the leader to etcd3 and the clients at operation 240 missed: ")


def drop_events(path: Path) -> None:
    kept = [line for line in path.read_text().splitlines(keepends=True) if "fault.signal_sent" not in line]
    path.write_text("".join(kept))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (drop_events, "stamp of the fault"),
        (lambda path: path.write_text("{"), "cannot be proven"),
    ],
)
def test_a_fault_without_events_is_not_proven(
    plant: PlantIt, tmp_path: Path, damage: Callable[[Path], Any], words: str
) -> None:
    plant(None)
    folder = tmp_path / "run" / "E2-etcd"
    damage(folder / "events.jsonl")
    checks = {check.name: check for check in verify_experiment(folder)}
    assert checks["fault F1"].verdict is Verdict.UNKNOWN
    assert words in checks["fault F1"].summary


@pytest.mark.parametrize(
    ("target", "record", "words"),
    [
        ("leader", None, "Nothing was recorded"),
        ("leader", {"index_hit": 100}, "struck at operation 100"),
        ("leader", {"process_gone_wall_ns": None}, "not seen to end"),
        ("leader", {"inject_error": "systemctl stop did not end"}, "it was done: systemctl stop did not end"),
        ("leader", {"healed_wall_ns": 5, "healed_by": "dead man's switch"}, "healed before the workload ended"),
        ("follower", {}, "which was leader"),
        ("etcd1", {}, "it hit etcd2"),
    ],
)
def test_what_else_can_be_wrong_with_a_fault(
    plant: PlantIt, tmp_path: Path, target: str, record: dict[str, Any] | None, words: str
) -> None:
    plant(None)
    path = tmp_path / "run" / "E2-etcd" / "experiment.json"
    info = json.loads(path.read_text())
    fault = info["faults"][0]
    fault["target"] = target
    fault["record"] = None if record is None else {**fault["record"], **record}
    path.write_text(json.dumps(info))
    check = next(check for check in verify_experiment(path.parent) if check.name == "fault F1")
    assert check.verdict is Verdict.UNKNOWN
    assert words in check.summary

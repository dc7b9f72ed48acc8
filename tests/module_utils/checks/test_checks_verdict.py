# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from failover.checks.base import load_case
from failover.checks.registry import CHECKERS
from failover.checks.verdict import verify, verify_experiment, write_run_verdict
from failover.results.judged import read_judgement
from failover.results.junit import junit
from failover.shapes import LabError, Verdict
from judged import ETCD_KEYS, PlantIt, to_jsonl, wrong
from planted.defects import PLANTS
from planted.run import make_run

ROOT = Path(__file__).resolve().parents[3]
ALWAYS = {"history", "outcomes", "evidence", "reads"}


@pytest.mark.parametrize("clients", [1, 4])
@pytest.mark.parametrize(
    ("experiment", "names"),
    [
        ("E1-etcd", {*ALWAYS, "applied once", "members equal", "convergence", *ETCD_KEYS}),
        ("E1-mysql", {*ALWAYS, "keys on mysql1"}),
        (
            "E2-etcd",
            {*ALWAYS, "applied once", "members equal", "convergence", "fault F1", *ETCD_KEYS},
        ),
    ],
)
def test_a_good_experiment_is_valid(plant: PlantIt, experiment: str, names: set[str], clients: int) -> None:
    _, checks = plant(None, experiment, clients=clients)
    assert set(checks) == names
    assert {check.verdict for check in checks.values()} == {Verdict.VALID}
    outcomes = checks["outcomes"].evidence
    assert outcomes["totals"] == {"ok": 2000, "fail": 0, "unknown": 0}
    assert outcomes["expected_keys"]["least"] == outcomes["expected_keys"]["most"]
    for check in checks.values():
        assert json.loads(json.dumps(check.as_dict()))["summary"]


def test_nothing_acknowledged_proves_nothing(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=200, experiments=["E1-mysql"])
    folder = made.path / "E1-mysql"
    to_jsonl(folder, lambda row: [*row[:8], "fail", row[9], row[10], None, None, "refused", *[None] * 5])
    (folder / "nodes" / "mysql1.jsonl").write_text('{"count": 0}\n')
    checks = {check.name: check for check in verify_experiment(folder)}
    assert wrong(checks) == set()
    assert wrong(checks, Verdict.UNKNOWN) == {"outcomes", "evidence", "reads"}


def test_a_system_without_an_experiment_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="missing"):
        verify_experiment(tmp_path / "E9")


def test_verdicts_are_written_and_combined(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=500, plant="lost_key", plant_in="E1-mysql")
    to_jsonl(made.path / "E1-etcd")
    first = verify(made.path, "E1-etcd")
    assert (first["verdict"], first["converted"], first["changed"]) == ("valid", True, True)
    assert not (made.path / "verdict.json").exists()
    assert not (made.path / "E1-etcd" / "history.jsonl").exists()
    assert (made.path / "E1-etcd" / "history.parquet").is_file()

    second = verify(made.path, "E1-mysql")
    assert second["verdict"] == "invalid"
    assert second["summary"].startswith("E1-mysql: invalid, by 1 of 5 checks; keys on mysql1: ")
    assert "\n" not in second["summary"]
    verify(made.path, "E2-etcd")
    run = json.loads((made.path / "verdict.json").read_text())
    assert run["verdict"] == "invalid"
    assert run["experiments"] == {"E1-etcd": "valid", "E1-mysql": "invalid", "E2-etcd": "valid"}
    bad = [check for check in run["checks"] if check["verdict"] == "invalid"]
    assert [check["name"] for check in bad] == ["E1-mysql: keys on mysql1"]
    assert bad[0]["evidence"]["wrong"]["listed"][0]["key"] == made.details["key"]
    assert not verify(made.path, "E1-etcd")["changed"]
    own = json.loads((made.path / "E1-mysql" / "verdict.json").read_text())
    assert (own["verdict"], own["experiment"]) == ("invalid", "E1-mysql")
    assert write_run_verdict(made.path) == run


def test_what_the_verdict_that_was_there_says_otherwise_is_named(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=500, plant="lost_key", experiments=["E1-mysql"])
    assert verify(made.path, "E1-mysql")["differs"] == []
    assert verify(made.path, "E1-mysql")["differs"] == []
    path = made.path / "E1-mysql" / "verdict.json"
    edited = json.loads(path.read_text())
    [keys] = [check for check in edited["checks"] if check["name"] == "keys on mysql1"]
    keys["verdict"] = "valid"
    edited["checks"] = [check for check in edited["checks"] if check["name"] != "reads"] + [{"name": "mood"}]
    path.write_text(json.dumps(edited))
    again = verify(made.path, "E1-mysql", write=False)
    assert (again["verdict"], again["changed"]) == ("invalid", True)
    assert again["differs"] == ["reads", "keys on mysql1", "mood"]


@pytest.mark.parametrize("kept", [0, 3])
def test_events_that_end_between_two_lines_before_the_experiment_did_are_no_events(tmp_path: Path, kept: int) -> None:
    folder = make_run(tmp_path / "run", iterations=300, experiments=["E1-etcd"]).path / "E1-etcd"
    lines = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    (folder / "events.jsonl").write_text("".join(lines[:kept]))
    [check] = [check for check in verify_experiment(folder) if check.verdict is not Verdict.VALID]
    assert (check.name, check.verdict) == ("events", Verdict.UNKNOWN)
    assert f"{folder / 'events.jsonl'} does not say that the experiment ended" in check.summary


def test_what_was_left_out_is_unknown_and_named(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", experiments=["E1-etcd", "E2-etcd"], iterations=600)
    description = json.loads((made.path / "run.json").read_text())
    description["left_out"] = {"E3-etcd": "etcd1 did not come back after E2-etcd"}
    (made.path / "run.json").write_text(json.dumps(description))
    for name in ("E1-etcd", "E2-etcd"):
        assert verify(made.path, name)["verdict"] == "valid"
    verdict, differences = read_judgement(made.path)
    assert differences.none
    assert verdict["verdict"] == "unknown"
    assert verdict["experiments"] == {"E1-etcd": "valid", "E2-etcd": "valid", "E3-etcd": "unknown"}
    assert verdict["checks"][-1] == {
        "name": "E3-etcd: left out",
        "verdict": "unknown",
        "summary": "E3-etcd was left out: etcd1 did not come back after E2-etcd.",
        "evidence": {},
    }
    [error] = ElementTree.parse(made.path / "junit.xml").getroot().iter("error")
    assert error.get("message") == verdict["checks"][-1]["summary"]


def test_ci_systems_are_told_of_each_check(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=300, plant="lost_key", plant_in="E1-mysql")
    unreadable = made.path / "E2-etcd" / "nodes" / "etcd1.jsonl"
    unreadable.write_text("\x07")
    for name in ("E1-etcd", "E1-mysql", "E2-etcd"):
        assert not (made.path / "junit.xml").exists()
        verify(made.path, name)
    suites = ElementTree.parse(made.path / "junit.xml").getroot()
    run = json.loads((made.path / "verdict.json").read_text())
    assert [f"{case.get('classname')}: {case.get('name')}" for case in suites.iter("testcase")] == [
        check["name"] for check in run["checks"]
    ]
    assert [(suite.get("name"), suite.get("failures")) for suite in suites] == [
        ("E1-etcd", "0"),
        ("E1-mysql", "1"),
        ("E2-etcd", "0"),
    ]
    [failure] = suites.iter("failure")
    assert made.details["key"] in (failure.text or "")
    assert all(float(suite.get("time", "")) > 0 for suite in suites)
    errors = {error.get("message") for error in suites.iter("error")}
    assert errors == {check["summary"] for check in run["checks"] if check["verdict"] == "unknown"}
    assert errors


def test_what_xml_cannot_have_is_replaced() -> None:
    check = {"name": "reads", "verdict": "unknown", "summary": "it says \x00\ud800<&", "evidence": {"error": "\x1b[1m"}}
    [error] = ElementTree.fromstring(junit("run", {"E1": {"checks": [check]}}, {})).iter("error")
    assert error.get("message") == "it says \ufffd\ufffd<&"
    many = {**check, "evidence": {"keys": ["k" * 100] * 1000}}
    [error] = ElementTree.fromstring(junit("run", {"E1": {"checks": [many]}}, {})).iter("error")
    assert (error.text or "").endswith("... the rest is in verdict.json")
    assert len(error.text or "") < 21_000


def test_verifying_without_writing_changes_nothing(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=300, experiments=["E1-etcd"])
    to_jsonl(made.path / "E1-etcd")
    before = {path: path.stat().st_mtime_ns for path in made.path.rglob("*")}
    result = verify(made.path, "E1-etcd", write=False)
    assert result["verdict"] == "valid"
    assert result["changed"]
    assert {path: path.stat().st_mtime_ns for path in made.path.rglob("*")} == before


@pytest.mark.parametrize("name", PLANTS)
def test_every_plant_leaves_the_other_experiments_alone(tmp_path: Path, name: str) -> None:
    made = make_run(tmp_path / "run", iterations=1200, experiments=["E1-etcd", "E2-etcd"], plant=name)
    assert verify(made.path, "E1-etcd")["verdict"] == "valid"


def test_100_000_operations_in_seconds_and_half_a_gigabyte(tmp_path: Path) -> None:
    make_run(tmp_path / "run", iterations=100_000, experiments=["E2-etcd"])
    program = (
        "import resource, sys, time; sys.path.insert(0, sys.argv[1]); from failover.checks.verdict import verify; "
        "verdict = verify(sys.argv[2], 'E2-etcd')['verdict']; "
        "print(verdict, time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    command = [sys.executable, "-c", program, str(ROOT / "module_utils"), str(tmp_path / "run")]
    verdict, cpu_s, peak_kb = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert verdict == "valid"
    assert float(cpu_s) < 10
    assert int(peak_kb) < 500_000


def test_every_check_has_a_name_of_its_own_and_says_how_it_decides() -> None:
    names = [checker.name for checker in CHECKERS]
    # The report finds a check's explanation by how its name begins.
    assert not [(one, other) for one in names for other in names if one != other and one.startswith(other)]
    assert len(set(names)) == len(names)
    assert all(checker.how.endswith(".") for checker in CHECKERS)


@pytest.mark.parametrize("name", [None, "stalled", "unknown_applied", "missing_dump", "missed_fault"])
def test_a_check_is_called_what_its_checker_is_called(plant: PlantIt, tmp_path: Path, name: str | None) -> None:
    plant(name, **({"repeats": 2} if name == "stalled" else {}))
    case = load_case(tmp_path / "run" / "E2-etcd")
    for checker in CHECKERS:
        for check in checker.judge(case) if checker.applies(case) else ():
            assert check.name.startswith(f"{checker.name} ") if checker.each else check.name == checker.name


def test_logs_that_cannot_be_read_leave_unknown_what_happened(plant: PlantIt, tmp_path: Path) -> None:
    plant(None)
    log = tmp_path / "run" / "E2-etcd" / "logs" / "etcd3.log"
    log.unlink()
    log.mkdir()
    checks = {check.name: check for check in verify_experiment(log.parents[1])}
    assert wrong(checks, Verdict.UNKNOWN) == {"events"}
    assert f"{log} cannot be read: Is a directory" in checks["events"].summary

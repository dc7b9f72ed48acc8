# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A verdict says which files it judged, and nobody repeats it on others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from failover.checks.verdict import verify
from failover.results.judged import Differences, compare_judged, read_judgement
from failover.shapes import LabError
from verified import verified_run

EDITED = "E2-etcd/nodes/etcd1.jsonl"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return verified_run(tmp_path / "run", iterations=400, experiments=["E1-mysql", "E2-etcd"])


def judged(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / "verdict.json").read_text())["judged"]
    return found


def test_every_file_of_an_experiment_is_judged_and_named_by_its_digest(run: Path) -> None:
    of_run, of_experiment = judged(run), judged(run / "E2-etcd")
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert set(of_run) == files - {"verdict.json", "junit.xml"}
    assert {f"E2-etcd/{name}" for name in of_experiment} < set(of_run)
    wanted = {"history.parquet", "events.jsonl", "experiment.json", "nodes/etcd1.jsonl", "logs/etcd1.log"}
    assert wanted < set(of_experiment)
    assert len(set(of_run.values())) == len(of_run)
    assert read_judgement(run)[1] == Differences(recorded=True)
    assert read_judgement(run)[1].none


def edit(run: Path) -> None:
    text = (run / EDITED).read_text()
    line = text.splitlines()[1]
    value = json.loads(line)[1]
    (run / EDITED).write_text(text.replace(value, "9" + value[1:], 1))


def lose_nodes(run: Path) -> None:
    for path in (run / "E2-etcd" / "nodes").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("change", "differences", "sentence"),
    [
        (edit, Differences(True, changed=(EDITED,)), f"since the verdict, {EDITED} changed"),
        (
            lambda run: (run / "E2-etcd" / "events.jsonl").unlink(),
            Differences(True, missing=("E2-etcd/events.jsonl",)),
            "since the verdict, E2-etcd/events.jsonl is missing",
        ),
        (
            lose_nodes,
            Differences(True, missing=tuple(f"E2-etcd/nodes/etcd{n}.jsonl" for n in (1, 2, 3))),
            "since the verdict, E2-etcd/nodes/etcd1.jsonl, E2-etcd/nodes/etcd2.jsonl and E2-etcd/nodes/etcd3.jsonl "
            "are missing",
        ),
        (
            lambda run: (run / "E1-mysql" / "logs" / "mysql2.log").write_text("more\n"),
            Differences(True, added=("E1-mysql/logs/mysql2.log",)),
            "since the verdict, E1-mysql/logs/mysql2.log was added",
        ),
        (
            lambda run: (run / "run.json").write_text((run / "run.json").read_text() + "\n"),
            Differences(True, changed=("run.json",)),
            "since the verdict, run.json changed",
        ),
    ],
)
def test_what_does_not_match_is_told_in_words(
    run: Path, change: Callable[[Path], None], differences: Differences, sentence: str
) -> None:
    change(run)
    found = read_judgement(run)[1]
    assert found == differences
    assert (found.sentence, found.none) == (sentence, False)
    assert found.of("E2-etcd") is any("E2-etcd" in path for path in (*found.changed, *found.missing, *found.added))


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "valid"},
        {"verdict": "valid", "checks": []},
        {"verdict": "valid", "experiments": {}},
        {"verdict": "valid", "experiments": {"E2-etcd": "valid"}},
        {"checks": []},
    ],
)
def test_an_edited_verdict_of_the_run_is_held_against_those_of_its_experiments(
    run: Path, change: dict[str, object]
) -> None:
    edit(run)
    verify(run, "E2-etcd")
    path = run / "verdict.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    found = read_judgement(run)[1]
    assert (found.edited, found.none) == (True, False)
    assert found.sentence == (
        "since the verdict, the run's verdict.json was edited: it contradicts those of its experiments"
    )
    verify(run, "E2-etcd")
    verdict, found = read_judgement(run)
    assert (verdict["verdict"], found.none) == ("invalid", True)


def test_an_experiment_without_its_verdict_is_told_as_missing(run: Path) -> None:
    (run / "E1-mysql" / "verdict.json").unlink()
    assert read_judgement(run)[1].sentence == "since the verdict, E1-mysql/verdict.json is missing"


def test_many_files_are_counted() -> None:
    found = Differences(True, changed=tuple("abcde"))
    assert found.sentence == "since the verdict, a, b, c and 2 more changed"


def test_an_edited_verdict_of_an_experiment_is_noticed(run: Path) -> None:
    path = run / "E2-etcd" / "verdict.json"
    path.write_text(path.read_text().replace("valid", "valid "))
    assert read_judgement(run)[1].changed == ("E2-etcd/verdict.json",)


def test_reports_and_what_is_hidden_are_not_judged(run: Path) -> None:
    (run / "report.pdf").write_text("%PDF")
    (run / "E2-etcd" / ".events.jsonl.1.part").write_text("half")
    assert read_judgement(run)[1].none


def test_to_verify_again_judges_the_files_that_are_there(run: Path) -> None:
    edit(run)
    assert verify(run, "E2-etcd")["verdict"] == "invalid"
    verdict, found = read_judgement(run)
    assert (verdict["verdict"], found.none) == ("invalid", True)


def test_a_verdict_of_an_earlier_version_says_nothing_of_its_files(run: Path) -> None:
    found = compare_judged(run, {"verdict": "valid", "checks": []})
    assert found == Differences(recorded=False)
    assert (found.none, found.sentence) == (False, "the verdict does not say which files it judged")


def test_digests_that_are_none_are_a_damaged_verdict(run: Path) -> None:
    path = run / "verdict.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "judged": ["run.json"]}))
    with pytest.raises(LabError, match="is not a verdict of this lab"):
        read_judgement(run)

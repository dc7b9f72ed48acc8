# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Limits of the user's own, judged like checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from failover.checks.limits import Limits
from failover.checks.verdict import verify, verify_experiment
from failover.measured.figures import FIGURES
from failover.report import content
from failover.results.judged import limits_sentence, read_judgement
from failover.results.read import load_run
from failover.shapes import Check, LabError, Verdict
from judged import to_jsonl
from planted.run import make_run
from printed import Quiet
from verified import verified_run

LimitsOf = dict[str, Any]


def at(told: dict[str, Any], place: str) -> list[Any]:
    """Return what stands at a place of report.json, of each item where the place goes through a list."""
    found: list[Any] = [told]
    for part in place.split("."):
        found = [value[part.removesuffix("[]")] for value in found]
        if part.endswith("[]"):
            found = [item for items in found for item in items]
    return found


def changed_experiment(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "experiment.json"
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))


def checks_of(folder: Path, limits: LimitsOf) -> dict[str, Check]:
    found = {check.name: check for check in verify_experiment(folder, limits)}
    return {name: check for name, check in found.items() if name.startswith(Limits.name + " ")}


def test_every_figure_is_the_one_of_the_report(tmp_path: Path) -> None:
    """To the last digit: somebody who sets a limit to what a page shows must not meet another number."""
    run = verified_run(tmp_path / "run", iterations=800, experiments=["E1-mysql", "E2-etcd"], repeats=2)
    for experiment in ("E1-mysql", "E2-etcd"):
        # Operations are due when they are sent here, but the report tells of it only where there was a rate.
        changed_experiment(run / experiment, lambda info: info.update(rate=50.0))
    described = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(described | {"rate": 50.0}))
    for experiment in ("E1-mysql", "E2-etcd"):
        verify(run, experiment)
    told, _ = content.build(load_run(run), Quiet())
    limits = dict.fromkeys(FIGURES, 0)
    for experiment in told["experiments"]:
        checks = checks_of(run / experiment["name"], limits)
        for name, figure in FIGURES.items():
            if name == "staleness_ms":  # their reads were linearizable
                assert experiment["staleness"] is None
                assert f"limit {name}" not in checks
                continue
            wanted = at(experiment, figure.place)
            if figure.of_fault is None:
                assert checks[f"limit {name}"].evidence["value"] == wanted[0] is not None
            elif wanted:
                listed = checks[f"limit {name}"].evidence["faults"]["listed"]
                assert [reading["value"] for reading in listed] == wanted
                assert [reading["fault"] for reading in listed] == ["F1@1", "F1@2"]
            else:
                assert f"limit {name}" not in checks  # no fault, so there is nothing to say


@pytest.mark.parametrize("name", ["outage_ms", "p99_ms", "not_ok", "ops_per_s"])
def test_a_figure_at_its_limit_keeps_it_and_one_beyond_does_not(tmp_path: Path, name: str) -> None:
    folder = make_run(tmp_path / "run", iterations=800, experiments=["E2-etcd"]).path / "E2-etcd"
    (check,) = checks_of(folder, {name: 1}).values()
    (reading,) = check.evidence["faults"]["listed"] if name == "outage_ms" else [check.evidence]
    value = reading["value"]
    if name == "not_ok":
        assert value == 0
    beyond = value + 0.001 if FIGURES[name].least else value - 0.001
    assert [check.verdict for check in checks_of(folder, {name: value}).values()] == [Verdict.VALID]
    if beyond >= 0:
        (missed,) = checks_of(folder, {name: beyond}).values()
        assert missed.verdict is Verdict.INVALID
        assert ("at least" if FIGURES[name].least else "at most") in missed.summary


def test_one_of_several_faults_is_enough_and_the_worst_is_told(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", iterations=1200, experiments=["E2-etcd"], repeats=3).path / "E2-etcd"
    (every,) = checks_of(folder, {"outage_ms": 0}).values()
    lengths = {reading["fault"]: reading["value"] for reading in every.evidence["faults"]["listed"]}
    assert len(lengths) == 3
    worst = max(lengths, key=lambda fault: lengths[fault])
    between = sorted(lengths.values())[1]
    (check,) = checks_of(folder, {"outage_ms": between}).values()
    assert check.verdict is Verdict.INVALID
    assert check.summary.startswith(f"1 of 3 faults misses the limit; the worst: outage_ms of {worst} is ")
    assert check.evidence["faults"]["listed"][0]["fault"] == worst
    (kept,) = checks_of(folder, {"outage_ms": lengths[worst]}).values()
    assert kept.summary.startswith(f"All 3 faults keep the limit; the closest: outage_ms of {worst} is ")


def test_a_limit_is_for_what_it_names(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", iterations=400, experiments=["E1-mysql", "E2-etcd"]).path
    action = json.loads((run / "E2-etcd" / "experiment.json").read_text())["faults"][0]["action"]
    for limit, wanted in (
        ({"mysql": 0}, set()),
        ({"E1-etcd": 0}, set()),
        ({"etcd": 0}, {"limit outage_ms"}),
        ({action: 0}, {"limit outage_ms"}),
        ({"E2-etcd": 0}, {"limit outage_ms"}),
    ):
        assert set(checks_of(run / "E2-etcd", {"outage_ms": limit})) == wanted
    assert set(checks_of(run / "E1-mysql", {"p99_ms": {action: 0}, "not_ok": {"mysql": 0}})) == {"limit not_ok"}


def test_a_fault_that_did_not_strike_has_no_outage(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=400, experiments=["E2-etcd"], plant="missed_fault")
    (check,) = checks_of(made.path / "E2-etcd", {"outage_ms": 60_000}).values()
    assert check.verdict is Verdict.UNKNOWN
    assert check.summary == "outage_ms of F1 could not be measured: it did not strike."


@pytest.mark.parametrize(("limit", "verdict"), [(10**9, Verdict.UNKNOWN), (1, Verdict.INVALID)])
def test_an_outage_that_did_not_end_is_at_least_as_long(tmp_path: Path, limit: int, verdict: Verdict) -> None:
    folder = make_run(tmp_path / "run", iterations=400, experiments=["E2-etcd"]).path / "E2-etcd"
    asked = json.loads((folder / "experiment.json").read_text())["faults"][0]["at_index"]
    to_jsonl(
        folder, lambda row: row if row[0] < asked else [*row[:8], "unknown", *row[9:11], None, None, "lost", *row[14:]]
    )
    checks = checks_of(folder, {"outage_ms": limit, "longest_gap_ms": limit})
    assert {check.verdict for check in checks.values()} == {verdict}
    (reading,) = checks["limit outage_ms"].evidence["faults"]["listed"]
    assert reading["ended"] is False
    assert "outage_ms of F1 is at least " in checks["limit outage_ms"].summary
    assert ("the service did not come back" in checks["limit outage_ms"].summary) is (verdict is Verdict.UNKNOWN)


def test_without_a_rate_nothing_was_due(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", iterations=200, experiments=["E1-mysql"]).path / "E1-mysql"
    (check,) = checks_of(folder, {"intended_p99_ms": 10**6}).values()
    assert (check.verdict, check.evidence["value"]) == (Verdict.UNKNOWN, None)
    assert "the run had no rate" in check.summary


def test_where_a_clock_was_set_no_outage_is_told(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", iterations=400, experiments=["E2-etcd"]).path / "E2-etcd"
    path = folder / "events.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    for event in events[len(events) // 2 :]:
        event["wall_ns"] -= 3600 * 10**9
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    checks = checks_of(folder, {"outage_ms": 10**6, "p99_ms": 10**6})
    assert checks["limit outage_ms"].verdict is Verdict.UNKNOWN
    assert "a wall clock was set" in checks["limit outage_ms"].summary
    assert checks["limit p99_ms"].verdict is Verdict.VALID  # of the history's own clock


# ---- which limits a verdict is judged by


def recorded_run(path: Path, limits: LimitsOf) -> Path:
    run = make_run(path, iterations=400, experiments=["E1-etcd", "E2-etcd"]).path
    described = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(described | {"limits": limits}))
    return run


def judged(run: Path, limits: Any = None) -> dict[str, Any]:
    for name in ("E1-etcd", "E2-etcd"):
        verify(run, name, limits=limits)
    verdict, differences = read_judgement(run)
    assert differences.none
    return verdict


def test_recorded_limits_count_until_others_are_given(tmp_path: Path) -> None:
    run = recorded_run(tmp_path / "run", {"outage_ms": 1})
    verdict = judged(run)
    assert (verdict["verdict"], verdict["limits"]) == ("invalid", {"outage_ms": 1})
    assert verdict["experiments"] == {"E1-etcd": "valid", "E2-etcd": "invalid"}
    assert limits_sentence(verdict) == "The data is right; a limit of yours was missed."
    assert 'name="limit outage_ms"' in (run / "junit.xml").read_text()
    others = judged(run, {"outage_ms": 10**6, "not_ok": 0})
    assert (others["verdict"], others["limits"]) == ("valid", {"outage_ms": 10**6, "not_ok": 0})
    assert {"E1-etcd: limit not_ok", "E2-etcd: limit not_ok", "E2-etcd: limit outage_ms"} == {
        check["name"] for check in others["checks"] if ": limit " in check["name"]
    }
    none = judged(run, {})
    assert (none["verdict"], "limits" in none) == ("valid", False)
    assert judged(run) == verdict


def test_damaged_limits_of_a_run_are_one_line(tmp_path: Path) -> None:
    run = recorded_run(tmp_path / "run", {"outage_ms": "long"})
    with pytest.raises(LabError, match=r"run.json: limits: outage_ms is \"long\", and has to be a number"):
        verify(run, "E1-etcd")


def test_lost_data_is_not_excused_by_a_limit(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", iterations=800, experiments=["E2-etcd"], plant="lost_key").path
    verify(run, "E2-etcd", limits={"outage_ms": 1})
    verdict, _ = read_judgement(run)
    assert limits_sentence(verdict) == "The data is wrong, and a limit of yours was missed."
    verify(run, "E2-etcd", limits={"outage_ms": 10**6})
    assert limits_sentence(read_judgement(run)[0]) == ""


def test_what_could_not_be_decided_is_not_called_right(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", iterations=400, experiments=["E2-etcd"], plant="missing_dump").path
    verify(run, "E2-etcd", limits={"p99_ms": 0})
    assert limits_sentence(read_judgement(run)[0]) == ("No check found the data wrong; a limit of yours was missed.")


def test_a_limit_that_judged_nothing_does_not_pass_for_kept(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", iterations=200, experiments=["E1-mysql"]).path
    verify(run, "E1-mysql", limits={"outage_ms": 1, "p99_ms": {"etcd": 1}, "not_ok": 0})
    verdict, _ = read_judgement(run)
    assert verdict["verdict"] == "valid"
    assert limits_sentence(verdict) == "Nothing in it has a figure for your limit of outage_ms and p99_ms."
    told, _ = content.build(load_run(run), Quiet())
    assert told["limits"]["told"] == [
        "outage_ms at most 1 (of nothing in this run)",
        "p99_ms at most 1 of etcd (of nothing in this run)",
        "not_ok at most 0",
    ]

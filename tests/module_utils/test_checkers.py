# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pyarrow as pa
import pytest
from failover.checkers import (
    MAX_LISTED,
    Recorded,
    check_applied_once,
    verify,
    verify_experiment,
    write_run_verdict,
)
from failover.model import Answers
from failover.results.read import Dump, Entry
from failover.shapes import Check, LabError, Verdict
from failover.workloads.base import Operation
from planted import Planted, make_run

ROOT = Path(__file__).resolve().parents[2]
ALWAYS = {"history", "outcomes", "evidence", "reads"}
ETCD_KEYS = {"keys on etcd1", "keys on etcd2", "keys on etcd3"}


@pytest.fixture
def plant(tmp_path: Path) -> Callable[..., tuple[Planted, dict[str, Check]]]:
    """Plant a defect in one experiment and return what was planted and that experiment's checks by name."""

    def make(name: str | None, experiment: str = "E2-etcd", **options: Any) -> tuple[Planted, dict[str, Check]]:
        options = {"iterations": 2000, **options}
        made = make_run(tmp_path / "run", experiments=[experiment], plant=name, **options)
        return made, {check.name: check for check in verify_experiment(made.path / experiment)}

    return make


PlantIt = Callable[..., tuple[Planted, dict[str, Check]]]


def wrong(checks: dict[str, Check], verdict: Verdict = Verdict.INVALID) -> set[str]:
    return {name for name, check in checks.items() if check.verdict is verdict}


def only(check: Check, where: str = "wrong") -> dict[str, Any]:
    """The one thing that a check lists."""
    listed = check.evidence[where]
    assert listed["count"] == len(listed["listed"]) == 1
    thing: dict[str, Any] = listed["listed"][0]
    return thing


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


@pytest.mark.parametrize("experiment", ["E2-etcd", "E1-mysql"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lost_key", "lost"),
        ("wrong_value", "wrong-value"),
        ("extra_key", "phantom"),
        ("resurrected_key", "resurrected"),
    ],
)
def test_a_wrong_key_is_caught_and_named(plant: PlantIt, experiment: str, name: str, kind: str) -> None:
    made, checks = plant(name, experiment)
    expected = ETCD_KEYS if experiment == "E2-etcd" else {"keys on mysql1"}
    assert wrong(checks) == expected
    assert wrong(checks, Verdict.UNKNOWN) == set()
    for check in (checks[name] for name in expected):
        found = only(check)
        assert found["key"] == made.details["key"]
        assert found["class"] == kind
        assert repr(made.details["key"]) in check.summary
        assert found["found"] == made.details.get("value")
        assert check.evidence["by_class"] == {kind: 1}
        if name != "extra_key":
            assert found["operations"][0]["kind"] == "CREATE"
            told = {"index", "outcome", "attempts", "endpoint", "invoke_ms", "complete_ms"}
            assert told <= found["operations"][0].keys()
    if name == "resurrected_key":
        assert only(checks[min(expected)])["operations"][-1]["index"] == made.details["index"]


def test_a_diverged_member_is_told_from_the_others(plant: PlantIt) -> None:
    made, checks = plant("diverged_node")
    assert wrong(checks) == {"keys on etcd3", "members equal"}
    found = only(checks["members equal"], "differing")
    assert found["key"] == made.details["key"]
    assert found["members"]["etcd3"]["value"] == made.details["value"]
    assert found["members"]["etcd1"] == found["members"]["etcd2"]


@pytest.mark.parametrize(("name", "kind"), [("missing_read", "lost"), ("wrong_read", "wrong-value")])
def test_a_wrong_read_is_caught_and_named(plant: PlantIt, name: str, kind: str) -> None:
    made, checks = plant(name)
    assert wrong(checks) == {"reads"}
    found = only(checks["reads"])
    assert (found["key"], found["class"]) == (made.details["key"], kind)
    assert found["found"] == made.details["value"]
    assert found["operation"]["index"] == made.details["index"]
    assert len(found["expected"]) == 1


def test_a_key_that_was_lost_before_its_delete_is_caught(plant: PlantIt) -> None:
    made, checks = plant("lost_before_delete")
    assert wrong(checks) == {"reads"}
    assert only(checks["reads"])["operation"]["index"] == made.details["index"]
    assert only(checks["reads"])["class"] == "lost"


def test_a_write_that_was_applied_twice_unsent(plant: PlantIt) -> None:
    made, checks = plant("duplicate_apply")
    assert wrong(checks) == {"applied once"}
    found = only(checks["applied once"], "unexplained")
    assert (found["key"], found["version"]) == (made.details["key"], 2)
    assert found["members"] == ["etcd1", "etcd2", "etcd3"]


def test_a_write_that_was_sent_again_may_be_there_twice_and_is_named(plant: PlantIt) -> None:
    made, checks = plant("duplicate_apply_after_retry")
    assert wrong(checks) == set()
    assert only(checks["applied once"], "after_a_retry")["key"] == made.details["key"]
    assert made.details["key"] in checks["applied once"].summary


def test_writes_before_a_delete_that_may_come_late_are_not_too_many() -> None:
    operations: list[Operation] = [("CREATE", "k", "1.1.1.1"), ("DELETE", "k"), ("CREATE", "k", "2.2.2.2")]
    dump = Dump("etcd1", Path(), {}, {"k": Entry("1.1.1.1", 2, 9)})

    def check(first: str, attempts: int = 1) -> Verdict:
        answers = Answers([first, "ok", "ok"], [None] * 3, [None] * 3, [attempts, 1, 1])
        recorded = Recorded(operations, {}, pa.table({}), np.full(3, -1), answers)
        return check_applied_once([dump], recorded).verdict

    assert check("ok") is Verdict.INVALID
    assert check("unknown") is Verdict.VALID
    assert check("ok", attempts=2) is Verdict.VALID


def test_a_late_duplicate_is_the_clients_doing_and_cannot_be_told(plant: PlantIt) -> None:
    made, checks = plant("late_duplicate")
    assert wrong(checks) == set()
    assert wrong(checks, Verdict.UNKNOWN) == ETCD_KEYS
    found = only(checks["keys on etcd1"])
    assert (found["key"], found["class"]) == (made.details["key"], "late-duplicate")
    assert "; wrong: 1 by the late effect of a first attempt (" in checks["keys on etcd1"].summary
    assert not any("late-duplicate" in check.summary for check in checks.values())


def test_an_attempt_that_was_refused_explains_no_duplicate(plant: PlantIt) -> None:
    _, checks = plant("refused_and_resurrected")
    assert wrong(checks) == ETCD_KEYS
    assert only(checks["keys on etcd1"])["class"] == "resurrected"


def test_keys_that_were_read_before_the_end_are_none(plant: PlantIt, tmp_path: Path) -> None:
    plant(None)
    path = tmp_path / "run" / "E2-etcd" / "nodes" / "etcd2.jsonl"
    header, _, rest = path.read_text().partition("\n")
    origin_wall_ns = json.loads((path.parent.parent / "experiment.json").read_text())["origin_wall_ns"]
    path.write_text(json.dumps({**json.loads(header), "wall_ns": origin_wall_ns}) + "\n" + rest)
    checks = {check.name: check for check in verify_experiment(path.parent.parent)}
    assert checks["keys on etcd2"].verdict is Verdict.UNKNOWN
    assert "before the last operation ended" in checks["keys on etcd2"].summary


@pytest.mark.parametrize("name", ["no_space_applied", "no_space_not_applied"])
def test_a_failed_write_whose_error_proves_nothing_accuses_nobody(plant: PlantIt, name: str) -> None:
    made, checks = plant(name)
    assert wrong(checks) | wrong(checks, Verdict.UNKNOWN) == set()
    outcomes = checks["outcomes"]
    assert outcomes.evidence["totals"]["fail"] == 1  # as the history has it
    assert outcomes.evidence["failures_taken_as_unknown"] == {planted.NO_SPACE: 1}
    assert "1 of the failed writes may have taken effect" in outcomes.summary
    found = only(checks["unknown writes"], "writes")
    assert found["key"] == made.details["key"]
    assert found["resolved"] == ("applied" if made.details["applied"] else "not applied")
    assert found["operation"]["outcome"] == "fail"


@pytest.mark.parametrize(("name", "word"), [("unknown_applied", "applied"), ("unknown_not_applied", "not applied")])
@pytest.mark.parametrize("experiment", ["E2-etcd", "E1-mysql"])
def test_an_unknown_write_is_no_fault_and_is_resolved(plant: PlantIt, experiment: str, name: str, word: str) -> None:
    made, checks = plant(name, experiment)
    assert wrong(checks) | wrong(checks, Verdict.UNKNOWN) == set()
    found = only(checks["unknown writes"], "writes")
    assert (found["key"], found["resolved"]) == (made.details["key"], word)
    assert found["operation"]["index"] == made.details["index"]
    outcomes = checks["outcomes"].evidence
    assert outcomes["totals"]["unknown"] == 1
    assert outcomes["expected_keys"]["most"] == outcomes["expected_keys"]["least"] + 1
    assert only(checks["outcomes"], "not_ok")["outcome"] == "unknown"


def test_an_unknown_delete_is_resolved(plant: PlantIt) -> None:
    _, checks = plant("unknown_delete_applied")
    assert wrong(checks) == set()
    assert only(checks["unknown writes"], "writes")["resolved"] == "applied"


def test_a_failed_write_must_not_have_happened(plant: PlantIt) -> None:
    assert wrong(plant("failed_delete")[1]) == set()
    made, checks = plant("failed_delete_applied")
    assert wrong(checks) == ETCD_KEYS
    assert only(checks["keys on etcd1"])["key"] == made.details["key"]


@pytest.mark.parametrize("clients", [1, 4])
@pytest.mark.parametrize(
    ("name", "verdict", "evidence"),
    [
        ("missing_rows", Verdict.INVALID, "missing"),
        ("cut_history", Verdict.UNKNOWN, "not_reached"),
        ("repeated_row", Verdict.INVALID, "repeated"),
        ("reordered_rows", Verdict.INVALID, "out_of_order"),
        ("foreign_row", Verdict.INVALID, "mismatched"),
    ],
)
def test_a_history_that_is_not_the_stream(
    plant: PlantIt, name: str, verdict: Verdict, evidence: str, clients: int
) -> None:
    made, checks = plant(name, clients=clients)
    history = checks["history"]
    assert history.verdict is verdict
    listed = history.evidence[evidence]["listed"]
    if "indices" in made.details and name != "reordered_rows":
        assert listed == made.details["indices"]
    elif name == "reordered_rows":
        assert tuple(made.details["indices"]) in listed
    else:
        assert made.details["index"] in (listed[0], listed[0]["index"] if isinstance(listed[0], dict) else None)
    # What the history does not tell is not held against the database.
    assert wrong(checks) <= {"history"}


@pytest.mark.parametrize("clients", [1, 4])
def test_a_repeat_that_was_ended_is_named_and_nothing_else_is_wrong(plant: PlantIt, clients: int) -> None:
    """What was never sent is no hole of the history, no failed operation, and no write of unknown outcome."""
    made, checks = plant("stalled", clients=clients, repeats=2)
    left_out = made.details["indices"]
    assert wrong(checks) == set()
    assert wrong(checks, Verdict.UNKNOWN) == {"stall"}
    assert checks["stall"].summary.startswith("Repeat 1 was ended early: no operation was acknowledged for 180 s")
    assert checks["history"].evidence["left_out"]["count"] == len(left_out)
    assert sum(checks["outcomes"].evidence["totals"].values()) == checks["history"].evidence["rows"]
    assert "not_ok" not in checks["outcomes"].evidence
    assert "unknown writes" not in checks


def test_a_hole_before_the_end_of_a_stalled_repeat_is_still_a_hole(plant: PlantIt, tmp_path: Path) -> None:
    made, _ = plant("stalled", "E1-mysql", repeats=2)
    folder = tmp_path / "run" / "E1-mysql"
    to_jsonl(folder)
    lines = (folder / "history.jsonl").read_text().splitlines(keepends=True)
    hole = made.details["indices"][0] - 5
    (folder / "history.jsonl").write_text("".join(line for line in lines if not line.startswith(f"[{hole},")))
    history = next(check for check in verify_experiment(folder) if check.name == "history")
    assert (history.verdict, history.evidence["missing"]["listed"]) == (Verdict.INVALID, [hole])


def test_a_cut_line_makes_the_history_unknown(plant: PlantIt, tmp_path: Path) -> None:
    plant(None, "E1-mysql")
    folder = tmp_path / "run" / "E1-mysql"
    to_jsonl(folder)
    content = (folder / "history.jsonl").read_bytes()
    (folder / "history.jsonl").write_bytes(content[:-10])
    history = next(check for check in verify_experiment(folder) if check.name == "history")
    assert history.verdict is Verdict.UNKNOWN
    assert "cut short" in history.summary


@pytest.mark.parametrize("key", ["digest", "origin"])
def test_a_history_of_another_run_is_caught(plant: PlantIt, tmp_path: Path, key: str) -> None:
    plant(None, "E1-mysql")
    path = tmp_path / "run" / "E1-mysql" / "experiment.json"
    info = json.loads(path.read_text())
    if key == "digest":
        info["workload"]["digest"] = "0" * 64
    else:
        info["origin_wall_ns"] += 1
    path.write_text(json.dumps(info))
    checks = {check.name: check for check in verify_experiment(path.parent)}
    assert wrong(checks) == {"history"}
    assert ("another run" if key == "origin" else "another stream") in checks["history"].summary


def test_another_seed_does_not_explain_the_history(plant: PlantIt, tmp_path: Path) -> None:
    plant(None, "E1-mysql")
    path = tmp_path / "run" / "E1-mysql" / "experiment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seed": 124}))
    checks = {check.name: check for check in verify_experiment(path.parent)}
    assert {"history", "keys on mysql1"} <= wrong(checks)
    assert checks["history"].evidence["mismatched"]["count"] > len(checks["history"].evidence["mismatched"]["listed"])
    assert len(checks["keys on mysql1"].evidence["wrong"]["listed"]) == MAX_LISTED


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


def test_convergence(plant: PlantIt, tmp_path: Path) -> None:
    _, checks = plant("not_converged")
    assert wrong(checks) == {"convergence"}
    path = tmp_path / "run" / "E2-etcd" / "experiment.json"
    info = json.loads(path.read_text())

    def verdict_of(convergence: Any) -> Verdict:
        path.write_text(json.dumps({**info, "repeats": [{**info["repeats"][0], "convergence": convergence}]}))
        return next(check.verdict for check in verify_experiment(path.parent) if check.name == "convergence")

    assert verdict_of(None) is Verdict.UNKNOWN
    assert verdict_of({**info["convergence"], "errors": {"etcd2": "connection refused"}}) is Verdict.UNKNOWN
    last = {"wall_ns": 1, "members": {"etcd2": {"reachable": False, "error": "connection refused"}}}
    assert verdict_of({**info["convergence"], "samples": [last]}) is Verdict.UNKNOWN


def test_convergence_is_that_of_every_repeat(plant: PlantIt, tmp_path: Path) -> None:
    plant(None)
    path = tmp_path / "run" / "E2-etcd" / "experiment.json"
    info = json.loads(path.read_text())
    (only,) = info["repeats"]

    def check_of(*convergences: Any) -> Check:
        repeats = [{**only, "repeat": n, "convergence": given} for n, given in enumerate(convergences, 1)]
        path.write_text(json.dumps({**info, "repeats": repeats}))
        return next(check for check in verify_experiment(path.parent) if check.name == "convergence")

    good = {**info["convergence"], "converged": True, "duration_ms": 40.0}
    equal = check_of(good, good | {"duration_ms": 250.0})
    assert equal.verdict is Verdict.VALID
    assert equal.summary == (
        "The members had equal data after each of 2 repeats, 40 to 250 ms after the heal was requested."
    )
    differ = check_of(good, good | {"converged": False, "duration_ms": None, "reasons": ["they differ"]})
    assert differ.verdict is Verdict.INVALID
    assert differ.summary.startswith("Repeat 2: The members did not become equal")
    assert check_of(good, None).verdict is Verdict.UNKNOWN


def test_a_member_without_a_dump_cannot_be_told(plant: PlantIt) -> None:
    made, checks = plant("missing_dump")
    assert wrong(checks) == set()
    assert wrong(checks, Verdict.UNKNOWN) == {f"keys on {made.details['member']}", "members equal"}


def test_a_divergence_is_found_though_a_third_member_is_missing(plant: PlantIt, tmp_path: Path) -> None:
    plant("diverged_node")
    (tmp_path / "run" / "E2-etcd" / "nodes" / "etcd1.jsonl").unlink()
    checks = {check.name: check for check in verify_experiment(tmp_path / "run" / "E2-etcd")}
    assert wrong(checks) == {"keys on etcd3", "members equal"}


def test_nothing_acknowledged_proves_nothing(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=200, experiments=["E1-mysql"])
    folder = made.path / "E1-mysql"
    to_jsonl(folder, lambda row: [*row[:8], "fail", row[9], row[10], None, None, "refused"])
    (folder / "nodes" / "mysql1.jsonl").write_text('{"count": 0}\n')
    checks = {check.name: check for check in verify_experiment(folder)}
    assert wrong(checks) == set()
    assert wrong(checks, Verdict.UNKNOWN) == {"outcomes", "evidence", "reads"}


def test_a_system_without_an_experiment_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="missing"):
        verify_experiment(tmp_path / "E9")


def to_jsonl(folder: Path, change: Callable[[list[Any]], list[Any]] = lambda row: row) -> None:
    """Turn a planted history back into what is fetched from the load generator."""
    from failover.results.parquet import read_parquet

    meta, table = read_parquet(folder / "history.parquet")
    rows = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
    lines = [meta, *(change(list(row)) for row in rows)]
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "history.parquet").unlink()


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


def test_verifying_without_writing_changes_nothing(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=300, experiments=["E1-etcd"])
    to_jsonl(made.path / "E1-etcd")
    before = {path: path.stat().st_mtime_ns for path in made.path.rglob("*")}
    result = verify(made.path, "E1-etcd", write=False)
    assert result["verdict"] == "valid"
    assert result["changed"]
    assert {path: path.stat().st_mtime_ns for path in made.path.rglob("*")} == before


@pytest.mark.parametrize("name", planted.PLANTS)
def test_every_plant_leaves_the_other_experiments_alone(tmp_path: Path, name: str) -> None:
    made = make_run(tmp_path / "run", iterations=1200, experiments=["E1-etcd", "E2-etcd"], plant=name)
    assert verify(made.path, "E1-etcd")["verdict"] == "valid"


def test_100_000_operations_in_seconds_and_half_a_gigabyte(tmp_path: Path) -> None:
    make_run(tmp_path / "run", iterations=100_000, experiments=["E2-etcd"])
    program = (
        "import resource, sys, time; sys.path.insert(0, sys.argv[1]); from failover.checkers import verify; "
        "verdict = verify(sys.argv[2], 'E2-etcd')['verdict']; "
        "print(verdict, time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    command = [sys.executable, "-c", program, str(ROOT / "module_utils"), str(tmp_path / "run")]
    verdict, cpu_s, peak_kb = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert verdict == "valid"
    assert float(cpu_s) < 10
    assert int(peak_kb) < 500_000

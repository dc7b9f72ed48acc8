# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from failover.checks.registry import CHECKERS
from failover.checks.verdict import verify_experiment
from failover.report.chapters.cover import cover_settings, cover_versions
from failover.report.chapters.keys import digest_of
from failover.report.content import build
from failover.report.outage.explained import attempt_timeout_ms
from failover.report.outage.healthy import in_brief
from failover.report.render import render_html
from failover.report.verdict import verdict_sentence
from failover.results.entries import Entry
from failover.results.parquet import read_parquet, write_parquet
from failover.results.read import load_run
from failover.sentences import milliseconds
from failover.shapes import HistoryRow, LabError
from planted.defects import PLANTS
from planted.parts import MS
from planted.run import make_run
from printed import Content, Printed
from verified import verified_run

pytestmark = pytest.mark.usefixtures("without_pictures")


def sentence(content: dict[str, Any]) -> str:
    return "".join(piece["text"] for piece in content["verdict"]["sentence"])


def content_of(path: Path) -> Content:
    return build(load_run(path), lambda _: None)


def test_a_repeat_that_was_ended_is_said_on_the_cover(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", experiments=["E2-etcd"], plant="stalled", repeats=2, clients=4)
    (experiment,) = content_of(path)[0]["experiments"]
    assert experiment["verdict"] == "unknown"
    (note,) = experiment["notes"]
    assert note.startswith("Repeat 1 was ended early: no operation was acknowledged for 180 s, so the lab healed all")


def test_what_became_of_writes_in_doubt_is_a_table(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", experiments=["E1-etcd", "E2-etcd"], plant="settled_applied")
    content, drawings = content_of(path)
    before, experiment = content["experiments"]
    assert "retries" not in before  # of a version that had no choice
    assert experiment["retries"] == {
        "retry_policy": "safe",
        "read_consistency": "linearizable",
        "settled": {"applied": 1, "not applied": 0},
        "unresolved": 0,
    }
    page = render_html(content, drawings)
    assert "<td>E2-etcd</td><td>safe</td><td>linearizable</td>" in page
    assert "<td>E1-etcd</td><td>safe" not in page


def test_the_verdict_is_one_sentence_with_keys_and_outage(valid_content: Content) -> None:
    content, _ = valid_content
    said = sentence(content)
    gap = content["experiments"][2]["faults"][0]["gap"]["duration_ms"]
    assert said.startswith("Valid: all ")
    assert "over 6,000 operations in 3 experiments" in said
    assert "473 keys" in said
    outage = "when the leader etcd2 was stopped at operation 240 of E2-etcd, no operation was acknowledged for"
    healthy = content["experiments"][2]["healthy_gap_ms"]
    beside = "/".join(milliseconds(healthy[name]) for name in ("median", "p99", "longest"))
    assert f"{outage} {milliseconds(gap)} ms (healthy gaps: {beside} ms, median/p99/longest)." in said


def test_every_link_of_the_sentence_leads_to_evidence(valid_content: Content) -> None:
    links = [piece["href"] for piece in valid_content[0]["verdict"]["sentence"] if piece["href"]]
    assert links == ["#checks", "#outcomes", "#keys", "#e3-outage1"]


def test_an_invalid_run_says_what_failed_first(invalid: Printed) -> None:
    content, _ = invalid.built()
    assert sentence(content).startswith("Invalid: ")
    assert "checks failed; in E2-etcd: etcd1 has" in sentence(content)
    assert [check["verdict"] for check in content["verdict"]["open"]] == ["invalid"] * len(content["verdict"]["open"])


def test_failing_checks_come_before_undecided_ones(tmp_path: Path) -> None:
    path = verified_run(
        tmp_path / "run", iterations=600, experiments=["E1-etcd", "E2-etcd"], plant="lost_key", plant_in="E2-etcd"
    )
    verdict = json.loads((path / "E1-etcd" / "verdict.json").read_text())
    verdict["checks"][0]["verdict"] = verdict["verdict"] = "unknown"
    (path / "E1-etcd" / "verdict.json").write_text(json.dumps(verdict))
    content, _ = content_of(path)
    verdicts = [check["verdict"] for check in content["verdict"]["open"]]
    assert verdicts == sorted(verdicts, key=["invalid", "unknown"].index)
    assert set(verdicts) == {"invalid", "unknown"}


def test_a_fault_that_did_not_strike_is_in_the_sentence(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E2-etcd"], plant="missed_fault")
    content, drawings = content_of(path)
    assert "the stop of the leader planned for E2-etcd did not strike" in "".join(
        str(piece["text"]) for piece in verdict_sentence("valid", [], content["experiments"])
    )
    assert "e1-outage1" not in drawings


def test_an_outage_to_the_end_of_the_run_is_not_told_as_one_that_ended(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E2-etcd"])
    change_rows(path / "E2-etcd", nothing_ok_from(72))
    lines = (path / "E2-etcd" / "events.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if "client.failover_completed" not in line]
    (path / "E2-etcd" / "events.jsonl").write_text("".join(kept))
    content, _ = content_of(path)
    experiment = content["experiments"][0]
    assert experiment["gap"] == {key: experiment["faults"][0]["gap"][key] for key in experiment["gap"]}
    assert not experiment["gap"]["ended"]
    texts = {threat["title"]: threat["text"] for threat in content["threats"]}
    assert "in which none was acknowledged" in texts["Closed loop"]
    assert "sent later" not in texts["Closed loop"]
    assert "phase" not in texts["One run of each"]


@pytest.mark.parametrize("name", ["E1-etcd", "E1-mysql", "E2-etcd"])
def test_an_experiment_without_any_operation_is_told_so(tmp_path: Path, name: str) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=[name])
    change_rows(path / name, lambda rows: [])
    content, drawings = content_of(path)
    experiment = content["experiments"][0]
    assert experiment["notes"] == [
        "no operation was recorded: its history is empty",
        f"its verdict (valid) was made from other files: {name}/history.parquet",
    ]
    assert (experiment["gap"], experiment["worst"], experiment["ops_per_s"]) == (None, None, None)
    assert "e1-time" not in drawings
    assert "e1-outage1" not in drawings
    assert [fault["fired"] for fault in experiment["faults"]] == [True] * (name == "E2-etcd")


@pytest.mark.parametrize(("name", "value"), [("seed", 124), ("iterations", 601), ("clients", 2), ("rate", 500.0)])
def test_a_folder_that_mixes_two_runs_is_refused(tmp_path: Path, name: str, value: float) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-etcd"])
    edit(path / "run.json", **{name: value})
    with pytest.raises(LabError, match=rf"E1-etcd/experiment\.json has {name} .* {value}: the folder mixes") as refused:
        content_of(path)
    assert "\n" not in str(refused.value)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_damaged_dump_counts_as_missing_and_is_told(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-etcd"])
    cut(path / "E1-etcd" / "nodes" / "etcd2.jsonl")
    content, _ = content_of(path)
    experiment = content["experiments"][0]
    assert [member["keys"] is None for member in experiment["members"]] == [False, True, False]
    missing, judged = experiment["notes"]
    assert "this report lacks a file: E1-etcd/nodes/etcd2.jsonl is cut" in missing
    assert judged == "its verdict (valid) was made from other files: E1-etcd/nodes/etcd2.jsonl"
    assert "keys" not in sentence(content)


@pytest.mark.parametrize(("damage", "words"), [(cut, "is cut short"), (Path.unlink, "is missing")])
def test_damaged_events_count_as_missing_and_are_told(
    tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E2-etcd"])
    whole = content_of(path)[0]["experiments"][0]
    damage(path / "E2-etcd" / "events.jsonl")
    content, drawings = content_of(path)
    experiment = content["experiments"][0]
    assert f"this report lacks a file: E2-etcd/events.jsonl {words}" in experiment["notes"][0]
    fault = experiment["faults"][0]
    assert fault["fired"]  # as its record says
    assert (fault["at_s"], fault["gap"]) == (whole["faults"][0]["at_s"], whole["faults"][0]["gap"])
    assert experiment["elections_unexplained"] is None  # not "none"
    assert "e1-outage1" in drawings
    assert whole["notes"] == []


def test_numbers_are_those_of_the_history(single: Printed, valid_content: Content) -> None:
    for experiment in valid_content[0]["experiments"]:
        _, table = read_parquet(single.folder / experiment["name"] / "history.parquet")
        rows = table.to_pylist()
        latencies = sorted((row["complete_ns"] - row["invoke_ns"]) / 1e6 for row in rows)
        summary = experiment["latency"]["all"]
        assert experiment["operations"] == len(rows) == 2000
        assert summary["p50_ms"] == pytest.approx(latencies[999], abs=1e-6)
        assert summary["p99_ms"] == pytest.approx(latencies[1979], abs=1e-6)
        assert summary["p99.9_ms"] == pytest.approx(latencies[1997], abs=1e-6)
        assert experiment["worst"]["latency_ms"] == summary["max_ms"] == pytest.approx(latencies[-1], abs=1e-6)
        worst = rows[experiment["worst"]["index"]]
        assert worst["key"] == experiment["worst"]["key"]
        completions = sorted(row["complete_ns"] for row in rows)
        gaps = [(after - before) / 1e6 for before, after in pairwise(completions)]
        assert experiment["gap"]["duration_ms"] == pytest.approx(max(gaps), abs=1e-6)
        total = experiment["outcomes"][-1]
        assert (total["operations"], total["ok"], total["fail"], total["unknown"]) == (2000, 2000, 0, 0)
        assert total["attempts"] == sum(row["attempts"] for row in rows)
        assert sum(experiment["endpoints"].values()) == 2000


def test_files_are_named_with_their_hashes(single: Printed, valid_content: Content) -> None:
    judged = valid_content[0]["judged"]
    for file in judged["files"]:
        data = (single.folder / file["path"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
        assert file["bytes"] == len(data)
        assert file["state"] == (None if file["path"] == "verdict.json" else "judged")
    there = {str(path.relative_to(single.folder)) for path in single.folder.rglob("*") if path.is_file()}
    # Made of the verdict, as these are.
    there -= {"junit.xml", *(name for name in there if name.startswith("report."))}
    assert {file["path"] for file in judged["files"]} == there


def test_members_with_the_same_keys_have_the_same_digest(valid_content: Content) -> None:
    members = valid_content[0]["experiments"][2]["members"]
    assert [member["name"] for member in members] == ["etcd1", "etcd2", "etcd3"]
    assert len({member["digest"] for member in members}) == 1
    assert {member["keys"] for member in members} == {473}


def test_digest_depends_on_values_and_not_on_order() -> None:
    one, two = Entry("1", None, None), Entry("2", None, None)
    assert digest_of({"a": one, "b": two}) == digest_of({"b": two, "a": one})
    assert digest_of({"a": one}) == hashlib.sha256(b"a\t1\n").hexdigest()
    assert digest_of({"a": one}) != digest_of({"a": two})


def test_a_diverged_member_is_seen_in_the_digests(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-etcd"], plant="diverged_node")
    digests = [member["digest"] for member in content_of(path)[0]["experiments"][0]["members"]]
    assert digests[0] == digests[1] != digests[2]


def test_a_member_without_a_dump_is_told_as_not_recorded(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-etcd"], plant="missing_dump")
    members = content_of(path)[0]["experiments"][0]["members"]
    assert (members[2]["name"], members[2]["keys"], members[2]["digest"]) == ("etcd3", None, None)


def test_convergence_is_the_lag_behind_the_most_advanced_member(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E2-etcd"])
    file = path / "E2-etcd" / "experiment.json"
    info = json.loads(file.read_text())
    info["repeats"][0]["convergence"] = {
        "converged": True,
        "duration_ms": 300.0,
        "started_wall_ns": 1_000_000_000,
        "samples": [
            {"wall_ns": 1_010_000_000, "members": {"etcd1": {"revision": 90}, "etcd2": {"reachable": False}}},
            {"wall_ns": 1_250_000_000, "members": {"etcd1": {"revision": 90}, "etcd2": {"revision": 40}}},
            {"wall_ns": 1_290_000_000, "members": {"etcd1": {"revision": 90}, "etcd2": {"revision": 90}}},
        ],
        "healed": [{"fault": "F1", "member": "etcd2", "phases_ms": {"process_started": 20.0, "converged": 300.0}}],
    }
    file.write_text(json.dumps(info))
    content, drawings = content_of(path)
    found = content["experiments"][0]["convergence"]
    assert found["members"]["etcd2"] == {"t_ms": [10, 250, 290], "lag": [None, 50, 0]}
    assert found["members"]["etcd1"]["lag"] == [0, 0, 0]
    assert "e1-convergence" in drawings


@pytest.mark.parametrize(("recorded", "used"), [(500, 500.0), ("500", 500.0), (None, None)])
def test_the_attempt_timeout_may_be_text(recorded: float | str | None, used: float | None) -> None:
    assert attempt_timeout_ms({"client": {"attempt_timeout_ms": recorded}}) == used
    assert attempt_timeout_ms({}) is None


def test_a_rate_adds_latency_from_the_intended_start(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-etcd"])
    set_rate(path / "E1-etcd", 500)
    content, drawings = content_of(path)
    experiment = content["experiments"][0]
    assert experiment["intended_latency"]["all"]["max_ms"] > experiment["latency"]["all"]["max_ms"]
    assert "intended" in drawings


def set_rate(folder: Path, rate: int) -> None:
    """Plan the operations of a planted experiment at a rate; those that could not start in time are late."""
    edit(folder / "experiment.json", rate=rate)
    edit(folder.parent / "run.json", rate=rate)
    change_rows(
        folder,
        lambda rows: [row._replace(intended_ns=min(row.invoke_ns, row.index * 10**9 // rate // 4)) for row in rows],
    )


def edit(path: Path, **values: Any) -> None:
    """Give an object in a JSON file other values."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def change_rows(folder: Path, change: Callable[[list[HistoryRow]], list[HistoryRow]]) -> None:
    """Write the history of an experiment anew."""
    meta, table = read_parquet(folder / "history.parquet")
    write_parquet(folder / "history.parquet", meta, change([HistoryRow(**row) for row in table.to_pylist()]))


def nothing_ok_from(index: int) -> Callable[[list[HistoryRow]], list[HistoryRow]]:
    """Return a change of a history: from this operation on each ends unknown or fail, after 20 ms."""

    def change(rows: list[HistoryRow]) -> list[HistoryRow]:
        kept = [row for row in rows if row.index < index]
        at_ns = kept[-1].complete_ns
        for number, row in enumerate(rows[len(kept) :]):
            outcome = "fail" if row.kind == "RETRIEVE" else "unknown"
            start_ns = at_ns + number * 20 * MS
            kept.append(
                row._replace(
                    intended_ns=start_ns, invoke_ns=start_ns, complete_ns=start_ns + 20 * MS, outcome=outcome,
                    attempts=3, read=None, affected=None, error="no answer",
                )
            )  # fmt: skip
        return kept

    return change


def test_without_a_rate_there_is_no_intended_start(valid_content: Content) -> None:
    content, drawings = valid_content
    assert content["experiments"][0]["intended_latency"] is None
    assert "intended" not in drawings


def test_settings_are_found_in_any_spelling() -> None:
    found = cover_settings({"etcd": {"ETCD_ELECTION_TIMEOUT": 1000, "name": "etcd1"}, "mysql": {"sync_binlog": 1}})
    assert found == [
        {"system": "etcd", "name": "ETCD_ELECTION_TIMEOUT", "value": 1000},
        {"system": "mysql", "name": "sync_binlog", "value": 1},
    ]


def test_of_many_versions_the_cover_has_those_that_matter() -> None:
    versions = {f"package{number}": "1" for number in range(40)} | {"etcd": "3.5.16", "PyMySQL": "1.2.4"}
    assert cover_versions(versions) == {"etcd": "3.5.16", "PyMySQL": "1.2.4"}
    assert cover_versions({"etcd": "3.5.16", "other": "1"}) == {"etcd": "3.5.16", "other": "1"}


def test_the_commands_repeat_the_run(valid_content: Content) -> None:
    commands = valid_content[0]["reproduce"]
    assert "-e iterations=2000 -e seed=123 -e sole_server_heal=30s" in commands["run"]
    assert commands["stream"] == "./scripts/simulate --iterations 2000 --seed 123"
    assert len(commands["histories"]) == 3


@pytest.mark.parametrize("plant", [None, *PLANTS])
def test_every_check_is_explained(tmp_path: Path, plant: str | None) -> None:
    make_run(tmp_path / "run", iterations=600, experiments=["E2-etcd"], plant=plant)
    for check in verify_experiment(tmp_path / "run" / "E2-etcd"):
        assert any(check.name.startswith(checker.name) and checker.how for checker in CHECKERS), check.name


def test_content_is_plain_json(valid_content: Content) -> None:
    content, _ = valid_content
    assert json.loads(json.dumps(content, allow_nan=False)) == content


# ---------------------------------------------------------------- repeats


@pytest.fixture(scope="module")
def repeated_content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    folder = tmp_path_factory.mktemp("results") / "run-repeated"
    return content_of(verified_run(folder, iterations=1600, experiments=["E2-etcd"], repeats=6))


def test_a_repeated_fault_is_told_by_its_repeats_and_the_one_in_the_middle(repeated_content: Content) -> None:
    content, drawings = repeated_content
    (experiment,) = content["experiments"]
    (group,) = experiment["repetition"]
    gaps = {fault["id"]: fault["gap"]["duration_ms"] for fault in experiment["faults"]}
    assert (group["repeats"], group["struck"], len(gaps)) == (6, 6, 6)
    assert gaps[group["shown"]] == sorted(gaps.values())[2]
    assert [fault["id"] for fault in experiment["faults"] if fault["shown"]] == [group["shown"]]
    gap = next(measure for measure in group["measures"] if measure["name"] == "gap")
    assert [point["ms"] for point in gap["points"]] == list(gaps.values())
    assert gap["low_ms"] <= gap["median_ms"] <= gap["high_ms"]
    assert {"e1-repeats1", "e1-outage1", "e1-outage1-lanes", "e1-time", "e1-convergence"} <= set(drawings)
    assert group["sums"] == {
        "fail": 0, "unknown": 0, "missed": 0, "outside_bound": 0, "endless": 0, "lost": 0, "duplicated": 0,
    }  # fmt: skip


def test_idle_time_between_repeats_counts_nowhere(repeated_content: Content) -> None:
    (experiment,) = repeated_content[0]["experiments"]
    spans = experiment["repeats_s"]
    assert experiment["idle_s"] == pytest.approx(10)  # five times two seconds
    assert experiment["duration_s"] == pytest.approx(sum(end - start for start, end in spans), abs=1e-3)
    assert experiment["ops_per_s"] == pytest.approx(experiment["operations"] / experiment["duration_s"], rel=1e-5)
    assert experiment["gap"]["duration_ms"] == max(fault["gap"]["duration_ms"] for fault in experiment["faults"])
    assert experiment["throughput"]["end_s"][-1] == pytest.approx(experiment["duration_s"], abs=1e-3)
    assert all(start <= fault["at_s"] <= end for fault, (start, end) in zip(experiment["faults"], spans, strict=True))


def test_repeats_are_told_briefly_in_the_sentence(repeated_content: Content) -> None:
    content, _ = repeated_content
    (group,) = content["experiments"][0]["repetition"]
    median_ms = next(measure["median_ms"] for measure in group["measures"] if measure["name"] == "gap")
    assert sentence(content).endswith(
        "; all 6 faults struck; no operation was acknowledged for a median of "
        f"{milliseconds(median_ms)} ms (stop of the leader in E2-etcd; "
        f"{in_brief(content['experiments'][0]['healthy_gap_ms'], 0, 6)})."
    )


def test_passed_checks_of_repeats_are_one_row(repeated_content: Content) -> None:
    (experiment,) = repeated_content[0]["experiments"]
    rows = [row for row in experiment["checks_told"] if row["name"].startswith("fault")]
    assert [(row["name"], row["verdict"]) for row in rows] == [("fault F1", "valid")]
    assert rows[0]["summary"].startswith("In 6 of 6 repeats it struck its target. The first: SIGTERM went to etcd2")
    assert len([check for check in experiment["checks"] if check["name"].startswith("fault")]) == 6


def test_repeats_are_a_threat_of_another_kind(repeated_content: Content) -> None:
    texts = {threat["title"]: threat["text"] for threat in repeated_content[0]["threats"]}
    assert "repeated 6 times" in texts["Repeats on one lab"]
    assert "One run of each" not in texts


def test_a_repeated_run_is_reproduced_with_its_repeats(repeated_content: Content) -> None:
    assert " -e repeats=6 " in repeated_content[0]["reproduce"]["run"]

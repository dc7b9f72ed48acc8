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
from failover.report import notebook
from failover.report.content import (
    attempt_timeout_ms,
    build,
    cover_settings,
    cover_versions,
    digest_of,
    verdict_sentence,
)
from failover.report.outage.healthy import in_brief
from failover.report.outage.repetition import repeated
from failover.report.threats import _durability, threats
from failover.report.wording import milliseconds
from failover.results.parquet import read_parquet, write_parquet
from failover.results.read import load_run
from failover.shapes import HistoryRow, LabError
from planted import MS, PLANTS, make_run
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


def test_an_unknown_run_does_not_claim_to_be_valid() -> None:
    checks = [
        {"experiment": "E1-etcd", "verdict": "valid", "summary": "All right."},
        {"experiment": "E2-etcd", "verdict": "unknown", "summary": "The keys of etcd3 are missing, and not compared."},
    ]
    said = "".join(str(piece["text"]) for piece in verdict_sentence("unknown", checks, []))
    assert said == (
        "Unknown: no check failed, but 1 of 2 checks could not be decided; in E2-etcd: "
        "The keys of etcd3 are missing, and not compared."
    )


def test_a_run_without_checks_is_not_called_checked() -> None:
    said = "".join(str(piece["text"]) for piece in verdict_sentence("unknown", [], []))
    assert said == "Unknown: no check failed, but no check is recorded."


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


def valid_sentence(*experiments: dict[str, Any]) -> str:
    return "".join(str(piece["text"]) for piece in verdict_sentence("valid", [{"verdict": "valid"}], experiments))


def told(**changed: Any) -> dict[str, Any]:
    """Return what the sentence needs of an experiment."""
    groups = [{"repeats": 1, "struck": 1} for _ in changed.get("faults", [])]
    return {
        "repetition": groups,
        "name": "E1-etcd",
        "anchor": "e1",
        "operations": 100,
        "not_ok": 0,
        "members": [{"keys": 40}, {"keys": 40}],
        "checks": [{"name": "outcomes", "evidence": {"expected_keys": {"least": 40, "most": 40}}}],
        "faults": [],
        "gap": {"duration_ms": 812.4, "ended": True},
        "healthy_gap_ms": {"median": 1.0, "p99": 2.0, "longest": 3.0, "count": 50},
    } | changed


HEALTHY = "healthy gaps: 1.00/2.00/3.00 ms, median/p99/longest"


def outage_of(duration_ms: float, **changed: Any) -> dict[str, Any]:
    return {
        "id": "F1",
        "anchor": "e1-outage1",
        "fired": True,
        "target": "leader",
        "member": "etcd2",
        "past": "stopped",
        "at_index": 12,
        "gap": {"duration_ms": duration_ms, "ended": True},
        "background": None,
    } | changed


def test_counts_of_one_have_the_singular() -> None:
    said = valid_sentence(told(operations=1, not_ok=1, members=[{"keys": 1}]))
    assert said.startswith("Valid: 1 check passed over 1 operation in 1 experiment; 1 operation was not ok; every")
    assert "ends with 1 key," in said


def test_operations_that_were_not_ok_are_in_the_sentence() -> None:
    assert "; 1,203 operations were not ok; every member" in valid_sentence(told(not_ok=1200), told(not_ok=3))
    assert "not ok" not in valid_sentence(told())


@pytest.mark.parametrize(
    ("members", "least", "most", "words"),
    [
        ([40, 40], 40, 40, "ends with the expected 40 keys."),
        ([40, 40], 39, 41, "ends with 40 keys, where 39 to 41 may remain."),
        ([39, 41], 39, 41, "ends with 39 to 41 keys, where 39 to 41 may remain."),
    ],
)
def test_keys_are_called_expected_only_where_their_number_is_certain(
    members: list[int], least: int, most: int, words: str
) -> None:
    checks = [{"name": "outcomes", "evidence": {"expected_keys": {"least": least, "most": most}}}]
    assert words in valid_sentence(told(members=[{"keys": keys} for keys in members], checks=checks))


def test_without_the_number_of_keys_of_a_member_the_sentence_says_nothing_of_keys() -> None:
    assert "keys" not in valid_sentence(told(members=[{"keys": 40}, {"keys": None}]))


def test_a_longer_gap_than_that_of_the_fault_is_in_the_sentence() -> None:
    said = valid_sentence(told(faults=[outage_of(45.2)]))
    assert said.endswith(
        "when the leader etcd2 was stopped at operation 12 of E1-etcd, no operation was acknowledged for 45.2 ms "
        f"({HEALTHY}); "
        "outside that outage, no operation of E1-etcd was acknowledged for 812.4 ms."
    )
    assert "outside those outages" in valid_sentence(told(faults=[outage_of(45.2), outage_of(46.2)]))
    assert "outside" not in valid_sentence(told(faults=[outage_of(45.2), outage_of(812.4)]))
    assert "outside" not in valid_sentence(told(faults=[]))


def test_a_service_that_did_not_come_back_is_told_in_the_sentence() -> None:
    endless = {"duration_ms": 812.4, "ended": False}
    words = "no operation was acknowledged for at least 812.4 ms, the service did not come back ("
    assert words in valid_sentence(told(gap=endless, faults=[outage_of(0, gap=endless)]))
    outside = "no operation of E1-etcd was acknowledged for at least 812.4 ms, the service did not come back."
    assert outside in valid_sentence(told(gap=endless, faults=[outage_of(45.2)]))


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
    assert {file["path"] for file in judged["files"]} == {name for name in there if not name.startswith("report.")}


def test_members_with_the_same_keys_have_the_same_digest(valid_content: Content) -> None:
    members = valid_content[0]["experiments"][2]["members"]
    assert [member["name"] for member in members] == ["etcd1", "etcd2", "etcd3"]
    assert len({member["digest"] for member in members}) == 1
    assert {member["keys"] for member in members} == {473}


def test_digest_depends_on_values_and_not_on_order() -> None:
    assert digest_of({"a": "1", "b": "2"}) == digest_of({"b": "2", "a": "1"})
    assert digest_of({"a": "1"}) == hashlib.sha256(b"a\t1\n").hexdigest()
    assert digest_of({"a": "1"}) != digest_of({"a": "2"})


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


def test_an_election_without_a_fault_is_a_threat(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-etcd"])
    info = json.loads((path / "E1-etcd" / "experiment.json").read_text())
    filed = path / "E1-etcd" / "events.jsonl"
    events = [json.loads(line) for line in filed.read_text().splitlines()]
    for member in ("etcd1", "etcd2"):
        data = {"leader": "etcd1", "term": 9}
        wall_ns = info["origin_wall_ns"] + 100_000_000
        events.append({"wall_ns": wall_ns, "source": member, "event": "server.leader_elected", "data": data})
    events.sort(key=lambda event: event["wall_ns"])
    filed.write_text("".join(json.dumps(event) + "\n" for event in events))
    content, _ = content_of(path)
    (election,) = content["experiments"][0]["elections_unexplained"]
    assert (election["at_s"], election["leader"], election["members"]) == (0.1, "etcd1", ["etcd1", "etcd2"])
    note, judged = content["experiments"][0]["notes"]
    assert judged == "its verdict (valid) was made from other files: E1-etcd/events.jsonl"
    assert note.startswith("1 election that no fault caused: etcd1 was elected at 0.10 s (term 9). ")
    assert any("1 in E1-etcd" in threat["text"] for threat in content["threats"])


def test_the_election_of_the_fault_is_no_threat(valid_content: Content) -> None:
    assert [experiment["elections_unexplained"] for experiment in valid_content[0]["experiments"]] == [[], [], []]


def test_threats_have_the_figures_of_this_run(valid_content: Content) -> None:
    content, _ = valid_content
    texts = {threat["title"]: threat["text"] for threat in content["threats"]}
    assert "2 cores" in texts["One machine"]
    assert "36 % in E1-etcd" in texts["The client's share"]
    missed = content["experiments"][2]["faults"][0]["operations_not_sent"]
    assert f"about {missed:,.0f} operations" in texts["Closed loop"]


def text_of(title: str, content: dict[str, Any], experiments: list[dict[str, Any]]) -> str:
    """Return one threat of a run of these experiments."""
    found = threats(content["controller"], content["hosts"], content["run"], experiments)
    return next(threat["text"] for threat in found if threat["title"] == title)


def with_outage(content: dict[str, Any], **changed: Any) -> list[dict[str, Any]]:
    """Return the run's experiments, the outage of the last one changed."""
    *healthy, faulted = content["experiments"]
    faults = [{**faulted["faults"][0], **changed}]
    return [*healthy, {**faulted, "faults": faults, "repetition": repeated(faults)}]


def test_what_determined_the_length_stands_among_the_threats(valid_content: Content) -> None:
    content, _ = valid_content
    length = content["experiments"][2]["faults"][0]["length"]
    assert "ms of F1 of E2-etcd, the longest phase after the fault took" in length
    assert length in text_of("One run of each", content, content["experiments"])


@pytest.mark.parametrize(("recorded", "used"), [(500, 500.0), ("500", 500.0), (None, None)])
def test_the_attempt_timeout_may_be_text(recorded: float | str | None, used: float | None) -> None:
    assert attempt_timeout_ms({"client": {"attempt_timeout_ms": recorded}}) == used
    assert attempt_timeout_ms({}) is None


def test_a_run_of_mysql_alone_says_nothing_of_elections(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-mysql"])
    content, _ = content_of(path)
    text = next(threat["text"] for threat in content["threats"] if threat["title"] == "One run of each")
    assert text == (
        "The experiment ran once. There is no spread of repeated runs, so a difference of a few percent from another "
        "run means nothing."
    )


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "has 1 operation, so its p99 and its p99.9 are its maximum, a single operation."),
        (99, "has 99 operations, so its p99 and its p99.9 are its maximum, a single operation."),
        (100, "has 100 operations, so its p99.9 is its maximum, a single operation."),
        (999, "has 999 operations, so its p99.9 is its maximum, a single operation."),
        (1000, "has 1,000 operations, so 1 lies above its p99.9; its maximum is a single operation."),
        (2000, "has 2,000 operations, so 2 lie above its p99.9; its maximum is a single operation."),
    ],
)
def test_tails_of_few_operations_are_called_what_they_are(valid_content: Content, count: int, words: str) -> None:
    content, _ = valid_content
    experiment = {**content["experiments"][0], "latency": {"by_kind": {"DELETE": {"count": count}}}}
    assert words in text_of("Thin tails", content, [experiment])


def test_one_operation_not_sent_has_the_singular(valid_content: Content) -> None:
    content, _ = valid_content
    text = text_of("Closed loop", content, with_outage(content, operations_not_sent=1.2))
    assert "about 1 operation would have been due during" in text


def test_without_containers_clocks_are_not_called_shared(valid_content: Content) -> None:
    content, _ = valid_content
    unmeasured = [{**experiment, "clocks": []} for experiment in content["experiments"]]
    found = threats({"cores": 8}, content["hosts"], content["run"], unmeasured)
    texts = {threat["title"]: threat["text"] for threat in found}
    assert "One machine" not in texts
    assert "not recorded" in texts["Times of events"]


def test_a_poweroff_does_not_pass_for_a_cut_of_the_current(valid_content: Content) -> None:
    content, _ = valid_content
    struck = [
        {**experiment, "faults": [{**fault, "action": "poweroff"} for fault in experiment["faults"]]}
        for experiment in content["experiments"]
    ]
    assert any(experiment["faults"] for experiment in struck)
    texts = []
    for experiments in (content["experiments"], struck):
        found = threats(content["controller"], content["hosts"], content["run"], experiments)
        texts.append(next(threat["text"] for threat in found if threat["title"] == "Scope"))
    assert ["not a power cut" in text for text in texts] == [False, True]


def test_a_clock_that_was_corrected_is_told(valid_content: Content) -> None:
    content, _ = valid_content
    clock = {"host": "etcd2", "offset_ms": -7.5, "uncertainty_ms": 0.2, "corrected": True}
    skewed = [{**experiment, "clocks": [clock]} for experiment in content["experiments"]]
    found = threats(content["controller"], content["hosts"], content["run"], skewed)
    text = next(threat["text"] for threat in found if threat["title"] == "Times of events")
    assert "etcd2, was -7.500 ms away" in text
    assert "are subtracted" in text


def test_the_notebook_is_not_compared_with_another_stream(valid_content: Content) -> None:
    table = valid_content[0]["notebook"]
    assert not table["comparable"]
    assert table["reasons"] == ["this run has 2,000 iterations, the notebook 100,000"]


def test_the_notebook_stands_beside_the_experiment_of_the_same_kind(valid_content: Content) -> None:
    content, _ = valid_content
    groups = {group["title"]: group for group in content["notebook"]["groups"]}
    healthy = {row["label"]: (row["notebook"], row["ours"]) for row in groups["etcd, healthy"]["rows"]}
    assert groups["etcd, healthy"]["experiment"] == "E1-etcd"
    assert healthy["operations per s"] == (1396.94, content["experiments"][0]["ops_per_s"])
    assert groups["etcd, one node stopped"]["experiment"] == "E2-etcd"
    ratios = {row["label"]: row["ours"] for row in groups["Ratios of operations per s"]["rows"]}
    rates = [experiment["ops_per_s"] for experiment in content["experiments"]]
    assert ratios["etcd to MySQL, healthy"] == pytest.approx(rates[0] / rates[1], rel=1e-4)
    assert "innodb_flush_log_at_trx_commit = 1" in groups["MySQL, healthy"]["why"]


NOTEBOOK_RUN = {"iterations": 100_000, "seed": 123, "clients": 1, "rate": 0.0}


def test_iterations_and_seed_of_the_notebook_are_comparable() -> None:
    table = notebook.compare(NOTEBOOK_RUN, [], {})
    assert table["comparable"]
    assert all(
        group["why"] == "No experiment of this run measures it." for group in (table["groups"][1], table["groups"][2])
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"clients": 4}, "this run has 4 clients, the notebook one"),
        (
            {"rate": 500.0},
            "this run has a rate of 500 op/s, the notebook sent each operation when the last was done",
        ),
    ],
)
def test_the_notebook_is_not_compared_with_another_load(changed: dict[str, Any], reason: str) -> None:
    table = notebook.compare({**NOTEBOOK_RUN, **changed}, [], {})
    assert table["same_stream"]
    assert not table["comparable"]
    assert table["reasons"] == [reason]


STOP_GROUP = "etcd, one node stopped"


def stop_rows(content: dict[str, Any], experiments: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the notebook's group of the stop, and this run's values in it by label."""
    groups = {group["title"]: group for group in notebook.compare(content["run"], experiments, {})["groups"]}
    return groups[STOP_GROUP], {row["label"]: row["ours"] for row in groups[STOP_GROUP]["rows"]}


def test_the_row_of_the_stop_is_filled_by_a_stop(valid_content: Content) -> None:
    content, _ = valid_content
    group, rows = stop_rows(content, content["experiments"])
    assert group["experiment"] == "E2-etcd"
    assert rows["stopped at operation"] == 240
    gap = content["experiments"][2]["faults"][0]["gap"]["duration_ms"]
    assert rows["time without an acknowledged operation"] == gap


@pytest.mark.parametrize("action", ["kill", "restart", "partition"])
def test_other_actions_do_not_fill_the_row_of_the_stop(valid_content: Content, action: str) -> None:
    content, _ = valid_content
    group, rows = stop_rows(content, with_outage(content, action=action))
    assert (group["experiment"], group["why"]) == (
        None,
        "No experiment of this run stops one etcd node and does nothing else.",
    )
    assert set(rows.values()) == {None}


def test_a_stop_that_did_not_strike_stopped_nothing(valid_content: Content) -> None:
    content, _ = valid_content
    group, rows = stop_rows(content, with_outage(content, fired=False))
    assert (group["experiment"], group["why"]) == ("E2-etcd", "The fault did not strike: no node was stopped.")
    assert set(rows.values()) == {None}


def test_a_stop_that_did_not_end_is_at_least_as_long(valid_content: Content) -> None:
    content, _ = valid_content
    _, rows = stop_rows(content, with_outage(content, gap={"duration_ms": 812.4, "ended": False}))
    assert rows["time without an acknowledged operation, at least"] == 812.4


def test_a_run_without_mysql_says_so(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-etcd", "E2-etcd"], clients=4)
    groups = {group["title"]: group for group in content_of(path)[0]["notebook"]["groups"]}
    assert groups["MySQL, healthy"]["why"] == "No experiment of this run measures it."
    assert [row["ours"] for row in groups["MySQL, healthy"]["rows"]] == [None, None, None]
    assert "4 clients instead of one" in groups["etcd, healthy"]["why"]


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


def test_many_outages_are_told_as_a_range() -> None:
    def group(what: str, gap_ms: float, struck: int = 1) -> dict[str, Any]:
        measures = [{"name": "gap", "n": struck, "median_ms": gap_ms}]
        background = {"compared": struck, "like": 0}
        return {
            "what": what,
            "repeats": 1,
            "struck": struck,
            "anchor": what,
            "measures": measures,
            "background": background,
        }

    groups = [group("stop", 10.0), group("kill", 90.0), group("pause", 40.0), group("restart", 0.0, struck=0)]
    said = valid_sentence(told(repetition=groups))
    outages = f"10.0 ms (stop in E1-etcd; {HEALTHY}) to 90.0 ms (kill in E1-etcd; {HEALTHY})"
    assert f"; of 4 faults 1 did not strike; no operation was acknowledged for {outages}" in said


def test_what_acknowledgements_mean_is_said_where_it_is_not_the_same() -> None:
    def told(*systems: str) -> str | None:
        found = _durability([{"system": system} for system in systems])
        return found and found[1]

    assert "in the memory of a majority" in (told("etcd", "mysql_cluster") or "")
    assert told("etcd", "mysql") is None
    assert told("mysql_cluster") is None

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from failover.checkers import verify_experiment
from failover.history_parquet import read_parquet, write_parquet
from failover.report import notebook
from failover.report.content import HOW, build, cover_settings, cover_versions, digest_of, verdict_sentence
from failover.report.threats import threats
from failover.results import load_run
from failover.shapes import HistoryRow
from planted import PLANTS, make_run
from verified import verified_run

Content = tuple[dict[str, Any], dict[str, str]]


@pytest.fixture(scope="module")
def valid_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return verified_run(tmp_path_factory.mktemp("results") / "run-valid")


@pytest.fixture(scope="module")
def invalid_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "run-invalid"
    return verified_run(folder, iterations=800, experiments=["E2-etcd"], plant="lost_key")


@pytest.fixture(scope="module")
def valid_content(valid_run: Path) -> Content:
    return build(load_run(valid_run), lambda _: None)


def sentence(content: dict[str, Any]) -> str:
    return "".join(piece["text"] for piece in content["verdict"]["sentence"])


def content_of(path: Path) -> Content:
    return build(load_run(path), lambda _: None)


def test_the_verdict_is_one_sentence_with_keys_and_outage(valid_content: Content) -> None:
    content, _ = valid_content
    said = sentence(content)
    gap = content["experiments"][2]["faults"][0]["gap"]["duration_ms"]
    assert said.startswith("Valid: all ")
    assert "over 6,000 operations in 3 experiments" in said
    assert "473 keys" in said
    assert (
        f"when the leader etcd2 was stopped at operation 240 of E2-etcd, no operation completed for {gap:,.0f} ms."
        in said
    )
    assert said.count(".") == 1


def test_every_link_of_the_sentence_leads_to_evidence(valid_content: Content) -> None:
    links = [piece["href"] for piece in valid_content[0]["verdict"]["sentence"] if piece["href"]]
    assert links == ["#checks", "#outcomes", "#keys", "#e3-outage1"]


def test_an_invalid_run_says_what_failed_first(invalid_run: Path) -> None:
    content, _ = content_of(invalid_run)
    assert sentence(content).startswith("Invalid: ")
    assert "checks failed; in E2-etcd: etcd1 has" in sentence(content)
    assert [check["verdict"] for check in content["verdict"]["open"]] == ["invalid"] * len(content["verdict"]["open"])


def test_an_unknown_run_does_not_claim_to_be_valid() -> None:
    checks = [
        {"experiment": "E1-etcd", "verdict": "valid", "summary": "All right."},
        {"experiment": "E2-etcd", "verdict": "unknown", "summary": "The keys of etcd3 are not there to compare."},
    ]
    said = "".join(str(piece["text"]) for piece in verdict_sentence("unknown", checks, []))
    assert said == (
        "Unknown: no check failed, but 1 of 2 checks could not be decided; in E2-etcd: "
        "The keys of etcd3 are not there to compare."
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
    assert "F1 planned for E2-etcd did not strike" in "".join(
        str(piece["text"]) for piece in verdict_sentence("valid", [], content["experiments"])
    )
    assert "e1-outage1" not in drawings


def test_numbers_are_those_of_the_history(valid_run: Path, valid_content: Content) -> None:
    for experiment in valid_content[0]["experiments"]:
        _, table = read_parquet(valid_run / experiment["name"] / "history.parquet")
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


def test_files_are_named_with_their_hashes(valid_run: Path, valid_content: Content) -> None:
    for experiment in valid_content[0]["experiments"]:
        for file in experiment["files"]:
            data = (valid_run / file["path"]).read_bytes()
            assert file["sha256"] == hashlib.sha256(data).hexdigest()
            assert file["bytes"] == len(data)


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


def test_convergence_is_the_lag_behind_the_most_advanced_member(valid_run: Path, tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E2-etcd"])
    file = path / "E2-etcd" / "experiment.json"
    info = json.loads(file.read_text())
    info["convergence"] = {
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
    assert {step["name"]: step["at_ms"] for step in found["returns"][0]["steps"]}["process_started"] == 20
    assert "e1-convergence" in drawings


def test_an_election_without_a_fault_is_a_threat(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-etcd"])
    info = json.loads((path / "E1-etcd" / "experiment.json").read_text())
    with (path / "E1-etcd" / "events.jsonl").open("a") as file:
        for member in ("etcd1", "etcd2"):
            wall_ns = info["origin_wall_ns"] + 100_000_000
            event = {
                "wall_ns": wall_ns,
                "source": member,
                "event": "server.leader_elected",
                "data": {"leader": "etcd1", "term": 9},
            }
            file.write(json.dumps(event) + "\n")
    content, _ = content_of(path)
    assert content["experiments"][0]["elections_unexplained"] == 1
    assert any("1 in E1-etcd" in threat["text"] for threat in content["threats"])


def test_the_election_of_the_fault_is_no_threat(valid_content: Content) -> None:
    assert [experiment["elections_unexplained"] for experiment in valid_content[0]["experiments"]] == [0, 0, 0]


def test_threats_have_the_figures_of_this_run(valid_content: Content) -> None:
    content, _ = valid_content
    texts = {threat["title"]: threat["text"] for threat in content["threats"]}
    assert "2 cores" in texts["One machine"]
    assert "36 % in E1-etcd" in texts["The client's share"]
    missed = content["experiments"][2]["faults"][0]["operations_not_sent"]
    assert f"about {missed:,.0f} operations" in texts["Closed loop"]


def test_without_containers_clocks_are_not_called_shared(valid_content: Content) -> None:
    content, _ = valid_content
    unmeasured = [{**experiment, "clocks": []} for experiment in content["experiments"]]
    found = threats({"cores": 8}, content["hosts"], content["run"], unmeasured)
    texts = {threat["title"]: threat["text"] for threat in found}
    assert "One machine" not in texts
    assert "not recorded" in texts["Times of events"]


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


def test_iterations_and_seed_of_the_notebook_are_comparable() -> None:
    table = notebook.compare({"iterations": 100_000, "seed": 123, "clients": 1}, [], {})
    assert table["comparable"]
    assert all(group["why"] == "Not part of this run." for group in table["groups"][1:5])


def test_a_run_without_mysql_says_so(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E1-etcd", "E2-etcd"], clients=4)
    groups = {group["title"]: group for group in content_of(path)[0]["notebook"]["groups"]}
    assert groups["MySQL, healthy"]["why"] == "Not part of this run."
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
    info = json.loads((folder / "experiment.json").read_text())
    info["rate"] = rate
    (folder / "experiment.json").write_text(json.dumps(info))
    meta, table = read_parquet(folder / "history.parquet")
    rows = [HistoryRow(**row) for row in table.to_pylist()]
    planned = [row._replace(intended_ns=min(row.invoke_ns, row.index * 10**9 // rate // 4)) for row in rows]
    write_parquet(folder / "history.parquet", meta, planned)


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
    assert "-e iterations=2000 -e seed=123" in commands["run"]
    assert commands["stream"] == "./scripts/simulate --iterations 2000 --seed 123"
    assert len(commands["histories"]) == 3


@pytest.mark.parametrize("plant", [None, *PLANTS])
def test_every_check_is_explained(tmp_path: Path, plant: str | None) -> None:
    make_run(tmp_path / "run", iterations=600, experiments=["E2-etcd"], plant=plant)
    for check in verify_experiment(tmp_path / "run" / "E2-etcd"):
        assert any(check.name.startswith(beginning) for beginning in HOW), check.name


def test_content_is_plain_json(valid_content: Content) -> None:
    content, _ = valid_content
    assert json.loads(json.dumps(content, allow_nan=False)) == content

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from failover.checks.history import _out_of_order
from failover.checks.model import Answers
from failover.checks.recorded import Recorded
from failover.checks.verdict import verify_experiment
from failover.checks.words import MAX_LISTED
from failover.results.rows import Rows
from failover.shapes import Verdict
from failover.workloads.name_service import NameService
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judged import PlantIt, to_jsonl, wrong
from packing import outcomes_of, packed


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


def test_a_client_that_did_not_come_to_its_first_operation_was_interrupted(plant: PlantIt, tmp_path: Path) -> None:
    plant(None, "E1-mysql", clients=4)
    folder = tmp_path / "run" / "E1-mysql"
    to_jsonl(folder)
    meta, *rows = (folder / "history.jsonl").read_text().splitlines(keepends=True)
    done = [row for row in rows if json.loads(row)[1] != 3]
    (folder / "history.jsonl").write_text("".join([meta, *done]))
    history = next(check for check in verify_experiment(folder) if check.name == "history")
    assert (history.verdict, "missing" in history.evidence) == (Verdict.UNKNOWN, False)
    assert history.evidence["not_reached"]["count"] == len(rows) - len(done) > 0


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


ROW = st.tuples(st.integers(-2, 9), st.integers(0, 2), st.integers(0, 3), st.integers(0, 20), st.integers(0, 4))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, max_size=14), st.sampled_from([1, 2, 3, 100]), st.booleans())
def test_operations_out_of_order_are_found_a_part_at_a_time(
    monkeypatch: pytest.MonkeyPatch, rows: list[tuple[int, ...]], at_once: int, shared: bool
) -> None:
    """Rows are (index, client, key, invoked, took), some of indexes and keys that are not the stream's."""
    monkeypatch.setattr("failover.checks.history._ROWS_AT_ONCE", at_once)
    stream = packed([("RETRIEVE", f"k{index % 3}") for index in range(8)])
    index, client, key, invoked, took = (list(column) for column in zip(*rows, strict=True)) if rows else [[]] * 5
    table = pa.table({
        "index": pa.array(index, pa.int64()),
        "client": pa.array(client, pa.int32()),
        "key": pa.array([f"k{number}" for number in key], pa.string()),
        "invoke_ns": pa.array(invoked, pa.int64()),
        "complete_ns": pa.array([begun + ns for begun, ns in zip(invoked, took, strict=True)], pa.int64()),
    })  # fmt: skip
    answers = Answers(outcomes_of([]), [], [], [])
    recorded = Recorded(NameService(), stream, {}, Rows(table, table.schema), np.zeros(0), answers)
    others = [at for at, number in zip(index, key, strict=True) if 0 <= at < 8 and number != at % 3]
    amiss = np.array(others, dtype=np.int64)
    expected = set()
    for group in (client, *([] if shared else [key])):
        order = sorted(range(len(rows)), key=lambda row: (group[row], index[row]))
        expected |= {
            (index[one], index[two])
            for one, two in pairwise(order)
            if group[one] == group[two] and index[one] != index[two] and invoked[two] < invoked[one] + took[one]
        }
    assert _out_of_order(recorded, amiss, shared=shared) == sorted(expected)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from failover.run import progress
from failover.run.progress import FAILED, FINISHED, ProgressReporter, Tally, percentile_ns
from failover.shapes import LabError

KEYS = {
    "done", "total", "ops_per_s", "ok", "fail", "unknown", "p99_ms", "leader", "endpoint", "phase", "elapsed_s",
    "faults", "message",
}  # fmt: skip


def make(path: Path, tallies: list[Tally], errors: list[LabError] | None = None, leader: str | None = "m1") -> Any:
    caught: list[LabError] = [] if errors is None else errors
    return ProgressReporter(path, 10, tallies, endpoint="a:1", ask_leader=lambda: leader, on_error=caught.append)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_percentile_is_the_nearest_rank() -> None:
    values = list(range(1, 101))
    assert percentile_ns(values[::-1], 0.99) == 99
    assert percentile_ns(values, 0.5) == 50
    assert percentile_ns([7], 0.99) == 7


def test_file_is_there_at_once_and_complete(tmp_path: Path) -> None:
    make(tmp_path / "progress.json", [Tally()])
    told = read(tmp_path / "progress.json")
    assert set(told) == KEYS
    assert (told["done"], told["total"], told["phase"], told["endpoint"]) == (0, 10, "running", "a:1")


def test_counts_of_all_clients_are_added_up(tmp_path: Path) -> None:
    tallies = [Tally(), Tally()]
    reporter = make(tmp_path / "progress.json", tallies)
    tallies[0].note("CREATE", "ok", "b:2", 0, 2_000_000)
    tallies[1].note("DELETE", "unknown", "c:3", 0, 9_000_000)
    tallies[1].note("RETRIEVE", "fail", "c:3", 0, 1_000_000)
    reporter.tell_fault("F1", "F1 waits")
    reporter.tell_fault("F1", "F1 stop etcd2")
    reporter.finish(FINISHED)
    told = read(tmp_path / "progress.json")
    assert (told["done"], told["ok"], told["fail"], told["unknown"]) == (3, 1, 1, 1)
    assert told["p99_ms"] == 9.0
    assert told["endpoint"] == "b:2"
    assert told["faults"] == ["F1 stop etcd2"]
    assert told["ops_per_s"] > 0
    assert told["message"] is None


def test_latencies_are_those_since_the_last_time() -> None:
    tally = Tally()
    tally.note("CREATE", "ok", "b:2", 5, 8)
    assert tally.take_latencies_ns() == [3]
    assert tally.take_latencies_ns() == []
    assert tally.done == 1


def test_operation_in_flight_is_told_where_none_ended(tmp_path: Path) -> None:
    tally = Tally()
    reporter = make(tmp_path / "progress.json", [tally])
    reporter.start(time.monotonic_ns() - 3_000_000_000)
    tally.started_ns = 1_000_000_000
    reporter.finish(FAILED, "why")
    told = read(tmp_path / "progress.json")
    assert told["p99_ms"] >= 2000
    assert (told["phase"], told["message"]) == ("failed", "why")


def test_no_latency_is_told_where_no_operation_is_under_way(tmp_path: Path) -> None:
    reporter = make(tmp_path / "progress.json", [Tally()])
    reporter.start(time.monotonic_ns())
    reporter.finish(FINISHED)
    assert read(tmp_path / "progress.json")["p99_ms"] is None


def test_thread_rewrites_the_file_and_asks_for_the_leader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0.01)
    tally = Tally()
    reporter = make(tmp_path / "progress.json", [tally], leader="etcd2")
    tally.note("CREATE", "ok", "b:2", 0, 1)
    reporter.start(time.monotonic_ns())
    deadline = time.monotonic() + 10
    while read(tmp_path / "progress.json")["leader"] is None and time.monotonic() < deadline:
        time.sleep(0.01)
    told = read(tmp_path / "progress.json")
    reporter.finish(FINISHED)
    assert (told["leader"], told["done"], told["phase"]) == ("etcd2", 1, "running")


def test_thread_reports_that_the_file_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0.01)
    folder = tmp_path / "work"
    folder.mkdir()
    errors: list[LabError] = []
    reporter = make(folder / "progress.json", [Tally()], errors)
    (folder / "progress.json").unlink()
    folder.rmdir()
    reporter.start(time.monotonic_ns())
    deadline = time.monotonic() + 10
    while not errors and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "progress.json cannot be written" in str(errors[0])
    with pytest.raises(LabError):
        reporter.finish(FAILED, "no space")
    assert len(errors) == 1

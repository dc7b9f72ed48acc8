# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from failover.run import kept_watch
from failover.run.kept_watch import KeptWatch
from failover.run.runner import run_workload
from failover.shapes import WATCH_COLUMNS, LabError, WatchRow
from failover.systems.base import Resumption, Watcher
from fake_system import FakeSystem
from run_parts import config


class FakeWatcher(Watcher):
    """Tells what it was made with, some changes at a time, and after the end what came late."""

    def __init__(self, *batches: list[WatchRow], newest: int | None = 0, refusal: str = "", late: int = 0) -> None:
        super().__init__()
        self.batches = list(batches)
        self.end = newest
        self.refusal = refusal
        self.late = late  # revision that it can say to have seen when it is asked
        self.parent = os.getpid()

    def begin(self, timeout_s: float) -> None:
        assert os.getpid() != self.parent
        if self.refusal:
            raise LabError(self.refusal)
        self.seen_to = 4
        self.resumptions.append(Resumption("h:1", 5, 77, ""))

    def receive(self, timeout_s: float) -> list[WatchRow]:
        rows = self.batches.pop(0) if self.batches else []
        self.seen_to = max(self.seen_to, *(row.revision for row in rows), 0)
        return rows

    def newest(self, timeout_s: float) -> int | None:
        self.last_error = "nobody answers"
        return self.end

    def ask_progress(self) -> None:
        # An answer comes behind the changes before it.
        if not self.batches:
            self.seen_to = max(self.seen_to, self.late)

    def close(self) -> None: ...


ROWS = [WatchRow(5, "a", "1", 1_000, "h:1"), WatchRow(6, "a", None, 2_000, "h:1"), WatchRow(8, "ö", "2", 3_000, "h:1")]


def lines_of(path: Path) -> tuple[dict[str, Any], list[WatchRow]]:
    header, *rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return header, [WatchRow(*row) for row in rows]


def kept(watcher: Watcher, path: Path) -> dict[str, Any]:
    watch = KeptWatch(watcher, path)
    try:
        watch.begin()
        return watch.finish()
    finally:
        watch.close()


def test_what_is_told_is_written_down_also_what_comes_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "watch.jsonl"
    told = kept(FakeWatcher(ROWS[:2], [], ROWS[2:], newest=9, late=9), path)
    assert lines_of(path) == ({"schema_version": 1, "columns": list(WATCH_COLUMNS)}, ROWS)
    assert 0 < told.pop("cpu_s") < 60
    stream = {"endpoint": "h:1", "revision": 5, "wall_ns": 77, "why": ""}
    assert told == {
        "error": None, "events": 3, "from_revision": 5, "to_revision": 9, "gaps": [], "streams": [stream],
    }  # fmt: skip


def test_a_watch_that_cannot_begin_says_why(tmp_path: Path) -> None:
    assert kept(FakeWatcher(refusal="no member told its revision"), tmp_path / "w") == {
        "error": "no member told its revision"
    }
    assert not (tmp_path / "w").exists()


def test_what_was_not_told_in_time_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_watch, "CATCH_UP_TIMEOUT_S", 0.2)
    told = kept(FakeWatcher(ROWS, newest=20), tmp_path / "w")
    assert (told["to_revision"], told["events"]) == (8, 3)
    assert told["error"] == "it was told of changes up to revision 8 of 20, and no more in time"
    told = kept(FakeWatcher(ROWS, newest=None), tmp_path / "w")
    assert told["error"] == "at the end no member told how far the store was: nobody answers"


def test_a_file_that_cannot_be_written_is_said_and_ends_nothing(tmp_path: Path) -> None:
    told = kept(FakeWatcher(ROWS, newest=8), tmp_path / "missing" / "w")
    assert told["error"].startswith(f"{tmp_path}/missing/w: No such file or directory")
    full = Path("/dev/full")
    if full.exists():
        assert kept(FakeWatcher(ROWS, newest=8), full)["error"].startswith("/dev/full: No space left on device")


def test_a_process_that_is_gone_is_said(tmp_path: Path) -> None:
    class Dying(FakeWatcher):
        def receive(self, timeout_s: float) -> list[WatchRow]:
            os._exit(3)

    assert kept(Dying(newest=8), tmp_path / "w")["error"].startswith("its process is gone: ")


def test_a_run_keeps_the_watch_and_says_what_came_of_it(tmp_path: Path) -> None:
    system = FakeSystem()
    told = run_workload(config(tmp_path), make_client=system.make_client, watcher=FakeWatcher(ROWS, newest=8))["watch"]
    assert (told["error"], told["events"]) == (None, 3)
    assert lines_of(tmp_path / "watch.jsonl")[1] == ROWS
    assert run_workload(config(tmp_path), make_client=FakeSystem().make_client)["watch"] is None

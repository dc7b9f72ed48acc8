# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The check of a watch, on runs whose watch was changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from failover.checks.base import load_case
from failover.checks.watch import Watch
from failover.results.parquet import read_parquet, write_parquet
from failover.results.watched import SCHEMA, open_watch
from failover.shapes import Check, HistoryRow, Verdict
from shared_run import make_shared_run

Row = dict[str, Any]
REGISTER = {"name": "register", "keys": 8, "mix": {"RETRIEVE": 30, "WRITE": 50, "CAS": 20}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        "register": make_shared_run(folder / "register", REGISTER, iterations=300) / "E1-etcd",
        "append": make_shared_run(folder / "append", {"name": "append", "lists": 3, "elements": 60}, iterations=300)
        / "E1-etcd",
        "names": make_shared_run(folder / "names", {}, iterations=300) / "E1-etcd",
    }


class Changed:
    """A copy of a run in which the watch, the history or what is said of them may be changed."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        for path in source.rglob("*"):
            place = folder / path.relative_to(source)
            if path.is_dir():
                place.mkdir()
            else:
                place.write_bytes(path.read_bytes())

    def told(self) -> list[Row]:
        rows: list[Row] = open_watch(self.folder).table().to_pylist()
        return rows

    def tell(self, rows: list[Row]) -> None:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), self.folder / "watch.parquet")

    def rows(self) -> list[HistoryRow]:
        _, table = read_parquet(self.folder / "history.parquet")
        return [HistoryRow(**row) for row in table.to_pylist()]

    def record(self, change: Callable[[HistoryRow], HistoryRow], **meta: Any) -> None:
        before, _ = read_parquet(self.folder / "history.parquet")
        write_parquet(self.folder / "history.parquet", {**before, **meta}, list(map(change, self.rows())))

    def say(self, **about: Any) -> None:
        path = self.folder / "experiment.json"
        info = json.loads(path.read_text())
        info["workload"]["watch"].update(about)
        path.write_text(json.dumps(info))

    def check(self) -> Check:
        [check] = Watch().judge(load_case(self.folder))
        return check

    def write(self, *, after: int = 0, kind: str = "WRITE") -> HistoryRow:
        """Return an acknowledged write."""
        return next(row for row in self.rows() if row.index > after and row.kind == kind and row.outcome == "ok")


@pytest.fixture
def changed(made: dict[str, Path], tmp_path: Path) -> Callable[[str], Changed]:
    return lambda name: Changed(made[name], tmp_path / name / "E1-etcd")


def only(check: Check) -> dict[str, Any]:
    assert check.verdict is Verdict.INVALID, check.summary
    wrong = check.evidence["wrong_changes"]
    assert wrong["count"] == 1, wrong
    found: dict[str, Any] = wrong["listed"][0]
    return found


@pytest.mark.parametrize("name", ["register", "append", "names"])
def test_a_watch_that_was_told_all_is_valid(changed: Callable[[str], Changed], name: str) -> None:
    run = changed(name)
    check = run.check()
    assert check.verdict is Verdict.VALID, check.summary
    unknown = [row for row in run.rows() if row.outcome == "unknown" and row.kind != "RETRIEVE"]
    # What took effect without an answer is told, too, and explained by it.
    assert 0 < check.evidence["acknowledged"] <= len(run.told()) <= check.evidence["acknowledged"] + len(unknown)
    assert check.summary == (
        f"Each change was told once and in order: {len(run.told())} changes, by a watch that was never resumed."
    )


def test_where_no_watch_was_kept_there_is_no_check(changed: Callable[[str], Changed]) -> None:
    run = changed("register")
    path = run.folder / "experiment.json"
    info = json.loads(path.read_text())
    info["workload"]["watch"] = None
    path.write_text(json.dumps(info))
    assert not Watch().applies(load_case(run.folder))


def test_a_change_that_was_not_told_is_named(changed: Callable[[str], Changed]) -> None:
    run = changed("register")
    lost = run.write(after=100)
    run.tell([row for row in run.told() if row["revision"] != lost.revision])
    found = only(run.check())
    assert (found["class"], found["revision"], found["key"]) == ("missed", lost.revision, lost.key)
    assert found["operation"]["index"] == lost.index


def test_a_change_told_twice_or_too_late_is_named(changed: Callable[[str], Changed]) -> None:
    run = changed("register")
    told = run.told()
    run.tell([*told[:50], told[40], *told[50:]])
    found = only(run.check())
    assert (found["class"], found["revision"]) == ("told twice", told[40]["revision"])
    run.tell([*told[:40], *told[41:50], told[40], *told[50:]])
    found = only(run.check())
    assert (found["class"], found["revision"]) == ("out of order", told[40]["revision"])
    assert found["after_revision"] == told[49]["revision"]


@pytest.mark.parametrize(("name", "kind"), [("register", "WRITE"), ("append", "APPEND"), ("names", "CREATE")])
def test_another_value_is_named(changed: Callable[[str], Changed], name: str, kind: str) -> None:
    run = changed(name)
    write = run.write(after=50, kind=kind)
    run.tell([row | {"value": "1,2,other"} if row["revision"] == write.revision else row for row in run.told()])
    found = only(run.check())
    assert (found["class"], found["revision"], found["key"]) == ("wrong value", write.revision, write.key)
    assert (found["expected"], found["found"]) == (write.value, "1,2,other")


def test_a_removal_told_as_a_change_is_named(changed: Callable[[str], Changed]) -> None:
    run = changed("names")
    removed = next(row for row in run.rows() if row.kind == "DELETE" and row.outcome == "ok" and row.affected)
    run.tell([row | {"value": "x"} if row["revision"] == removed.revision else row for row in run.told()])
    assert only(run.check())["class"] == "wrong value"


def test_a_change_under_another_key_is_missed_and_unexplained(changed: Callable[[str], Changed]) -> None:
    run = changed("register")
    write = run.write(after=100)
    run.tell([row | {"key": "other"} if row["revision"] == write.revision else row for row in run.told()])
    check = run.check()
    assert check.evidence["by_class"] == {"missed": 1, "unexplained": 1}


def test_a_change_that_nobody_made_is_named(changed: Callable[[str], Changed]) -> None:
    run = changed("register")
    told = run.told()
    run.tell([*told, told[-1] | {"revision": told[-1]["revision"] + 1, "value": "nobody's"}])
    found = only(run.check())
    assert (found["class"], found["operation"], found["value"]) == ("unexplained", None, "nobody's")


def test_a_write_that_took_effect_twice_is_unexplained_unless_it_may_have(changed: Callable[[str], Changed]) -> None:
    run = changed("register")
    told, write = run.told(), run.write(after=100)
    once = next(row for row in told if row["revision"] == write.revision)
    run.tell([*told, once | {"revision": told[-1]["revision"] + 1}])
    assert only(run.check())["class"] == "unexplained"
    # Sent again behind a fence it still cannot; sent again blindly it can.
    run.record(lambda row: row._replace(attempts=2) if row.index == write.index else row)
    assert only(run.check())["class"] == "unexplained"
    run.record(lambda row: row, retry_policy="blind")
    assert run.check().verdict is Verdict.VALID


def test_an_unknown_write_may_be_told_or_not_and_a_failed_one_may_not(changed: Callable[[str], Changed]) -> None:
    run = changed("register")
    write = run.write(after=100)
    run.record(lambda row: row._replace(outcome="unknown", revision=None) if row.index == write.index else row)
    assert run.check().verdict is Verdict.VALID
    told = run.told()
    run.tell([row for row in told if row["revision"] != write.revision])
    assert run.check().verdict is Verdict.VALID
    run.tell(told)
    refused = "UNAVAILABLE: not sent: no connection within the time limit"
    run.record(
        lambda row: row._replace(outcome="fail", revision=None, error=refused) if row.index == write.index else row
    )
    assert only(run.check())["class"] == "unexplained"


def test_a_settled_write_has_to_be_told_or_not_as_it_was_settled(changed: Callable[[str], Changed]) -> None:
    run = changed("register")
    write = run.write(after=100)

    def settle(word: str) -> None:
        run.record(
            lambda row: (
                row._replace(outcome="unknown", revision=None, settled=word, settled_ns=row.complete_ns + 1)
                if row.index == write.index
                else row
            )
        )

    path = run.folder / "events.jsonl"
    first = json.loads(path.read_text().splitlines()[0])
    data = {"write": write.index, "index": write.index, "applied": True, "revision": write.revision}
    path.write_text(json.dumps(first | {"event": "client.write_settled", "data": data}) + "\n" + path.read_text())
    settle("applied")
    assert run.check().verdict is Verdict.VALID
    told = run.told()
    run.tell([row for row in told if row["revision"] != write.revision])
    found = only(run.check())
    assert (found["class"], found["revision"], found["operation"]["index"]) == ("missed", write.revision, write.index)
    run.tell(told)
    settle("not applied")
    assert only(run.check())["class"] == "unexplained"


def test_what_the_watch_could_not_be_told_is_unknown(changed: Callable[[str], Changed]) -> None:
    run = changed("register")
    told = run.told()
    cut = told[100]["revision"]
    run.tell(told[:101])
    assert run.check().evidence["by_class"]["missed"] > 50
    run.say(to_revision=cut, error="it was told of changes up to here, and no more in time")
    check = run.check()
    assert check.verdict is Verdict.UNKNOWN
    assert "no more in time" in check.summary
    run.tell([row for row in told if not told[50]["revision"] <= row["revision"] <= told[60]["revision"]])
    run.say(to_revision=told[-1]["revision"], error=None, gaps=[[told[50]["revision"], told[60]["revision"]]])
    check = run.check()
    assert check.verdict is Verdict.UNKNOWN
    assert check.evidence["untold"] > 0
    # That never hides what is wrong.
    run.tell([row for row in run.told() if row["revision"] != told[120]["revision"]])
    assert run.check().verdict is Verdict.INVALID


def test_without_a_watch_or_its_file_it_is_unknown(changed: Callable[[str], Changed]) -> None:
    run = changed("register")
    (run.folder / "watch.parquet").unlink()
    check = run.check()
    assert check.verdict is Verdict.UNKNOWN
    assert "watch.parquet is missing" in check.summary
    path = run.folder / "experiment.json"
    info = json.loads(path.read_text())
    info["workload"]["watch"] = {"error": "no member could be watched"}
    path.write_text(json.dumps(info))
    assert run.check().summary == "No watch was kept: no member could be watched."


def test_how_it_was_resumed_is_told(changed: Callable[[str], Changed]) -> None:
    run = changed("register")
    streams = json.loads((run.folder / "experiment.json").read_text())["workload"]["watch"]["streams"]
    second = streams[0] | {"revision": 40, "endpoint": "10.89.77.12:2379", "why": "10.89.77.11:2379: Socket closed"}
    run.say(streams=[*streams, second])
    check = run.check()
    assert check.summary.endswith("by a watch that was resumed 1 time.")
    assert check.evidence["resumed"] == 1
    assert [stream["member"] for stream in check.evidence["streams"]["listed"]] == ["etcd1", "etcd2"]
    assert check.evidence["streams"]["listed"][1]["why"] == second["why"]


def test_nothing_to_tell_is_nothing_wrong(tmp_path: Path) -> None:
    folder = make_shared_run(
        tmp_path / "reads", {"name": "register", "keys": 2, "mix": {"RETRIEVE": 100}}, iterations=20
    )
    run = Changed(folder / "E1-etcd", tmp_path / "copy" / "E1-etcd")
    assert run.check().verdict is Verdict.VALID

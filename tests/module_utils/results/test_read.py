# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from failover.results.read import Entry, load_run, read_dump, read_events
from failover.results.write import write_json_atomic
from failover.shapes import EXPERIMENT_KEYS, RUN_KEYS, LabError
from planted.parts import DEFAULT_EXPERIMENTS
from verified import verified_run


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return verified_run(tmp_path_factory.mktemp("original") / "run", iterations=300)


@pytest.fixture
def run_dir(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "run"))


def edit(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    value = json.loads(path.read_text("utf-8"))
    change(value)
    path.write_text(json.dumps(value), "utf-8")


def complaint(run_dir: Path) -> str:
    with pytest.raises(LabError) as error:
        load_run(run_dir)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_whole_run(run_dir: Path) -> None:
    run = load_run(run_dir)
    assert [experiment.name for experiment in run.experiments] == list(DEFAULT_EXPERIMENTS)
    assert set(run.info) == {*RUN_KEYS, "checkout"}
    assert run.verdict is not None
    assert run.verdict["verdict"] == "valid"
    etcd = run.experiments[0]
    assert set(etcd.info) == set(EXPERIMENT_KEYS)
    assert etcd.members == ["etcd1", "etcd2", "etcd3"]
    meta, table = etcd.history()
    assert table.num_rows == 300
    assert meta["experiment"] == "E1-etcd"
    times = [event.wall_ns for event in etcd.events()]
    assert times == sorted(times)
    assert etcd.dump("etcd1").entries.keys() == etcd.dump("etcd3").entries.keys()
    assert [log.name for log in etcd.logs] == ["etcd1.log", "etcd2.log", "etcd3.log"]
    assert etcd.verdict == etcd.read_verdict()


@pytest.mark.parametrize(
    "name",
    [
        "run.json",
        "verdict.json",
        "E1-mysql",
        "E2-etcd/experiment.json",
        "E2-etcd/history.parquet",
        "E2-etcd/verdict.json",
    ],
)
def test_a_missing_file_is_named(run_dir: Path, name: str) -> None:
    path = run_dir / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert f"{path}" in complaint(run_dir)
    assert "missing" in complaint(run_dir)


@pytest.mark.parametrize("name", ["run.json", "verdict.json", "E2-etcd/experiment.json", "E2-etcd/verdict.json"])
@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_a_cut_file_is_named(run_dir: Path, name: str, keep: float) -> None:
    path = run_dir / name
    content = path.read_bytes().rstrip()
    path.write_bytes(content[: int(len(content) * keep)])
    assert str(path) in complaint(run_dir)
    assert "cut short" in complaint(run_dir) or "empty" in complaint(run_dir)


@pytest.mark.parametrize("name", ["run.json", "verdict.json", "E1-etcd/experiment.json", "E1-etcd/verdict.json"])
def test_another_schema_is_refused(run_dir: Path, name: str) -> None:
    edit(run_dir / name, lambda value: value.update(schema_version=2))
    assert str(run_dir / name) in complaint(run_dir)
    assert "schema 2" in complaint(run_dir)


def test_a_verdict_of_before_it_had_a_schema_is_read(run_dir: Path) -> None:
    edit(run_dir / "verdict.json", lambda value: value.pop("schema_version"))
    verdict = load_run(run_dir).verdict
    assert verdict is not None
    assert verdict["verdict"] == "valid"


@pytest.mark.parametrize(("name", "key"), [("run.json", "seed"), ("E1-etcd/experiment.json", "members")])
def test_a_missing_key_is_named(run_dir: Path, name: str, key: str) -> None:
    edit(run_dir / name, lambda value: value.pop(key))
    assert f"lacks {key}" in complaint(run_dir)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("run.json", "experiments", "E1-etcd"),
        ("run.json", "experiments", []),
        ("run.json", "experiments", ["../other"]),
        ("run.json", "experiments", ["E1-etcd", "E1-etcd"]),
        ("run.json", "iterations", "many"),
        ("E1-etcd/experiment.json", "origin_wall_ns", None),
        ("E1-etcd/experiment.json", "faults", {}),
        ("E1-etcd/experiment.json", "faults", ["F1"]),
        ("E1-etcd/experiment.json", "name", "E9"),
        ("E1-etcd/verdict.json", "verdict", "fine"),
        ("verdict.json", "checks", [{"name": "x"}]),
        ("verdict.json", "checks", 3),
        ("verdict.json", "judged", {"run.json": 3}),
    ],
)
def test_a_value_of_another_kind_is_named(run_dir: Path, name: str, key: str, value: object) -> None:
    edit(run_dir / name, lambda whole: whole.update({key: value}))
    assert str(run_dir / name) in complaint(run_dir)


def test_what_a_value_has_to_be_is_said(run_dir: Path) -> None:
    edit(run_dir / "run.json", lambda whole: whole.update(iterations="many"))
    assert complaint(run_dir) == (
        f"{run_dir}/run.json: iterations is 'many', and has to be a whole number; copy the results folder again, or "
        "repeat the run"
    )


def test_not_json_objects_and_not_text(run_dir: Path) -> None:
    (run_dir / "run.json").write_text("[1]\n")
    assert "is not a JSON object" in complaint(run_dir)
    (run_dir / "run.json").write_bytes(b"\xff\xfe{}")
    assert "cannot be read" in complaint(run_dir)


def test_no_folder_at_all(tmp_path: Path) -> None:
    assert "does not exist" in complaint(tmp_path / "nothing")


def test_checkers_do_not_need_verdicts(run_dir: Path) -> None:
    (run_dir / "verdict.json").unlink()
    for name in DEFAULT_EXPERIMENTS:
        (run_dir / name / "verdict.json").unlink()
    run = load_run(run_dir, need_verdicts=False)
    assert run.verdict is None
    assert [experiment.verdict for experiment in run.experiments] == [None, None, None]


def test_events_that_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    good = '{"wall_ns": 5, "source": "etcd1", "event": "server.started", "data": {}}\n'
    path.write_text(good + good.replace("5", "3"))
    assert [event.wall_ns for event in read_events(path)] == [3, 5]
    for damage in (good[:-1], "{\n", "[]\n", '{"wall_ns": 1}\n', good.replace("5", '"5"'), good.replace("{}", "[1]")):
        path.write_text(good + damage)
        with pytest.raises(LabError, match=r"events\.jsonl"):
            read_events(path)


def test_a_dump_with_and_without_prefix(tmp_path: Path) -> None:
    path = tmp_path / "etcd1.jsonl"
    path.write_text('{"count": 2}\n["EXP1-a", "1.1.1.1", 1, 7]\n["b", "2.2.2.2", null, null]\n')
    dump = read_dump(path, "EXP1-")
    assert dump.member == "etcd1"
    assert dump.entries == {"a": Entry("1.1.1.1", 1, 7), "b": Entry("2.2.2.2", None, None)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "does not start with a header"),
        ('["a", "b", 1, 2]\n', "does not start with a header"),
        ('{"count": 3}\n["a", "b", 1, 2]\n', "1 keys, its header says 3"),
        ('{"member": "etcd2"}\n', "of member 'etcd2', not 'etcd1'"),
        ('{"prefix": "EXP1-"}\n', "of prefix 'EXP1-', not ''"),
        ('{}\n["a", "b", 1]\n', "line 2"),
        ('{}\n["a", "b", 1, 2]\n["a", "c", 1, 2]\n', "repeats the key"),
        ('{}\n["a", "b", 1, 2', "cut short"),
    ],
)
def test_a_dump_that_is_damaged(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "etcd1.jsonl"
    path.write_text(content)
    with pytest.raises(LabError, match=words) as error:
        read_dump(path, "")
    assert str(path) in str(error.value)


def test_json_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    write_json_atomic(path, {"a": "ü"})
    assert json.loads(path.read_text("utf-8")) == {"a": "ü"}
    with pytest.raises(TypeError):
        write_json_atomic(path, {"a": object()})
    assert json.loads(path.read_text("utf-8")) == {"a": "ü"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["verdict.json"]
    with pytest.raises(LabError, match="cannot be written"):
        write_json_atomic(tmp_path / "nowhere" / "verdict.json", {})

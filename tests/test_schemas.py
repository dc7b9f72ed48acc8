# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The schemas of docs/schemas, and the files of results folders that are held against them."""

from __future__ import annotations

import copy
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from _controls import Control, run_controls
from failover.actions.record import FaultRecord
from failover.checks.verdict import verify
from failover.measured.figures import FIGURES
from failover.report import content
from failover.results import read
from failover.results.read import load_run
from failover.shapes import (
    EXPERIMENT_KEYS,
    OWN_SETTINGS,
    RUN_KEYS,
    SCHEMA_VERSION,
    Arrivals,
    FaultSpec,
    ReadConsistency,
    RetryPolicy,
    Verdict,
)
from held import SCHEMAS, STRICT, hold, hold_folder
from jsonschema import Draft202012Validator
from planted.run import make_run
from printed import KINDS, Quiet, leave_out_pictures, printed_once
from verified import verified_run

ROOT = Path(__file__).resolve().parent.parent
KEPT = sorted((ROOT / "tests/fixtures/runs").glob("*.zip"))
NAMES = {"run", "verdict", "experiment", "experiment-verdict", "report", "controls"}


def refused(name: str, document: Any) -> bool:
    """Tell whether the schema as it is published refuses a document."""
    return not Draft202012Validator(SCHEMAS[name]).is_valid(json.loads(json.dumps(document)))


# ---- documents


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_pictures(monkeypatch)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.stem)
def test_a_kept_run_is_of_the_schemas_as_it_was_written_and_as_it_is_judged_today(kept: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(kept) as archive:
        archive.extractall(tmp_path)
    hold_folder(tmp_path)
    for experiment in load_run(tmp_path, need_verdicts=False).experiments:
        verify(tmp_path, experiment.name, limits=dict.fromkeys(FIGURES, 1) | {"p99_ms": {experiment.name: 1}})
    hold_folder(tmp_path)
    hold("report", content.build(load_run(tmp_path), Quiet())[0])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_report_that_is_written_is_of_its_schema(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = printed_once(kind, tmp_path_factory).folder
    hold_folder(folder)
    hold("report", json.loads((folder / "report.json").read_text()))


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(
    ("plant", "options"),
    [
        ("missed_fault", {}),
        ("stalled", {"repeats": 2}),
        ("cut_history", {}),
        ("missing_dump", {}),
        ("duplicate_apply", {}),
        ("not_converged", {}),
        ("unknown_applied", {}),
        ("settled_wrongly", {}),
    ],
)
def test_what_went_wrong_is_of_the_schemas(plant: str, options: dict[str, Any], tmp_path: Path) -> None:
    run = verified_run(tmp_path / "run", iterations=400, experiments=["E2-etcd"], plant=plant, **options)
    hold_folder(run)
    hold("report", content.build(load_run(run), Quiet())[0])


@pytest.mark.usefixtures("_quick")
def test_what_could_not_be_measured_is_null(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", iterations=300, experiments=["E1-etcd", "E2-etcd"], clients=3).path
    (run / "E2-etcd" / "events.jsonl").unlink()
    described = json.loads((run / "run.json").read_text())
    described |= {"left_out": {"E3-etcd": "etcd1 did not come back"}, "limits": {"outage_ms": {"etcd": 5}}}
    (run / "run.json").write_text(json.dumps(described))
    for name in ("E1-etcd", "E2-etcd"):
        verify(run, name)
    hold_folder(run)
    told = content.build(load_run(run), Quiet())[0]
    assert told["experiments"][1]["elections_unexplained"] is None
    hold("report", told)


def test_controls_are_of_their_schema(tmp_path: Path) -> None:
    control = Control("bad", "a bad system", "invalid", "its manual", 2, {}, ("keys on *",))
    came = {"verdict": "valid", "checks": [{"name": "P: keys on a", "verdict": "valid", "summary": "Right."}]}
    assert run_controls([control], lambda _: (tmp_path / "run", came), lambda _: None) == 1
    hold("controls", json.loads((tmp_path / "controls.json").read_text()))


# ---- what a schema refuses


def without(*path: str | int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for part in path[:-1]:
            document = document[part]
        del document[path[-1]]

    return change


def with_value(value: Any, *path: str | int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for part in path[:-1]:
            document = document[part]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("run", without("seed")),
        ("run", with_value(2, "schema_version")),
        ("run", with_value("E1-etcd", "experiments")),
        ("verdict", with_value("perhaps", "verdict")),
        ("verdict", without("checks", 0, "summary")),
        ("verdict", with_value("no digest", "judged", "run.json")),
        ("experiment", without("members")),
        ("experiment", without("faults", 0, "record", "fired")),
        ("experiment", with_value("12", "faults", 0, "at_index")),
        ("experiment-verdict", with_value({"outage_ms": -1}, "limits")),
        ("report", without("experiments", 1, "faults", 0, "gap", "duration_ms")),
        ("report", with_value("1", "experiments", 0, "latency", "all", "p99_ms")),
        ("report", with_value(None, "experiments", 0, "not_ok")),
    ],
)
def test_another_document_is_refused(
    name: str, change: Callable[[Any], None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = printed_once("repeated", tmp_path_factory).folder
    file = {"experiment-verdict": "E2-etcd/verdict.json", "experiment": "E2-etcd/experiment.json"}.get(name)
    document = json.loads((folder / (file or f"{name}.json")).read_text())
    assert not refused(name, document)
    changed = copy.deepcopy(document)
    change(changed)
    assert refused(name, changed)
    # What is new is no harm to whoever reads the files, but has to be described here.
    assert not refused(name, document | {"news": 1})
    assert not STRICT[name].is_valid(document | {"news": 1})


# ---- in step with the code


def test_the_schemas_are_schemas_of_this_version() -> None:
    assert SCHEMAS.keys() == NAMES
    for name, schema in SCHEMAS.items():
        Draft202012Validator.check_schema(schema)
        assert schema["properties"]["schema_version"]["const"] == SCHEMA_VERSION
        assert schema["$id"] == f"urn:failover-lab:schema:{SCHEMA_VERSION}:{name}"
    described = yaml.safe_load((ROOT / "roles/run_record/vars/main.yml").read_text())["run_record_description"]
    assert described["schema_version"] == SCHEMA_VERSION


def test_the_page_names_every_schema() -> None:
    page = (ROOT / "docs" / "schemas.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(schemas/([\w-]+)\.schema\.json\)", page)) == NAMES
    assert f"`schema_version` is {SCHEMA_VERSION}" in page


@pytest.mark.parametrize(
    ("name", "keys", "kind"), [("run", RUN_KEYS, read._RunFile), ("experiment", EXPERIMENT_KEYS, read._ExperimentFile)]
)
def test_what_the_lab_needs_of_its_files_the_schemas_require(name: str, keys: tuple[str, ...], kind: Any) -> None:
    schema = SCHEMAS[name]
    assert schema["required"] == list(keys)
    assert schema["properties"].keys() >= set(OWN_SETTINGS)
    (needed,) = msgspec.json.schema(kind)["$defs"].values()
    for key, wanted in needed["properties"].items():
        if "type" in wanted:
            assert schema["properties"][key]["type"] == wanted["type"], key


def test_plans_and_records_of_faults_have_the_fields_of_their_classes() -> None:
    defs = SCHEMAS["experiment"]["$defs"]
    assert defs["fault"]["properties"].keys() == {field.name for field in fields(FaultSpec)} | {"record"}
    assert defs["record"]["properties"].keys() == {field.name for field in fields(FaultRecord)}


def test_the_report_has_its_keys() -> None:
    of_run = SCHEMAS["report"]
    assert set(of_run["required"]) == set(content.ORDER)
    assert set(of_run["$defs"]["experiment"]["required"]) == set(content.ORDER_OF_EXPERIMENT)


def values_of(schema: Any, key: str) -> Iterator[list[str]]:
    """Yield the words that a key of this name may have, wherever there is one."""
    if isinstance(schema, list):
        for item in schema:
            yield from values_of(item, key)
    elif isinstance(schema, dict):
        for name, value in schema.items():
            if name == key and isinstance(value, dict) and "enum" in value:
                yield value["enum"]
            yield from values_of(value, key)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("verdict", Verdict),
        ("expected", Verdict),
        ("retry_policy", RetryPolicy),
        ("read_consistency", ReadConsistency),
        ("arrivals", Arrivals),
    ],
)
def test_words_are_those_of_the_code(key: str, words: Any) -> None:
    found = [sorted(each) for schema in SCHEMAS.values() for each in values_of(schema, key)]
    assert found
    assert all(each == sorted(words) for each in found)


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_a_figure_that_can_have_a_limit_may_be_relied_on(name: str) -> None:
    schema = SCHEMAS["report"]["$defs"]["experiment"]
    for part in FIGURES[name].place.split("."):
        schema = schema["properties"][part.removesuffix("[]")]
        if part.endswith("[]"):
            schema = schema["items"]
        schema = next((each for each in schema.get("anyOf", []) if "$ref" in each), schema)
        if "$ref" in schema:
            schema = SCHEMAS["report"]["$defs"][schema["$ref"].rpartition("/")[2]]
    assert {"number", "integer"} & {*([schema["type"]] if isinstance(schema["type"], str) else schema["type"])}

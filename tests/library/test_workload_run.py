# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import workload_run
from failover.shapes import FaultSpec
from fake_gateway import closed_endpoint
from fake_system import FakeDirector, FakeSystem

RunModule = Callable[..., dict[str, Any]]
FAULT = asdict(FaultSpec("F1", "stop", "leader", 120, "end"))


DEFINITION = {"name": "E2-etcd", "system": "etcd", "key_prefix": "EXP2-", "repeats": 1, "faults": []}


def params(work_dir: Path, **changes: Any) -> dict[str, Any]:
    """Return parameters; of the dictionaries among them, changes are merged."""
    values: dict[str, Any] = {
        "definition": DEFINITION,
        "settings": {"iterations": 1000, "seed": 123},
        "target": {
            "system": "etcd",
            "endpoints": [closed_endpoint()],
            "members": {"etcd1": {"client_url": f"http://{closed_endpoint()}"}},
        },
        "work_dir": str(work_dir),
    }
    merged = {name: {**values[name], **value} for name, value in changes.items() if isinstance(value, dict)}
    return {**values, **changes, **merged}


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    fake = FakeSystem()
    monkeypatch.setattr(workload_run, "client_maker", lambda _config, _steering: fake.make_client)
    return fake


def test_run_returns_the_summary(run_module: RunModule, tmp_path: Path, system: FakeSystem) -> None:
    result = run_module("workload_run", params(tmp_path))
    assert (result["rc"], result["changed"], result["interrupted"]) == (0, True, False)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert {key: result[key] for key in summary} == summary
    assert all(key.startswith("EXP2-") for key in system.store)
    assert len(system.store) == summary["by_kind"]["CREATE"]["ok"] - summary["by_kind"]["DELETE"]["ok"]


def test_options_reach_the_run(run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    system = FakeSystem()
    monkeypatch.setattr(
        workload_run, "client_maker", lambda config, _steering: given.append(config) or system.make_client
    )
    timeouts = {"attempt_timeout_ms": 250, "connect_timeout_ms": 100, "operation_budget_ms": 9000}
    run_module(
        "workload_run",
        params(
            tmp_path,
            target={"system": "mysql", "user": "lab", "database": "db"},
            password="secret",
            settings={"clients": 2, "rate": 50_000, **timeouts},
        ),
    )
    config = given[0]
    assert {name: getattr(config.policy, name) for name in timeouts} == timeouts
    assert config.target.account == {"user": "lab", "password": "secret", "database": "db"}
    assert (config.settings.clients, config.settings.rate, config.target.system) == (2, 50_000.0, "mysql")


def test_faults_are_directed(
    run_module: RunModule, tmp_path: Path, system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "agent.key"
    key.write_bytes(b"k" * 64)
    key.chmod(0o600)
    given: list[Any] = []

    def make(config: Any, secret: bytes, _steering: Any) -> Any:
        given.extend([config.faults, config.target.agents, secret])
        return lambda _faults, emit: FakeDirector(emit)

    monkeypatch.setattr(workload_run, "director_maker", make)
    agents = {"etcd1": "127.0.0.1:7470"}
    result = run_module(
        "workload_run",
        params(tmp_path / "w", definition={"faults": [FAULT]}, target={"agents": agents}, agent_key_file=str(key)),
    )
    assert [(record["fault"], record["fired"]) for record in result["faults"]] == [("F1", True)]
    assert result["unhealed"] == ["t-F1"]
    # The module has its own copy of the core.
    assert [asdict(fault) for fault in given[0]] == [FAULT]
    assert given[1:] == [agents, b"k" * 64]


def test_check_mode_touches_nothing(run_module: RunModule, tmp_path: Path) -> None:
    agents = {"etcd1": closed_endpoint()}
    work = tmp_path / "work"
    wanted = params(
        work, definition={"faults": [FAULT]}, target={"agents": agents}, agent_key_file=str(tmp_path / "no.key")
    )
    result = run_module("workload_run", wanted, check=True)
    assert (result["rc"], result["changed"]) == (0, True)
    assert (
        result["stream"]["CREATE"] + result["stream"]["RETRIEVE"] + result["stream"]["DELETE"] == result["operations"]
    )
    assert not work.exists()


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"definition": {"faults": [{**FAULT, "at_index": 5000}]}}, "does not fit a plan for 1,000 operations"),
        ({"definition": {"faults": [{**FAULT, "action": "burn"}]}}, "does not fit a plan"),
        ({"definition": {"faults": [{**FAULT, "at": "12%"}]}}, "does not fit a plan"),
        ({"definition": {"repeats": 0}}, "repeats is 0"),
        ({"definition": {"faults": [FAULT]}}, "agents lacks etcd1"),
        ({"definition": {"faults": [FAULT]}, "target": {"agents": {"etcd1": "h:1"}}}, "agent_key_file is missing"),
        ({"settings": {"iterations": 0}}, "iterations is 0"),
        ({"settings": {"clients": 0}}, "clients is 0"),
        ({"settings": {"attempt_timeout_ms": 0}}, "attempt_timeout_ms of the failover policy is 0"),
        ({"settings": {"rates": 5}}, "rates"),
        ({"target": {"endpoints": ["nonsense"]}}, "nonsense"),
        ({"target": {"system": "mysql"}}, "user, password, database of its account is missing"),
        (
            {"target": {"system": "mysql_cluster", "members": {"group1": {"address": "h:1"}}}},
            "user, password, database of its account is missing",
        ),
        (
            {"target": {"system": "mysql", "user": "lab", "database": ""}},
            "password, database of its account is missing",
        ),
    ],
)
def test_wrong_options_fail_in_one_line(
    run_module: RunModule, tmp_path: Path, changes: dict[str, Any], text: str, check: bool
) -> None:
    result = run_module("workload_run", params(tmp_path / "work", **changes), check=check)
    assert result["failed"]
    assert text in result["msg"]
    assert "\n" not in result["msg"]
    assert not (tmp_path / "work").exists()


def test_an_experiment_that_was_not_resolved_is_named(run_module: RunModule, tmp_path: Path) -> None:
    result = run_module("workload_run", params(tmp_path) | {"definition": {"name": "E2-etcd", "faults": []}})
    assert result["msg"] == "definition lacks key_prefix, repeats; give it as experiment_plan_info returns it"


def test_missing_key_of_the_agents_fails(run_module: RunModule, tmp_path: Path) -> None:
    key, target = str(tmp_path / "no.key"), {"agents": {"etcd1": "h:1"}}
    wanted = params(tmp_path, definition={"faults": [FAULT]}, target=target, agent_key_file=key)
    assert "no.key cannot be read" in run_module("workload_run", wanted)["msg"]


def test_system_that_does_not_answer_fails(run_module: RunModule, tmp_path: Path) -> None:
    result = run_module("workload_run", params(tmp_path))
    assert result["failed"]
    assert result["msg"].count("\n") == 0
    assert json.loads((tmp_path / "progress.json").read_text())["phase"] == "failed"


def test_interrupted_run_fails_with_its_summary(
    run_module: RunModule, tmp_path: Path, system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = {"interrupted": True, "message": "E2-etcd was ended by SIGTERM", "done": 3}
    monkeypatch.setattr(workload_run, "run_workload", lambda _config, **_makers: summary)
    result = run_module("workload_run", params(tmp_path))
    assert result["failed"]
    assert (result["msg"], result["done"]) == ("E2-etcd was ended by SIGTERM", 3)
    assert system.store == {}

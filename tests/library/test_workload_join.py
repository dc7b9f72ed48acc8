# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import workload_join
from failover.run.crew import Others
from failover.run.runner import run_workload
from fake_gateway import closed_endpoint
from fake_system import FakeSystem
from run_parts import config

RunModule = Callable[..., dict[str, Any]]


def params(key_file: Path, **changes: Any) -> dict[str, Any]:
    return {
        "definition": {"name": "E2-mysql", "key_prefix": "EXP2-"},
        "settings": {"iterations": 400, "seed": 7, "clients": 5},
        "target": {
            "system": "mysql",
            "endpoints": ["h:1"],
            "members": {"mysql1": {"address": "h:1"}},
            "user": "lab",
            "database": "db",
        },
        "password": "secret",
        "name": "client2",
        "load_generators": ["client1", "client2", "client3"],
        "lead": closed_endpoint(),
        "agent_key_file": str(key_file),
        "timeout_s": 10,
        **changes,
    }


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.key"
    path.write_bytes(b"k" * 32)
    path.chmod(0o600)
    return path


def test_it_runs_its_share_of_the_clients(
    run_module: RunModule, forked: Any, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload_join, "client_maker", lambda _config, _steering: FakeSystem().make_client)
    given = params(key_file, load_generators=["client1", "client2"], processes=2)
    pid = forked(
        lambda: run_workload(
            config(tmp_path, clients=5, experiment="E2-mysql", key_prefix="EXP2-"),
            make_client=FakeSystem().make_client,
            others=Others(["client2"], given["lead"], b"k" * 32, 10.0),
        )
    )
    result = run_module("workload_join", given)
    assert os.waitpid(pid, 0)[1] == 0
    assert (result["changed"], result["clients"], result["processes"]) == (True, 2, 2)


def test_check_mode_contacts_nobody(run_module: RunModule, key_file: Path) -> None:
    result = run_module("workload_join", params(key_file), check=True)
    assert (result["changed"], result["clients"]) == (True, 2)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"definition": {"name": "E2-mysql"}}, "definition lacks key_prefix"),
        ({"name": "client1"}, "name is client1; it has to be one of client2, client3"),
        ({"timeout_s": 0.1}, "client2 cannot reach the load generator that leads"),
        ({"agent_key_file": "/nonexistent"}, "key /nonexistent cannot be read"),
        ({"settings": {"iterations": 400, "seed": 7, "clients": 0}}, "clients is 0"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    run_module: RunModule, key_file: Path, changes: dict[str, Any], told: str
) -> None:
    result = run_module("workload_join", params(key_file, **changes))
    assert result["failed"]
    assert told in result["msg"]
    assert "\n" not in result["msg"]

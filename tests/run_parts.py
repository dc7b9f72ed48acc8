# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What tests of a workload's run share: a config, and what a run left."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from failover.results.history import read_jsonl
from failover.run.config import RunnerConfig
from failover.shapes import HistoryRow, RunSettings, Target
from failover.workloads.registry import create_simulation
from fake_system import FakeSystem

ITERATIONS = 400
OPERATIONS = create_simulation(ITERATIONS, 7)


def config(work_dir: Path, **changes: Any) -> RunnerConfig:
    """Return a config with some fields of it, of its settings or of its target changed."""
    values: dict[str, Any] = {
        "experiment": "E1-mysql",
        "key_prefix": "P-",
        "work_dir": work_dir,
        "source": "client1",
        "iterations": ITERATIONS,
        "seed": 7,
        "system": "mysql",
        "endpoints": ["h:1"],
        "members": {"mysql1": {"address": "h:1"}},
        "user": "lab",
        "password": "secret",
        "database": "db",
        **changes,
    }
    own = {field.name for field in fields(RunnerConfig)}
    parts = {
        part: {field.name: values[field.name] for field in fields(part) if field.name in values.keys() - own}
        for part in (RunSettings, Target)
    }
    return RunnerConfig(
        settings=RunSettings(**parts[RunSettings]),
        target=Target(**parts[Target]),
        **{name: value for name, value in values.items() if name in own},
    )


def rows_of(work_dir: Path) -> list[HistoryRow]:
    return list(read_jsonl(work_dir / "history.jsonl")[1])


def progress_of(work_dir: Path) -> dict[str, Any]:
    return json.loads((work_dir / "progress.json").read_text())


def answered_by(system: FakeSystem) -> Any:
    """Return a hook that has each client say by the endpoint in which process it is."""

    def make(number: int, emit: Any) -> Any:
        client = system.make_client(number, emit)
        result = client._result
        client._result = lambda *given, **named: result(*given, **named)._replace(endpoint=f"h:{os.getpid()}")
        return client

    return make

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Paths and fixtures for all tests."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import ansible.module_utils
import pytest
from ansible.module_utils.testing import patch_module_args
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
for folder in ("benchmarks", "scripts", "tests", "library", "module_utils"):
    sys.path.insert(0, str(ROOT / folder))
# Modules find the core where Ansible would have put it.
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))

# A busy machine makes no test fail.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

ModuleRunner = Callable[..., dict[str, Any]]


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str]) -> ModuleRunner:
    """Run a module of library/ in this process; returns its JSON, with ``rc`` added."""

    def run(name: str, params: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
        module = importlib.import_module(name)
        with patch_module_args({**params, "_ansible_check_mode": check}), pytest.raises(SystemExit) as ended:
            module.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        return {**result, "rc": ended.value.code or 0}

    return run


@pytest.fixture
def forked() -> Iterator[Callable[[Callable[[], Any]], int]]:
    """Return what runs something in a process of its own and returns its id.

    Errors go to stderr as <text>, with status 3. What the test has not awaited is awaited at its end.
    """
    pids: list[int] = []

    def run(what: Callable[[], Any]) -> int:
        pid = os.fork()
        if pid:
            pids.append(pid)
            return pid
        status = 3
        try:
            what()
            status = 0
        except Exception as error:
            print(f"<{error}>", file=sys.stderr, flush=True)
        finally:
            # Never on into the tests behind this one.
            os._exit(status)

    yield run
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)

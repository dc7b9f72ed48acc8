# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs of scripts/ in the tests' own process: a start of each costs a second where two tests share a core."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import _bootstrap
import pytest

ROOT = Path(__file__).resolve().parents[2]
# Takes a program's name and its arguments.
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run a program of scripts/ to its end, as a shell would."""

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / "scripts" / name), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        # It would go on with another Python, and the tests with it.
        monkeypatch.setattr(_bootstrap, "use_lab_environment", lambda: None)
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(command[0], run_name="__main__")
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(command, ended.value.code, *capfd.readouterr())

    return run

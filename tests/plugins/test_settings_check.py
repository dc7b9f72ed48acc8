# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parts of the action that meet the machine; tests/playbooks/test_bad_input.py has it from the command line."""

from __future__ import annotations

import importlib
import stat
import sys
from pathlib import Path

import pytest
import yaml
from ansible.plugins.loader import action_loader
from playing import ROOT

action_loader.add_directory(str(ROOT / "plugins" / "action"))
settings_check = sys.modules[action_loader.get("settings_check", class_only=True).__module__]


def test_this_python_runs_the_modules() -> None:
    assert settings_check.problem_of(sys.executable) is None
    assert settings_check.problem_of(f"/usr/bin/env {sys.executable}") is None


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (None, "no such file or directory"),
        ("echo 'pyenv: version 3.13 is not installed' >&2; exit 127", "pyenv: version 3.13 is not installed"),
        ("exit 3", "exit status 3"),
        ("echo 'it lacks the Python package pyarrow'", "it lacks the Python package pyarrow"),
    ],
)
def test_a_python_that_does_not_work_is_told_why(tmp_path: Path, program: str | None, said: str) -> None:
    python = tmp_path / "python"
    if program is not None:
        python.write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
        python.chmod(stat.S_IRWXU)
    assert settings_check.problem_of(str(python)) == said


def test_a_python_without_the_packages_is_told_which(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n', encoding="utf-8")
    python.chmod(stat.S_IRWXU)
    assert settings_check.problem_of(str(python)) == "it lacks the Python package msgspec, pyarrow"


def test_the_defaults_are_those_of_the_roles() -> None:
    told = settings_check.defaults_of_roles()
    for name in ("settings", "etcd", "mysql"):
        for variable, value in yaml.safe_load((ROOT / f"roles/{name}/defaults/main.yml").read_text()).items():
            if isinstance(value, int):
                assert told[variable] == value, variable


def test_the_documentation_is_of_this_action() -> None:
    documented = importlib.import_module("settings_check").DOCUMENTATION
    assert set(yaml.safe_load(documented)["options"]) == {"folders", "alone"}

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def needed_files() -> Callable[[str], dict[str, str]]:
    spec = importlib.util.spec_from_file_location("needed_files", ROOT / "plugins/filter/needed_files.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    filters: dict[str, Callable[[str], dict[str, str]]] = module.FilterModule().filters()
    return filters["needed_files"]


def test_every_file_has_the_hash_of_what_is_written(needed_files: Callable[[str], dict[str, str]]) -> None:
    found = needed_files("agent.server")
    assert {"agent/server.py", "systems/members.py", "shapes.py"} <= found.keys()
    for path, digest in found.items():
        assert hashlib.sha256((ROOT / "module_utils/failover" / path).read_bytes()).hexdigest() == digest


def test_what_is_no_program_is_named(needed_files: Callable[[str], dict[str, str]]) -> None:
    with pytest.raises(AnsibleFilterError, match="agents is no program of the core"):
        needed_files("agents")

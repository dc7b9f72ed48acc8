# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation that modules share (plugins/doc_fragments), as a test reads it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import yaml

FRAGMENTS = Path(__file__).resolve().parents[1] / "plugins" / "doc_fragments"


def documented_options(name: str) -> dict[str, Any]:
    """Return the options that a fragment documents."""
    found = importlib.util.spec_from_file_location(f"{name}_fragment", FRAGMENTS / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    fragment = importlib.util.module_from_spec(found)
    found.loader.exec_module(fragment)
    options: dict[str, Any] = yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"]
    return options

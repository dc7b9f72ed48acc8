# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The catalog that a user gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from failover.plan.catalog import experiments_of_faults

ROOT = Path(__file__).resolve().parent.parent


def rows(part: str, name: str) -> dict[str, Any]:
    """Return a table of the role settings."""
    table: dict[str, Any] = yaml.safe_load((ROOT / f"roles/settings/{part}/main.yml").read_text(encoding="utf-8"))[name]
    return table


FAULTS, SYSTEMS = rows("defaults", "fault_catalog"), rows("vars", "lab_systems")
# A variable of the run in it stands as it is.
CATALOG = experiments_of_faults(FAULTS, SYSTEMS, "{{ sole_server_heal }}")
# What it was when each experiment was written out by hand.
FROZEN: dict[str, Any] = json.loads((ROOT / "tests/fixtures/experiment_catalog.json").read_text(encoding="utf-8"))

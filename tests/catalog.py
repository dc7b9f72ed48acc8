# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The catalog that a user gets, and other variables of the roles, as Ansible resolves them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from failover.plan.catalog import experiments_of_faults

ROOT = Path(__file__).resolve().parent.parent
FILES = [f"roles/{role}/{part}/main.yml" for role in ("settings", "container_hosts") for part in ("defaults", "vars")]


def rows(part: str, name: str) -> dict[str, Any]:
    """Return a table of the role settings."""
    table: dict[str, Any] = yaml.safe_load((ROOT / f"roles/settings/{part}/main.yml").read_text(encoding="utf-8"))[name]
    return table


FAULTS, SYSTEMS = rows("defaults", "fault_catalog"), rows("vars", "lab_systems")
# A variable of the run in it stands as it is.
CATALOG = experiments_of_faults(FAULTS, SYSTEMS, "{{ sole_server_heal }}")
# What it was when each experiment was written out by hand.
FROZEN: dict[str, Any] = json.loads((ROOT / "tests/fixtures/experiment_catalog.json").read_text(encoding="utf-8"))


def value_of(name: str, **variables: Any) -> Any:
    """Return a variable of the roles, as Ansible resolves it for the lab's own inventory."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "adhoc", "localhost", "-m", "debug", "-a", f"var={name}"),
            *("-i", str(ROOT / "inventory/containers"), "-e", json.dumps({"playbook_dir": str(ROOT / "playbooks")})),
            *(word for file in FILES for word in ("-e", f"@{ROOT / file}")),
            *("-e", json.dumps({"lab_name": "here", **variables})),
        ],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (play,) = json.loads(done.stdout)["plays"]
    return play["tasks"][0]["hosts"]["localhost"][name]

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which containers get a file system of their own for their data, out of the variables alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [f"roles/{role}/{part}/main.yml" for role in ("settings", "container_hosts") for part in ("defaults", "vars")]
MYSQL = {"title": "a text with disk_full", "system": "mysql", "key_prefix": "", "faults": [{"action": "kill"}]}
DRAWN = {"title": "x", "system": "mysql_cluster", "key_prefix": "", "faults": {"random": {"actions": ["disk_full"]}}}


def value_of(name: str, **variables: Any) -> Any:
    """Return a variable of the role, as Ansible resolves it for the lab's own inventory."""
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


@pytest.mark.parametrize(
    ("experiments", "catalog", "systems"),
    [
        (["E1-etcd", "E3-mysql", "E9-etcd"], None, []),
        ("E8-mysql_cluster,E8-etcd", None, ["mysql_cluster", "etcd"]),
        # By what it does, not by what it is called; faults that are drawn may be of these, too.
        (["mine", "drawn"], {"mine": MYSQL, "drawn": DRAWN}, ["mysql_cluster"]),
    ],
)
def test_disks_are_made_for_the_systems_that_have_theirs_filled(
    experiments: Any, catalog: dict[str, Any] | None, systems: list[str]
) -> None:
    given = {"experiments": experiments} | ({"experiment_catalog": catalog} if catalog else {})
    assert value_of("container_hosts_data_systems", **given) == systems


def test_only_members_of_these_systems_get_them() -> None:
    volumes = value_of("container_hosts_volumes", experiments=["E8-mysql"], container_hosts_mounted_dir="/keys")
    with_data = {host for host, own in volumes.items() if any("-data:" in volume for volume in own)}
    assert with_data == ({"mysql1"} if Path("/dev/loop-control").exists() else set())
    assert all(own[0] == "/keys:/etc/failover-lab-ssh:ro" for own in volumes.values())
    assert volumes["client1"] == ["/keys:/etc/failover-lab-ssh:ro"]

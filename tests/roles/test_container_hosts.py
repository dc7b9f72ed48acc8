# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which containers get a file system of their own for their data, out of the variables alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from resolved import value_of

MYSQL = {"title": "a text with disk_full", "system": "mysql", "key_prefix": "", "faults": [{"action": "kill"}]}
DRAWN = {"title": "x", "system": "mysql_cluster", "key_prefix": "", "faults": {"random": {"actions": ["disk_full"]}}}


@pytest.mark.parametrize(
    ("experiments", "catalog", "systems"),
    [
        (["E1-etcd", "E3-mysql", "E9-etcd"], None, []),
        ("E8-mysql_cluster,E14-etcd", None, ["mysql_cluster", "etcd"]),
        # By what it does, not by what it is called; faults that are drawn may be of these, too.
        (["mine", "drawn"], {"mine": MYSQL, "drawn": DRAWN}, ["mysql_cluster"]),
    ],
)
def test_disks_are_made_for_the_systems_that_have_theirs_filled_or_cut_off(
    experiments: Any, catalog: dict[str, Any] | None, systems: list[str]
) -> None:
    given = {"experiments": experiments} | ({"experiment_catalog": catalog} if catalog else {})
    assert value_of("container_hosts_data_systems", **given) == systems


def test_only_members_of_these_systems_get_them() -> None:
    given = {"experiments": ["E8-mysql"], "container_hosts_mounted_dir": "/keys", "container_hosts_data_dir": "/data"}
    volumes = value_of("container_hosts_volumes", **given)
    with_data = {"mysql1": "/var/lib/mysql"} if Path("/dev/loop-control").exists() else {}
    assert value_of("container_hosts_with_data", **given) == with_data
    assert {host for host, own in volumes.items() if f"/data/{host}.img:/data/{host}.img:rw" in own} == set(with_data)
    assert all(own[0] == "/keys:/etc/failover-lab-ssh:ro" for own in volumes.values())
    assert volumes["client1"] == ["/keys:/etc/failover-lab-ssh:ro"]

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


@pytest.mark.parametrize(("cache", "options"), [("honest", "rw"), ("lying", "barrier=0")])
def test_a_drive_is_made_below_the_data_where_a_fault_loses_its_cache(cache: str, options: str) -> None:
    fault = {"action": "power_loss", "target": "all", "at": "80%", "heal": "3s", "drive_cache": cache}
    mine = {"title": "x", "system": "mysql", "key_prefix": "", "faults": [fault]}
    given = {"experiments": ["mine"], "experiment_catalog": {"mine": mine}, "container_hosts_data_dir": "/data"}
    assert value_of("container_hosts_drive_caches", **given) == {"mysql": cache}
    if Path("/dev/loop-control").exists():
        drive = "/var/lib/failover-lab-drive"
        assert value_of("container_hosts_mount_words", **given) == {
            "mysql1": ["/data/mysql1.img", drive, "rw", f"{drive}/data.img", "/var/lib/mysql", options]
        }


def test_no_drive_is_made_otherwise() -> None:
    given = {"experiments": ["E14-mysql"], "container_hosts_data_dir": "/data"}
    assert value_of("container_hosts_drive_caches", **given) == {}
    if Path("/dev/loop-control").exists():
        words = {"mysql1": ["/data/mysql1.img", "/var/lib/mysql", "rw"]}
        assert value_of("container_hosts_mount_words", **given) == words
    assert value_of("container_hosts_drive_caches", experiments=["E11-etcd", "E1-etcd"]) == {}

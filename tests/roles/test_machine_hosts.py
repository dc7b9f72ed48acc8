# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the machines of a lab are made of, out of the variables alone."""

from __future__ import annotations

from typing import Any

from resolved import value_of


def of_machines(name: str, **variables: Any) -> Any:
    given = {"experiments": ["E2-etcd", "E1-mysql"], "lab_state_dir": "/state"}
    return value_of(name, inventory="vms", **given | variables)


def test_a_machine_has_an_address_an_image_and_as_much_memory_as_its_server_needs() -> None:
    preflight = {"accelerator": "tcg"}
    images = {"trixie": "/images/trixie-1", "sid": "/images/sid-2"}
    machines = of_machines("machine_hosts_machines", machine_hosts_preflight=preflight, machine_hosts_images=images)
    told = {one["name"]: (one["address"], one["image"], one["memory_mb"], one["accelerator"]) for one in machines}
    assert told["etcd3"] == ("10.89.76.13", "/images/trixie-1", 512, "tcg")
    assert told["mysql1"] == ("10.89.76.21", "/images/sid-2", 1024, "tcg")
    assert sorted(told) == ["client1", "etcd1", "etcd2", "etcd3", "mysql1"]
    assert of_machines("machine_hosts_needed_mb") == 4 * 512 + 1024 + 5 * 200


def test_those_of_one_system_are_made_anew_together() -> None:
    assert of_machines("machine_hosts_groups") == {
        "etcd": ["etcd1", "etcd2", "etcd3"],
        "mysql": ["mysql1"],
        "load_generators": ["client1"],
    }


def test_the_keeper_speaks_for_every_member_on_a_port_of_its_own() -> None:
    keeper = of_machines("machine_hosts_keeper")
    assert (keeper["listen"], keeper["key_file"], keeper["hold_ttl_s"]) == ("10.89.76.1", "/state/agent.key", 60.0)
    assert keeper["members"]["etcd2"] == {"port": 7482, "agent": "10.89.76.12:7470"}
    assert sorted(keeper["members"]) == ["etcd1", "etcd2", "etcd3", "mysql1"]
    # Which is where everybody looks for the agent.
    assert of_machines("hostvars['etcd2'].fault_agent_keeper") == keeper["listen"]


def test_only_the_images_that_are_needed_are_made() -> None:
    assert of_machines("machine_hosts_image_names", experiments=["E2-etcd"]) == ["trixie"]
    assert sorted(of_machines("machine_hosts_image_names")) == ["sid", "trixie"]

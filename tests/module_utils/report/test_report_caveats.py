# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the cover says in words before anything is compared."""

from __future__ import annotations

from typing import Any

from failover.report.caveats import caveats as told
from failover.report.caveats import emulated

PODMAN = {"container_runtime": "podman 4.3.1"}


def experiment(system: str, members: int, *actions: str, name: str = "E", **rates: float) -> dict[str, Any]:
    rate = {"mean": 100.0, "least": 90.0, "most": 110.0, "drift": 0.2} | rates if rates else None
    return {
        "name": name,
        "system": system,
        "members": [{"name": str(number)} for number in range(members)],
        "faults": [{"action": action} for action in actions],
        "healthy_ops_per_s": rate,
    }


def caveats(
    controller: dict[str, Any], experiments: list[dict[str, Any]], left_out: dict[str, str] | None = None
) -> list[str]:
    return told(controller, experiments, left_out or {})


def test_what_is_emulated_is_said_aloud() -> None:
    assert emulated({"accelerator": "tcg"}).startswith("The hosts are emulated: ")
    assert emulated({"accelerator": "kvm"}) == emulated(PODMAN) == ""


def test_virtual_machines_share_one_disk_too() -> None:
    (text,) = caveats({"hypervisor": "qemu 7.2"}, [experiment("mysql", 1), experiment("etcd", 3)])
    assert ", all on one disk: " in text


def test_what_was_left_out_is_said_first() -> None:
    first, *_ = caveats(PODMAN, [experiment("etcd", 3, "stop")], {"E3-etcd": "etcd1 did not come back after E2-etcd"})
    assert first == "E3-etcd was left out: etcd1 did not come back after E2-etcd."


def test_a_server_without_replicas_is_not_compared_with_three() -> None:
    (text,) = caveats(PODMAN, [experiment("mysql", 1), experiment("etcd", 3), experiment("mysql_cluster", 3)])
    assert text.startswith(
        "MySQL is a single server without replicas and stands beside 3 replicas of etcd and 3 replicas of the MySQL "
        "cluster, all on one disk: "
    )
    (apart,) = caveats({}, [experiment("mysql", 1), experiment("etcd", 3)])
    assert "one disk" not in apart


def test_systems_of_one_kind_need_no_such_words() -> None:
    assert caveats(PODMAN, [experiment("mysql", 1)]) == []
    assert caveats(PODMAN, [experiment("etcd", 3), experiment("mysql_cluster", 3)]) == []


def test_the_drift_of_the_healthy_throughput_has_its_numbers() -> None:
    (text,) = caveats(
        PODMAN,
        [
            experiment("etcd", 3, name="E1-etcd", mean=400.0, least=340.0, most=500.0, drift=0.4),
            experiment("etcd", 3, name="E2-etcd", mean=500.0),
            experiment("etcd", 3, name="E3-etcd"),
        ],
    )
    assert text == (
        "Throughput is not steady while nothing is wrong: in E1-etcd it moved between 340 and 500 op/s, 40 % of its "
        "mean; healthy etcd had 400 op/s in E1-etcd, 500 in E2-etcd. Smaller differences mean nothing."
    )


def test_a_stop_is_called_the_mildest_fault_a_handover() -> None:
    (text,) = caveats(PODMAN, [experiment("etcd", 3, "stop")])
    assert "the mildest fault" in text
    assert "hands over" in text
    (alone,) = caveats(PODMAN, [experiment("mysql", 1, "stop")])
    assert "hands over" not in alone
    assert caveats(PODMAN, [experiment("etcd", 3, "kill")]) == []

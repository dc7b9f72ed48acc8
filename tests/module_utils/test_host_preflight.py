# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps a machine from carrying the lab, from text as podman, ip and /proc print it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from failover import host_preflight
from failover.host_preflight import (
    cgroup_layout,
    choose_runtime,
    containers_of,
    foreign_containers,
    inspect_host,
    process_of_container,
    run_command,
    subnet_problem,
)

V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime 0 0\n"
HYBRID = (
    "tmpfs /sys/fs/cgroup tmpfs ro,nosuid,nodev,noexec,size=4096k,nr_inodes=1024,mode=755 0 0\n"
    "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate 0 0\n"
    "cgroup /sys/fs/cgroup/systemd cgroup rw,nosuid,nodev,noexec,relatime,xattr,name=systemd 0 0\n"
    "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,nodev,noexec,relatime,cpu,cpuacct 0 0\n"
)
V1 = "".join(line + "\n" for line in HYBRID.splitlines() if "cgroup2" not in line)
OTHERS = "proc /proc proc rw 0 0\n/dev/vda / ext4 rw,relatime 0 0\n"

ROUTES = (
    "default via 192.0.2.1 dev eth0 \n"
    "10.88.0.0/16 dev podman0 proto kernel scope link src 10.88.0.1 \n"
    "10.89.77.0/24 dev podman1 proto kernel scope link src 10.89.77.1 \n"
    "192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.2 \n"
)


def network(name: str, subnet: str, bridge: str = "podman9") -> dict[str, Any]:
    """One network as ``podman network inspect`` prints it."""
    return {
        "name": name,
        "id": "c325a29c3efb50006de373c772300eed7267524e31c52645c1bb03b5f2b10698",
        "driver": "bridge",
        "network_interface": bridge,
        "subnets": [{"subnet": subnet, "gateway": subnet.replace("0/24", "1").replace("0.0/16", "0.1")}],
        "ipv6_enabled": False,
        "dns_enabled": False,
    }


NETWORKS = [network("podman", "10.88.0.0/16", "podman0"), network("failover", "10.89.77.0/24", "podman1")]


@pytest.mark.parametrize(
    ("mounts", "layout"),
    [(V2, "v2"), (HYBRID, "hybrid"), (V1, "v1"), ("", "none"), ("short line\n", "none")],
)
def test_cgroup_layout(mounts: str, layout: str) -> None:
    assert cgroup_layout(OTHERS + mounts) == layout


def test_a_v2_tree_elsewhere_does_not_make_a_v2_machine() -> None:
    assert cgroup_layout("cgroup2 /mnt/cgroup cgroup2 rw 0 0\n") == "hybrid"


@pytest.mark.parametrize(
    ("layout", "available", "runtime"),
    [
        ("v2", {"crun": True, "runc": True}, "crun"),
        ("v2", {"crun": False, "runc": True}, "runc"),
        ("hybrid", {"crun": True, "runc": True}, "runc"),
        ("hybrid", {"crun": True, "runc": False}, None),
        ("v1", {"crun": True}, None),
        ("v2", {}, None),
    ],
)
def test_runtime_that_works_with_the_layout(layout: str, available: dict[str, bool], runtime: str | None) -> None:
    assert choose_runtime(layout, available) == runtime


@pytest.mark.parametrize("subnet", ["10.89.78.0/24", "172.30.5.0/24", "192.168.7.0/24"])
def test_a_free_subnet_is_no_problem(subnet: str) -> None:
    assert subnet_problem(subnet, "second", NETWORKS, ROUTES) is None


def test_the_labs_own_network_is_no_problem() -> None:
    assert subnet_problem("10.89.77.0/24", "failover", NETWORKS, ROUTES) is None


@pytest.mark.parametrize("subnet", ["10.89.78.0/25", "10.89.0.0/16", "10.89.78.1", "fd00:1::/64", "8.8.8.0/24"])
def test_a_subnet_of_another_kind_is_named(subnet: str) -> None:
    problem = subnet_problem(subnet, "second", NETWORKS, ROUTES)
    assert problem is not None
    assert problem.what == f"lab_subnet {subnet} is not a private IPv4 network with prefix length 24"
    assert problem.try_this == "use one like -e lab_subnet=10.89.78.0/24"


@pytest.mark.parametrize("subnet", ["garbage", "", "10.89.300.0/24", "10.89.78.7/24", "10.89.78.0/99"])
def test_a_subnet_that_is_none_is_named(subnet: str) -> None:
    problem = subnet_problem(subnet, "second", NETWORKS, ROUTES)
    assert problem is not None
    assert problem.what.startswith(f"lab_subnet {subnet} is not a network (")
    assert "\n" not in problem.what


def test_a_network_of_podman_that_overlaps_is_named() -> None:
    problem = subnet_problem("10.89.77.0/24", "second", NETWORKS, ROUTES)
    assert problem is not None
    assert problem.what == "the subnet 10.89.77.0/24 is taken by podman network failover (10.89.77.0/24)"
    wider = subnet_problem("10.88.5.0/24", "second", NETWORKS, ROUTES)
    assert wider is not None
    assert wider.what == "the subnet 10.88.5.0/24 is taken by podman network podman (10.88.0.0/16)"


def test_the_labs_network_with_another_subnet_is_named() -> None:
    problem = subnet_problem("10.89.78.0/24", "failover", NETWORKS, ROUTES)
    assert problem is not None
    assert problem.what == "podman network failover exists with subnet 10.89.77.0/24, not 10.89.78.0/24"
    assert problem.try_this == "take the lab down first (./scripts/lab down), or choose another lab_name"


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("10.89.78.0/24 via 192.0.2.7 dev wg0 proto static \n", "10.89.78.0/24 on wg0"),
        ("10.0.0.0/8 via 192.0.2.7 dev tun0 \n", "10.0.0.0/8 on tun0"),
        ("10.89.78.40 dev tun0 scope link \n", "10.89.78.40 on tun0"),
        ("blackhole 10.89.64.0/18 \n", "10.89.64.0/18"),
        ("unreachable 10.89.78.0/24 metric 1024 \n", "10.89.78.0/24"),
    ],
)
def test_a_route_into_the_subnet_is_named(route: str, said: str) -> None:
    problem = subnet_problem("10.89.78.0/24", "second", NETWORKS, ROUTES + route)
    assert problem is not None
    assert problem.what == f"the subnet 10.89.78.0/24 is taken: this machine has a route to {said}"


def test_networks_without_ipv4_are_no_problem() -> None:
    networks = [network("six", "fd00:1::/64"), {"name": "host", "driver": "host", "subnets": None}]
    assert subnet_problem("10.89.78.0/24", "second", networks, "") is None


def container(name: str, lab: str | None, state: str, pid: int) -> dict[str, Any]:
    """One container as ``podman ps --format json`` prints it; no labels are null there."""
    labels = None if lab is None else {"failover-lab.name": lab, "failover-lab.definition": "0123456789ab"}
    return {
        "Id": f"id-{name}",
        "Names": [name],
        "Image": "localhost/trixie:1",
        "Labels": labels,
        "State": state,
        "Pid": pid,
    }


def test_containers_of_the_lab_and_of_no_other() -> None:
    listing = json.dumps(
        [
            container("failover-etcd1", "failover", "running", 101),
            container("failover-etcd2", "failover", "running", 102),
            container("failover-etcd3", "failover", "exited", 0),
            container("failover-mysql1", "failover", "running", 0),
            container("second-etcd1", "second", "running", 101),
            container("stranger", None, "running", 101),
        ]
    )
    found = containers_of("failover", listing, alive=lambda pid, container_id: (pid, container_id[:3]) == (101, "id-"))
    assert {name: (item["state"], item["healthy"]) for name, item in found.items()} == {
        "failover-etcd1": ("running", True),
        # podman still says that it runs, and its process is gone.
        "failover-etcd2": ("running", False),
        "failover-etcd3": ("exited", False),
        "failover-mysql1": ("running", False),
    }
    assert found["failover-etcd1"] == {
        "id": "id-failover-etcd1",
        "image": "localhost/trixie:1",
        "definition": "0123456789ab",
        "state": "running",
        "pid": 101,
        "healthy": True,
    }


def test_a_process_is_the_containers_while_it_lives_and_is_in_its_control_group() -> None:
    group = Path("/proc/self/cgroup").read_text().split()[-1]
    with subprocess.Popen(["sleep", "60"]) as process:
        assert process_of_container(process.pid, group)
        # Another process has got the process id.
        assert not process_of_container(process.pid, "0123456789abcdef")
        process.kill()
        # It has ended, and its parent leaves it a zombie.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not process_of_container(process.pid, group)
    assert not process_of_container(process.pid, group)


def test_containers_of_others_on_the_labs_network_are_named() -> None:
    """Running or not: podman removes no network that one of them has."""
    listing = json.dumps(
        [
            container("failover-etcd1", "failover", "running", 101) | {"Networks": ["failover"]},
            container("stranger", None, "running", 102) | {"Networks": ["podman", "failover"]},
            container("second-etcd1", "second", "exited", 0) | {"Networks": ["failover"]},
            container("elsewhere", None, "running", 103) | {"Networks": ["podman"]},
            container("on-the-host", None, "running", 104),
        ]
    )
    assert foreign_containers("failover", "failover", listing) == ["second-etcd1", "stranger"]
    assert foreign_containers("failover", "failover", "null") == []


@pytest.mark.parametrize("listing", ["", "null", "[]"])
def test_no_containers(listing: str) -> None:
    assert containers_of("failover", listing, alive=lambda *_: True) == {}


def test_a_command_that_is_missing_or_fails_says_nothing() -> None:
    assert run_command(["/nonexistent/podman"]) == ""
    assert run_command(["false"]) == ""
    assert run_command(["echo", "here"]) == "here\n"


class Machine:
    """Answers of podman and ip; every command that was asked is kept."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.asked: list[list[str]] = []

    def __call__(self, argv: list[str]) -> str:
        self.asked.append(argv)
        return next((answer for begin, answer in self.answers.items() if " ".join(argv).startswith(begin)), "")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """A machine with all programs; what the kernel says is this machine's."""
    for helper in ("netavark", "aardvark-dns"):
        (tmp_path / helper).touch()
    monkeypatch.setattr(host_preflight, "NETWORK_HELPER_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(host_preflight.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(host_preflight, "process_of_container", lambda pid, _: pid == os.getpid())
    return Machine(
        {
            "podman --version": "podman version 4.3.1\n",
            "podman network ls": "podman\nfailover\n",
            "podman network inspect": json.dumps(NETWORKS),
            "podman ps": json.dumps([container("failover-etcd1", "failover", "running", os.getpid())]),
            "podman images": "localhost/failover-lab/trixie:0123456789ab\n",
            "ip -o -4 route show": ROUTES,
        }
    )


def inspect(machine: Machine, **changed: Any) -> dict[str, Any]:
    given = {"lab_name": "failover", "subnet": "10.89.77.0/24", "folders": [], "min_disk_mb": 0, "min_memory_mb": 0}
    return inspect_host(**{**given, **changed}, run=machine)


def test_a_machine_that_can(machine: Machine) -> None:
    found = inspect(machine, folders=["/", "/nonexistent/deep/folder"], min_disk_mb=1, min_memory_mb=1)
    assert found["problems"] == []
    assert found["podman_version"] == "4.3.1"
    assert found["networks"] == ["podman", "failover"]
    assert found["images"] == ["localhost/failover-lab/trixie:0123456789ab"]
    assert found["containers"]["failover-etcd1"]["healthy"] is True
    assert found["disk_free_mb"]["/nonexistent/deep/folder"] == pytest.approx(found["disk_free_mb"]["/"], rel=0.1)
    assert found["memory_available_mb"] > 1
    assert found["nofile_limit"] > 0
    assert all(command[:2] != ["podman", "rm"] for command in machine.asked)


def test_too_little_of_everything_is_one_problem_each(machine: Machine) -> None:
    machine.answers["podman ps"] = "[]"
    found = inspect(machine, subnet="10.88.3.0/24", folders=["/"], min_disk_mb=2**40, min_memory_mb=2**40)
    whats = [problem["what"] for problem in found["problems"]]
    assert whats[0] == "the subnet 10.88.3.0/24 is taken by podman network podman (10.88.0.0/16)"
    assert whats[1].endswith(f"MB free under /, {2**40} MB are needed")
    assert whats[2].endswith(f"MB of memory available, {2**40} MB are needed")
    assert len(whats) == 3
    assert all(problem["try"] for problem in found["problems"])


def test_what_a_lab_that_is_up_uses_itself_does_not_keep_it_from_going_on(machine: Machine) -> None:
    free = inspect(machine, folders=["/"])["disk_free_mb"]["/"]
    found = inspect(machine, folders=["/"], min_disk_mb=free + free // 2, min_memory_mb=2**40)
    assert found["problems"] == []


def test_missing_programs_are_named_with_their_packages(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        host_preflight.shutil, "which", lambda name: f"/usr/bin/{name}" if name in ("ip", "runc") else None
    )
    monkeypatch.setattr(host_preflight, "NETWORK_HELPER_FOLDERS", ())
    found = inspect(machine, subnet="10.89.78.0/24")
    assert found["problems"] == [
        {
            "what": "missing on this machine: podman, mmdebstrap, openssh-client, netavark, aardvark-dns",
            "try": "apt-get install podman mmdebstrap openssh-client netavark aardvark-dns (./scripts/lab up does it), "
            "or use -i inventory/ssh",
        }
    ]
    assert (found["podman_version"], found["containers"], found["networks"], found["images"]) == (None, {}, [], [])


def test_a_user_without_root_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert inspect(machine)["problems"] == [
        {"what": "containers with addresses of their own need root", "try": "run as root, or with become (sudo)"}
    ]

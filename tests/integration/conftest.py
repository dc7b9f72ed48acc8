# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixtures of the integration tests: labs of real containers, taken down whatever happens."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from real_lab import ROOT, OfMachines, RealLab

# The agents' dead man's switch, in s: shorter than the default, as a test waits for it; longer than what lies between
# the end of a workload and its heal on a busy machine.
HOLD_TTL_S = 25


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder; skip them where there cannot be containers."""
    own = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    refuse_shared_labs(own)
    impossible = "needs root" if os.geteuid() != 0 else "needs podman" if shutil.which("podman") is None else None
    for item in own:
        item.add_marker(pytest.mark.integration)
        if impossible:
            item.add_marker(pytest.mark.skip(reason=impossible))


def refuse_shared_labs(items: list[pytest.Item]) -> None:
    """Refuse two files with one lab: scripts/test gives each a process, and both would make the same containers."""
    files: dict[str, Path] = {}
    for item in items:
        assert isinstance(item, pytest.Function)
        for definitions in item._fixtureinfo.name2fixturedefs.values():
            if definitions[-1].scope == "session" and definitions[-1].baseid == "tests/integration":
                made = files.setdefault(definitions[-1].argname, item.path)
                if made != item.path:
                    raise pytest.UsageError(f"{made.name} and {item.path.name} share {definitions[-1].argname}.")


@contextmanager
def brought_up(made: RealLab, playbook: str = "up") -> Iterator[None]:
    """Have a lab as long as this lasts; what an interrupted session left of it is taken over."""
    try:
        ended = made.play(playbook)
        assert ended.status == 0, ended.output
        yield
    finally:
        made.take_down()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLab]:
    """Bring up a lab that is provisioned."""
    made = RealLab(
        "test-lab",
        tmp_path_factory.mktemp("results"),
        {"lab_name": "test-lab", "lab_subnet": "10.89.91.0/24", "fault_agent_hold_ttl_s": HOLD_TTL_S},
    )
    with brought_up(made):
        yield made


@pytest.fixture(scope="session")
def doors_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLab]:
    """Bring up a lab whose doors a stranger knocks at."""
    made = RealLab(
        "test-doors", tmp_path_factory.mktemp("doors"), {"lab_name": "test-doors", "lab_subnet": "10.89.96.0/24"}
    )
    with brought_up(made):
        yield made


def with_two_load_generators(folder: Path) -> Path:
    """Return the inventory of containers with another load generator, which runs with more than one client use."""
    given = ROOT / "inventory/containers"
    hosts = (given / "hosts.yml").read_text()
    only = "        client1:\n          container_number: 31\n"
    assert hosts.count(only) == 1
    (folder / "group_vars").symlink_to(given / "group_vars")
    another = only.replace("client1", "client2").replace("31", "32")
    (folder / "hosts.yml").write_text(hosts.replace(only, f"{only}{another}"))
    return folder


@pytest.fixture(scope="session")
def faults_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLab]:
    """Bring up a lab whose members are struck."""
    made = RealLab(
        "test-faults",
        tmp_path_factory.mktemp("faults"),
        {
            "lab_name": "test-faults",
            "lab_subnet": "10.89.90.0/24",
            "fault_agent_hold_ttl_s": HOLD_TTL_S,
            # The disks of etcd's members are filled. Named here, as all runs have to find the hosts as they are.
            "container_hosts_data_systems": ["etcd"],
            "experiments": ["E3-etcd", "E3-mysql"],
        },
        inventory=with_two_load_generators(tmp_path_factory.mktemp("inventory")),
    )
    with brought_up(made):
        yield made


@pytest.fixture(scope="session")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLab]:
    """Bring up a lab of which only the replication group of MySQL servers is needed."""
    made = RealLab(
        "test-group",
        tmp_path_factory.mktemp("group"),
        {"lab_name": "test-group", "lab_subnet": "10.89.93.0/24", "experiments": ["E2-mysql_cluster"]},
    )
    with brought_up(made):
        yield made


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLab]:
    """Make hosts that nothing is provisioned on, in the place of somebody's machines."""
    made = RealLab(
        "test-ssh", tmp_path_factory.mktemp("machines"), {"lab_name": "test-ssh", "lab_subnet": "10.89.92.0/24"}
    )
    with brought_up(made, "hosts"):
        yield made


@pytest.fixture(scope="session")
def vms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLab]:
    """Bring up a lab of etcd on virtual machines, with timeouts for emulated ones."""
    emulated = yaml.safe_load((ROOT / "inventory/emulated.yml").read_text(encoding="utf-8"))
    made = OfMachines(
        "test-vms",
        tmp_path_factory.mktemp("vms"),
        {**emulated, "lab_name": "test-vms", "lab_subnet": "10.89.95.0/24", "experiments": ["E2-etcd"]},
        inventory=ROOT / "inventory/vms",
    )
    with brought_up(made):
        yield made


@pytest.fixture(scope="session")
def somebodys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLab]:
    """Make the two hosts that a lab of MySQL needs, for a test that puts somebody's own server on one of them."""
    made = RealLab(
        "test-own",
        tmp_path_factory.mktemp("somebodys"),
        {"lab_name": "test-own", "lab_subnet": "10.89.94.0/24", "experiments": ["E1-mysql"]},
    )
    with brought_up(made, "hosts"):
        yield made

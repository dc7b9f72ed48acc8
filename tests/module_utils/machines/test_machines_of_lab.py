# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All machines of a lab, with a keeper that really runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from failover.machines.lab import Keys, MachineLab, Wanted
from failover.machines.machine import Machine
from failover.machines.network import Bridge
from failover.shapes import LabError
from machine_doubles import FakeIp, programs, spec


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@dataclass
class Made:
    """A lab of two members and a load generator, and what it is to have."""

    lab: MachineLab
    wanted: Wanted
    ip: FakeIp

    def runs(self) -> list[str]:
        return [name for name, machine in self.lab.machines().items() if machine.runs()]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    monkeypatch.setenv("PATH", f"{programs(tmp_path / 'bin')}:{os.environ['PATH']}")
    key = tmp_path / "agent.key"
    key.write_text("k" * 32)
    key.chmod(0o600)
    members = {name: {"port": free_port(), "agent": "127.0.0.1:1"} for name in ("etcd1", "etcd2")}
    ip = FakeIp()
    wanted = Wanted(
        [spec("etcd1", 11, tmp_path), spec("etcd2", 12, tmp_path), spec("client1", 31, tmp_path)],
        {"etcd": ["etcd1", "etcd2"], "load_generators": ["client1"]},
        Keys("ssh-ed25519 AAAA", "PRIVATE"),
        {"listen": "127.0.0.1", "key_file": str(key), "hold_ttl_s": 60, "members": members},
    )
    lab = MachineLab(tmp_path / "machines", Bridge("mine", "10.0.9.0/24", ip))
    yield Made(lab, wanted, ip)
    lab.remove()


def test_it_comes_up_once_and_goes_without_a_trace(made: Made) -> None:
    done = made.lab.bring_up(made.wanted)
    assert (done.made, done.started, done.keeper, len(done.links)) == (["etcd1", "etcd2", "client1"], [], True, 4)
    assert made.runs() == ["client1", "etcd1", "etcd2"]
    assert not made.lab.bring_up(made.wanted).changed
    pids = [int(path.read_text()) for path in made.lab.folder.rglob("*.pid")]
    assert len(pids) == 4
    gone = made.lab.remove()
    assert (gone.removed, gone.keeper) == (["client1", "etcd1", "etcd2"], True)
    assert list(made.ip.links) == ["lo"]
    assert made.lab.machines() == {}
    assert not made.lab.remove().changed


def test_one_that_died_is_started_with_its_disk(made: Made) -> None:
    made.lab.bring_up(made.wanted)
    machine = made.lab.machines()["etcd2"]
    (machine.folder / "disk.qcow2").write_text("what it wrote")
    machine.cut()
    done = made.lab.bring_up(made.wanted)
    assert (done.made, done.started, done.keeper) == ([], ["etcd2"], False)
    assert (machine.folder / "disk.qcow2").read_text() == "what it wrote"


def test_a_heal_starts_what_died_and_makes_nothing(made: Made) -> None:
    assert not made.lab.start_dead().changed
    made.lab.bring_up(made.wanted)
    for machine in made.lab.machines().values():
        machine.cut()
    # As after a start of the controller: no interface is left, either, and no keeper.
    made.lab._bridge.remove()
    keeper = made.lab._keeper()
    assert keeper is not None
    made.lab._end(keeper)
    assert made.lab.start_dead(pretend=True).started == ["client1", "etcd1", "etcd2"]
    assert made.runs() == []
    done = made.lab.start_dead()
    assert (done.started, done.keeper, len(done.links)) == (["client1", "etcd1", "etcd2"], True, 4)
    assert made.runs() == ["client1", "etcd1", "etcd2"]


def test_one_of_another_definition_is_made_anew_with_its_group(made: Made) -> None:
    made.lab.bring_up(made.wanted)
    pid = (made.lab.folder / "client1" / "qemu.pid").read_text()
    first, *others = made.wanted.machines
    changed = replace(made.wanted, machines=[replace(first, memory_mb=1024), *others])
    assert made.lab.bring_up(changed, pretend=True).made == ["etcd1", "etcd2"]
    assert made.lab.to_make(changed) == ["etcd1", "etcd2"]
    assert made.lab.bring_up(changed).made == ["etcd1", "etcd2"]
    assert (made.lab.folder / "client1" / "qemu.pid").read_text() == pid


def test_to_pretend_makes_nothing(made: Made) -> None:
    assert made.lab.bring_up(made.wanted, pretend=True).made == ["etcd1", "etcd2", "client1"]
    assert made.lab.machines() == {}
    assert made.ip.asked == []


def test_a_keeper_of_another_configuration_is_replaced(made: Made) -> None:
    made.lab.bring_up(made.wanted)
    pid = (made.lab.folder / "keeper.pid").read_text()
    other = replace(made.wanted, keeper={**made.wanted.keeper, "hold_ttl_s": 30})
    assert made.lab.bring_up(other).keeper
    assert (made.lab.folder / "keeper.pid").read_text() != pid


def test_a_keeper_that_does_not_start_says_why(made: Made) -> None:
    Path(str(made.wanted.keeper["key_file"])).chmod(0o644)
    with pytest.raises(LabError, match=r"keeper of the machines does not start: .*others may read it"):
        made.lab.bring_up(made.wanted)


def test_each_machine_is_told_its_name_and_addresses(made: Made) -> None:
    made.lab.bring_up(made.wanted)
    names = sorted(path.name for path in (made.lab.folder / "etcd1" / "credentials").iterdir())
    assert names == [
        "failover-lab.host-key",
        "failover-lab.hosts",
        "network.network.10-lab",
        "network.network.20-outside",
        "ssh.authorized_keys.root",
        "system.hostname",
    ]
    assert Machine(made.lab.folder / "etcd1").told()["definition"]["address"] == "10.0.9.11"

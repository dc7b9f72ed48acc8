# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One machine: its folder, its command, its power."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from failover.machines.machine import Machine, MachineError, command, networks
from machine_doubles import programs, spec


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setenv("PATH", f"{programs(tmp_path / 'bin')}:/usr/bin:/bin")
    made = Machine(tmp_path / "machines" / "etcd1")
    made.make(spec("etcd1", 11, tmp_path / "image"), {"host-key": "SECRET"})
    yield made
    made.remove()


def test_a_machine_starts_and_its_power_is_cut(machine: Machine) -> None:
    assert not machine.runs()
    machine.start()
    assert machine.runs()
    ended = machine.cut()
    assert ended is not None
    assert ended[0] <= ended[1]
    assert not machine.runs()
    assert machine.cut() is None


def test_one_that_runs_is_not_started_twice(machine: Machine) -> None:
    machine.start()
    pid = (machine.folder / "qemu.pid").read_text()
    machine.start()
    assert (machine.folder / "qemu.pid").read_text() == pid


def test_a_process_id_that_is_anothers_by_now_is_not_ours(machine: Machine) -> None:
    (machine.folder / "qemu.pid").write_text("1")
    assert not machine.runs()
    assert machine.cut() is None


def test_its_disk_is_an_overlay_of_the_image(machine: Machine, tmp_path: Path) -> None:
    words = (machine.folder / "disk.qcow2").read_text()
    assert words.startswith(f"create -q -f qcow2 -F raw -b {tmp_path}/image/root.img")
    assert words.endswith("disk.qcow2 4096M")


def test_keys_stand_in_files_that_only_their_owner_reads(machine: Machine) -> None:
    path = machine.folder / "credentials" / "host-key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == f"io.systemd.credential.binary:host-key={base64.b64encode(b'SECRET').decode()}"
    argv = machine.told()["argv"]
    assert f"type=11,path={path}" in argv
    assert "SECRET" not in json.dumps(argv)


def test_what_the_guest_flushed_survives_the_end_of_qemu(machine: Machine) -> None:
    assert any("cache=writeback" in word for word in machine.told()["argv"])


def test_one_that_does_not_start_says_why(machine: Machine, tmp_path: Path) -> None:
    refused = Machine(machine.folder.parent / "refuse")
    refused.make(spec("refuse", 12, tmp_path / "image"), {})
    with pytest.raises(MachineError, match=r"^refuse does not start: qemu.*could not configure /dev/net/tun$"):
        refused.start()


def test_one_that_was_never_made_says_so(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="never made"):
        Machine(tmp_path / "none").start()


def test_without_qemu_that_is_said(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MachineError, match="qemu-system-x86_64 is not on this machine"):
        machine.start()


def test_the_last_words_are_those_of_the_console(machine: Machine) -> None:
    assert machine.last_words() == ""
    (machine.folder / "console.log").write_text("one\r\nKernel panic - not syncing \r\n\r\n")
    assert machine.last_words() == "Kernel panic - not syncing"


def test_emulation_and_kvm_have_processors_of_their_own(machine: Machine, tmp_path: Path) -> None:
    emulated = command(spec("a", 11, tmp_path), machine.folder)
    real = command(spec("a", 11, tmp_path, accelerator="kvm", sysctls={"net.ipv4.x": "1"}), machine.folder)
    assert emulated[emulated.index("-cpu") + 1] == "max"
    assert real[real.index("-cpu") + 1] == "host"
    assert real[real.index("-append") + 1].endswith(" sysctl.net.ipv4.x=1")


def test_each_interface_is_found_by_its_link_address(tmp_path: Path) -> None:
    units = networks(spec("a", 11, tmp_path))
    assert "MACAddress=02:00:0a:00:09:0b" in units["10-lab"]
    assert "Address=10.0.9.11/24" in units["10-lab"]
    assert "Gateway=" not in units["10-lab"]
    assert "MACAddress=02:01:0a:00:09:0b" in units["20-outside"]

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One virtual machine of the lab's: its folder, its qemu, its power.

All of it is in its folder: the disk (a copy-on-write overlay of its image), what systemd is told by credentials, the
command that starts it, and the process id of its qemu. Who wants to know whether it runs, or starts it anew, needs the
folder only.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..host.service import MainProcess
from ..shapes import LabError
from .accelerator import EMULATION, processor
from .network import mac_of

QEMU, QEMU_IMG = "qemu-system-x86_64", "qemu-img"
# What qemu does with the host's page cache: a write of the guest's goes there, and its flush to the host's disk. So
# what the guest has written out survives the end of qemu, and what it has only in its own memory does not.
CACHE = "writeback"
# How long qemu may take to start a machine, and to end, in s. It starts within one; ending gives its memory back.
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 30.0
# The network behind which qemu talks for a machine (its own choice): that of the machine, of the gateway, of the DNS.
OUTSIDE, GATEWAY, DNS = "10.0.2.15/24", "10.0.2.2", "10.0.2.3"
# Memory for translated code under emulation, in MB; qemu would take 1,000. What does not fit is translated again.
TRANSLATED_MB = 128
# A kernel that panics starts anew after so long, in s.
PANIC_S = 5
# For an emulated kernel: an emulator that gets little of the processor fails the kernel's check of its timer, which
# then panics; nothing has to be kept apart within an emulated processor; and what systemd starts takes its time.
EMULATED = ("no_timer_check", "mitigations=off", "systemd.default_timeout_start_sec=600")
# Of an image's folder.
DISK, KERNEL, INITRD = "root.img", "vmlinuz", "initrd.img"
# What the host keys are called within the machine (roles/machine_hosts/files/customize-machine).
HOST_KEY = "failover-lab.host-key"


class MachineError(LabError):
    """A machine could not be made, started or ended."""


@dataclass(frozen=True)
class MachineSpec:
    """What a machine is made of."""

    name: str  # the host's
    address: str  # IPv4, within the lab's network
    tap: str
    image: str  # folder of its image
    accelerator: str  # one of accelerator.ACCELERATORS
    memory_mb: int
    cpus: int
    disk_mb: int
    sysctls: dict[str, str] = field(default_factory=dict)


def networks(spec: MachineSpec) -> dict[str, str]:
    """Return the units of systemd-networkd by name: the lab's network, and the way to the mirrors."""
    return {
        "10-lab": (
            f"[Match]\nMACAddress={mac_of(spec.address)}\n[Network]\nAddress={spec.address}/24\nLinkLocalAddressing=no\n"
        ),
        "20-outside": (
            f"[Match]\nMACAddress={mac_of(spec.address, 1)}\n"
            f"[Network]\nAddress={OUTSIDE}\nGateway={GATEWAY}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
        ),
    }


def command(spec: MachineSpec, folder: Path) -> list[str]:
    """Return the command that starts it, in the background."""
    image = Path(spec.image)
    words = ["root=/dev/vda", "rw", "console=ttyS0", "quiet", "net.ifnames=0", f"panic={PANIC_S}"]
    if spec.accelerator == EMULATION:
        words += EMULATED
    words += [f"sysctl.{name}={value}" for name, value in spec.sysctls.items()]
    accel = f"tcg,thread=multi,tb-size={TRANSLATED_MB}" if spec.accelerator == EMULATION else spec.accelerator
    argv = [
        *(QEMU, "-name", spec.name, "-accel", accel, *processor(spec.accelerator)),
        *("-m", str(spec.memory_mb), "-smp", str(spec.cpus), "-nodefaults", "-no-user-config", "-display", "none"),
        *("-kernel", str(image / KERNEL), "-initrd", str(image / INITRD), "-append", " ".join(words)),
        *("-serial", f"file:{folder / 'console.log'}"),
        *("-drive", f"file={folder / 'disk.qcow2'},if=none,id=disk,format=qcow2,cache={CACHE},discard=unmap"),
        *("-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"),
        *("-netdev", f"tap,id=lab,ifname={spec.tap},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=lab,mac={mac_of(spec.address)},romfile="),
        *("-netdev", "user,id=outside"),
        *("-device", f"virtio-net-pci,netdev=outside,mac={mac_of(spec.address, 1)},romfile="),
    ]
    # In files, as a key in a command would stand in the list of processes.
    for path in sorted((folder / "credentials").iterdir()):
        argv += ["-smbios", f"type=11,path={path}"]
    return [*argv, "-daemonize", "-pidfile", str(folder / "qemu.pid")]


def credential(name: str, value: str) -> str:
    """Return a credential as systemd reads it from SMBIOS (systemd.system-credentials(7))."""
    return f"io.systemd.credential.binary:{name}={base64.b64encode(value.encode()).decode()}"


def _content(spec: MachineSpec, folder: Path) -> dict[str, Any]:
    """Return what stands in machine.json."""
    return {"definition": asdict(spec), "argv": command(spec, folder)}


def process_of(pid_file: Path, argument: Path) -> MainProcess | None:
    """Take hold of a process by the file with its id, which may be another's by now; None where it does not run.

    :param argument: a path that only that process was started with
    """
    try:
        process = MainProcess(int(pid_file.read_text(encoding="ascii")))
    except (OSError, ValueError):
        return None
    try:
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        words = []
    if os.fsencode(argument) in words and process.is_alive():
        return process
    process.close()
    return None


class Machine:
    """A machine by its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name

    # ------------------------------------------------------------ as it is

    def told(self) -> dict[str, Any]:
        """Return what it was made of: ``definition`` and ``argv``; nothing where there is none."""
        try:
            found = json.loads((self.folder / "machine.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def is_of(self, spec: MachineSpec) -> bool:
        """Whether it was made of this, and would be started so now."""
        told = self.told()
        return bool(told) and told == _content(spec, self.folder)

    def process(self) -> MainProcess | None:
        """Take hold of its qemu; None where it does not run."""
        pid_file = self.folder / "qemu.pid"
        return process_of(pid_file, pid_file)

    def runs(self) -> bool:
        """Whether its qemu lives."""
        process = self.process()
        if process is None:
            return False
        process.close()
        return True

    # ------------------------------------------------------------ its power

    def make(self, spec: MachineSpec, credentials: Mapping[str, str]) -> None:
        """Make its folder, with an empty overlay as its disk; what was there is gone."""
        self.remove()
        self.folder.mkdir(mode=0o700, parents=True)
        secrets = self.folder / "credentials"
        secrets.mkdir(mode=0o700)
        for name, value in credentials.items():
            path = secrets / name
            path.touch(mode=0o600)
            path.write_text(credential(name, value), encoding="ascii")
        base = Path(spec.image, DISK)
        overlay = [QEMU_IMG, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base)]
        self._run([*overlay, str(self.folder / "disk.qcow2"), f"{spec.disk_mb}M"], "has no disk")
        text = json.dumps(_content(spec, self.folder), indent=1)
        (self.folder / "machine.json").write_text(text, encoding="utf-8")

    def start(self) -> None:
        """Start its qemu; nothing happens where it runs. MachineError with what qemu says where it does not start."""
        if self.runs():
            return
        argv = self.told().get("argv")
        if not argv:
            raise MachineError(f"{self.name} was never made: bring the lab up with ./scripts/lab up")
        self._run([str(word) for word in argv], "does not start")

    def cut(self) -> tuple[int, int] | None:
        """End its qemu at once, with all that is in the memory of the machine.

        :returns: when SIGKILL was sent and when the process was gone, in ns of the monotonic clock; None where it did
            not run
        """
        process = self.process()
        if process is None:
            return None
        with contextlib.closing(process):
            sent = time.monotonic_ns()
            with contextlib.suppress(ProcessLookupError):
                process.send(signal.SIGKILL)
            if process.wait_gone(END_TIMEOUT_S) is None:
                raise MachineError(f"qemu of {self.name}, process {process.pid}, lives on after SIGKILL")
            return sent, time.monotonic_ns()

    def remove(self) -> None:
        """End it and remove its folder."""
        self.cut()
        shutil.rmtree(self.folder, ignore_errors=True)

    def last_words(self) -> str:
        """Return the last line of its console, empty where it said nothing."""
        try:
            lines = (self.folder / "console.log").read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _run(self, argv: list[str], what: str) -> None:
        try:
            done = subprocess.run(
                argv,
                capture_output=True,
                text=True,
                timeout=START_TIMEOUT_S,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError:
            raise MachineError(f"{self.name} {what}: {argv[0]} is not on this machine") from None
        except subprocess.TimeoutExpired:
            raise MachineError(f"{self.name} {what}: {argv[0]} did not end within {START_TIMEOUT_S:g} s") from None
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise MachineError(f"{self.name} {what}: {said[-1]}")

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds out whether KVM runs a guest here.

/dev/kvm may be there, and even make a machine, where the processor lends nobody its virtualisation: qemu then aborts,
or the guest stands still at its first instructions. Only a guest that did something tells. This one is a boot sector
that has qemu end with an exit status of its own, which takes a fraction of a second.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

KVM, EMULATION = "kvm", "tcg"
ACCELERATORS = (KVM, EMULATION)

# The port of qemu's device isa-debug-exit. A value v that is written there ends qemu with the status 2 v + 1.
EXIT_PORT = 0xF4
SAID = 0x2A
# mov al, SAID; out EXIT_PORT, al; hlt; jmp to the hlt. A BIOS starts what ends with 55 AA.
BOOT_SECTOR = bytes([0xB0, SAID, 0xE6, EXIT_PORT, 0xF4, 0xEB, 0xFD]).ljust(510, b"\0") + b"\x55\xaa"
# How long the guest may take, in s: with KVM it takes a fraction of one.
TRIAL_TIMEOUT_S = 20.0


def trial(qemu: str, accelerator: str, sector: str) -> list[str]:
    """Return the command that runs the boot sector."""
    return [
        *(qemu, "-accel", accelerator, *processor(accelerator), "-m", "16", "-nodefaults", "-no-user-config"),
        *("-display", "none", "-no-reboot", "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1"),
        *("-drive", f"file={sector},format=raw,if=ide"),
    ]


def processor(accelerator: str) -> list[str]:
    """Return qemu's option for the processor: the machine's own under KVM, all that can be emulated otherwise."""
    return ["-cpu", "host" if accelerator == KVM else "max"]


def why_not(accelerator: str, qemu: str = "qemu-system-x86_64", device: str = "/dev/kvm") -> str | None:
    """Run a guest; return why that does not work, None where it does."""
    if accelerator == KVM and not os.access(device, os.R_OK | os.W_OK):
        return f"{device} is not there" if not Path(device).exists() else f"{device} may not be used"
    with tempfile.TemporaryDirectory(prefix="failover-lab-") as folder:
        # A disk of one sector is none to the BIOS of qemu.
        sector = Path(folder, "boot")
        sector.write_bytes(BOOT_SECTOR.ljust(64 * 512, b"\0"))
        try:
            done = subprocess.run(
                trial(qemu, accelerator, str(sector)),
                capture_output=True,
                text=True,
                timeout=TRIAL_TIMEOUT_S,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError:
            return f"{qemu} is not on this machine"
        except subprocess.TimeoutExpired:
            return f"a guest did nothing for {TRIAL_TIMEOUT_S:g} s"
    if done.returncode == 2 * SAID + 1:
        return None
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return said[0] if said else f"qemu ended with {done.returncode}"


def choose(wanted: str, qemu: str = "qemu-system-x86_64") -> tuple[str, str]:
    """Return the accelerator to use, and why not KVM: empty where it is KVM, or nobody wanted to know.

    :param wanted: one of ACCELERATORS, or ``auto``
    """
    if wanted in ACCELERATORS:
        return wanted, ""
    reason = why_not(KVM, qemu)
    return (KVM, "") if reason is None else (EMULATION, reason)

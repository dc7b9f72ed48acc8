# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this machine can do as a home for virtual machines of the lab's own, and what to do about what it cannot."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..host_preflight import Problem, Run, existing_parent, memory_available_mb, run_command, subnet_problem
from .accelerator import choose
from .lab import MachineLab
from .machine import QEMU, QEMU_IMG
from .network import Bridge, LinkError

# Programs that the lab calls, and the Debian package each comes from.
PROGRAMS = {
    QEMU: "qemu-system-x86",
    QEMU_IMG: "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
}
# What qemu takes for a machine beside the machine's own memory, in MB: itself, and translated code.
QEMU_MB = 200


def inspect_machine_host(
    *,
    lab_name: str,
    subnet: str,
    folder: str,
    image_dir: str,
    disk_mb: dict[str, int],
    memory_mb: int,
    accelerator: str,
    run: Run = run_command,
    choose_accelerator: Callable[[str], tuple[str, str]] = choose,
) -> dict[str, Any]:
    """Look at this machine and return what it offers and every problem found.

    Shape: ``{qemu_version, accelerator, why_no_kvm, disk_free_mb: {folder: n}, memory_available_mb, machines: {name:
    {runs, definition}}, links: [name], images: [folder], problems: [{what, try}]}``. Nothing is changed.

    :param folder: of the machines
    :param image_dir: of the images
    :param disk_mb: free space needed, by folder
    :param memory_mb: that all machines together have
    """
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    problems = _cannot(missing)
    bridge = Bridge(lab_name, subnet)
    lab = MachineLab(Path(folder), bridge)
    machines = {name: {"runs": one.runs(), **one.told()} for name, one in lab.machines().items()}
    try:
        links = sorted(bridge.links())
    except LinkError:
        links = []
    routes = "\n".join(
        line for line in run(["ip", "-o", "-4", "route", "show"]).splitlines() if bridge.name not in line
    )
    taken = subnet_problem(subnet, lab_name, [], routes)
    if taken:
        problems.append(taken)
    running = sum(1 for one in machines.values() if one["runs"])
    free = {path: shutil.disk_usage(existing_parent(Path(path))).free // 2**20 for path in disk_mb}
    memory = memory_available_mb()
    if not running:
        # What the lab's own machines have taken already must not keep it from going on.
        problems += _too_little(free, disk_mb, memory, memory_mb)
    chosen, why_no_kvm = ("tcg", "qemu is missing") if QEMU_PACKAGE in missing else choose_accelerator(accelerator)
    return {
        "qemu_version": run([QEMU, "--version"]).splitlines()[0].split()[3] if QEMU_PACKAGE not in missing else None,
        "accelerator": chosen,
        "why_no_kvm": why_no_kvm,
        "disk_free_mb": free,
        "memory_available_mb": memory,
        "machines": machines,
        "links": links,
        "images": sorted(str(path.parent) for path in Path(image_dir).glob("*/root.img")),
        "problems": [problem.as_dict() for problem in problems],
    }


QEMU_PACKAGE = PROGRAMS[QEMU]


def _cannot(missing: Sequence[str]) -> list[Problem]:
    """Return what keeps machines from running here at all."""
    problems = []
    if missing:
        problems.append(
            Problem(
                f"missing on this machine: {', '.join(missing)}",
                f"apt-get install {' '.join(missing)} (./scripts/lab up does it), or use containers",
            )
        )
    if platform.machine() != "x86_64":
        problems.append(
            Problem(f"this machine is a {platform.machine()}, and its images are for x86_64", "use containers")
        )
    if os.geteuid() != 0:
        problems.append(Problem("machines with addresses of their own need root", "run as root, or with become (sudo)"))
    if not Path("/dev/net/tun").exists():
        problems.append(Problem("there is no /dev/net/tun", "modprobe tun"))
    return problems


def _too_little(free: dict[str, int], needed: dict[str, int], memory: int, wanted_mb: int) -> list[Problem]:
    """Return where there is too little space or memory."""
    problems = [
        Problem(f"{mb} MB free under {path}, {needed[path]} MB are needed", "make room, or lower iterations")
        for path, mb in free.items()
        if mb < needed[path]
    ]
    if memory < wanted_mb:
        what = f"{memory} MB of memory available, {wanted_mb} MB are needed for the machines"
        problems.append(Problem(what, "stop other programs, choose fewer systems, or lower machine_memory_mb"))
    return problems

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this machine can do as a home for the lab's containers, and what to do about what it cannot."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Run = Callable[[list[str]], str]

# Programs that the lab calls, and the Debian package each comes from.
PROGRAMS = {"podman": "podman", "mmdebstrap": "mmdebstrap", "ssh-keygen": "openssh-client", "ip": "iproute2"}
NETWORK_HELPERS = {
    "netavark": "netavark",
    "aardvark-dns": "aardvark-dns",
}
NETWORK_HELPER_FOLDERS = ("/usr/lib/podman", "/usr/libexec/podman", "/usr/local/libexec/podman")


@dataclass(frozen=True)
class Problem:
    """One thing that keeps the lab from running here: what is wrong and what to try."""

    what: str
    try_this: str

    def as_dict(self) -> dict[str, str]:
        """Return ``{"what": ..., "try": ...}``."""
        return {"what": self.what, "try": self.try_this}


def run_command(argv: list[str]) -> str:
    """Run a command and return its standard output; an empty string where it fails or is missing."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def cgroup_layout(mounts: str) -> str:
    """Return ``v2``, ``hybrid`` (v1 controllers beside a v2 tree), ``v1`` or ``none`` from the text of /proc/mounts."""
    kinds: dict[str, str] = {}
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) >= 3 and fields[2] in ("cgroup", "cgroup2"):
            kinds[fields[1]] = fields[2]
    if kinds.get("/sys/fs/cgroup") == "cgroup2":
        return "v2"
    if not kinds:
        return "none"
    return "hybrid" if "cgroup2" in kinds.values() else "v1"


def choose_runtime(layout: str, available: Mapping[str, bool]) -> str | None:
    """Return the OCI runtime that works with this cgroup layout, or None.

    crun refuses the hybrid layout (``cgroups in hybrid mode not supported``); runc takes all of them.
    """
    order = ("crun", "runc") if layout == "v2" else ("runc",)
    return next((name for name in order if available.get(name)), None)


def runtime_here(layout: str) -> str | None:
    """Return the one of this machine's OCI runtimes that works with its cgroup layout, or None."""
    return choose_runtime(layout, {name: shutil.which(name) is not None for name in ("crun", "runc")})


def subnet_shape(subnet: str) -> Problem | None:
    """Tell why ``subnet`` is no network that containers could have, or return None."""
    try:
        wanted = ipaddress.ip_network(subnet)
    except ValueError as error:
        return Problem(f"lab_subnet {subnet} is not a network ({error})", "use one like -e lab_subnet=10.89.78.0/24")
    if wanted.version != 4 or wanted.prefixlen != 24 or not wanted.is_private:
        return Problem(
            f"lab_subnet {subnet} is not a private IPv4 network with prefix length 24",
            "use one like -e lab_subnet=10.89.78.0/24",
        )
    return None


def subnet_problem(subnet: str, own_network: str, networks: list[dict[str, Any]], routes: str) -> Problem | None:
    """Tell why ``subnet`` cannot be used for ``own_network``, or return None.

    :param networks: as ``podman network inspect`` prints them
    :param routes: as ``ip -o -4 route show`` prints them
    """
    shape = subnet_shape(subnet)
    if shape:
        return shape
    wanted = ipaddress.ip_network(subnet)
    own_bridges = set()
    for network in networks:
        if network.get("name") == own_network:
            own_bridges.add(network.get("network_interface", ""))
    for network in networks:
        for entry in network.get("subnets") or []:
            other = ipaddress.ip_network(entry["subnet"])
            own = network["name"] == own_network
            if other.version != 4 or not (own or other.overlaps(wanted)):
                continue
            if not own:
                return Problem(
                    f"the subnet {subnet} is taken by podman network {network['name']} ({other})",
                    "choose another with -e lab_subnet=10.89.78.0/24, or remove that network",
                )
            if other != wanted:
                return Problem(
                    f"podman network {own_network} exists with subnet {other}, not {subnet}",
                    "take the lab down first (./scripts/lab down), or choose another lab_name",
                )
    for line in routes.splitlines():
        match = re.match(r"(?:unreachable |blackhole |local )?([0-9.]+(?:/\d+)?)\s(?:.*\bdev (\S+))?", line)
        if match is None or (match[2] or "") in own_bridges:
            continue
        if ipaddress.ip_network(match[1], strict=False).overlaps(wanted):
            return Problem(
                f"the subnet {subnet} is taken: this machine has a route to {match[1]}"
                + (f" on {match[2]}" if match[2] else ""),
                "choose another with -e lab_subnet=10.89.78.0/24",
            )
    return None


def containers_of(lab_name: str, listing: str, alive: Callable[[int, str], bool]) -> dict[str, dict[str, Any]]:
    """Return the lab's containers by name: id, image, definition, state, pid and whether a process is behind it.

    :param listing: ``podman ps --all --format json``
    :param alive: tells whether a process id is of the container with this id; podman's record may outlive the process
        (a machine went down)
    """
    found: dict[str, dict[str, Any]] = {}
    for item in json.loads(listing or "[]") or []:
        labels = item.get("Labels") or {}
        if labels.get("failover-lab.name") != lab_name:
            continue
        state, pid = item.get("State", "unknown"), int(item.get("Pid") or 0)
        found[item["Names"][0]] = {
            "id": item["Id"],
            "image": item.get("Image", ""),
            "definition": labels.get("failover-lab.definition", ""),
            "state": state,
            "pid": pid,
            "healthy": state == "running" and pid > 0 and alive(pid, item["Id"]),
        }
    return found


def foreign_containers(network: str, lab_name: str, listing: str) -> list[str]:
    """Return the containers on a network that are not the lab's, running or not; podman keeps the network for them.

    :param listing: ``podman ps --all --format json``
    """
    return sorted(
        item["Names"][0]
        for item in json.loads(listing or "[]") or []
        if network in (item.get("Networks") or []) and (item.get("Labels") or {}).get("failover-lab.name") != lab_name
    )


def process_of_container(pid: int, container_id: str) -> bool:
    """Tell whether a process lives and is the container's; its id may be another's by now.

    The control group of a container's processes has the container's id in its name, with each layout and runtime.
    """
    process = Path("/proc", str(pid))
    try:
        # A process that has ended stays a zombie until its parent asks for it.
        zombie = "\nState:\tZ" in (process / "status").read_text()
        return not zombie and container_id in (process / "cgroup").read_text()
    except OSError:
        return False


def memory_available_mb() -> int:
    """Return this machine's available memory, in MB."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE)
    return int(match[1]) // 1024 if match else 0


def existing_parent(path: Path) -> Path:
    """Return the folder itself, or the nearest above it that is there, as far as this user may look."""
    while not os.path.exists(path):  # Path.exists raises where it may not look
        path = path.parent
    return path


def _what_containers_lack(layout: str, runtime: str | None) -> tuple[list[str], list[Problem]]:
    """Return the packages that are missing for containers, and what keeps them from running."""
    problems: list[Problem] = []
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    missing += [
        package
        for helper, package in NETWORK_HELPERS.items()
        if not any((Path(folder) / helper).exists() for folder in NETWORK_HELPER_FOLDERS)
    ]
    if runtime is None:
        missing.append("crun" if layout == "v2" else "runc")
    if missing:
        problems.append(
            Problem(
                f"missing on this machine: {', '.join(missing)}",
                f"apt-get install {' '.join(missing)} (./scripts/lab up does it), or use -i inventory/ssh",
            )
        )
    if layout == "none":
        problems.append(
            Problem("no cgroup tree is mounted", "mount cgroup2 on /sys/fs/cgroup, or use -i inventory/ssh")
        )
    if os.geteuid() != 0:
        problems.append(
            Problem("containers with addresses of their own need root", "run as root, or with become (sudo)")
        )
    return missing, problems


def _too_little(free_mb: Mapping[str, int], min_disk_mb: int, memory_mb: int, min_memory_mb: int) -> list[Problem]:
    """Return where there is too little space or memory."""
    problems = [
        Problem(
            f"{mb} MB free under {folder}, {min_disk_mb} MB are needed", "make room, or lower iterations and limits"
        )
        for folder, mb in free_mb.items()
        if mb < min_disk_mb
    ]
    if memory_mb < min_memory_mb:
        problems.append(
            Problem(f"{memory_mb} MB of memory available, {min_memory_mb} MB are needed", "stop other programs")
        )
    return problems


def inspect_host(
    *,
    lab_name: str,
    subnet: str,
    folders: list[str],
    min_disk_mb: int,
    min_memory_mb: int,
    run: Run = run_command,
) -> dict[str, Any]:
    """Look at this machine and return what it offers and every problem found.

    Shape: ``{cgroup_layout, runtime, podman_version, nofile_limit, disk_free_mb: {folder: n}, memory_available_mb,
    containers: {name: ...}, foreign_containers: [name], networks: [name], problems: [{what, try}]}``. Nothing is
    changed.
    """
    layout = cgroup_layout(Path("/proc/mounts").read_text(encoding="utf-8"))
    runtime = runtime_here(layout)
    missing, problems = _what_containers_lack(layout, runtime)
    podman = "podman" not in missing
    names = run(["podman", "network", "ls", "--format", "{{.Name}}"]).split() if podman else []
    networks = json.loads(run(["podman", "network", "inspect", *names]) or "[]") if names else []
    taken = subnet_problem(subnet, lab_name, networks, run(["ip", "-o", "-4", "route", "show"]))
    if taken:
        problems.append(taken)
    listing = run(["podman", "ps", "--all", "--format", "json"]) if podman else ""
    containers = containers_of(lab_name, listing, process_of_container)
    if any(container["healthy"] for container in containers.values()):
        # What this lab uses itself must not keep it from going on: its images are built, its servers run.
        min_disk_mb, min_memory_mb = min_disk_mb // 2, 0
    free = {folder: shutil.disk_usage(existing_parent(Path(folder))).free // 2**20 for folder in folders}
    memory = memory_available_mb()
    problems += _too_little(free, min_disk_mb, memory, min_memory_mb)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return {
        "cgroup_layout": layout,
        "runtime": runtime,
        "podman_version": run(["podman", "--version"]).strip().rpartition(" ")[2] if podman else None,
        "nofile_limit": 2**30 if hard == resource.RLIM_INFINITY else hard,
        "disk_free_mb": free,
        "memory_available_mb": memory,
        "containers": containers,
        "foreign_containers": foreign_containers(lab_name, lab_name, listing),
        "networks": names,
        "images": run(["podman", "images", "--format", "{{.Repository}}:{{.Tag}}"]).split() if podman else [],
        "problems": [problem.as_dict() for problem in problems],
    }

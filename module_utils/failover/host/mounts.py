# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is mounted on this host, and whether a folder is a file system of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# File systems on which the faults of disks are known to work: space that is allocated is taken at once and free again
# once its file is removed, and both know the request that cuts them off (volume.py).
FILE_SYSTEMS = ("ext4", "xfs")


@dataclass(frozen=True)
class Mount:
    """A line of /proc/PID/mountinfo (proc(5))."""

    device: str  # MAJOR:MINOR
    root: str  # what of the file system is mounted
    point: str
    options: tuple[str, ...]
    tags: tuple[str, ...]  # shared:X, master:X: where else it is mounted and unmounted with it
    kind: str
    source: str
    super_options: tuple[str, ...]


def mounts(proc: Path, process: str = "self") -> list[Mount]:
    """Return what a process sees mounted; a later mount hides an earlier one on the same point."""
    found = []
    for line in (proc / process / "mountinfo").read_text(encoding="utf-8").splitlines():
        before, _, behind = line.partition(" - ")
        own, source = before.split(), behind.split()
        found.append(
            Mount(
                device=own[2],
                root=own[3],
                point=own[4],
                options=tuple(own[5].split(",")),
                tags=tuple(own[6:]),
                kind=source[0],
                source=source[1] if len(source) > 2 else "",
                super_options=tuple(source[-1].split(",")),
            )
        )
    return found


def own_mount(folder: str, proc: Path) -> Mount | None:
    """Return the mount of a folder that is a file system of its own, of one of FILE_SYSTEMS; None where it is none."""
    newest = [mount for mount in mounts(proc) if mount.point == os.path.realpath(folder)][-1:]
    # A folder of another file system that is mounted there is no file system of its own.
    return newest[0] if newest and newest[0].root == "/" and newest[0].kind in FILE_SYSTEMS else None

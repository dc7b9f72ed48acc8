# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fills the disk of a member, or slows it down, where its host can do that without hurting anybody else.

A full disk is made with one big file beside the member's data, and only where the data has a file system of its own: on
the host's, everything else on it would be full, too.

A slow disk is made with the kernel's limit on write operations per second (blk-throttle), set for the control group of
the member's processes alone: ``io.max`` of version 2, ``blkio.throttle.write_iops_device`` of version 1. The kernel
takes limits for whole disks, and a container does not see which one its files are on: a program of our own writes under
a limit on all of them, and the kernel's counters tell which disks it reached. The same program shows that the limit is
felt: before the workload, and again under the fault, in the control group of the member.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..shapes import LabError
from .mounts import FILE_SYSTEMS, mounts, own_mount
from .service import family

BALLAST = "failover-lab.ballast"
# A larger file system is rather somebody's disk than one that was made to be filled, in bytes.
LARGEST_FILE_SYSTEM = 16 << 30
# Less than this cannot be allocated, in bytes.
SMALLEST_PIECE = 4096
# How long systemctl may take, in s.
SYSTEMCTL_TIMEOUT_S = 10.0
# The control groups that are made here: for a member's processes (version 1 only), and for the program that tries.
LIMITED_GROUP, TRIAL_GROUP = "failover-lab", "failover-lab-trial"
# The limit under which the program writes, low enough that no burst hides it (the kernel counts in slices of 100 ms).
TRIAL_IOPS = 10
# How many writes it makes: as many as a limit lets through in half a second, within these bounds. The first ones are
# free, as the kernel allows what was not used shortly before.
TRIAL_WRITES = (5, 500)
# How long its writes may take, in s: under a limit of 1 a second, beside the member's own.
TRIAL_TIMEOUT_S = 60.0
# A limit is felt where a write takes at least this share of the time that the limit gives to one, and so many times
# longer than one without a limit takes at best.
FELT_SHARE, FELT_TIMES = 0.5, 1.5
# Joins a control group, writes blocks that reach the disk one by one, and prints mean, median and shortest time in ms.
TRIAL = """
import os, sys, time
group, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(group, "w") as file:
    file.write(str(os.getpid()))
took = []
descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
try:
    for _ in range(count):
        began = time.monotonic()
        os.write(descriptor, bytes(4096))
        os.fdatasync(descriptor)
        took.append(1000 * (time.monotonic() - began))
finally:
    os.unlink(path)
print(sum(took) / count, sorted(took)[count // 2], min(took))
"""


class DiskError(LabError):
    """The disk could not be filled, emptied, slowed down or freed."""


# ---------------------------------------------------------------- control groups


@dataclass(frozen=True)
class Group:
    """A control group in which the kernel limits block I/O, of version 1 or 2."""

    path: Path
    version: int

    @property
    def file(self) -> str:
        """Name of the file with the limits on write operations."""
        return "blkio.throttle.write_iops_device" if self.version == 1 else "io.max"

    def limit(self, disks: Sequence[str], write_iops: int | None) -> list[str]:
        """Limit the write operations per second on disks (``MAJOR:MINOR``), None: no more; return those that took it.

        The kernel refuses what is no whole disk.
        """
        words = str(write_iops or 0) if self.version == 1 else f"wiops={write_iops or 'max'}"
        taken = []
        for disk in disks:
            try:
                (self.path / self.file).write_text(f"{disk} {words}", encoding="ascii")
            except OSError as error:
                if error.errno not in (errno.ENODEV, errno.ENXIO, errno.EINVAL, errno.EOPNOTSUPP):
                    raise
            else:
                taken.append(disk)
        return taken

    def limited(self) -> list[str]:
        """Return the disks on which there is a limit, as the kernel says."""
        lines = (self.path / self.file).read_text(encoding="ascii").splitlines()
        return [line.split()[0] for line in lines if line.strip() and "wiops=max" not in line]

    def written(self) -> list[str]:
        """Return the disks that the group's processes have written to, as the kernel counts."""
        found = []
        file = self.path / ("blkio.throttle.io_serviced" if self.version == 1 else "io.stat")
        for line in file.read_text(encoding="ascii").splitlines():
            disk, *words = line.split()
            count = words[-1] if words[:1] == ["Write"] else dict(w.split("=") for w in words if "=" in w).get("wios")
            if count is not None and int(count) > 0:
                found.append(disk)
        return found

    def join(self, pid: int) -> None:
        """Move a process, with all its threads, into the group; nothing happens where it is gone."""
        with suppress(ProcessLookupError):
            (self.path / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def processes(self) -> list[int]:
        """Return the processes in it."""
        return [int(pid) for pid in (self.path / "cgroup.procs").read_text(encoding="ascii").split()]

    def remove(self) -> None:
        """Remove it; the kernel may need a moment after its last process has left."""
        for _ in range(100):
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.01)
        raise DiskError(f"the control group {self.path} cannot be removed")


# ---------------------------------------------------------------- the disk


class Took(NamedTuple):
    """What writes to the disk took, in ms each."""

    mean_ms: float
    median_ms: float
    shortest_ms: float


class Disk:
    """Where a member keeps its data, and the unit that writes there."""

    def __init__(self, data_dir: str, unit: str, proc: str = "/proc") -> None:
        self.data_dir = data_dir
        self.unit = unit
        self._proc = Path(proc)
        self._disks: list[str] = []  # those that the data is on, once it was tried
        self._usual: Took | None = None  # what a write takes without a limit

    # ------------------------------------------------------------ full

    def full_problem(self) -> str | None:
        """Return why the disk cannot be filled here, or None where it can."""
        if own_mount(self.data_dir, self._proc) is None:
            return (
                f"{self.data_dir} is not a file system of its own ({' or '.join(FILE_SYSTEMS)}), so everything else on "
                "it would be full, too; bring the lab up with this experiment named, or mount a small one there"
            )
        size = os.statvfs(self.data_dir)
        if size.f_blocks * size.f_frsize > LARGEST_FILE_SYSTEM:
            return (
                f"the file system of {self.data_dir} has more than {LARGEST_FILE_SYSTEM >> 30} GB, too large for one "
                "that may be filled"
            )
        return None

    def fill(self) -> str:
        """Take all free space; return what is left in words. DiskError where that fails."""
        problem = self.full_problem()
        if problem:
            raise DiskError(problem)
        try:
            descriptor = os.open(Path(self.data_dir) / BALLAST, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                self._allocate(descriptor)
            finally:
                os.close(descriptor)
            size = os.statvfs(self.data_dir)
        except OSError as error:
            self.empty()
            raise DiskError(f"{self.data_dir} cannot be filled: {(error.strerror or str(error)).lower()}") from None
        return f"{size.f_bavail * size.f_frsize:,} of {size.f_blocks * size.f_frsize:,} bytes left"

    def _allocate(self, descriptor: int) -> None:
        offset = os.fstat(descriptor).st_size
        piece = 1 << 30
        while piece >= SMALLEST_PIECE:
            try:
                os.posix_fallocate(descriptor, offset, piece)
                offset += piece
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                piece //= 2

    def empty(self) -> None:
        """Give the space back; nothing happens where none was taken."""
        with suppress(FileNotFoundError):
            os.unlink(Path(self.data_dir) / BALLAST)

    # ------------------------------------------------------------ slow

    def slow_problem(self, process: int) -> str | None:
        """Return why the disk cannot be slowed down here, or None where it can; that is tried, and takes a second.

        :param process: the member's main process
        """
        try:
            self._try(process)
        except DiskError as error:
            return str(error)
        return None

    def slow(self, process: int, write_iops: int) -> str:
        """Limit the write operations per second of a process and its children; return how in words."""
        disks = self._disks or self._try(process)
        try:
            group = self._home_of(process)
            if group.version == 1:
                # In version 1 a unit has a group of its own only where systemd was told so.
                group = Group(group.path / LIMITED_GROUP, 1)
                group.path.mkdir(exist_ok=True)
            group.limit(disks, write_iops)
            if group.version == 1:
                for member in sorted(family(process)):
                    group.join(member)
        except OSError as error:
            raise DiskError(f"the writes of {self.unit} cannot be limited: {error}") from None
        return f"at most {write_iops:,} writes a second on {' and '.join(disks)}"

    def measure(self, process: int, write_iops: int) -> str | None:
        """Return in words what a write takes in the member's control group; None where the limit has none."""
        home = self._home_of(process)
        took = self._write(Group(home.path / LIMITED_GROUP, 1) if home.version == 1 else home, write_iops)
        if not self._is_felt(took, write_iops):
            return None
        usual = "" if self._usual is None else f" instead of {self._usual.median_ms:,.1f} ms"
        return f"a write to the disk takes {took.mean_ms:,.1f} ms{usual}"

    def _is_felt(self, took: Took, write_iops: int) -> bool:
        at_least_ms = FELT_SHARE * 1000 / write_iops
        if self._usual is not None:
            at_least_ms = max(at_least_ms, FELT_TIMES * self._usual.shortest_ms)
        return took.mean_ms >= at_least_ms

    def hasten(self, process: int | None) -> None:
        """Take the limit away; nothing happens where there is none.

        :param process: the member's main process, where it has one
        """
        # A member that ended took its group of version 2 with it. One of version 1 may be left behind, empty; this
        # program is in the group that it was made in, on hosts whose units have none of their own.
        for pid in {process, os.getpid()}:
            home = self._home_or_none(pid)
            if home is None or (home.version == 2 and pid != process):
                continue
            limited = home if home.version == 2 else Group(home.path / LIMITED_GROUP, 1)
            try:
                if (limited.path / limited.file).exists():
                    # What waits for its turn goes on at once.
                    limited.limit(limited.limited(), None)
                if home.version == 1 and limited.path.is_dir():
                    for member in limited.processes():
                        home.join(member)
                    limited.remove()
            except OSError as error:
                raise DiskError(f"the limit on the writes of {self.unit} cannot be taken away: {error}") from None

    def _try(self, process: int) -> list[str]:
        """Find out which disks the data is on, and that a limit on them is felt; DiskError where it is not."""
        try:
            with self._trial_group(process) as group:
                limited = group.limit(self._all_disks(), TRIAL_IOPS)
                slow = self._write(group, TRIAL_IOPS)
                disks = [disk for disk in group.written() if disk in limited]
                group.limit(limited, None)
                self._usual = self._write(group, TRIAL_IOPS)
        except OSError as error:
            raise DiskError(f"the writes of {self.unit} cannot be limited: {error}") from None
        if not disks or not self._is_felt(slow, TRIAL_IOPS):
            raise DiskError(
                f"a limit of {TRIAL_IOPS} writes a second has no effect in {self.data_dir}: a write takes "
                f"{slow.mean_ms:.1f} ms with it, {self._usual.mean_ms:.1f} ms without"
            )
        self._disks = disks
        return disks

    @contextmanager
    def _trial_group(self, process: int) -> Iterator[Group]:
        """Make a control group below that of the member (version 1) or beside it (version 2)."""
        home = self._home_of(process)
        if home.version == 2 and not (home.path / home.file).exists():
            # The controller is there for units that need it; which limit they have is no concern of systemd's.
            self._systemctl("set-property", "--runtime", self.unit, "IOAccounting=yes")
        trial = Group((home.path if home.version == 1 else home.path.parent) / TRIAL_GROUP, home.version)
        trial.path.mkdir(exist_ok=True)
        try:
            if not (trial.path / trial.file).exists():
                raise DiskError(f"the kernel has no limit on the writes of a control group ({trial.file})")
            yield trial
        finally:
            trial.remove()

    def _home_of(self, pid: int) -> Group:
        """Return the control group in which the kernel counts a process's block I/O, before a limit moved it."""
        try:
            lines = (self._proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, ProcessLookupError):
            raise DiskError(f"the process {pid} of {self.unit} has just ended") from None
        paths = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
        old = next((path for controllers, path in paths.items() if "blkio" in controllers.split(",")), None)
        version, kind, path = (2, "cgroup2", paths.get("", "/")) if old is None else (1, "cgroup", old)
        for mount in reversed(mounts(self._proc)):
            if mount.kind != kind or "rw" not in mount.options or (old and "blkio" not in mount.super_options):
                continue
            below = os.path.relpath(path, mount.root)
            if not below.startswith(".."):
                folder = Path(mount.point, below)
                return Group(folder.parent if folder.name == LIMITED_GROUP else folder, version)
        name = "blkio (version 1)" if old else "version 2"
        raise DiskError(f"the control groups of {name} are not writable, and {self.unit} is in one")

    def _home_or_none(self, pid: int | None) -> Group | None:
        """Return the control group of a process, None where it is gone or nothing could have been limited there."""
        try:
            return None if pid is None else self._home_of(pid)
        except DiskError:
            return None

    def _all_disks(self) -> list[str]:
        """Return the block devices of this machine, as MAJOR:MINOR."""
        lines = (self._proc / "partitions").read_text(encoding="ascii").splitlines()
        return [":".join(line.split()[:2]) for line in lines if line[:1].isspace()]

    def _write(self, group: Group, write_iops: int) -> Took:
        """Return how long writes beside the member's data take to reach the disk, under such a limit or for as many."""
        least, most = TRIAL_WRITES
        path = Path(self.data_dir) / f".{TRIAL_GROUP}"
        command = [
            sys.executable,
            "-c",
            TRIAL,
            str(group.path / "cgroup.procs"),
            str(path),
            str(min(most, max(least, write_iops // 2))),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise DiskError(f"a few writes to {self.data_dir} took more than {TRIAL_TIMEOUT_S:g} s") from None
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise DiskError(f"nothing can be written to {self.data_dir}: {said[-1]}")
        return Took(*map(float, done.stdout.split()))

    def _systemctl(self, *arguments: str) -> None:
        try:
            done = subprocess.run(
                ["systemctl", *arguments], capture_output=True, text=True, timeout=SYSTEMCTL_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise DiskError(f"systemctl {arguments[0]} did not end within {SYSTEMCTL_TIMEOUT_S:g} s") from None
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise DiskError(f"systemctl {arguments[0]} says: {said[-1]}")

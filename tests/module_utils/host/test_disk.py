# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from failover.host import disk as disk_module
from failover.host.disk import BALLAST, LIMITED_GROUP, TRIAL, TRIAL_GROUP, Disk, DiskError, Group

MOUNTINFO = "26 1 254:0 / / rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b\n"


def proc_of(folder: Path, *lines: str) -> Path:
    """A folder that passes for /proc where these mounts are, beside that of the root."""
    (folder / "proc" / "self").mkdir(parents=True, exist_ok=True)
    (folder / "proc" / "self" / "mountinfo").write_text(MOUNTINFO + "".join(f"{line}\n" for line in lines if line))
    return folder / "proc"


# ---------------------------------------------------------------- full


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory that passes for a file system of 1 MB of its own."""
    taken = SimpleNamespace(f_blocks=256, f_frsize=4096)

    def allocate(descriptor: int, offset: int, length: int) -> None:
        if offset + length > 1 << 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(descriptor, offset + length)

    def size(path: Any) -> Any:
        ballast = tmp_path / BALLAST
        left = (1 << 20) - (ballast.stat().st_size if ballast.exists() else 0)
        return SimpleNamespace(**vars(taken), f_bavail=left // 4096)

    proc_of(tmp_path, f"30 26 7:0 / {tmp_path} rw,nosuid - ext4 /dev/loop0 rw")
    monkeypatch.setattr(os, "posix_fallocate", allocate)
    monkeypatch.setattr(os, "statvfs", size)
    return tmp_path


def disk_in(folder: Path) -> Disk:
    return Disk(str(folder), "etcd.service", str(folder / "proc"))


def test_a_disk_is_filled_to_the_last_block_and_emptied(own: Path) -> None:
    disk = disk_in(own)
    assert disk.full_problem() is None
    assert disk.fill() == "0 of 1,048,576 bytes left"
    assert (own / BALLAST).stat().st_size == 1 << 20
    disk.empty()
    assert not (own / BALLAST).exists()
    disk.empty()


@pytest.mark.parametrize(
    "mount",
    [
        "",
        # A folder of the machine's own disk, as podman mounts a volume without a file system of its own.
        "30 26 254:0 /var/lib/containers/storage/volumes/x/_data {} rw - ext4 /dev/vda rw",
        # Memory is no disk.
        "30 26 0:50 / {} rw - tmpfs tmpfs rw",
        # Another one lies upon it.
        "30 26 7:0 / {} rw - ext4 /dev/loop0 rw\n31 30 254:0 /srv {} rw - ext4 /dev/vda rw",
    ],
)
def test_a_disk_that_others_use_is_not_filled(tmp_path: Path, mount: str) -> None:
    proc_of(tmp_path, mount.format(tmp_path, tmp_path))
    before = sorted(tmp_path.iterdir())
    assert disk_in(tmp_path).full_problem() == (
        f"{tmp_path} is not a file system of its own (ext4 or xfs), so everything else on it would be full, too; bring "
        "the lab up with this experiment named, or mount a small one there"
    )
    with pytest.raises(DiskError, match="not a file system of its own"):
        disk_in(tmp_path).fill()
    assert sorted(tmp_path.iterdir()) == before


def test_a_large_disk_is_somebodys(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_blocks=5 << 20, f_frsize=4096, f_bavail=1))
    assert "has more than 16 GB" in str(disk_in(own).full_problem())


def test_a_disk_that_cannot_be_filled_is_left_as_it_was(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    with pytest.raises(DiskError, match="cannot be filled: operation not supported"):
        disk_in(own).fill()
    assert not (own / BALLAST).exists()


# ---------------------------------------------------------------- slow


class Kernel:
    """Control groups in a folder: what a trial takes depends on the limit of the group that it is asked to join."""

    def __init__(self, folder: Path, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.version = version
        self.file = "blkio.throttle.write_iops_device" if version == 1 else "io.max"
        self.root = folder / "cgroup"
        self.unit = self.root / ("libpod-1" if version == 1 else "system.slice/etcd.service")
        self.unit.mkdir(parents=True)
        self.felt = True
        mounted = (
            f"40 26 0:35 /libpod_parent {folder}/ro ro - cgroup cgroup rw,blkio\n"
            f"41 26 0:35 /libpod_parent {self.root} rw - cgroup cgroup rw,blkio\n"
            f"42 26 0:36 /libpod_parent {folder}/pids rw - cgroup cgroup rw,pids"
            if version == 1
            else f"41 26 0:38 / {self.root} rw - cgroup2 cgroup2 rw"
        )
        self.proc = proc_of(folder, mounted)
        line = "7:blkio:/libpod_parent/libpod-1\n0::/x\n" if version == 1 else "0::/system.slice/etcd.service\n"
        for pid in (77, os.getpid()):
            (self.proc / str(pid)).mkdir()
            (self.proc / str(pid) / "cgroup").write_text(f"9:name=systemd:/y\n{line}" if version == 1 else line)
        (self.proc / "partitions").write_text("major minor  #blocks  name\n\n 254  0  100 vda\n 254  1  90 vda1\n")
        self.make(self.unit)
        monkeypatch.setattr(Path, "mkdir", self._mkdir(Path.mkdir))
        monkeypatch.setattr(Path, "rmdir", self._rmdir)
        monkeypatch.setattr(Path, "write_text", self._write_text(Path.write_text))
        monkeypatch.setattr(subprocess, "run", self.run)
        monkeypatch.setattr(disk_module, "family", lambda pid: {pid, 78})

    def make(self, group: Path) -> None:
        for name in (self.file, "cgroup.procs"):
            (group / name).touch()

    def limits(self, group: Path) -> dict[str, str]:
        """Disk -> limit."""
        return dict(line.split(" ", 1) for line in (group / self.file).read_text().splitlines())

    def _mkdir(self, real: Any) -> Any:
        def mkdir(path: Path, *arguments: Any, **options: Any) -> None:
            real(path, *arguments, **options)
            if self.root in path.parents:
                self.make(path)

        return mkdir

    @staticmethod
    def _rmdir(path: Path) -> None:
        assert (path / "cgroup.procs").read_text() == "", "a group that has processes cannot be removed"
        for file in path.iterdir():
            file.unlink()
        os.rmdir(path)

    def _write_text(self, real: Any) -> Any:
        def write(path: Path, text: str, **options: Any) -> Any:
            if path.name == self.file:
                disk, words = text.split(" ", 1)
                if disk == "254:1":
                    raise OSError(errno.ENODEV, "a partition")
                limits = self.limits(path.parent) | {disk: words}
                left = {disk: limit for disk, limit in limits.items() if limit not in ("0", "wiops=max")}
                return real(path, "".join(f"{disk} {limit}\n" for disk, limit in left.items()))
            if path.name == "cgroup.procs":
                for other in self.root.rglob("cgroup.procs"):
                    real(other, "".join(f"{pid}\n" for pid in other.read_text().split() if pid != text))
                return real(path, path.read_text() + f"{text}\n")
            return real(path, text, **options)

        return write

    def run(self, command: list[str], **_: Any) -> Any:
        """Stand in for the trial: a write takes as long as the limit says."""
        assert command[:3] == [sys.executable, "-c", TRIAL]
        group = Path(command[3]).parent
        limits = [int(limit.rpartition("=")[2]) for limit in self.limits(group).values()]
        name, words = ("blkio.throttle.io_serviced", "254:0 Write 7\n254:0 Read 9\nTotal 16\n")
        if self.version == 2:
            name, words = ("io.stat", "254:0 rbytes=0 wbytes=9 rios=0 wios=2\n7:0 rbytes=1 wbytes=0 rios=1 wios=0\n")
        with open(group / name, "w") as file:
            file.write(words)
        took_ms = 1000 / min(limits) if limits and self.felt else 0.2
        return SimpleNamespace(returncode=0, stdout=f"{took_ms} {took_ms} {took_ms}\n", stderr="")


@pytest.fixture(params=[1, 2])
def kernel(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path, request.param, monkeypatch)


def slow_disk(kernel: Kernel) -> Disk:
    return Disk("/data", "etcd.service", str(kernel.proc))


def test_a_limit_is_tried_and_leaves_nothing(kernel: Kernel) -> None:
    assert slow_disk(kernel).slow_problem(77) is None
    assert kernel.limits(kernel.unit) == {}
    assert list(kernel.root.rglob(TRIAL_GROUP)) == []


def test_a_member_alone_is_slowed_down_and_let_go(kernel: Kernel) -> None:
    disk = slow_disk(kernel)
    assert disk.slow_problem(77) is None
    assert disk.slow(77, 20) == "at most 20 writes a second on 254:0"
    limited = kernel.unit / LIMITED_GROUP if kernel.version == 1 else kernel.unit
    assert kernel.limits(limited) == {"254:0": "20" if kernel.version == 1 else "wiops=20"}
    if kernel.version == 1:
        assert Group(limited, 1).processes() == [77, 78]
        # From where the member is now, its home is still found.
        (kernel.proc / "77" / "cgroup").write_text(f"7:blkio:/libpod_parent/libpod-1/{LIMITED_GROUP}\n")
    assert disk.measure(77, 20) == "a write to the disk takes 50.0 ms instead of 0.2 ms"
    disk.hasten(77)
    assert kernel.limits(kernel.unit) == {}
    assert not (kernel.unit / LIMITED_GROUP).exists()
    disk.hasten(77)
    disk.hasten(None)


def test_a_member_that_ended_leaves_a_limit_that_is_removed(kernel: Kernel) -> None:
    disk = slow_disk(kernel)
    disk.slow(77, 20)
    for group in kernel.root.rglob("cgroup.procs"):
        group.open("w").close()
    disk.hasten(None)
    assert not (kernel.unit / LIMITED_GROUP).exists()


def test_a_limit_that_is_not_felt_is_none(kernel: Kernel) -> None:
    kernel.felt = False
    assert slow_disk(kernel).slow_problem(77) == (
        "a limit of 10 writes a second has no effect in /data: a write takes 0.2 ms with it, 0.2 ms without"
    )
    with pytest.raises(DiskError, match="has no effect"):
        slow_disk(kernel).slow(77, 20)
    kernel.felt = True
    disk = slow_disk(kernel)
    disk.slow(77, 20)
    kernel.felt = False
    assert disk.measure(77, 20) is None


def test_a_disk_that_is_slower_than_its_limit_does_not_feel_it(kernel: Kernel) -> None:
    disk = slow_disk(kernel)
    assert disk.slow_problem(77) is None
    disk.slow(77, 5000)
    # 0.2 ms each, with the limit and without.
    assert disk.measure(77, 5000) is None


def test_a_hierarchy_that_may_only_be_read_is_named(kernel: Kernel) -> None:
    info = kernel.proc / "self" / "mountinfo"
    info.open("w").write(info.read_text().replace(f"{kernel.root} rw", f"{kernel.root} ro"))
    version = "blkio (version 1)" if kernel.version == 1 else "version 2"
    assert slow_disk(kernel).slow_problem(77) == (
        f"the control groups of {version} are not writable, and etcd.service is in one"
    )
    # What could not be set need not be taken away.
    slow_disk(kernel).hasten(77)


def test_a_process_that_has_just_ended_is_named(kernel: Kernel) -> None:
    assert slow_disk(kernel).slow_problem(79) == "the process 79 of etcd.service has just ended"


def test_what_keeps_from_writing_is_said(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(returncode=1, stdout="", stderr="Traceback\nOSError: No space left on device\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    assert slow_disk(kernel).slow_problem(77) == "nothing can be written to /data: OSError: No space left on device"


def test_the_trial_writes_and_leaves_nothing(tmp_path: Path) -> None:
    """The program itself, with a file in the place of a control group."""
    command = [sys.executable, "-c", TRIAL, str(tmp_path / "procs"), str(tmp_path / "file"), "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    mean_ms, median_ms, shortest_ms = map(float, done.stdout.split())
    assert 0 < shortest_ms <= median_ms
    assert shortest_ms <= mean_ms
    assert int((tmp_path / "procs").read_text()) > 0
    assert not (tmp_path / "file").exists()

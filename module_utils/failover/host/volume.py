# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cuts the file system of a member's data off from its disk, as a loss of power does, and mounts it again.

One request of the kernel's (``EXT4_IOC_SHUTDOWN``, which xfs has, too) drops every dirty page and what of the journal
is not on disk, all at one instant; from then on the file system answers EIO. The disk keeps what had reached it.
Mounting replays the journal, as after any loss of power, but only once the dead file system is gone: while it is
mounted anywhere, in any namespace, the kernel hands out that one again. So it has to be mounted once, and its being
gone is checked.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import random
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from ..shapes import LabError
from . import loop_device
from .mounts import FILE_SYSTEMS, Mount, mounts, own_mount

# The request, and what it does with the journal: nothing more of it is written (linux/ext4.h, xfs_fs.h).
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
# System call that counts the dirty pages of a file: cachestat, of Linux 6.5. Its answer is five counters.
CACHESTAT = 451
CACHESTAT_ANSWER = struct.Struct("=5Q")
# Of sync_file_range: wait for what is on its way to the disk, and begin to write (linux/fs.h).
SYNC_AWAIT, SYNC_BEGIN = 1, 2
PAGE = os.sysconf("SC_PAGE_SIZE")
# How long the last processes may take to let go of the file system, in s: a killed MySQL server takes up to 0.4.
RELEASE_TIMEOUT_S = 10.0
RELEASE_INTERVAL_S = 0.005
# Of the superblock of ext4, which begins at this byte: where its mark is, where the features are that a kernel has to
# know, and which of them says that the journal has to be replayed.
SUPERBLOCK, SUPERBLOCK_SIZE = 1024, 1024
MARK_OFFSET, MARK, FEATURES_OFFSET, NEEDS_RECOVERY = 0x38, 0xEF53, 0x60, 4
# What is said of the loss where the kernel has no cachestat.
UNCOUNTED = "what was not on disk is lost (this kernel does not count it)"

# Among the options of a mount: flushes are not passed on to the drive (ext4's barrier=0, as the kernel shows it).
NO_FLUSH = "nobarrier"

Mounted = dict[str, str]


@dataclass
class Kept:
    """What of the pages that are not on disk reaches it all the same."""

    share: float  # of them, above 0 to 1
    seed: int  # that chooses them
    pages: int = 0  # how many it came to be


class VolumeError(LabError):
    """The file system could not be cut off, or not be mounted again."""


class Volume:
    """The file system that a member's data has for itself."""

    def __init__(self, data_dir: str, proc: str = "/proc", sys: str = "/sys") -> None:
        self.data_dir = data_dir
        self._proc = Path(proc)
        self._sys = Path(sys)

    # ------------------------------------------------------------ before

    def problem(self, *, keeps: bool = False) -> str | None:
        """Return why it cannot be cut off here, or None where it can.

        :param keeps: a part of what is not on disk is to be kept
        """
        own = own_mount(self.data_dir, self._proc)
        if own is None:
            return (
                f"{self.data_dir} is not a file system of its own ({' or '.join(FILE_SYSTEMS)}), so everything else on "
                "it would be lost, too; bring the lab up with this experiment named, or mount one there"
            )
        elsewhere = next(self._other_mounts(own), None)
        if elsewhere is not None:
            return f"the file system of {self.data_dir} is mounted {elsewhere}, too, and would not go; unmount it there"
        if not _is_device(own):
            return f"{self.data_dir} is mounted from {own.source}, which is no device, so it could not be mounted again"
        if keeps and self._dirty() is None:
            return "the kernel does not tell which pages are not on disk (cachestat, Linux 6.5), so none can be chosen"
        return None

    def _other_mounts(self, own: Mount) -> Iterator[str]:
        """Yield where else it is mounted so that unmounting ours would leave it there."""
        for mount in mounts(self._proc):
            if mount.device == own.device and mount.point != own.point:
                yield f"on {mount.point}"
        seen = {_namespace(self._proc / "self")}
        for folder in self._proc.glob("[0-9]*"):
            # Processes end meanwhile.
            with suppress(OSError):
                namespace = _namespace(folder)
                if namespace in seen:
                    continue
                seen.add(namespace)
                for mount in mounts(self._proc, folder.name):
                    if mount.device == own.device and not mount.tags:
                        yield f"for process {folder.name} alone"

    def drive(self) -> Volume | None:
        """Return the file system that plays its drive: the one on which the file of its loop device is.

        What the loop device wrote there and nobody flushed is in that file system's memory, as it is in the volatile
        cache of a drive. None where there is none.
        """
        own = own_mount(self.data_dir, self._proc)
        image = self._image(own.source) if own is not None else ""
        below = own_mount(os.path.dirname(image), self._proc) if image else None
        return self.at(below.point) if below is not None else None

    def at(self, point: str) -> Volume:
        """Return the file system that is, or was, mounted at another point of this host."""
        return Volume(point, str(self._proc), str(self._sys))

    def drive_problem(self, *, lies: bool) -> str | None:
        """Return why there is no drive here whose cache could be lost, or None where there is.

        :param lies: it takes a flush for done, and does none
        """
        drive = self.drive()
        if drive is None:
            return (
                f"{self.data_dir} is not on a loop device of a file on a file system of its own, which would be the "
                "drive; bring the lab up with this experiment named"
            )
        own = own_mount(self.data_dir, self._proc)
        if (own is not None and NO_FLUSH in own.super_options) != lies:
            is_so = "takes flushes for done" if not lies else "does what it is told to flush"
            return (
                f"the drive of {self.data_dir} {is_so}; bring the lab up with this experiment named, and no other kind"
            )
        return drive.problem()

    def describe(self) -> Mounted:
        """Return how it is mounted: all that :meth:`restore` has to know."""
        own = own_mount(self.data_dir, self._proc)
        if own is None:
            raise VolumeError(self.problem() or f"{self.data_dir} was mounted just now")
        options = dict.fromkeys([*own.options, *own.super_options])
        return {
            "point": own.point,
            "source": own.source,
            "image": self._image(own.source),
            "file": loop_device.file_of(own.source),
            "kind": own.kind,
            "options": ",".join(option for option in options if option != "rw"),
        }

    def _image(self, device: str) -> str:
        """Return the file that a loop device is of; empty where it is of none, or another kind of device."""
        try:
            told = (self._sys / "block" / Path(device).name / "loop" / "backing_file").read_text(encoding="utf-8")
        except OSError:
            return ""
        return told.rstrip("\n")

    # ------------------------------------------------------------ the cut

    def cut(self, kept: Kept | None = None) -> str:
        """Drop what is not on disk; return in words how much that was. VolumeError where the kernel does not.

        :param kept: what of it is written first: any of it could have been on its way. Of what was appended to a file
            only the journal, which is dropped as a whole, says where it belongs
        """
        dirty = self._dirty()
        if kept is not None:
            self._write_some(kept)
        try:
            descriptor = os.open(self.data_dir, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("=I", NO_LOG_FLUSH))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise VolumeError(f"{self.data_dir} cannot be cut off: {error}") from None
        if not self.is_dead():
            raise VolumeError(f"{self.data_dir} was cut off from its disk, and can be written to all the same")
        if dirty is None:
            return UNCOUNTED
        pages, files = dirty
        if not pages:
            return "0 bytes were not on disk"
        many = f"{pages * PAGE:,} bytes of {files} {'file' if files == 1 else 'files'} were not on disk"
        if kept is None:
            return f"{many} and are lost"
        return f"{many}; {kept.pages * PAGE:,} of them were written (seed {kept.seed}), the others are lost"

    def _write_some(self, kept: Kept) -> None:
        """Write pages in an order that the seed decides, until as many are on the disk as are kept.

        The kernel writes a page together with those of its folio, which may be many.
        """
        pages: list[tuple[int, int]] = []  # descriptor of a file, and the page's number in it
        with ExitStack() as files:
            for path in sorted(_files(self.data_dir)):
                with suppress(OSError):
                    file = files.enter_context(open(path, "rb", buffering=0))
                    size = os.fstat(file.fileno()).st_size
                    pages += [(file.fileno(), page) for page in _dirty_in(file.fileno(), 0, -(-size // PAGE))]
            total, descriptors = len(pages), {descriptor for descriptor, _ in pages}
            random.Random(kept.seed).shuffle(pages)
            while pages and kept.pages < kept.share * total:
                descriptor, page = pages.pop()
                if _dirty_in(descriptor, page, 1):
                    _sync(descriptor, page, SYNC_BEGIN)
                    left = sum(_counted(of, 0, 0)[0] for of in descriptors)
                    kept.pages = total - left
            for descriptor in descriptors:
                _sync(descriptor, 0, SYNC_AWAIT, whole=True)

    def _dirty(self) -> tuple[int, int] | None:
        """Return how many pages are not on disk, and of how many files; None where this kernel does not tell."""
        pages = files = 0
        for path in _files(self.data_dir):
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except OSError:
                continue
            try:
                own = _dirty_pages(descriptor)
            finally:
                os.close(descriptor)
            if own is None:
                return None
            pages += own
            files += own > 0
        return pages, files

    def is_dead(self) -> bool:
        """Whether the file system answers EIO to all that would change it."""
        try:
            os.close(os.open(self.data_dir, os.O_TMPFILE | os.O_RDWR, 0o600))
        except OSError as error:
            return error.errno == errno.EIO
        return False

    def release(self, was: Mounted) -> None:
        """Unmount it and wait until it is gone; VolumeError where something holds it.

        :param was: what :meth:`describe` said
        """
        end = time.monotonic() + RELEASE_TIMEOUT_S
        while (held := self._held(was)) is not None:
            if time.monotonic() > end:
                raise VolumeError(f"the file system of {self.data_dir} does not go: {held}")
            time.sleep(RELEASE_INTERVAL_S)

    def _held(self, was: Mounted) -> str | None:
        """Try to unmount it; return what keeps it, None where it is gone."""
        try:
            while own_mount(self.data_dir, self._proc) is not None:
                loop_device.unmount(self.data_dir)
            # A loop device that was let go may be another host's by now. Its file is told as it was then: on a drive
            # that is dead it cannot be looked up any more.
            if not was["image"] or loop_device.file_of(was["source"]) == was["file"]:
                os.close(os.open(was["source"], os.O_RDWR | os.O_EXCL))
        except OSError as error:
            return str(error)
        return None

    # ------------------------------------------------------------ the return

    def restore(self, was: Mounted) -> str | None:
        """Mount it again where it is not, or is the dead one; return in words what that recovered, None for nothing.

        :param was: what :meth:`describe` said, to this agent or to an earlier one
        """
        if own_mount(self.data_dir, self._proc) is not None:
            if not self.is_dead():
                return None
            self.release(was)
        try:
            # The file is looked up anew: it may be on a drive that was mounted again, from another device.
            if not was["image"] or loop_device.file_of(was["source"]) == loop_device.identity(was["image"]):
                return self._mount(was["source"], was)
            with loop_device.attached(was["image"]) as device:
                return self._mount(device, was)
        except OSError as error:
            raise VolumeError(f"{self.data_dir} cannot be mounted again: {error}") from None

    def _mount(self, device: str, was: Mounted) -> str | None:
        replayed = needs_recovery(device)
        loop_device.mount(device, self.data_dir, was["kind"], was["options"])
        return "its journal was replayed" if replayed else None


def needs_recovery(device: str) -> bool:
    """Whether there is an ext4 on a device whose journal the next mount has to replay."""
    descriptor = os.open(device, os.O_RDONLY)
    try:
        block = os.pread(descriptor, SUPERBLOCK_SIZE, SUPERBLOCK)
    finally:
        os.close(descriptor)
    (mark,) = struct.unpack_from("<H", block, MARK_OFFSET)
    (features,) = struct.unpack_from("<I", block, FEATURES_OFFSET)
    return mark == MARK and bool(features & NEEDS_RECOVERY)


def _is_device(own: Mount) -> bool:
    try:
        found = os.stat(own.source)
    except OSError:
        return False
    return stat.S_ISBLK(found.st_mode) and f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}" == own.device


def _namespace(folder: Path) -> str:
    return os.readlink(folder / "ns" / "mnt")


def _files(folder: str) -> Iterator[str]:
    """Yield the files below a folder."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with suppress(OSError):
                if stat.S_ISREG(os.lstat(path).st_mode):
                    yield path


def _dirty_pages(descriptor: int) -> int | None:
    """Return how many pages of a file are not on disk; None where this kernel does not tell."""
    try:
        return sum(_counted(descriptor, 0, 0))
    except OSError:
        return None


def _counted(descriptor: int, first: int, count: int) -> tuple[int, int]:
    """Return how many pages of a file nobody has begun to write, and how many are on their way to the disk.

    OSError where this kernel does not tell.

    :param count: of the pages to look at, from ``first`` on; 0 for all that follow
    """
    part = (ctypes.c_uint64 * 2)(first * PAGE, count * PAGE)
    answer = ctypes.create_string_buffer(CACHESTAT_ANSWER.size)
    if ctypes.CDLL(None, use_errno=True).syscall(CACHESTAT, descriptor, part, answer, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    _, dirty, in_flight, _, _ = CACHESTAT_ANSWER.unpack(answer.raw)
    return int(dirty), int(in_flight)


def _dirty_in(descriptor: int, first: int, count: int) -> list[int]:
    """Return the numbers of those of these pages that nobody has begun to write, by halving what has any."""
    if count == 0 or not _counted(descriptor, first, count)[0]:
        return []
    if count == 1:
        return [first]
    half = count // 2
    return _dirty_in(descriptor, first, half) + _dirty_in(descriptor, first + half, count - half)


def _sync(descriptor: int, page: int, what: int, *, whole: bool = False) -> None:
    """Write a page of a file, or wait for the whole file; nothing of its metadata."""
    offset, length = ctypes.c_int64(page * PAGE), ctypes.c_int64(0 if whole else PAGE)
    if ctypes.CDLL(None, use_errno=True).sync_file_range(descriptor, offset, length, what) != 0:
        raise VolumeError(f"a page cannot be written: {os.strerror(ctypes.get_errno())}")

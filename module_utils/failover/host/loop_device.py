# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Mounts a file as a file system, through a loop device that the kernel gives back with the last mount of it.

Also the first program of a container whose data has a file system of its own, as
``python3 loop_device.py FILE FOLDER OPTIONS [FILE FOLDER OPTIONS ...] -- PROGRAM ...``: it mounts the files one after
the other and becomes the program. A file system that the container's host had mounted for it would be mounted twice,
and could not be taken away from below its server. So this file stands alone: nothing of the core is imported.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CONTROL = "/dev/loop-control"
# The requests of linux/loop.h.
LOOP_CTL_GET_FREE, LOOP_CONFIGURE, LOOP_GET_STATUS64 = 0x4C82, 0x4C0A, 0x4C05
# The device lets go of its file once nobody has it open or mounted any more.
LO_FLAGS_AUTOCLEAR = 4
# struct loop_config: the file, the size of a block, struct loop_info64 with the flags in it, and a reserve.
CONFIG_SIZE, FLAGS_OFFSET = 304, 60
# struct loop_info64, which begins with the file: the device of its file system, and its inode.
INFO_SIZE, INFO_FILE = 232, struct.Struct("=QQ")
LOOP_MAJOR = 7
# How often another free device is asked for, as others on this machine may take the one that was free.
ATTEMPTS = 50
# Those of mount(2), by the names that /proc/self/mountinfo has for them.
FLAGS = {
    "ro": 1,
    "nosuid": 2,
    "nodev": 4,
    "noexec": 8,
    "sync": 16,
    "dirsync": 128,
    "noatime": 1024,
    "nodiratime": 2048,
    "relatime": 1 << 21,
}


@contextmanager
def attached(image: str) -> Iterator[str]:
    """Give a file a loop device, whose path is returned; it goes when nobody uses it any more. OSError where none can.

    Another program may ask for a free device at the same moment, so that the kernel refuses ours: then the next one.
    """
    file = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    try:
        device, descriptor = _attach(file)
    finally:
        os.close(file)
    try:
        yield device
    finally:
        os.close(descriptor)


def _attach(file: int) -> tuple[str, int]:
    config = bytearray(CONFIG_SIZE)
    struct.pack_into("=I", config, 0, file)
    struct.pack_into("=I", config, FLAGS_OFFSET, LO_FLAGS_AUTOCLEAR)
    control = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        for attempt in range(1, ATTEMPTS + 1):
            number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            device = f"/dev/loop{number}"
            if not os.path.exists(device):
                # Nobody makes the nodes of new devices in a container.
                os.mknod(device, stat.S_IFBLK | 0o600, os.makedev(LOOP_MAJOR, number))
            descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(descriptor, LOOP_CONFIGURE, config)
            except OSError as error:
                os.close(descriptor)
                if error.errno != errno.EBUSY or attempt == ATTEMPTS:
                    raise
            else:
                return device, descriptor
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), CONTROL)


def file_of(device: str) -> str:
    """Return which file a loop device is of, as ``DEVICE:INODE``; empty where it is of none, or no loop device.

    Not its name: each of several containers may have a file of that name, and all see the same loop devices.
    """
    info = bytearray(INFO_SIZE)
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.ioctl(descriptor, LOOP_GET_STATUS64, info)
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    return _told(*INFO_FILE.unpack_from(info))


def identity(path: str) -> str:
    """Return which file a path leads to, as :func:`file_of` does; OSError where to none."""
    found = os.stat(path)
    return _told(found.st_dev, found.st_ino)


def _told(device: int, inode: int) -> str:
    return f"{device}:{inode}"


def mount(source: str, point: str, kind: str, options: str = "") -> None:
    """Mount a device; OSError where the kernel refuses.

    :param options: words of mountinfo, flags and those of the file system alike
    """
    words = [word for word in options.split(",") if word not in ("", "rw")]
    flags = sum({FLAGS[word] for word in words if word in FLAGS})
    data = ",".join(word for word in words if word not in FLAGS)
    _call("mount", point, source.encode(), point.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())


def unmount(point: str) -> None:
    """Unmount what is mounted there last; OSError where the kernel refuses."""
    _call("umount2", point, point.encode(), 0)


def _call(function: str, path: str, *arguments: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def main(words: list[str]) -> None:
    """Mount files as ext4 where they belong, then become a program."""
    end = words.index("--")
    for first in range(0, end, 3):
        image, point, options = words[first : first + 3]
        try:
            _mount_file(image, point, options)
        except OSError as failure:
            sys.exit(
                f"{image} cannot be mounted on {point}: {failure}. "
                "Has this machine free loop devices, and may its containers mount?"
            )
    os.execv(words[end + 1], words[end + 1 :])


def _mount_file(image: str, point: str, options: str) -> None:
    os.makedirs(point, exist_ok=True)
    before = os.stat(point)
    with attached(image) as device:
        mount(device, point, "ext4", options)
    if os.stat(point).st_uid != before.st_uid:
        # It is new: its root belongs to whom the folder belonged to that it hides.
        os.chown(point, before.st_uid, before.st_gid)
        os.chmod(point, stat.S_IMODE(before.st_mode))


if __name__ == "__main__":
    main(sys.argv[1:])

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from pathlib import Path

import pytest
from failover.host.mounts import Mount, mounts, own_mount

ROOT = "26 1 254:0 / / rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b\n"


def proc_of(folder: Path, *lines: str) -> Path:
    """A folder that passes for /proc where these mounts are, above that of the root."""
    (folder / "self").mkdir()
    (folder / "self" / "mountinfo").write_text(ROOT + "".join(f"{line}\n" for line in lines))
    return folder


def test_mounts_are_read(tmp_path: Path) -> None:
    line = "30 26 7:0 / /data rw,nosuid shared:1 master:4 - ext4 /dev/loop0 rw,discard"
    assert mounts(proc_of(tmp_path, line)) == [
        Mount("254:0", "/", "/", ("rw", "relatime"), (), "overlay", "overlay", ("rw", "lowerdir=/a", "upperdir=/b")),
        Mount("7:0", "/", "/data", ("rw", "nosuid"), ("shared:1", "master:4"), "ext4", "/dev/loop0", ("rw", "discard")),
    ]


@pytest.mark.parametrize(
    ("lines", "device"),
    [
        ([], None),
        (["30 26 7:0 / /data rw - ext4 /dev/loop0 rw"], "7:0"),
        (["30 26 7:0 / /data rw - xfs /dev/loop0 rw"], "7:0"),
        # Only a folder of it, or another kind.
        (["30 26 7:0 /volume /data rw - ext4 /dev/loop0 rw"], None),
        (["30 26 0:50 / /data rw - tmpfs tmpfs rw"], None),
        # The newest is what is seen.
        (["30 26 7:0 / /data rw - ext4 /dev/loop0 rw", "31 30 7:1 / /data rw - ext4 /dev/loop1 rw"], "7:1"),
        (["30 26 7:0 / /data rw - ext4 /dev/loop0 rw", "31 30 0:50 / /data rw - tmpfs tmpfs rw"], None),
    ],
)
def test_a_file_system_of_its_own_is_told_from_a_part_of_another(
    tmp_path: Path, lines: list[str], device: str | None
) -> None:
    found = own_mount("/data", proc_of(tmp_path, *lines))
    assert (found and found.device) == device

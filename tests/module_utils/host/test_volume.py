# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A file system that is cut off from its disk: with a real one where this machine lets us mount, else as told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from failover.host import loop_device, volume
from failover.host.volume import PAGE, Kept, Volume, VolumeError, needs_recovery

ROOT = "26 1 254:0 / / rw,relatime - overlay overlay rw\n"
SYNCED, LOST = b"x" * 50_000, b"y" * 50_000


# ---------------------------------------------------------------- a real one


def _can_mount() -> bool:
    return os.geteuid() == 0 and Path(loop_device.CONTROL).exists() and shutil.which("mkfs.ext4") is not None


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.touch()
    os.truncate(path, 32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", path], check=True)
    return path


@pytest.fixture
def data(tmp_path: Path, image: Path) -> Iterator[Path]:
    """A folder that is a file system of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    try:
        with loop_device.attached(str(image)) as device:
            loop_device.mount(device, str(folder), "ext4", "rw,noatime")
    except OSError as error:
        pytest.skip(f"this machine does not let us mount: {error}")
    yield folder
    with suppress(OSError):
        while True:
            loop_device.unmount(str(folder))


REAL = pytest.mark.skipif(not _can_mount(), reason="needs root, loop devices and mkfs.ext4")


def write(path: Path, content: bytes, *, sync: bool) -> None:
    with open(path, "wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


@REAL
def test_what_was_not_on_disk_is_lost_and_the_rest_is_back(data: Path, image: Path) -> None:
    ours = Volume(str(data))
    assert ours.problem() is None
    was = ours.describe()
    assert (was["image"], was["kind"]) == (str(image), "ext4")
    assert "noatime" in was["options"].split(",")
    write(data / "synced", SYNCED, sync=True)
    write(data / "lost", LOST, sync=False)
    told = ours.cut()
    assert told in ("53,248 bytes of 1 file were not on disk and are lost", volume.UNCOUNTED)
    with pytest.raises(OSError, match="Input/output error"):
        write(data / "more", b"z", sync=False)

    ours.release(was)
    assert not (data / "synced").exists()
    assert ours.problem() is not None
    assert needs_recovery(str(image))

    # By the record alone, as an agent that was restarted has it; and a second time nothing is left to do.
    assert Volume(str(data)).restore(was) == "its journal was replayed"
    assert Volume(str(data)).restore(was) is None
    assert (data / "synced").read_bytes() == SYNCED
    assert not (data / "lost").exists()
    again = ours.describe()
    assert {**again, "source": ""} == {**was, "source": ""}


@REAL
def test_a_seeded_part_of_what_was_not_on_disk_is_kept(data: Path) -> None:
    ours = Volume(str(data))
    if ours.problem(keeps=True) is not None:
        pytest.skip("this kernel does not tell which pages are not on disk")
    pages = 64
    kept_by: dict[int, list[int]] = {}
    for seed in (7, 7, 8):
        with open(data / "pages", "wb", buffering=0) as file:
            for _ in range(pages):
                file.write(b"o" * PAGE)  # one by one: the kernel keeps and writes together what comes together
            # Their places on the disk are known: those of new ones only the journal would tell.
            os.fsync(file.fileno())
            file.seek(0)
            for _ in range(pages):
                file.write(b"n" * PAGE)
        was, kept = ours.describe(), Kept(0.5, seed)
        told = ours.cut(kept)
        ours.restore(was)
        content = (data / "pages").read_bytes()
        found = [page for page in range(pages) if content[page * PAGE : (page + 1) * PAGE] == b"n" * PAGE]
        assert content.count(b"n") == len(found) * PAGE, "a page was torn"
        assert pages / 2 <= len(found) == kept.pages < pages
        assert told == (
            f"{pages * PAGE:,} bytes of 1 file were not on disk; {len(found) * PAGE:,} of them were written "
            f"(seed {seed}), the others are lost"
        )
        assert kept_by.setdefault(seed, found) == found
    assert kept_by[7] != kept_by[8]


@REAL
def test_a_dead_file_system_that_is_still_mounted_is_replaced(data: Path) -> None:
    ours = Volume(str(data))
    was = ours.describe()
    ours.cut()
    assert ours.restore(was) == "its journal was replayed"
    write(data / "new", b"z", sync=True)


@REAL
def test_one_that_something_holds_does_not_pass_for_gone(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume, "RELEASE_TIMEOUT_S", 0.05)
    ours = Volume(str(data))
    was = ours.describe()
    with open(data / "held", "wb"):
        ours.cut()
        with pytest.raises(VolumeError, match=r"does not go: .*busy"):
            ours.release(was)
    ours.release(was)


@REAL
def test_a_second_mount_is_found_and_keeps_it_alive(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume, "RELEASE_TIMEOUT_S", 0.05)
    ours = Volume(str(data))
    was = ours.describe()
    second = tmp_path / "second"
    second.mkdir()
    loop_device.mount(was["source"], str(second), "ext4", was["options"])
    try:
        assert f"is mounted on {second}, too" in str(ours.problem())
        ours.cut()
        with pytest.raises(VolumeError, match=r"does not go: .*busy"):
            ours.release(was)
    finally:
        loop_device.unmount(str(second))


@REAL
def test_a_container_mounts_its_data_before_it_boots(image: Path, tmp_path: Path) -> None:
    """Alone, as the file is all that a container gets; in a namespace of its own, whose end unmounts it."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o750)
    os.chown(folder, 4711, 4712)
    alone = shutil.copy(loop_device.__file__, tmp_path / "loop_device.py")
    program = ["sh", "-c", f"stat --format='%u %g %a' {folder}; findmnt --noheadings --output=FSTYPE {folder}"]
    command = [
        "unshare",
        "--mount",
        sys.executable,
        "-I",
        alone,
        str(image),
        str(folder),
        "",
        "--",
        shutil.which("sh") or "",
        *program[1:],
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ot permitted" in done.stderr:
        pytest.skip("this machine does not let us mount")
    assert (done.stdout.split(), done.stderr) == (["4711", "4712", "750", "ext4"], "")
    assert not os.path.ismount(folder)


def test_a_container_whose_data_cannot_be_mounted_does_not_boot(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-I",
        loop_device.__file__,
        str(tmp_path / "none.img"),
        str(tmp_path),
        "",
        "--",
        "/bin/true",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path}/none.img cannot be mounted on {tmp_path}: [Errno 2]")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def driven(tmp_path: Path, data: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder whose file system is on a loop device of a file of another one, which plays its drive."""
    folder, inner = tmp_path / "driven", data / "inner.img"
    folder.mkdir()
    inner.touch()
    os.truncate(inner, 16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", inner], check=True)
    with loop_device.attached(str(inner)) as device:
        loop_device.mount(device, str(folder), "ext4", request.param)
    write(folder / "old", SYNCED, sync=True)
    os.sync()
    yield folder
    for point in (folder, data):
        with suppress(OSError):
            while True:
                loop_device.unmount(str(point))


@REAL
@pytest.mark.parametrize(("driven", "lies"), [("", False), ("barrier=0", True)], indirect=["driven"])
def test_a_drive_keeps_what_it_flushed_and_one_that_lies_loses_it(data: Path, driven: Path, lies: bool) -> None:
    ours = Volume(str(driven))
    drive = ours.drive()
    assert drive is not None
    assert drive.data_dir == str(data)
    assert ours.drive_problem(lies=lies) is None
    assert "bring the lab up" in str(ours.drive_problem(lies=not lies))
    was, drive_was = ours.describe(), drive.describe()
    write(driven / "synced", SYNCED, sync=True)
    told = drive.cut()
    assert told == volume.UNCOUNTED or told.endswith("of 1 file were not on disk and are lost") or not lies
    assert ours.cut() == "0 bytes were not on disk"
    assert drive.is_dead()
    ours.release(was)
    drive.release(drive_was)
    ours.at(drive_was["point"]).restore(drive_was)
    ours.restore(was)
    assert (driven / "old").read_bytes() == SYNCED
    # It was synced: the file system's word for it was the drive's.
    kept = (driven / "synced").read_bytes() if (driven / "synced").exists() else b""
    assert (kept == SYNCED) is not lies
    assert ours.drive_problem(lies=lies) is None


def test_data_without_a_drive_say_so(tmp_path: Path) -> None:
    assert "which would be the drive" in str(volume_of(tmp_path, OWN).drive_problem(lies=True))


def drive_with_a_file_at(point: Path, image: Path, marker: str, folder: Path) -> Path:
    """Mount a new drive at a point, with a file on it that has a file system with one file; return that file."""
    inner = point / "inner.img"
    for path, size in ((image, 48 << 20), (inner, 16 << 20)):
        path.touch()
        os.truncate(path, size)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", path], check=True)
        with loop_device.attached(str(path)) as device:
            if path is image:
                loop_device.mount(device, str(point), "ext4", "")
            else:
                loop_device.mount(device, str(folder), "ext4", "")
                (folder / marker).touch()
                loop_device.unmount(str(folder))
    return inner


@REAL
def test_what_has_the_same_name_on_another_host_is_not_mounted(tmp_path: Path) -> None:
    point, folder = tmp_path / "drive", tmp_path / "folder"
    point.mkdir()
    folder.mkdir()
    try:
        # The other host's drive lies below ours, so that both files have one name.
        theirs = drive_with_a_file_at(point, tmp_path / "other.img", "theirs", folder)
        with loop_device.attached(str(theirs)) as device:
            inner = drive_with_a_file_at(point, tmp_path / "own.img", "ours", folder)
            assert str(inner) == str(theirs)
            was = {
                "point": str(folder),
                "source": device,
                "image": str(inner),
                "file": "",
                "kind": "ext4",
                "options": "",
            }
            Volume(str(folder)).restore(was)
            assert (folder / "ours").exists()
    finally:
        for path in (folder, point, point):
            with suppress(OSError):
                loop_device.unmount(str(path))


# ---------------------------------------------------------------- as told


def volume_of(folder: Path, *lines: str, others: dict[str, list[str]] | None = None) -> Volume:
    """A volume of /data where these mounts are, and where other processes see others."""
    seen = {"self": list(lines), **(others or {})}
    for process, own in seen.items():
        (folder / "proc" / process / "ns").mkdir(parents=True)
        (folder / "proc" / process / "ns" / "mnt").symlink_to(f"mnt:[{process}]")
        (folder / "proc" / process / "mountinfo").write_text(ROOT + "".join(f"{line}\n" for line in own))
    return Volume("/data", str(folder / "proc"), str(folder / "sys"))


OWN = "30 26 7:0 / /data rw shared:3 - ext4 /dev/nothing rw"


@pytest.mark.parametrize(
    ("lines", "others", "problem"),
    [
        ([], {}, "/data is not a file system of its own (ext4 or xfs), so everything else on it would be lost, too;"),
        ([OWN, "31 26 7:0 / /other rw - ext4 /dev/nothing rw"], {}, "is mounted on /other, too, and would not go;"),
        ([OWN], {"7": [OWN.replace(" shared:3", "")]}, "is mounted for process 7 alone, too, and would not go;"),
        # One that goes with ours, as systemd gives it to units with mounts of their own, does no harm.
        (
            [OWN],
            {"7": [OWN.replace("shared:3", "master:3")]},
            "/data is mounted from /dev/nothing, which is no device,",
        ),
    ],
)
def test_what_could_not_be_cut_off_and_mounted_again_is_refused(
    tmp_path: Path, lines: list[str], others: dict[str, list[str]], problem: str
) -> None:
    assert problem in str(volume_of(tmp_path, *lines, others=others).problem())


def test_a_folder_of_another_file_system_is_not_described(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="/data is not a file system of its own"):
        volume_of(tmp_path).describe()


@pytest.mark.parametrize(("image", "told"), [(None, ""), ("/srv/a disk.img\n", "/srv/a disk.img")])
def test_the_file_of_a_loop_device_is_what_has_to_be_mounted_again(
    tmp_path: Path, image: str | None, told: str
) -> None:
    if image:
        (tmp_path / "sys/block/nothing/loop").mkdir(parents=True)
        (tmp_path / "sys/block/nothing/loop/backing_file").write_text(image)
    line = "30 26 7:0 / /data rw,noatime - ext4 /dev/nothing rw,noatime,discard"
    assert volume_of(tmp_path, line).describe() == {
        "point": "/data",
        "source": "/dev/nothing",
        "image": told,
        "file": "",
        "kind": "ext4",
        "options": "noatime,discard",
    }

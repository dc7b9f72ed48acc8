# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether KVM runs a guest, by programs in the place of qemu."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from failover.machines.accelerator import BOOT_SECTOR, SAID, choose, why_not


def fake(folder: Path, body: str) -> str:
    path = folder / "qemu"
    path.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_a_guest_that_did_something_tells(tmp_path: Path) -> None:
    assert why_not("tcg", fake(tmp_path, f"sys.exit({2 * SAID + 1})")) is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("sys.exit('qemu: error: failed to set MSR 0x10a to 0x69')", "qemu: error: failed to set MSR 0x10a to 0x69"),
        ("sys.exit(3)", "qemu ended with 3"),
        # The BIOS found nothing to start, and qemu was ended by -no-reboot.
        ("", "qemu ended with 0"),
    ],
)
def test_one_that_did_not_is_a_reason(tmp_path: Path, body: str, reason: str) -> None:
    assert why_not("tcg", fake(tmp_path, body)) == reason


def test_one_that_stands_still_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("failover.machines.accelerator.TRIAL_TIMEOUT_S", 0.2)
    assert why_not("tcg", fake(tmp_path, "time.sleep(60)")) == "a guest did nothing for 0.2 s"


def test_without_the_device_nothing_is_tried(tmp_path: Path) -> None:
    assert why_not("kvm", fake(tmp_path, ""), device=str(tmp_path / "kvm")) == f"{tmp_path}/kvm is not there"


def test_without_qemu_that_is_the_reason(tmp_path: Path) -> None:
    assert why_not("tcg", str(tmp_path / "none")) == f"{tmp_path}/none is not on this machine"


def test_who_says_what_to_use_gets_it_untried(tmp_path: Path) -> None:
    assert choose("kvm", str(tmp_path / "none")) == ("kvm", "")
    assert choose("tcg", str(tmp_path / "none")) == ("tcg", "")


def test_the_boot_sector_is_one() -> None:
    assert (len(BOOT_SECTOR), BOOT_SECTOR[-2:]) == (512, b"\x55\xaa")


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs qemu")
def test_the_real_qemu_runs_it_emulated() -> None:
    assert why_not("tcg") is None

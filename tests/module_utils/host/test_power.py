# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a machine is about to lose, out of files in the place of /proc."""

from __future__ import annotations

from pathlib import Path

from failover.host.power import Power


def test_what_is_not_on_disk_is_counted(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 1 kB\nDirty:    1200 kB\nWriteback:   34 kB\nWritebackTmp: 5 kB\n")
    assert Power(True, str(tmp_path)).unwritten().endswith("of which 1,234 kB were not on its disk")


def test_one_boot_is_told_from_another() -> None:
    assert len(Power(False).boot_id()) == 36

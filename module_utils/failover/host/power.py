# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The power of a machine that the lab itself runs: whoever keeps it cuts it, right after this host's agent has fired.

What the guest's kernel had in its memory for the disk goes with the machine; what it had written out is kept by the
host's. So no file system has to be cut off, and nothing be undone: the machine boots anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# In a record: the way that such a fault takes, which the keeper goes by (machines/keeper.py).
VIA = "qemu"


@dataclass(frozen=True)
class Power:
    """Whether somebody keeps the power of this host, and what it is about to lose."""

    kept: bool
    proc: str = "/proc"

    def boot_id(self) -> str:
        """Return what tells one boot of this host from all others."""
        return Path(self.proc, "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def unwritten(self) -> str:
        """Say in words what the kernel has in its memory that is not on the disk."""
        told = Path(self.proc, "meminfo").read_text(encoding="ascii")
        kilobytes = sum(int(size) for size in re.findall(r"^(?:Dirty|Writeback):\s+(\d+) kB", told, re.MULTILINE))
        return f"qemu was ended, and with it the machine's memory, of which {kilobytes:,} kB were not on its disk"

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ..host.service import MainProcess
from .base import Action, Host
from .record import FaultRecord


class DiskFull(Action):
    """No byte more on the file system of the member's data."""

    name = "disk_full"
    past = "given a full disk"
    ends_process = False
    may_end_process = True
    ended_from_outside = True
    has_measured_effect = True

    def problem(self, host: Host, record: FaultRecord) -> str | None:
        """Return why that file system cannot be filled, as one with anybody else's data."""
        return host.disk.full_problem()

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Take all free space."""
        record.effect = host.disk.fill()
        return "fallocate"

    def heal(self, host: Host, record: FaultRecord, timeout_s: float) -> None:
        """Give it back."""
        host.disk.empty()
        super().heal(host, record, timeout_s)

    def told(self, who: str, record: FaultRecord) -> str:
        """Give the kernel's word for it."""
        return f"the disk of {who} was filled ({record.effect})"

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ..host.service import MainProcess
from .base import Action, Host
from .options import Number
from .record import FaultRecord


class SlowDisk(Action):
    """So many write operations a second and no more."""

    name = "slow_disk"
    past = "given a slow disk"
    options = (Number("write_iops", 1, 1_000_000, default=20),)  # write operations per second
    ends_process = False
    stays_with_peers = True
    has_measured_effect = True

    def problem(self, host: Host, record: FaultRecord) -> str | None:
        """Try whether the member's process would feel a limit."""
        pid = host.service.state().main_pid
        return host.disk.slow_problem(pid) if pid else f"{host.service.unit} is not running, and cannot be tried"

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Limit the writes of the process and its children."""
        record.effect = host.disk.slow(process.pid, int(record.options["write_iops"]))
        return "cgroup"

    def effect(self, host: Host, process: MainProcess, record: FaultRecord) -> str | None:
        """Write in the member's place, and say how long that takes."""
        felt = host.disk.measure(process.pid, int(record.options["write_iops"]))
        return f"{record.effect}; {felt}" if felt else None

    def heal(self, host: Host, record: FaultRecord, timeout_s: float) -> None:
        """Take the limit away."""
        host.disk.hasten(host.service.state().main_pid or None)
        super().heal(host, record, timeout_s)

    def told(self, who: str, record: FaultRecord) -> str:
        """Give the kernel's word for it."""
        return f"the disk of {who} was slowed down ({record.effect})"

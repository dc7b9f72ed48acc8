# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ..host.service import MainProcess
from .base import Action, Host
from .record import FaultRecord


class Pause(Action):
    """Processes that stand still: the member's connections stay open, and nobody answers on them."""

    name = "pause"
    past = "paused"
    signal = "SIGSTOP"
    ends_process = False
    drawable = True

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Stop the process and all that descend from it."""
        record.processes = host.service.suspend(process)
        return "pidfd"

    def heal(self, host: Host, record: FaultRecord, timeout_s: float) -> None:
        """Let them go on."""
        host.service.resume()
        super().heal(host, record, timeout_s)

    def doubts(self, record: FaultRecord) -> list[str]:
        """Say so where nothing was seen to stop."""
        doubts = super().doubts(record)
        if not record.processes:
            doubts.append(f"no process on {record.member} was seen to stop")
        return doubts

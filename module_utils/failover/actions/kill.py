# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ..host.service import MainProcess
from .base import Action, Host
from .record import FaultRecord


class Kill(Action):
    """A crash: SIGKILL, the process has no chance to say goodbye."""

    name = "kill"
    past = "killed"
    signal = "SIGKILL"
    ended_from_outside = True
    drawable = True

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Kill the main process."""
        host.service.kill(process)
        return "pidfd"

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ..host.service import MainProcess
from .base import Action, Host
from .record import FaultRecord


class Restart(Action):
    """A clean stop that the service manager follows by a start."""

    name = "restart"
    past = "restarted"
    signal = "SIGTERM"
    comes_back = True
    says_goodbye = True
    drawable = True

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Ask the service manager, and do not wait."""
        return host.service.restart_soon()

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ..host.service import MainProcess
from .base import Action, Host
from .record import FaultRecord


class Stop(Action):
    """A clean stop as an administrator does it: SIGTERM through the service manager."""

    name = "stop"
    past = "stopped"
    signal = "SIGTERM"
    says_goodbye = True
    drawable = True

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Ask the service manager, and do not wait."""
        return host.service.stop_soon()

    def compared(self, *, replicated: bool) -> str:
        """Say how mild it is."""
        handover = "a leader hands over before it goes" if replicated else "here there is nobody to take over"
        return (
            f"“Stop” is the mildest fault: the server is asked to shut down and does so in order; {handover}. A crash "
            "(kill), a pause or a partition comes without warning, and takes longer to notice."
        )

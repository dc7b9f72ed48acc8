# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Mapping

from ..host.service import MainProcess
from .base import Action, Host
from .record import FaultRecord


class PowerOff(Action):
    """The host gone without a goodbye: nobody hears from it again, and its processes are dead.

    What the kernel has in its memory for the disk is not lost, as it would be without current.
    """

    name = "poweroff"
    past = "powered off"
    signal = "SIGKILL"
    caveat = (
        "A poweroff is not a power cut: the host falls silent and the server is killed, but what its kernel had not "
        "yet written to the disk is kept."
    )
    ended_from_outside = True

    def problem(self, host: Host, options: Mapping[str, float]) -> str | None:
        """Return why packets cannot be dropped."""
        return host.isolation.problem()

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Silence the host, then kill."""
        # Silent first: the kernel says goodbye for a process that it ends.
        host.isolation.silence()
        record.processes = host.service.kill_all(process)
        return "nft, pidfd"

    def heal(self, host: Host, record: FaultRecord, timeout_s: float) -> None:
        """Let the host speak again."""
        host.isolation.mend()
        super().heal(host, record, timeout_s)

    def told(self, who: str, record: FaultRecord) -> str:
        """Say both parts of it."""
        return f"{who} fell silent, and {record.signal} ended it"

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ..host.power import VIA
from ..host.service import MainProcess
from .base import Host
from .power_loss import PowerLoss
from .record import FaultRecord


class PowerOff(PowerLoss):
    """The host gone without a goodbye: nobody hears from it again, and its processes are dead.

    It is a power loss where the host is a machine of the lab's own, or the member's data has a file system that can be
    cut off from its disk. Elsewhere what the kernel has in its memory for the disk is kept, and the record says why.
    """

    name = "poweroff"
    past = "powered off"
    options = ()
    caveat = (
        "A poweroff is a power cut only where the host is a machine of the lab's own, or the member's data has a file "
        "system of its own, as each one's effect says: elsewhere it is not a power cut, as what the kernel had not yet "
        "written to the disk is kept."
    )
    has_measured_effect = False

    def problem(self, host: Host, record: FaultRecord) -> str | None:
        """Return why packets cannot be dropped."""
        return host.isolation.problem()

    def prepare(self, host: Host, record: FaultRecord) -> None:
        """Note how the data is mounted, where it can be cut off."""
        if self.takes_host(host, record.options) or host.volume.problem() is None:
            super().prepare(host, record)

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Silence the host, take the data away from its disk where that can be, and kill."""
        if record.volume is not None or record.boot_id is not None:
            return super().inject(host, process, record)
        # Silent first: the kernel says goodbye for a process that it ends.
        host.isolation.silence()
        record.processes = host.service.kill_all(process)
        record.effect = f"what was not on disk is kept: {host.volume.problem()}"
        return "nft, pidfd"

    def took_unsynced(self, record: FaultRecord) -> bool:
        """Whether the data was cut off from its disk, or the machine from its memory."""
        return "ioctl" in (record.via or "") or record.via == VIA

    def told(self, who: str, record: FaultRecord) -> str:
        """Say both parts of it, and the kernel's word where it was a power cut."""
        if self.took_unsynced(record):
            return super().told(who, record)
        return f"{who} fell silent, and {record.signal} ended it"

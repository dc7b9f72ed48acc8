# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The actions that there are. Their order is that of every list of them, and of what a seed draws."""

from __future__ import annotations

from .base import Action
from .choreography import Choreography
from .clock_skew import ClockSkew
from .disk_full import DiskFull
from .kill import Kill
from .partition import Partition
from .pause import Pause
from .power_loss import PowerLoss
from .poweroff import PowerOff
from .record import FaultRecord
from .restart import Restart
from .slow_disk import SlowDisk
from .slow_network import SlowNetwork
from .stop import Stop

ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        Stop(),
        Kill(),
        Restart(),
        Pause(),
        Partition(),
        PowerOff(),
        DiskFull(),
        SlowDisk(),
        SlowNetwork(),
        PowerLoss(),
        Choreography(),
        ClockSkew(),
    )
}


def takes_away(record: FaultRecord | None) -> bool:
    """Whether a fault keeps its member from its peers while it is held; of one that is not known that is assumed."""
    return record is None or ACTIONS[record.action].takes_away(record)

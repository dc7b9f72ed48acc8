# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checks that there are, in the order in which a verdict has them."""

from __future__ import annotations

from .applied_once import AppliedOnce
from .base import Checker
from .clocks import Clocks
from .convergence import Convergence
from .events import Events
from .evidence import Evidence
from .faults import Faults
from .hashes import Hashes
from .history import History
from .keys import Keys
from .limits import Limits
from .linearizable import Linearizable
from .lists import Lists
from .members_equal import MembersEqual
from .outcomes import Outcomes
from .reads import Reads
from .revisions import Revisions
from .scans import Scans
from .server_logs import ServerLogs
from .sessions import Sessions
from .stall import Stall
from .transactions import Transactions
from .unknown_writes import UnknownWrites
from .watch import Watch

CHECKERS: tuple[Checker, ...] = (
    History(),
    Stall(),
    Outcomes(),
    Evidence(),
    Reads(),
    Keys(),
    Linearizable(),
    Lists(),
    Scans(),
    Revisions(),
    Sessions(),
    AppliedOnce(),
    UnknownWrites(),
    Watch(),
    Transactions(),
    MembersEqual(),
    Hashes(),
    Convergence(),
    Faults(),
    Events(),
    ServerLogs(),
    Clocks(),
    Limits(),
)

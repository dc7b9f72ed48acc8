# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chapters that there are, in the order in which the page has them."""

from __future__ import annotations

from .base import Chapter
from .checks import Checks
from .cover import Cover
from .environment import Environment
from .keys import Keys
from .latency import Latency
from .notebook import Notebook
from .open import Open
from .outage import Outage
from .outcomes import Outcomes
from .reproduce import Reproduce
from .threats import Threats
from .time import Time

# What is read before the chapters; it is in no table of contents.
COVER: Chapter = Cover()

CHAPTERS: tuple[Chapter, ...] = (
    Open(),
    Notebook(),
    Time(),
    Outage(),
    Latency(),
    Outcomes(),
    Keys(),
    Checks(),
    Threats(),
    Reproduce(),
    Environment(),
)

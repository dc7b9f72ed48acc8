# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a workload is: a stream of operations that a seed decides, and how its keys are shared among the clients.

A workload is a file of this folder and a row in ``registry``. The load generator runs its stream and the checks make it
again, so nothing here imports more than the standard library.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import Enum
from typing import Any

from ..shapes import Kind

# ("CREATE", key, value), ("RETRIEVE", key) or ("DELETE", key)
Operation = tuple[str, str, str] | tuple[str, str]

CREATE = Kind.CREATE.value
RETRIEVE = Kind.RETRIEVE.value
DELETE = Kind.DELETE.value


class Sharing(Enum):
    """Which clients may run the operations of a key."""

    ONE_CLIENT = "one client"  # one after the other, in the stream's order: what a key may be is known exactly
    ALL_CLIENTS = "all clients"  # at once; only a search for an order of them tells what a key may be


class Workload(ABC):
    """One kind of stream."""

    name: str
    sharing: Sharing = Sharing.ONE_CLIENT
    options: tuple[str, ...] = ()  # names of the settings that belong to it alone

    @abstractmethod
    def operations(self, iterations: int, seed: int, options: Mapping[str, Any]) -> list[Operation]:
        """Return the stream; the same arguments give the same stream, on every machine.

        :param iterations: above 0; how many operations that makes is the workload's own affair
        :param options: those of its own settings that were given; LabError names what is wrong with one
        """

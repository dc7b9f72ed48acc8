# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a workload is: a stream of operations that a seed decides, and how its keys are shared among the clients.

A workload is a file of this folder and a row in ``registry``. The load generator runs its stream and the checks make it
again, so nothing here imports more than the standard library.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from ..shapes import Kind
from .packed import Stream, pack

# Its kind, its key and, as far as the kind has them, the value (of an APPEND the element, of a SCAN how many keys it
# asks for) and what a CAS expects.
Operation = tuple[str, str, str, str] | tuple[str, str, str] | tuple[str, str]
# The same as a workload gives it: its keys are numbers, and small ones, as a table is made of them.
Draw = tuple[str, int, str, str] | tuple[str, int, str] | tuple[str, int]

CREATE = Kind.CREATE.value
RETRIEVE = Kind.RETRIEVE.value
DELETE = Kind.DELETE.value
WRITE = Kind.WRITE.value
CAS = Kind.CAS.value
APPEND = Kind.APPEND.value
SCAN = Kind.SCAN.value


def value_of(operation: Sequence[str]) -> str | None:
    """Return what an operation writes, or how many keys it asks for; None where it does neither."""
    return operation[2] if len(operation) > 2 else None


def expected_of(operation: Sequence[str]) -> str | None:
    """Return the value that a CAS has to find, None of any other operation."""
    return operation[3] if len(operation) > 3 else None


class Sharing(Enum):
    """Which clients may run the operations of a key."""

    ONE_CLIENT = "one client"  # one after the other, in the stream's order: what a key may be is known exactly
    ALL_CLIENTS = "all clients"  # at once; only a search for an order of them tells what a key may be


class Content(Enum):
    """What a key holds."""

    VALUE = "a value"
    LIST = "a list"  # that grows, by elements of which no two are equal


class Workload(ABC):
    """One kind of stream."""

    name: str
    says: str  # what it is, in one sentence
    sharing: Sharing = Sharing.ONE_CLIENT
    content: Content = Content.VALUE
    options: tuple[str, ...] = ()  # names of the settings that belong to it alone

    @abstractmethod
    def draws(self, iterations: int, seed: int, options: Mapping[str, Any]) -> Iterator[Draw]:
        """Yield the operations; the same arguments give the same ones, on every machine.

        :param iterations: above 0; how many operations that makes is the workload's own affair
        :param options: those of its own settings that were given; LabError names what is wrong with one
        """

    @abstractmethod
    def key_name(self, key: int) -> str:
        """Return the name of a key of :meth:`draws`; no two have the same."""

    def operations(self, iterations: int, seed: int, options: Mapping[str, Any]) -> Stream:
        """Return the stream; arguments are those of :meth:`draws`."""
        return pack(self.draws(iterations, seed, options), self.key_name)

    def most_operations(self, iterations: int, options: Mapping[str, Any]) -> int:
        """Return how many operations so many iterations make at most, give or take a few.

        :param options: as for :meth:`operations`
        """
        return iterations

    def longest_value(self, options: Mapping[str, Any]) -> int:
        """Return how many characters a key may come to hold, for systems that want to know beforehand.

        :param options: as for :meth:`operations`
        """
        return 20  # the notebook's, whose addresses are shorter

    def assign(self, operations: Stream, clients: int, generators: int = 1) -> list[Sequence[int]]:
        """Return the indexes that each client runs, ascending. Client n is of load generator n modulo ``generators``.

        Keys are numbered in the order in which their names first appear, and a key of one client belongs to that of its
        number modulo ``clients``: all its operations are one client's, in the stream's order. A key of all clients
        belongs to the load generator of its number modulo ``generators``, and the operations of these keys are dealt
        out to its clients.
        """
        if self.sharing is Sharing.ONE_CLIENT:
            return _by_key(operations, clients)
        assigned: list[Sequence[int]] = [()] * clients
        for generator, indexes in enumerate(_by_key(operations, generators)):
            own = range(generator, clients, generators)
            for client, share in zip(own, self.deal(operations, indexes, len(own)), strict=True):
                assigned[client] = share
        return assigned

    def deal(self, operations: Stream, indexes: Sequence[int], clients: int) -> list[Sequence[int]]:
        """Deal operations of keys of all clients out to so many of them: one by one, unless a workload knows better.

        :param indexes: of the operations, ascending
        """
        return [indexes[client::clients] for client in range(clients)]


def _by_key(operations: Stream, parts: int) -> list[Sequence[int]]:
    """Divide the operations into so many parts, all those of a key into the same."""
    if parts == 1:
        return [range(len(operations))]
    divided: list[array[int]] = [array("I") for _ in range(parts)]
    for index, number in enumerate(operations.key_numbers):
        divided[number % parts].append(index)
    return [*divided]

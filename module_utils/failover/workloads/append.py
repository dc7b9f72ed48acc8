# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists that all clients grow by elements of which no two are equal, and read.

A list shows the order in which its elements came and which of them are missing, at the cost of one look: the idea is
that of the append test of Jepsen's Elle (Kingsbury and Alvaro, "Elle: inferring isolation anomalies from experimental
observations", 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from .base import APPEND, RETRIEVE, Content, Draw, Sharing, Workload
from .options import mix, whole_number

# Lists that grow at one time, and elements after which a list is left for a new one: what is read stays short.
LISTS = 10
ELEMENTS = 100
MIX = {APPEND: 50, RETRIEVE: 50}
# Of an element and its separator: the index of an operation.
ELEMENT_CHARS = 12


class Append(Workload):
    """Lists that grow. One operation an iteration; elements are the operations' indexes."""

    name = "append"
    says = "lists that all clients grow and read"
    sharing = Sharing.ALL_CLIENTS
    content = Content.LIST
    options = ("lists", "elements", "mix")

    def draws(self, iterations: int, seed: int, options: Mapping[str, Any]) -> Iterator[Draw]:
        """Yield the operations. A list is full, and another one takes its place, when so many were appended to it."""
        lists = whole_number(options, "lists", LISTS, least=1, most=1_000_000)
        most = self._elements(options)
        share = mix(options, MIX)[APPEND] / 100
        source = Random(seed)
        growing, appended, made = list(range(lists)), [0] * lists, lists
        for index in range(iterations):
            place = source.randrange(lists)
            key = growing[place]
            if source.random() >= share:
                yield RETRIEVE, key
                continue
            yield APPEND, key, str(index)
            appended[place] += 1
            if appended[place] == most:
                growing[place], appended[place], made = made, 0, made + 1

    def key_name(self, key: int) -> str:
        """Return the name of a list."""
        return f"list{key}"

    def longest_value(self, options: Mapping[str, Any]) -> int:
        """Return how long a full list is."""
        return self._elements(options) * ELEMENT_CHARS

    def _elements(self, options: Mapping[str, Any]) -> int:
        return whole_number(options, "elements", ELEMENTS, least=1, most=10_000)

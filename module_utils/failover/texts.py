# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Millions of short texts in a few buffers: what a list or a dict of them would take is several times as much."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice

# From this length of a text on, its places no longer fit into four bytes.
_WIDE_FROM = 1 << 32
# Slots that an index has at first: a power of two.
_SLOTS = 1 << 10


class Texts:
    """Texts in one buffer, by the number of those that were added before."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends: array[int] = array("I", [0])  # of each text, behind the beginning of the first

    def extend(self, texts: Sequence[str]) -> None:
        """Add some texts, which is quicker than one by one."""
        begin = len(self._text)
        together = "".join(texts)
        sizes: Iterable[int] = map(len, texts)
        if not together.isascii():
            sizes = [len(text.encode()) for text in texts]
        self._text += together.encode()
        if len(self._text) >= _WIDE_FROM and self._ends.typecode == "I":
            self._ends = array("Q", self._ends)
        self._ends.extend(islice(accumulate(sizes, initial=begin), 1, None))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        return self._text[self._ends[number] : self._ends[number + 1]].decode()

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Texts) and self._ends == other._ends and self._text == other._text

    __hash__ = None  # type: ignore[assignment]


class Index:
    """Finds the numbers of texts of which no two are equal."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._one_more = array("I", [0]) * _SLOTS  # where the hash of a text says, or behind: its number + 1
        self._known = 0
        self.grow()

    def grow(self) -> int | None:
        """Take the texts that were added since; return the number of the first that was there before, if any."""
        wanted = len(self._texts)
        if 3 * wanted > 2 * len(self._one_more):
            self._one_more = array("I", [0]) * (1 << (2 * wanted).bit_length())
            self._known = 0
        for number in range(self._known, wanted):
            slot = self._slot(self._texts[number])
            if self._one_more[slot]:
                return number
            self._one_more[slot] = number + 1
        self._known = wanted
        return None

    def find(self, text: str) -> int | None:
        """Return the number of a text; None where it is not there."""
        one_more = self._one_more[self._slot(text)]
        return one_more - 1 if one_more else None

    def _slot(self, text: str) -> int:
        """Return the slot of a text, or the free one that it would have."""
        one_more, last = self._one_more, len(self._one_more) - 1
        slot = hash(text) & last
        while (found := one_more[slot]) and self._texts[found - 1] != text:
            slot = (slot + 1) & last
        return slot

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stream in a few buffers: some 20 bytes an operation of the usual workload, where a list of tuples takes 200.

The buffers are written once. Processes that are forked after that share them: to read an operation changes no page.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, overload

from ..shapes import Kind
from ..texts import Index, Texts

if TYPE_CHECKING:
    from .base import Draw, Operation

KINDS = tuple(kind.value for kind in Kind)
CODE_OF = {kind: code for code, kind in enumerate(KINDS)}
_CAS = CODE_OF[Kind.CAS]
_WITHOUT_VALUE = {CODE_OF[Kind.RETRIEVE], CODE_OF[Kind.DELETE]}
# Between the value of a CAS and what it expects; it is in no value.
_BETWEEN = "\0"
# So many keys of a workload are few.
_FEW = 50_000
# Draws that are packed together, which is quicker than one by one.
_DRAWS_AT_ONCE = 1024


def zeros(size_bytes: int) -> mmap.mmap:
    """Return so many zeros, which take memory only where something else was written."""
    made = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # Thousands of pages one by one take as long as the stream. A kernel without large ones says so.
    with suppress(OSError):
        made.madvise(mmap.MADV_HUGEPAGE)
    return made


class Stream(Sequence["Operation"]):
    """Operations in order; each is made when it is asked for."""

    def __init__(self) -> None:
        self.kinds = bytearray()  # of each operation, its place in KINDS
        self.key_numbers: array[int] = array("I")  # of each operation; keys are numbered as they first appear
        self.keys = Texts()  # by their numbers
        self.values = Texts()  # of each operation; empty where it has none, and of a CAS with what it expects behind it

    def __len__(self) -> int:
        return len(self.kinds)

    @overload
    def __getitem__(self, index: int) -> Operation: ...
    @overload
    def __getitem__(self, index: slice) -> list[Operation]: ...
    def __getitem__(self, index: int | slice) -> Operation | list[Operation]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        if index < 0:
            index = range(len(self.kinds))[index]
        key = self.keys[self.key_numbers[index]]
        return (KINDS[self.kinds[index]], key, *self.texts(index))

    @cached_property
    def number_of(self) -> Index:
        """Return what finds the numbers of keys; it is made once all are there."""
        return Index(self.keys)

    def texts(self, index: int) -> tuple[()] | tuple[str] | tuple[str, str]:
        """Return the value of an operation and what it expects, as far as it has them."""
        code = self.kinds[index]
        if code in _WITHOUT_VALUE:
            return ()
        value = self.values[index]
        if code != _CAS:
            return (value,)
        value, expected = value.split(_BETWEEN)
        return value, expected


def pack(draws: Iterable[Draw], key_name: Callable[[int], str]) -> Stream:
    """Return the operations of ``draws``.

    :param key_name: the name of the key that has this number in the draws
    """
    stream = Stream()
    number_of = _Numbers()
    remaining = iter(draws)
    while some := list(islice(remaining, _DRAWS_AT_ONCE)):
        stream.kinds.extend([CODE_OF[draw[0]] for draw in some])
        numbers, fresh = number_of.take([draw[1] for draw in some])
        stream.key_numbers.extend(numbers)
        stream.keys.extend([key_name(key) for key in fresh])
        stream.values.extend(
            [_BETWEEN.join(draw[2:]) if len(draw) > 3 else draw[2] if len(draw) > 2 else "" for draw in some]
        )
    return stream


class _Numbers:
    """Numbers keys of a workload in the order in which they first appear.

    A dict as long as there are few; of many it would take more than the stream, and a table takes four bytes a key.
    """

    def __init__(self) -> None:
        self._few: dict[int, int] = {}  # key of the workload -> its number
        self._one_more: memoryview | None = None  # the same as a table of numbers + 1, 0 of a key that has none yet
        self._count = 0

    def take(self, keys: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return the number of each key, and those keys that had none yet."""
        if self._one_more is not None:
            return self._from_table(keys, self._reaching(max(keys), self._one_more))
        few, known = self._few, len(self._few)
        numbers = [few.setdefault(key, len(few)) for key in keys]
        fresh = list(islice(reversed(few), len(few) - known))[::-1]
        if len(few) > _FEW:
            self._one_more = self._reaching(max(few), memoryview(zeros(4)).cast("I"))
            for key, number in few.items():
                self._one_more[key] = number + 1
            self._count = len(few)
            self._few = {}
        return numbers, fresh

    def _from_table(self, keys: Sequence[int], one_more: memoryview) -> tuple[list[int], list[int]]:
        count = self._count
        numbers, fresh = [], []
        for key in keys:
            found = one_more[key]
            if not found:
                count += 1
                one_more[key] = found = count
                fresh.append(key)
            numbers.append(found - 1)
        self._count = count
        return numbers, fresh

    def _reaching(self, key: int, table: memoryview) -> memoryview:
        """Return the table with room for a key."""
        if key >= len(table):
            former = table
            self._one_more = table = memoryview(zeros(4 << key.bit_length())).cast("I")
            table[: len(former)] = former
        return table

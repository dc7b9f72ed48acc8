# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Columns of a history in the order of the stream, a few bytes an operation.

A list of Python's objects would take up to a hundred.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..results.rows import Ints, Rows
from ..shapes import Outcome

WORDS: tuple[str | None, ...] = (None, *(outcome.value for outcome in Outcome))


class Words(Sequence[str | None]):
    """Few different words, by a code each."""

    def __init__(self, codes: bytearray, words: Sequence[str | None]) -> None:
        self.codes = codes
        self.words = list(words)

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[str | None]: ...
    def __getitem__(self, index: int | slice) -> str | list[str | None] | None:
        if isinstance(index, slice):
            return [self.words[code] for code in self.codes[index]]
        return self.words[self.codes[index]]

    def __setitem__(self, index: int, word: str | None) -> None:
        self.codes[index] = self.words.index(word)

    def __iter__(self) -> Iterator[str | None]:
        return map(self.words.__getitem__, self.codes)

    def copy(self) -> Words:
        """Return the same once more, to be changed."""
        return Words(bytearray(self.codes), self.words)

    def array(self) -> npt.NDArray[np.uint8]:
        """Return the codes."""
        return np.frombuffer(self.codes, dtype=np.uint8)


class Numbers(Sequence[int | None]):
    """Whole numbers, some of them missing."""

    def __init__(self, numbers: Ints, there: npt.NDArray[np.bool_]) -> None:
        self._numbers, self._there = numbers.data, there.data

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> int | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[int | None]: ...
    def __getitem__(self, index: int | slice) -> int | list[int | None] | None:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        return self._numbers[index] if self._there[index] else None


class Strings(Sequence[str | None]):
    """Texts, some of them missing."""

    def __init__(self, texts: pa.Array) -> None:
        _, ends, data = texts.buffers()
        width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
        self._count = len(texts)
        self._ends = np.frombuffer(ends, dtype=width)[texts.offset :].data if self._count else memoryview(b"")
        self._data = memoryview(data) if data is not None else memoryview(b"")
        self._there = texts.is_valid().to_numpy(zero_copy_only=False).data

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[str | None]: ...
    def __getitem__(self, index: int | slice) -> str | list[str | None] | None:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        if not self._there[index]:
            return None
        return str(self._data[self._ends[index] : self._ends[index + 1]], "utf-8")


class InOrder:
    """Takes columns of a history in the order of the stream."""

    def __init__(self, table: Rows, row_of: Ints) -> None:
        """Take the rows, and the row of each operation, below 0 where it has none."""
        self._table, self._row_of = table, row_of
        rows = table.num_rows
        self._as_filed = rows == len(row_of) and bool(np.array_equal(row_of, np.arange(rows, dtype=row_of.dtype)))

    def words(self, name: str) -> Words:
        """Return a column of few different words; None where there is no row."""
        codes, words = self._table.words(name, WORDS)
        return Words(bytearray(self._placed(codes, 0)), words)

    def numbers(self, name: str) -> Numbers:
        """Return a column of whole numbers; None where there is no row."""
        return Numbers(self._placed(self._table.numbers(name), 0), self._placed(self._table.known(name), False))

    def counts(self, name: str) -> Sequence[int]:
        """Return a column of whole numbers; 0 where there is no row."""
        return self._placed(self._table.numbers(name), 0).data

    def strings(self, name: str) -> Strings:
        """Return a column of texts; None where there is no row."""
        column = self._table[name]
        texts = column.cast(pa.large_string()) if column.nbytes >= 1 << 31 else column
        if self._as_filed:
            return Strings(texts.combine_chunks())
        wanted = pa.array(self._row_of, mask=self._row_of < 0)
        return Strings(texts.combine_chunks().take(wanted))

    def _placed(self, values: Ints, missing: int) -> Ints:
        if self._as_filed:
            return values
        if not len(values):
            return np.full(len(self._row_of), missing, dtype=values.dtype)
        placed = values[self._row_of]
        placed[self._row_of < 0] = missing
        return placed

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a history where they are: in its file, of which only what is asked for is in memory.

The file is read by one thread: each would keep memory of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Ints = npt.NDArray[Any]  # whole numbers in as few bytes each as they need

# Parts of the file that stay in memory after a row of them was asked for.
_GROUPS_KEPT = 4


def whole_file(path: Path) -> pq.ParquetFile:
    """Open a file and read all of it once, so that what is damaged is found here; raises OSError, pa.ArrowException."""
    file = pq.ParquetFile(path)
    for number in range(file.num_row_groups):
        file.read_row_group(number, use_threads=False)
    return file


class Rows:
    """Gives columns and rows as a table does; whoever needs a column again keeps it."""

    def __init__(self, source: pa.Table | pq.ParquetFile, types: pa.Schema) -> None:
        """Read from a table or a file.

        :param types: of all columns; those that the source lacks are empty
        """
        self._source = source
        self._types = types
        self._is_table = isinstance(source, pa.Table)
        self.num_rows: int = source.num_rows if self._is_table else source.metadata.num_rows
        self._group = lru_cache(_GROUPS_KEPT)(self._read_group)
        self._ends: list[int] = []  # of the groups, in rows
        if not self._is_table:
            for number in range(source.num_row_groups):
                begin = self._ends[-1] if self._ends else 0
                self._ends.append(begin + source.metadata.row_group(number).num_rows)

    @property
    def names(self) -> list[str]:
        """Return the names of all columns."""
        return list(self._types.names)

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return self.column(name)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column."""
        return self.select([name]).column(0)

    def select(self, names: Sequence[str]) -> pa.Table:
        """Return some columns."""
        # What the columns took that were asked for before, and that nobody has any more.
        pa.default_memory_pool().release_unused()
        return self._filled(
            self._source if self._is_table else self._source.read(self._of_file(names), use_threads=False), names
        )

    def parts(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield some columns, a part of the rows at a time."""
        if self._is_table:
            yield self._filled(self._source, names)
            return
        for number in range(len(self._ends)):
            yield self._filled(self._source.read_row_group(number, self._of_file(names), use_threads=False), names)
        # What the parts took, and nobody has any more.
        pa.default_memory_pool().release_unused()

    def numbers(self, name: str) -> Ints:
        """Return a column of whole numbers, 0 for those that are missing; of it no more than a part is held twice."""
        return narrow((chunk for part in self.parts([name]) for chunk in part.column(0).chunks), self.num_rows)

    def times(self, name: str) -> npt.NDArray[np.int64]:
        """Return the same of a column to reckon with: of eight bytes each."""
        return self.numbers(name).astype(np.int64, copy=False)

    def has_any(self, name: str) -> bool:
        """Whether a column has anything."""
        return any(part.column(0).null_count < part.num_rows for part in self.parts([name]))

    def known(self, name: str) -> npt.NDArray[np.bool_]:
        """Return in which rows a column has anything."""
        known = np.empty(self.num_rows, dtype=np.bool_)
        begin = 0
        for part in self.parts([name]):
            known[begin : begin + part.num_rows] = part.column(0).is_valid().to_numpy()
            begin += part.num_rows
        return known

    def words(self, name: str, words: Sequence[str | None] = (None,)) -> tuple[npt.NDArray[np.uint8], list[str | None]]:
        """Return a column of few different words by a code each, and the word of each code.

        :param words: which have the first codes; None, which is among them, is the one of a row that has no word
        """
        told = list(words)
        codes = np.empty(self.num_rows, dtype=np.uint8)
        begin = 0
        for part in self.parts([name]):
            for chunk in part.column(0).chunks:
                coded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
                own = coded.dictionary.to_pylist()
                told += [word for word in own if word not in told]
                code_of = np.array([told.index(word) for word in (*own, None)], dtype=np.uint8)  # of null at -1
                codes[begin : begin + len(chunk)] = code_of[coded.indices.fill_null(-1).to_numpy()]
                begin += len(chunk)
        return codes, told

    def row(self, number: int) -> dict[str, Any]:
        """Return one row."""
        if self._is_table:
            table = self._filled(self._source.slice(number, 1), self.names)
        else:
            group = next(at for at, end in enumerate(self._ends) if number < end)
            begin = self._ends[group - 1] if group else 0
            table = self._group(group).slice(number - begin, 1)
        row: dict[str, Any] = table.to_pylist()[0]
        return row

    def taken(self, names: Sequence[str], rows: Ints) -> pa.Table:
        """Return some columns of some rows; of the file the parts are read that have any of them.

        :param rows: their numbers, ascending
        """
        if self._is_table:
            return self._filled(self._source, names).take(rows)
        found = []
        group_of = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(group_of).tolist():
            begin = self._ends[number - 1] if number else 0
            part = self._filled(self._source.read_row_group(number, self._of_file(names), use_threads=False), names)
            found.append(part.take(rows[group_of == number] - begin))
        empty = pa.schema([self._types.field(name) for name in names]).empty_table()
        return pa.concat_tables(found) if found else empty

    def table(self) -> pa.Table:
        """Return all of it."""
        return self.select(self._types.names)

    def _of_file(self, names: Sequence[str]) -> list[str]:
        there = set(self._source.schema_arrow.names)
        return [name for name in names if name in there]

    def _read_group(self, number: int) -> pa.Table:
        return self._filled(self._source.read_row_group(number, use_threads=False), self._types.names)

    def _filled(self, table: pa.Table, names: Sequence[str]) -> pa.Table:
        there = set(table.column_names)
        missing = {name: pa.nulls(table.num_rows, self._types.field(name).type) for name in names if name not in there}
        return pa.table([missing[name] if name in missing else table[name] for name in names], names=list(names))


def narrow(chunks: Iterable[pa.Array], count: int) -> Ints:
    """Return so many whole numbers, 0 for those that are missing, in as few bytes each as they need."""
    numbers: Ints = np.empty(count, dtype=np.int8)
    begin = 0
    for chunk in chunks:
        least, most = (bound or 0 for bound in pc.min_max(chunk).as_py().values())
        kinds = (numbers.dtype, np.int16, np.int32, np.int64)
        kind = next(kind for kind in kinds if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max)
        if kind != numbers.dtype:
            wider = np.empty(count, dtype=kind)
            wider[:begin] = numbers[:begin]
            numbers = wider
        numbers[begin : begin + len(chunk)] = chunk.fill_null(0).to_numpy()
        begin += len(chunk)
    return numbers

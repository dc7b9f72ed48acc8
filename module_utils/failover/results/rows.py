# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a history where they are: in its file, of which only what is asked for is in memory.

The file is read by one thread: each would keep memory of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

# Parts of the file that stay in memory after a row of them was asked for.
_GROUPS_KEPT = 4


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

    def row(self, number: int) -> dict[str, Any]:
        """Return one row."""
        if self._is_table:
            table = self._filled(self._source.slice(number, 1), self._types.names)
        else:
            group = next(at for at, end in enumerate(self._ends) if number < end)
            begin = self._ends[group - 1] if group else 0
            table = self._group(group).slice(number - begin, 1)
        row: dict[str, Any] = table.to_pylist()[0]
        return row

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

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The history while it is written: JSON lines, standard library only (this runs on the load generator).

The first line is the meta object: what the writer was given, ``schema_version`` and ``columns``. Every
other line is one operation, an array in the order of :data:`~..shapes.HISTORY_COLUMNS`.
:mod:`.parquet` makes the Parquet file of it that a results folder keeps.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn, Self

from ..shapes import FORMER_COLUMNS, HISTORY_COLUMNS, SCHEMA_VERSION, HistoryRow, LabError
from .files import HISTORY_LINES_FILE

# What a crash of the writer can lose: rows of this time, or the operating system's buffer if that fills first.
FLUSH_INTERVAL_NS = 500_000_000

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def line_of_row(row: HistoryRow) -> str:
    """Return one row as the file has it."""
    return _encode(row) + "\n"


class HistoryWriter:
    """Writes a history row by row, from any thread, holding no more than a file buffer of it.

    ``meta`` is kept with the history; it has to have ``origin_wall_ns``, where the rows' monotonic times
    start on the wall clock (Unix epoch). Raises :class:`LabError` where the file cannot be written, at the
    latest in :meth:`close`; after that every call raises it again.
    """

    def __init__(self, path: str | Path, meta: dict[str, Any]) -> None:
        self.path = Path(path)
        if "origin_wall_ns" not in meta:
            raise LabError(f"history {self.path}: the meta object has no origin_wall_ns; give the experiment's origin")
        self.rows = 0
        self._lock = threading.Lock()
        self._flushed_ns = time.monotonic_ns()
        self._broken: str | None = None
        header = {**meta, "schema_version": SCHEMA_VERSION, "columns": list(HISTORY_COLUMNS)}
        try:
            self._file: IO[str] = self.path.open("w", encoding="utf-8")
            self._file.write(_encode(header) + "\n")
            self._file.flush()
        except OSError as error:
            self._fail(error)

    def append(self, row: HistoryRow) -> None:
        """Add one row. Rows of several clients stand in the order of these calls."""
        self.append_lines(line_of_row(row), 1)

    def append_lines(self, lines: str, rows: int) -> None:
        """Add so many rows that :func:`line_of_row` made lines of."""
        with self._lock:
            if self._broken is not None:
                raise LabError(self._broken)
            try:
                self._file.write(lines)
                self.rows += rows
                now_ns = time.monotonic_ns()
                if now_ns - self._flushed_ns >= FLUSH_INTERVAL_NS:
                    self._file.flush()
                    self._flushed_ns = now_ns
            except OSError as error:
                self._fail(error)

    def close(self) -> None:
        """Write what is left. Safe to call twice."""
        with self._lock:
            if self._broken is not None:
                raise LabError(self._broken)
            try:
                self._file.close()
            except OSError as error:
                self._fail(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _fail(self, error: OSError) -> NoReturn:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = f"free some space under {self.path.parent} or run fewer iterations"
        else:
            advice = f"check that {self.path.parent} exists and may be written to"
        self._broken = f"history {self.path}: {error.strerror or error} after {self.rows} rows; {advice}"
        with suppress(OSError, AttributeError):  # what is left in its buffer cannot be written, or it never was open
            self._file.close()
        raise LabError(self._broken) from error


class HistoryReader(Iterator[HistoryRow]):
    """The rows of a JSON-lines history, one after the other.

    ``cut`` is ``None`` unless the last line is cut short (the writer was killed, or the disk was full); then
    it says so in one sentence, and that line is left out. Damage before the last line raises :class:`LabError`.
    """

    def __init__(self, path: Path, file: IO[bytes], cut: str | None, width: int) -> None:
        self.path = path
        self.cut = cut
        self._width = width
        self._file = file
        self._line_number = 1

    def __next__(self) -> HistoryRow:
        # An iterator that is exhausted stays so.
        line = b"" if self._file.closed else self._file.readline()
        if not line.endswith(b"\n"):
            self._file.close()
            raise StopIteration
        self._line_number += 1
        try:
            values = json.loads(line)
        except ValueError as error:
            self._damaged(str(error))
        if not isinstance(values, list) or len(values) != self._width:
            self._damaged(f"a row has to be an array of {self._width} values")
        return HistoryRow(*values)

    def _damaged(self, why: str) -> NoReturn:
        self._file.close()
        raise LabError(
            f"history {self.path}: line {self._line_number} is not a row ({why}); fetch it again or repeat the run"
        )


def read_jsonl(path: str | Path) -> tuple[dict[str, Any], HistoryReader]:
    """Open a JSON-lines history; return its meta object and an iterator over its rows.

    Raises :class:`LabError` where the file is missing, empty, or not a history of this schema.
    """
    path = Path(path)
    try:
        file = path.open("rb")
        first = file.readline()
        start = file.tell()
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        cut = None if file.read() == b"\n" else f"the last line of {path.name} is cut short; its operation is left out"
        file.seek(start)
    except OSError as error:
        raise LabError(f"history {path}: {error.strerror or error}; fetch it again or repeat the run") from error
    try:
        meta = json.loads(first)
    except ValueError:
        meta = None
    if not isinstance(meta, dict) or "columns" not in meta:
        file.close()
        what = "is empty" if not first else "does not start with a history's meta object"
        raise LabError(f"history {path} {what}; give the {HISTORY_LINES_FILE} of an experiment, or repeat the run")
    try:
        check_meta(path, meta)
    except LabError:
        file.close()
        raise
    return meta, HistoryReader(path, file, cut, len(meta["columns"]))


def check_meta(path: Path, meta: dict[str, Any]) -> None:
    """Raise :class:`LabError` unless ``meta`` is of this schema and has what the readers rely on."""
    known = meta.get("columns") in [list(columns) for columns in (HISTORY_COLUMNS, *FORMER_COLUMNS)]
    if meta.get("schema_version") != SCHEMA_VERSION or not known:
        raise LabError(
            f"history {path} has schema {meta.get('schema_version')!r}, this version reads {SCHEMA_VERSION}; "
            "use the version of the lab that wrote it, or repeat the run"
        )
    if not isinstance(meta.get("origin_wall_ns"), int):
        raise LabError(f"history {path} has no origin_wall_ns; fetch it again or repeat the run")

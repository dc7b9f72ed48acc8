# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a watch was told, as a results folder keeps it: Parquet, a row a change in the order of arrival."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..shapes import WATCH_COLUMNS, LabError
from .files import WATCH_FILE, WATCH_LINES_FILE
from .rows import Rows, whole_file
from .write import replacing

_TYPES = {
    "revision": pa.int64(),
    "key": pa.string(),
    "value": pa.string(),
    "arrived_ns": pa.int64(),
    "endpoint": pa.dictionary(pa.int32(), pa.string()),
}
SCHEMA = pa.schema([(name, _TYPES[name]) for name in WATCH_COLUMNS])
# Rows converted at a time: bounds the memory.
_BATCH = 50_000


def keep_watch(folder: Path, origin_wall_ns: int) -> None:
    """Convert what the load generator wrote, if it did; a last line that is cut short is left out.

    :param origin_wall_ns: of the experiment, from which the times count afterwards
    :raises LabError: where the file is damaged before its last line
    """
    fetched = folder / WATCH_LINES_FILE
    if not fetched.is_file():
        return
    with fetched.open("rb") as file, replacing(folder / WATCH_FILE) as part:
        lines = _lines(fetched, file, origin_wall_ns)
        with pq.ParquetWriter(part, SCHEMA, compression="zstd") as writer:
            while rows := list(islice(lines, _BATCH)):
                columns = zip(*rows, strict=True)
                arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
                writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))
    fetched.unlink()


def _lines(path: Path, file: IO[bytes], origin_wall_ns: int) -> Iterator[list[Any]]:
    arrived = WATCH_COLUMNS.index("arrived_ns")
    for number, line in enumerate(file, 1):
        if not line.endswith(b"\n"):
            return
        try:
            row = json.loads(line)
        except ValueError as error:
            raise LabError(f"{path}: line {number} is no JSON ({error}); run the experiment again") from error
        if number == 1:
            if not isinstance(row, dict) or row.get("columns") != list(WATCH_COLUMNS):
                raise LabError(f"{path} is not what a watch of this lab wrote; run the experiment again")
            continue
        if not isinstance(row, list) or len(row) != len(WATCH_COLUMNS) or not isinstance(row[arrived], int):
            raise LabError(f"{path}: line {number} is no row of {len(WATCH_COLUMNS)} values; run the experiment again")
        row[arrived] -= origin_wall_ns
        yield row


def open_watch(folder: Path) -> Rows:
    """Return what the watch of an experiment was told; LabError where the file is missing, damaged or foreign.

    Nothing is raised later, when it is asked for.
    """
    path = folder / WATCH_FILE
    try:
        file = whole_file(path)
    except FileNotFoundError as error:
        raise LabError(f"{path} is missing; copy the results folder again") from error
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise LabError(f"{path} cannot be read ({reason}); copy the results folder again") from error
    if file.schema_arrow.names != list(WATCH_COLUMNS):
        raise LabError(f"{path} is Parquet, but not of a watch of this lab; copy the results folder again")
    return Rows(file, SCHEMA)

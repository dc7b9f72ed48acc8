# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The history as a results folder keeps it: Parquet. Apart from :mod:`.history` because hosts have no pyarrow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..shapes import FORMER_COLUMNS, HISTORY_COLUMNS, SCHEMA_VERSION, HistoryRow, LabError, Outcome
from .files import HISTORY_FILE, HISTORY_LINES_FILE
from .history import check_meta, read_jsonl
from .rows import Rows, whole_file

# Key of the Parquet file's own metadata that holds the history's meta object as JSON.
META_KEY = b"failover_lab_history"
# Rows converted at a time: bounds the memory (about 20 MB) and makes the row groups.
_BATCH = 50_000

_FEW = pa.dictionary(pa.int32(), pa.string())
_TYPES = {
    "index": pa.int64(),
    "client": pa.int32(),
    "kind": _FEW,
    "key": pa.string(),
    "value": pa.string(),
    "intended_ns": pa.int64(),
    "invoke_ns": pa.int64(),
    "complete_ns": pa.int64(),
    "outcome": _FEW,
    "attempts": pa.int32(),
    "endpoint": _FEW,
    "read": pa.string(),
    "affected": pa.int64(),
    "error": pa.string(),
    "revision": pa.int64(),
    "settled": _FEW,
    "settled_ns": pa.int64(),
    "expected": pa.string(),
    "transaction": pa.string(),
}
SCHEMA = pa.schema([(name, _TYPES[name]) for name in HISTORY_COLUMNS])


def write_parquet(path: str | Path, meta: dict[str, Any], rows: Iterable[HistoryRow]) -> int:
    """Write ``rows`` with ``meta`` to a Parquet file, replacing it in one step; return how many rows."""
    path = Path(path)
    schema = _schema(meta)
    part = path.with_name(path.name + ".part")
    count = 0
    try:
        with pq.ParquetWriter(part, schema, compression="zstd") as writer:
            for batch in _batches(path, rows, schema):
                writer.write_batch(batch)
                count += batch.num_rows
        os.replace(part, path)
    except OSError as error:
        raise LabError(f"history {path}: {error}; free some space under {path.parent} and try again") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _schema(meta: dict[str, Any]) -> pa.Schema:
    # Also of what came with the columns of an earlier version: what that lacks is None.
    header = {**meta, "schema_version": SCHEMA_VERSION, "columns": list(HISTORY_COLUMNS)}
    return SCHEMA.with_metadata({META_KEY: json.dumps(header).encode()})


def _batches(path: Path, rows: Iterable[HistoryRow], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Turn rows into columns, some at a time."""
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        columns = zip(*batch, strict=True)
        try:
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise LabError(f"history {path}: a row does not fit the columns ({error}); repeat the run") from error
        yield pa.record_batch(arrays, schema=schema)


# What became of writes of unknown outcome, by index: a Settled, and since when that is so, in ns since the origin.
Settlements = Mapping[int, tuple[str, int]]


def jsonl_to_parquet(src: str | Path, dst: str | Path, settled: Settlements = MappingProxyType({})) -> str | None:
    """Convert a JSON-lines history; return a sentence if its last line was cut short, else ``None``.

    The sentence is kept in the Parquet file's meta object as ``cut``, so that it is not lost with ``src``.
    """
    meta, rows = read_jsonl(src)
    write_parquet(dst, {**meta, "cut": rows.cut}, _with_settled(rows, settled))
    return rows.cut


def _with_settled(rows: Iterable[HistoryRow], settled: Settlements) -> Iterator[HistoryRow]:
    for row in rows:
        if row.outcome == Outcome.UNKNOWN and row.index in settled:
            word, at_ns = settled[row.index]
            yield row._replace(settled=word, settled_ns=at_ns)
        else:
            yield row


def keep_as_parquet(folder: Path, *, write: bool = True, settled: Settlements = MappingProxyType({})) -> bool:
    """Convert the history of an experiment that was fetched as JSON lines; return whether there was one.

    Assembling an experiment does so. Folders of earlier versions come to it when they are verified.

    :param write: False changes nothing
    :param settled: what is known of writes of unknown outcome beside the history
    """
    fetched = folder / HISTORY_LINES_FILE
    if not fetched.is_file():
        return False
    if write:
        jsonl_to_parquet(fetched, folder / HISTORY_FILE, settled)
        fetched.unlink()
    return True


def open_history(folder: Path) -> tuple[dict[str, Any], Rows]:
    """Return the meta object and the rows of an experiment's history, in whichever of its two forms it is there.

    Raises as :func:`read_parquet` does, before anything is asked for.
    """
    fetched = folder / HISTORY_LINES_FILE
    if fetched.is_file():
        meta, table = read_fetched(fetched)
        return meta, Rows(table, SCHEMA)
    path = folder / HISTORY_FILE
    with _readable(path):
        file = whole_file(path)
        meta = _meta_of(path, file.schema_arrow)
    return meta, Rows(file, SCHEMA)


def read_fetched(path: str | Path) -> tuple[dict[str, Any], pa.Table]:
    """Return what :func:`read_parquet` would of a JSON-lines history after its conversion."""
    path = Path(path)
    meta, rows = read_jsonl(path)
    meta["cut"] = rows.cut
    schema = _schema(meta)
    return meta, pa.Table.from_batches(_batches(path, rows, schema), schema=schema)


def read_parquet(path: str | Path) -> tuple[dict[str, Any], pa.Table]:
    """Return the meta object and the rows of a Parquet history; LabError where it is missing, cut short or foreign."""
    path = Path(path)
    with _readable(path):
        table = pq.read_table(path, memory_map=False)
    meta = _meta_of(path, table.schema)
    for name in HISTORY_COLUMNS[len(table.schema.names) :]:
        table = table.append_column(SCHEMA.field(name), pa.nulls(table.num_rows, _TYPES[name]))
    return meta, table


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in one line why a file cannot be read."""
    try:
        yield
    except FileNotFoundError as error:
        raise LabError(f"history {path} is missing; fetch it again or repeat the run") from error
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise LabError(
            f"history {path} cannot be read, it may be cut short ({reason}); fetch it again or repeat the run"
        ) from error


def _meta_of(path: Path, schema: pa.Schema) -> dict[str, Any]:
    header = (schema.metadata or {}).get(META_KEY)
    if header is None or schema.names not in [list(columns) for columns in (HISTORY_COLUMNS, *FORMER_COLUMNS)]:
        raise LabError(f"history {path} is Parquet, but not a history of this lab; give the right file")
    meta: dict[str, Any] = json.loads(header)
    check_meta(path, meta)
    return meta

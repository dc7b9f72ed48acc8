# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from failover.results import parquet
from failover.results.parquet import HISTORY_FILE, SCHEMA, open_history, read_parquet, write_parquet
from failover.results.rows import Rows
from failover.shapes import HistoryRow, LabError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(parquet, "_BATCH", 10)
    rows = [
        HistoryRow(n, 0, "CREATE" if n % 2 else "DELETE", f"k{n}", None, n, n, n + 1, "ok", 1, "e:1", None, n, None)
        for n in range(25)
    ]
    write_parquet(tmp_path / HISTORY_FILE, {"origin_wall_ns": 1}, rows)
    return tmp_path


def test_a_file_gives_what_its_table_gives(folder: Path) -> None:
    meta, table = read_parquet(folder / HISTORY_FILE)
    opened, rows = open_history(folder)
    assert (opened, rows.num_rows) == (meta, 25)
    assert rows.table().to_pylist() == table.to_pylist()
    for source in (rows, Rows(table, SCHEMA)):
        assert source["key"].to_pylist() == table["key"].to_pylist()
        assert [source.row(number) for number in (24, 0, 9, 10)] == [table.to_pylist()[n] for n in (24, 0, 9, 10)]
        parts = list(source.parts(["index", "kind"]))
        assert pa.concat_tables(parts).to_pylist() == table.select(["index", "kind"]).to_pylist()
    assert len(list(rows.parts(["index"]))) == 3


def test_columns_that_an_earlier_version_lacks_are_empty(folder: Path) -> None:
    table = read_parquet(folder / HISTORY_FILE)[1].drop_columns(["transaction", "expected"])
    rows = Rows(table, SCHEMA)
    assert rows["expected"].to_pylist() == [None] * 25
    assert (rows.row(3)["transaction"], rows.table().column_names) == (None, SCHEMA.names)


def test_damage_anywhere_is_found_before_anything_is_asked_for(folder: Path) -> None:
    path = folder / HISTORY_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:300] + bytes(600) + whole[900:])
    with pytest.raises(LabError, match="it may be cut short"):
        open_history(folder)


@pytest.mark.parametrize(("most", "size"), [(127, 1), (128, 2), (1 << 15, 4), (1 << 31, 8)])
def test_numbers_take_what_they_need(most: int, size: int) -> None:
    """Also where only a later part needs more than those before it."""
    column = pa.chunked_array([[5, None], [0, most], [None, -1]], pa.int64())
    rows = Rows(pa.table({"it": column}), pa.schema([("it", pa.int64())]))
    numbers = rows.numbers("it")
    assert (numbers.tolist(), numbers.itemsize) == ([5, 0, 0, most, 0, -1], size)
    assert rows.times("it").itemsize == 8
    assert rows.known("it").tolist() == [True, False, True, True, False, True]


def test_a_file_gives_numbers_words_and_chosen_rows(folder: Path) -> None:
    _, table = read_parquet(folder / HISTORY_FILE)
    _, opened = open_history(folder)
    chosen = np.array([0, 9, 10, 24])
    for source in (opened, Rows(table, SCHEMA)):
        assert source.numbers("invoke_ns").tolist() == list(range(25))
        codes, words = source.words("kind", (None, "SCAN"))
        assert (words, [words[code] for code in codes]) == (
            [None, "SCAN", "DELETE", "CREATE"],
            table["kind"].to_pylist(),
        )
        assert source.taken(["key", "index"], chosen)["key"].to_pylist() == ["k0", "k9", "k10", "k24"]
        assert source.taken(["key"], chosen[:0]).num_rows == 0
        assert (source.has_any("affected"), source.has_any("revision"), source.has_any("error")) == (True, False, False)

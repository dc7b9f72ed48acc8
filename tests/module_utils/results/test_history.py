# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from failover.results.history import HistoryWriter, read_jsonl
from failover.results.parquet import SCHEMA, jsonl_to_parquet, read_fetched, read_parquet, write_parquet
from failover.shapes import HISTORY_COLUMNS, HistoryRow, LabError

META = {"experiment": "E1-etcd", "origin_wall_ns": 1_793_000_000_000_000_000}
ROOT = Path(__file__).resolve().parents[3]


def row(index: int, **changes: Any) -> HistoryRow:
    made = HistoryRow(
        index, 0, "CREATE", f"Zoé{index} printer", "1.2.3.4", index * 10, index * 10, index * 10 + 5,
        "ok", 1, "10.0.0.1:2379", None, 1, None,
    )  # fmt: skip
    return made._replace(**changes)


ROWS = [
    row(0),
    row(1, kind="RETRIEVE", value=None, read="1.2.3.4", affected=None),
    row(2, outcome="unknown", attempts=3, affected=None, error='no answer within "1 s"\nand more'),
]


def written(path: Path, rows: list[HistoryRow] = ROWS) -> Path:
    with HistoryWriter(path, META) as writer:
        for one in rows:
            writer.append(one)
    return path


def one_line(error: pytest.ExceptionInfo[LabError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    meta, rows = read_jsonl(written(tmp_path / "history.jsonl"))
    assert list(rows) == ROWS
    assert rows.cut is None
    assert meta["experiment"] == "E1-etcd"
    assert meta["origin_wall_ns"] == META["origin_wall_ns"]
    assert meta["columns"] == list(HISTORY_COLUMNS)


def test_several_clients_write_whole_rows(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path / "history.jsonl", META)

    def client(number: int) -> None:
        for index in range(number, 4_000, 4):
            writer.append(row(index, client=number))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    writer.close()
    _, rows = read_jsonl(tmp_path / "history.jsonl")
    assert sorted(one.index for one in rows) == list(range(4_000))


def test_rows_reach_the_disk_while_it_is_written(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path / "history.jsonl", META)
    writer.append(row(0))
    time.sleep(0.6)
    writer.append(row(1))
    _, rows = read_jsonl(tmp_path / "history.jsonl")
    assert [one.index for one in rows] == [0, 1]
    writer.close()


def test_a_cut_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    path = written(tmp_path / "history.jsonl")
    path.write_bytes(path.read_bytes()[:-9])
    _, rows = read_jsonl(path)
    assert list(rows) == ROWS[:2]
    assert rows.cut is not None
    assert "history.jsonl" in rows.cut


def test_damage_in_the_middle_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "history.jsonl")
    lines = path.read_text("utf-8").splitlines(keepends=True)
    for damage in ("[1,2,3\n", "[1,2,3]\n", '{"index": 1}\n'):
        path.write_text("".join([*lines[:2], damage, *lines[3:]]), "utf-8")
        _, rows = read_jsonl(path)
        with pytest.raises(LabError) as error:
            list(rows)
        assert "line 3" in one_line(error)
        assert "history.jsonl" in one_line(error)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"no history\n", "does not start"),
        (b'{"a": 1}\n', "does not start"),
        (b"\x00\xff\n", "does not start"),
        (json.dumps({"schema_version": 99, "columns": list(HISTORY_COLUMNS)}).encode() + b"\n", "schema 99"),
        (json.dumps({"schema_version": 1, "columns": ["index"]}).encode() + b"\n", "schema"),
        (json.dumps({"schema_version": 1, "columns": list(HISTORY_COLUMNS)}).encode() + b"\n", "origin_wall_ns"),
    ],
)
def test_what_is_no_history_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(content)
    with pytest.raises(LabError) as error:
        read_jsonl(path)
    assert words in one_line(error)
    assert str(path) in one_line(error)


def test_a_missing_history_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"history\.jsonl"):
        read_jsonl(tmp_path / "history.jsonl")
    with pytest.raises(LabError, match=r"history\.parquet is missing"):
        read_parquet(tmp_path / "history.parquet")


def test_a_full_disk_ends_in_one_line_and_stays_so() -> None:
    # /dev/full takes an open and fails every write with ENOSPC.
    with pytest.raises(LabError) as error:
        HistoryWriter("/dev/full", META)
    assert "No space left" in one_line(error)
    assert "free some space" in one_line(error)


def test_a_disk_that_fills_up_while_writing(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path / "history.jsonl", META)
    writer._file.close()
    writer._file = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115  (the writer closes it; 2026-11)
    writer._flushed_ns = 0
    with pytest.raises(LabError, match="No space left"):
        writer.append(row(0))
    with pytest.raises(LabError, match="No space left"):
        writer.append(row(1))
    with pytest.raises(LabError, match="No space left"):
        writer.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="exists and may be written to"):
        HistoryWriter(tmp_path / "nowhere" / "history.jsonl", META)


def test_meta_needs_the_origin(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="origin_wall_ns"):
        HistoryWriter(tmp_path / "history.jsonl", {})


def test_parquet_keeps_everything(tmp_path: Path) -> None:
    source = written(tmp_path / "history.jsonl")
    assert jsonl_to_parquet(source, tmp_path / "history.parquet") is None
    meta, table = read_parquet(tmp_path / "history.parquet")
    rows = [HistoryRow._make(values) for values in zip(*(table[c].to_pylist() for c in HISTORY_COLUMNS), strict=True)]
    assert rows == ROWS
    assert table.schema.equals(SCHEMA)
    assert meta["experiment"] == "E1-etcd"
    assert meta["cut"] is None
    fetched_meta, fetched = read_fetched(source)
    assert fetched.equals(table)
    assert fetched_meta == meta


def test_parquet_remembers_that_the_source_was_cut(tmp_path: Path) -> None:
    path = written(tmp_path / "history.jsonl")
    path.write_bytes(path.read_bytes()[:-9])
    told = jsonl_to_parquet(path, tmp_path / "history.parquet")
    meta, table = read_parquet(tmp_path / "history.parquet")
    assert told == meta["cut"]
    assert told is not None
    assert table.num_rows == 2


def test_a_history_without_rows(tmp_path: Path) -> None:
    jsonl_to_parquet(written(tmp_path / "history.jsonl", []), tmp_path / "history.parquet")
    assert read_parquet(tmp_path / "history.parquet")[1].num_rows == 0


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_cut_parquet_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "history.parquet"
    write_parquet(path, META, ROWS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(LabError) as error:
        read_parquet(path)
    assert "cut short" in one_line(error)


def test_a_row_of_other_types_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "history.parquet"
    write_parquet(path, META, ROWS)
    with pytest.raises(LabError, match="does not fit"):
        write_parquet(path, META, [row(0, attempts="many")])
    assert read_parquet(path)[1].num_rows == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["history.parquet"]


def test_foreign_parquet_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "history.parquet")
    with pytest.raises(LabError, match="not a history of this lab"):
        read_parquet(tmp_path / "history.parquet")


def test_writing_needs_no_pyarrow(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None; sys.modules['numpy'] = None; "
        f"sys.path.insert(0, {str(ROOT / 'module_utils')!r}); "
        "import failover.workloads.registry, failover.results.read; "
        "from failover.results.history import HistoryWriter; "
        f"HistoryWriter({str(tmp_path / 'history.jsonl')!r}, {{'origin_wall_ns': 1}}).close()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert read_jsonl(tmp_path / "history.jsonl")[0]["origin_wall_ns"] == 1

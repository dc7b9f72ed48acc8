# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from failover.results.watched import keep_watch, open_watch
from failover.shapes import WATCH_COLUMNS, LabError

HEADER = {"schema_version": 1, "columns": list(WATCH_COLUMNS)}
ROWS = [[5, "a", "1", 1_500, "h:1"], [6, "ö", None, 1_600, "h:2"]]


def write(folder: Path, *lines: object, tail: str = "") -> None:
    (folder / "watch.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + tail, encoding="utf-8")


@pytest.mark.parametrize("tail", ["", '[7, "b", "2"'])
def test_lines_become_columns_with_times_since_the_origin(tmp_path: Path, tail: str) -> None:
    write(tmp_path, HEADER, *ROWS, tail=tail)
    keep_watch(tmp_path, 1_000)
    assert not (tmp_path / "watch.jsonl").exists()
    rows = [list(row.values()) for row in open_watch(tmp_path).table().to_pylist()]
    assert rows == [[5, "a", "1", 500, "h:1"], [6, "ö", None, 600, "h:2"]]


def test_no_watch_leaves_nothing(tmp_path: Path) -> None:
    keep_watch(tmp_path, 1_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (({"columns": ["x"]},), "is not what a watch of this lab wrote"),
        ((HEADER, [1, 2]), "line 2 is no row of 5 values"),
        ((HEADER, "x"), "line 2 is no row of 5 values"),
        ((HEADER, [5, "a", "1", "soon", "h:1"]), "line 2 is no row of 5 values"),
    ],
)
def test_damaged_lines_are_refused_in_a_line(tmp_path: Path, lines: tuple[object, ...], what: str) -> None:
    write(tmp_path, *lines)
    with pytest.raises(LabError, match=what):
        keep_watch(tmp_path, 0)
    assert (tmp_path / "watch.jsonl").exists()
    assert not (tmp_path / "watch.parquet").exists()


def test_half_a_line_in_the_middle_is_refused(tmp_path: Path) -> None:
    write(tmp_path, HEADER, tail='[5, "a"\n[6]\n')
    with pytest.raises(LabError, match="line 2 is no JSON"):
        keep_watch(tmp_path, 0)


def test_a_file_that_is_missing_cut_or_foreign_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"watch\.parquet is missing"):
        open_watch(tmp_path)
    write(tmp_path, HEADER, *ROWS)
    keep_watch(tmp_path, 0)
    path = tmp_path / "watch.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LabError, match="cannot be read"):
        open_watch(tmp_path)
    pq.write_table(pa.table({"other": [1]}), path)
    with pytest.raises(LabError, match="not of a watch of this lab"):
        open_watch(tmp_path)

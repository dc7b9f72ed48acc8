# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from failover.checks.columns import InOrder
from failover.results.rows import Rows

IN_ORDER, OTHERWISE, NONE = [0, 1, 2, 3], [3, -1, 0, 2, -1], [-1, -1]


@pytest.mark.parametrize("row_of", [IN_ORDER, OTHERWISE])
def test_columns_come_in_the_order_of_the_stream(row_of: list[int]) -> None:
    def take(values: pa.ChunkedArray) -> InOrder:
        table = pa.table({"it": values})
        return InOrder(Rows(table, table.schema), np.array(row_of, dtype=np.int32))

    def placed(values: list[object], missing: object = None) -> list[object]:
        return [values[row] if row >= 0 else missing for row in row_of]

    def chunked(values: list[object], kind: pa.DataType | None = None) -> pa.ChunkedArray:
        return pa.chunked_array([pa.array(values[:1], kind), pa.array(values[1:], kind)])

    words, texts = ["ok", None, "odd", "ok"], ["a", "", None, "Ü"]
    for kind in (pa.string(), pa.dictionary(pa.int32(), pa.string())):
        assert list(take(chunked(words, kind)).words("it")) == placed(words)
    for string in (pa.string(), pa.large_string()):
        found = take(chunked(texts, string)).strings("it")
        assert (list(found), found[0:2]) == (placed(texts), placed(texts)[0:2])
    for numbers in ([1, None, 0, 5], [1, None, 1 << 40, -3]):
        assert list(take(chunked(numbers, pa.int64())).numbers("it")) == placed(numbers)
    assert list(take(chunked([1, 2, 1, 300], pa.int32())).counts("it")) == placed([1, 2, 1, 300], 0)


def test_without_a_row_nothing_is_known() -> None:
    schema = pa.schema([("text", pa.string()), ("number", pa.int64())])
    taken = InOrder(Rows(schema.empty_table(), schema), np.array(NONE, dtype=np.int32))
    assert (list(taken.words("text")), list(taken.strings("text"))) == ([None] * 2, [None] * 2)
    assert list(taken.numbers("number")) == [None] * 2

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from failover.checks.columns import InOrder, narrow

IN_ORDER, OTHERWISE, NONE = [0, 1, 2, 3], [3, -1, 0, 2, -1], [-1, -1]


@pytest.mark.parametrize("row_of", [IN_ORDER, OTHERWISE])
def test_columns_come_in_the_order_of_the_stream(row_of: list[int]) -> None:
    taken = InOrder(np.array(row_of, dtype=np.int32), 4)

    def placed(values: list[object], missing: object = None) -> list[object]:
        return [values[row] if row >= 0 else missing for row in row_of]

    def chunked(values: list[object], kind: pa.DataType | None = None) -> pa.ChunkedArray:
        return pa.chunked_array([pa.array(values[:1], kind), pa.array(values[1:], kind)])

    words, texts = ["ok", None, "odd", "ok"], ["a", "", None, "Ü"]
    for kind in (pa.string(), pa.dictionary(pa.int32(), pa.string())):
        assert list(taken.words(chunked(words, kind))) == placed(words)
    for string in (pa.string(), pa.large_string()):
        found = taken.strings(chunked(texts, string))
        assert (list(found), found[0:2]) == (placed(texts), placed(texts)[0:2])
    for numbers in ([1, None, 0, 5], [1, None, 1 << 40, -3]):
        assert list(taken.numbers(chunked(numbers, pa.int64()))) == placed(numbers)
    assert list(taken.counts(chunked([1, 2, 1, 300], pa.int32()))) == placed([1, 2, 1, 300], 0)


def test_without_a_row_nothing_is_known() -> None:
    taken = InOrder(np.array(NONE, dtype=np.int32), 0)
    empty = pa.chunked_array([], pa.string())
    assert (list(taken.words(empty)), list(taken.strings(empty))) == ([None] * 2, [None] * 2)
    assert list(taken.numbers(pa.chunked_array([], pa.int64()))) == [None] * 2


@pytest.mark.parametrize(("most", "size"), [(127, 1), (128, 4), (1 << 31, 8)])
def test_numbers_take_what_they_need(most: int, size: int) -> None:
    numbers = narrow(pa.chunked_array([[0, most], [None]], pa.int64()))
    assert (numbers.tolist(), numbers.itemsize) == ([0, most, 0], size)

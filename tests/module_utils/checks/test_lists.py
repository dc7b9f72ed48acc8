# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists that grow: what fits, what does not, and that the answer is that of the search for an order."""

from __future__ import annotations

import math
from collections.abc import Collection

import pytest
from failover.checks.calls import call_of, history_of
from failover.checks.linearizability import check
from failover.checks.lists import Seen, SeenList, wrong_in
from failover.checks.model import FORKED, LATE_DUPLICATE, LOST, PHANTOM, REORDERED, STALE, TWICE_LISTED
from failover.checks.operations import Answer, Call
from failover.shapes import HistoryRow
from hypothesis import given
from hypothesis import strategies as st


def append(index: int, begin: int, end: int, outcome: str = "ok") -> HistoryRow:
    element = str(index)
    return HistoryRow(index, 0, "APPEND", "l", element, begin, begin, end, outcome, 1, "", None, None, None)


def read(index: int, begin: int, end: int, *elements: int) -> HistoryRow:
    value = ",".join(map(str, elements)) or None
    return HistoryRow(index, 0, "RETRIEVE", "l", None, begin, begin, end, "ok", 1, "", value, None, None)


def seen_of(row: HistoryRow) -> Seen:
    elements = () if row.read is None else tuple(row.read.split(","))
    return Seen(elements, row.invoke_ns, row.complete_ns, row.index, f"the read of operation {row.index}")


def kinds(rows: list[HistoryRow], *ends: tuple[int, ...], resent: Collection[str] = ()) -> list[str]:
    """Return the classes of what is wrong, where members hold ``ends`` at the end."""
    own = SeenList({str(row.value): row for row in rows if row.kind == "APPEND"})
    own.seen = [seen_of(row) for row in rows if row.kind == "RETRIEVE"]
    for number, end in enumerate(ends, 1):
        own.seen.append(Seen(tuple(map(str, end)), math.inf, math.inf, None, f"m{number} at the end"))
    return [found.kind for found in wrong_in(own, resent)]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [append(0, 0, 1), append(1, 2, 3), read(2, 4, 5, 0, 1)],
        [append(1, 0, 9), append(0, 0, 9), read(2, 1, 2, 0), read(3, 3, 4, 0, 1)],
        # It may see what is under way, and another one at the same time may not.
        [append(0, 0, 1), append(1, 2, 9), read(2, 3, 8, 0, 1), read(3, 3, 8, 0)],
        # Of unknown outcome: it is there or it is not, whenever it came.
        [append(0, 0, 1), append(1, 2, 3, "unknown"), append(2, 4, 5), read(3, 6, 7, 0, 2, 1)],
        [append(0, 0, 1), append(1, 2, 3, "unknown"), read(2, 4, 5, 0)],
        [append(0, 0, 1), append(1, 2, 3, "fail"), read(2, 4, 5, 0)],
    ],
)
def test_what_fits_is_right(rows: list[HistoryRow]) -> None:
    longest = max((tuple(map(int, row.read.split(","))) for row in rows if row.read), key=len, default=())
    assert kinds(rows, longest, longest) == []


@pytest.mark.parametrize(
    ("rows", "ends", "expected"),
    [
        ([append(0, 0, 1), append(1, 2, 3)], [(0, 1), (0,)], [LOST]),
        ([append(0, 0, 1, "unknown"), read(1, 2, 3, 0)], [()], [LOST]),
        ([append(0, 0, 9), append(1, 0, 9), read(2, 1, 2, 0), read(3, 1, 2, 1)], [(0, 1)], [FORKED]),
        ([append(0, 0, 1), append(1, 2, 3)], [(1, 0)], [REORDERED]),
        ([append(0, 0, 1), read(1, 2, 3)], [(0,)], [STALE]),
        ([append(0, 0, 9), read(1, 1, 2, 0), read(2, 3, 4)], [(0,)], [STALE]),
        ([append(0, 3, 4), read(1, 0, 1, 0)], [(0,)], [PHANTOM]),
        ([append(0, 0, 1, "fail")], [(0,)], [PHANTOM]),
        ([append(0, 0, 1)], [(0, 7)], [PHANTOM]),
        ([append(0, 0, 1), append(1, 2, 3)], [(0, 1, 0)], [TWICE_LISTED]),
    ],
)
def test_what_does_not_fit_is_named(rows: list[HistoryRow], ends: list[tuple[int, ...]], expected: list[str]) -> None:
    assert kinds(rows, *ends) == expected


def test_an_element_twice_is_the_clients_where_it_was_sent_again() -> None:
    assert kinds([append(0, 0, 1), append(1, 2, 3)], (0, 1, 0), resent={"0"}) == [LATE_DUPLICATE]


def test_one_that_was_sent_again_hides_nothing_else() -> None:
    rows = [append(1, 0, 9), append(3, 20, 30), read(4, 40, 50, 1)]
    assert kinds(rows, (1, 3, 1), resent={"1"}) == [LATE_DUPLICATE, STALE]
    rows = [append(1, 0, 9), append(2, 10, 11, "fail")]
    assert kinds(rows, (1, 1, 2, 77), resent={"1"}) == [LATE_DUPLICATE, PHANTOM, PHANTOM]


TIMES = st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(
    st.permutations(range(4)), st.lists(TIMES, min_size=4, max_size=4), st.lists(st.tuples(TIMES, st.integers(0, 4)))
)
def test_the_answer_is_that_of_the_search(
    order: list[int], spans: list[tuple[int, int]], reads: list[tuple[tuple[int, int], int]]
) -> None:
    """Whatever the times: of lists that are beginnings of one, what is out of time is not linearizable."""
    rows = [append(index, *spans[index]) for index in range(4)]
    rows += [read(number, *span, *order[:length]) for number, (span, length) in enumerate(reads, 4)]
    last = read(99, 100, 101, *order)
    calls: list[Call] = [call for row in [*rows, last] if (call := call_of(row)) is not None]
    answer = check(history_of({"l": calls})).answer
    assert (kinds([*rows, last], tuple(order)) == []) == (answer is Answer.LINEARIZABLE)

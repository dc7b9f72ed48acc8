# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists that grow: what fits, what does not, and that the answer is that of the search for an order."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from failover.checks.base import load_case
from failover.checks.calls import call_of, history_of
from failover.checks.contradiction import described
from failover.checks.counterexample import Counterexample
from failover.checks.linearizability import check
from failover.checks.lists import Part, Seen, SeenList, Wrong, call_of_part, wrong_in
from failover.checks.model import FORKED, LATE_DUPLICATE, LOST, PHANTOM, REORDERED, STALE, TWICE_LISTED
from failover.checks.operations import Answer, Call
from failover.checks.verdict import verify, verify_experiment
from failover.measured.figures import rounded
from failover.report import content
from failover.results.parquet import read_parquet, write_parquet
from failover.results.read import load_run
from failover.shapes import HistoryRow, Verdict
from hypothesis import given
from hypothesis import strategies as st
from printed import Quiet
from shared_run import make_shared_run


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


def wrong_of(rows: list[HistoryRow], *ends: tuple[int, ...]) -> list[Wrong]:
    own = SeenList({str(row.value): row for row in rows if row.kind == "APPEND"})
    own.seen = [seen_of(row) for row in rows if row.kind == "RETRIEVE"]
    for number, end in enumerate(ends, 1):
        own.seen.append(Seen(tuple(map(str, end)), math.inf, math.inf, None, f"m{number} at the end"))
    return list(wrong_in(own, ()))


def is_orderable(rows: list[HistoryRow], parts: Sequence[Part]) -> bool:
    """Say whether an order explains these operations, whatever is forgotten of the others: the search's own answer."""
    known: dict[str, HistoryRow] = {}
    seen: list[HistoryRow] = []
    for number, (source, _) in enumerate(parts):
        if isinstance(source, HistoryRow):
            known[str(source.value)] = source
        else:
            at = (1000, 1001) if source.at is None else (int(source.begin_ns), int(source.end_ns))
            seen.append(read(500 + number, *at, *map(int, source.elements)))
    appends = [row for row in rows if row.kind == "APPEND" and row.outcome != "fail"]
    forgotten = [row._replace(outcome="unknown", invoke_ns=-1) for row in appends if str(row.value) not in known]
    calls: list[Call] = [call for row in [*known.values(), *forgotten, *seen] if (call := call_of(row)) is not None]
    return check(history_of({"l": calls})).answer is Answer.LINEARIZABLE


def assert_smallest(rows: list[HistoryRow], wrong: Wrong) -> None:
    assert wrong.parts
    assert not is_orderable(rows, wrong.parts), wrong
    for left_out in range(len(wrong.parts)):
        rest = [part for number, part in enumerate(wrong.parts) if number != left_out]
        assert is_orderable(rows, rest), (wrong, left_out)


@pytest.mark.parametrize(
    ("rows", "ends", "count"),
    [
        ([append(0, 0, 1), append(1, 2, 3)], [(0, 1), (0,)], 2),
        ([append(0, 0, 1, "unknown"), read(1, 2, 3, 0)], [()], 2),
        ([append(0, 0, 9), append(1, 0, 9), read(2, 1, 2, 0), read(3, 1, 2, 1)], [(0, 1)], 2),
        ([append(0, 0, 1), append(1, 2, 3)], [(1, 0)], 3),
        ([append(0, 0, 1), read(1, 2, 3)], [(0,)], 2),
        ([append(0, 0, 9), read(1, 1, 2, 0), read(2, 3, 4)], [(0,)], 2),
        ([append(0, 3, 4), read(1, 0, 1, 0)], [(0,)], 2),
        ([append(0, 0, 1, "fail")], [(0,)], 1),
        ([append(0, 0, 1)], [(0, 7)], 1),
        ([append(0, 0, 1), append(1, 2, 3)], [(0, 1, 0)], 1),
    ],
)
def test_the_fewest_operations_that_contradict_each_other(
    rows: list[HistoryRow], ends: list[tuple[int, ...]], count: int
) -> None:
    [wrong] = wrong_of(rows, *ends)
    assert len(wrong.parts) == count
    assert_smallest(rows, wrong)


def test_what_members_held_at_the_end_is_no_operation_of_the_stream(tmp_path: Path) -> None:
    case = load_case(
        make_shared_run(tmp_path, {"name": "append", "lists": 2, "elements": 9}, iterations=40) / "E1-etcd"
    )
    row = next(row for row in case.recorded.rows() if row.kind == "APPEND" and row.outcome == "ok")
    over_ns = case.recorded.ended_ns
    at_end = Part(Seen((), math.inf, math.inf, None, "etcd1 at the end"), "it found no element")
    calls = tuple(call_of_part(part, over_ns) for part in (Part(row), at_end))
    told = described(case, Counterexample(calls, is_minimal=True), {calls[0].label: row.index})
    first, last = told["operations"]
    assert (first["index"], first["label"]) == (row.index, f"operation {row.index} (APPEND): it added {row.value!r}")
    assert "index" not in last
    assert last["label"] == "etcd1 at the end: it found no element"
    assert last["begin_ms"] > first["end_ms"]


@given(
    st.permutations(range(4)),
    st.lists(TIMES, min_size=4, max_size=4),
    st.lists(st.tuples(TIMES, st.permutations(range(4)), st.integers(0, 4)), max_size=4),
)
def test_whatever_is_found_no_operation_of_it_can_be_left_out(
    order: list[int], spans: list[tuple[int, int]], reads: list[tuple[tuple[int, int], list[int], int]]
) -> None:
    rows = [append(index, *spans[index]) for index in range(4)]
    rows += [read(number, *span, *elements[:length]) for number, (span, elements, length) in enumerate(reads, 4)]
    for wrong in wrong_of([*rows, read(99, 100, 101, *order)], tuple(order)):
        assert_smallest(rows, wrong)


def report_of(run: Path) -> dict[str, Any]:
    verify(run, "E1-etcd")
    told, _ = content.build(load_run(run), Quiet())
    return told


def test_a_finding_is_told_in_words_and_can_be_drawn(tmp_path: Path) -> None:
    folder = make_shared_run(tmp_path, {"name": "append", "lists": 2, "elements": 30}, iterations=200) / "E1-etcd"
    meta, table = read_parquet(folder / "history.parquet")
    rows = [HistoryRow(**row) for row in table.to_pylist()]
    stale = next(row for row in rows if row.kind == "RETRIEVE" and row.index > 100 and row.read and "," in row.read)
    shorter = str(stale.read).rpartition(",")[0].rpartition(",")[0] or None
    write_parquet(
        folder / "history.parquet",
        meta,
        [row._replace(read=shorter) if row.index == stale.index else row for row in rows],
    )
    [found] = [each for each in verify_experiment(folder) if each.name == "lists"]
    assert found.verdict is Verdict.INVALID
    told = found.evidence["wrong"]["listed"][0]["contradiction"]
    assert told["minimal"]
    first, last = told["operations"]
    assert (first["letter"], last["letter"], last["index"], last["kind"]) == ("A", "B", stale.index, "RETRIEVE")
    assert first["kind"] in ("APPEND", "RETRIEVE")
    assert first["begin_ms"] < first["end_ms"] < last["begin_ms"]
    assert told["sentences"][0].startswith(f"A, operation {first['index']} ({first['kind']})")
    assert f"B, operation {stale.index} (RETRIEVE): it found " in told["sentences"][1]
    assert "after A had ended" in told["sentences"][1]
    [card] = [card for card in report_of(folder.parent)["findings"] if card["class"] == "stale"]
    assert card["keys"][0]["contradiction"] == rounded(told)

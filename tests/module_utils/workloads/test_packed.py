# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Streams in buffers: what comes out is what went in, and how little it takes."""

from __future__ import annotations

import os
import sys
import time
import tracemalloc
from array import array
from collections.abc import Sequence
from typing import Any

import pytest
from failover.texts import Texts
from failover.workloads.packed import Stream, pack
from failover.workloads.registry import WORKLOADS, create_simulation
from hypothesis import given
from hypothesis import strategies as st
from packing import packed

EVERY_KIND = [
    ("CREATE", "a", "1"),
    ("RETRIEVE", "a"),
    ("CREATE", "b", ""),
    ("WRITE", "a", "zwei Wörter"),
    ("CAS", "ключ", "neu", "ß"),
    ("CAS", "a", "", ""),
    ("APPEND", "b", "7"),
    ("SCAN", "a", "3"),
    ("DELETE", "ключ"),
]

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["RETRIEVE", "DELETE"]), TEXT),
        st.tuples(st.sampled_from(["CREATE", "WRITE", "APPEND", "SCAN"]), TEXT, TEXT),
        st.tuples(st.just("CAS"), TEXT, TEXT, TEXT),
    )
)


@given(OPERATIONS)
def test_operations_come_out_as_they_went_in(operations: list[Any]) -> None:
    assert list(packed(operations)) == operations


def test_a_stream_is_a_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("failover.workloads.packed._DRAWS_AT_ONCE", 2)
    stream = packed(EVERY_KIND)
    assert [stream[index] for index in range(len(stream))] == EVERY_KIND
    assert (stream[-1], stream[2:5], stream[-2:]) == (EVERY_KIND[-1], EVERY_KIND[2:5], EVERY_KIND[-2:])
    for beyond in (len(EVERY_KIND), -len(EVERY_KIND) - 1):
        with pytest.raises(IndexError):
            stream[beyond]


@pytest.mark.parametrize("few", [0, 1, 2, 100])
def test_keys_are_numbered_as_they_first_appear_whatever_the_workload_calls_them(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("failover.workloads.packed._DRAWS_AT_ONCE", 2)
    monkeypatch.setattr("failover.workloads.packed._FEW", few)
    # Numbers far apart: where they are many, the table of them has to grow.
    keys = [7, 3, 70_000, 7, 4096, 900_000, 3, 70_000]
    stream = pack((("RETRIEVE", key) for key in keys), "k{}".format)
    assert list(stream.key_numbers) == [0, 1, 2, 0, 3, 4, 1, 2]
    assert list(stream.keys) == ["k7", "k3", "k70000", "k4096", "k900000"]
    assert [stream.number_of.find(key) for key in ("k4096", "k7", "k8")] == [3, 0, None]


def test_texts_longer_together_than_four_bytes_can_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("failover.texts._WIDE_FROM", 10)
    stream = packed(EVERY_KIND * 3)
    assert stream.values._ends.typecode == "Q"
    assert list(stream) == EVERY_KIND * 3


def size_bytes(stream: Stream) -> int:
    buffers = [stream.kinds, stream.key_numbers]
    buffers += [part for texts in (stream.keys, stream.values) for part in (texts._text, texts._ends)]
    return sum(map(sys.getsizeof, buffers))


def test_a_stream_is_a_few_buffers() -> None:
    stream = create_simulation(50_000, 5)
    assert size_bytes(stream) < 30 * len(stream)
    # In processes that share them by forking, to read must not write: neither lists nor tuples are in there.
    parts = [*vars(stream).values(), *vars(stream.keys).values(), *vars(stream.values).values()]
    assert {type(part) for part in parts} == {bytearray, array, Texts}


@pytest.mark.parametrize("name", WORKLOADS)
def test_what_each_client_runs_is_small(name: str) -> None:
    stream = create_simulation(2_000, 5, {"name": name})

    def taken(share: Sequence[int]) -> int:
        return sys.getsizeof(share) - sys.getsizeof(array("I"))

    assert sum(map(taken, WORKLOADS[name].assign(stream, 4))) < 5 * len(stream)


def test_reading_operations_takes_nothing_that_stays() -> None:
    stream = create_simulation(20_000, 5)
    tracemalloc.start()
    try:
        for index in range(len(stream)):
            stream[index]
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()


def test_an_operation_is_quickly_there() -> None:
    stream = create_simulation(100_000, 5)

    def cpu_s() -> float:
        started = time.process_time()
        for index in range(len(stream)):
            stream[index]
        return time.process_time() - started

    assert min(cpu_s() for _ in range(3)) < 100_000 * 1e-6


def test_a_forked_process_shares_the_buffers() -> None:
    stream = create_simulation(300_000, 5)

    def own_kb() -> int:
        with open("/proc/self/smaps_rollup", encoding="ascii") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("Private_Dirty"))

    child = os.fork()
    if not child:
        before_kb = own_kb()
        for index in range(0, len(stream), 3):
            stream[index]
        os._exit(int(own_kb() - before_kb > 1_500))
    assert os.waitpid(child, 0)[1] == 0

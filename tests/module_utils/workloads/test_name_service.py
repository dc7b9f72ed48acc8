# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import random
import time
import tracemalloc

import pytest
from failover.shapes import LabError
from failover.workloads import name_service
from failover.workloads.name_service import DEVICE_KINDS, GIVEN_NAMES, NameService, draw_operations
from failover.workloads.packed import pack
from failover.workloads.registry import create_simulation
from failover.workloads.stream import stream_digest, summarize
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_workload import draw_naively
from packing import packed

# Published with the workload: iterations, seed, CREATE, RETRIEVE, DELETE, digest.
PUBLISHED = [
    (1_000, 1, 421, 397, 182, "b6c03dcb14624de31203a5215e37ed90d6633b9c923981337436360d53ddeeeb"),
    (20_000, 123, 8_012, 8_518, 3_470, "74b233e1ae9504beaad6716b5fb803389d41ea8319a397b12efe9df912f8058f"),
    (100_000, 123, 40_234, 41_989, 17_777, "29ab21e1346f92f52950c207ab9c00fdc90023f561935cdde717fc16d3315746"),
]


class NarrowSource(random.Random):
    """Draws few different octets, names and numbers, so that addresses and names collide all the time."""

    def getrandbits(self, k: int) -> int:
        drawn = super().getrandbits(k)
        return drawn & 1 if k in (8, 9, 14) else drawn


@pytest.mark.parametrize(("iterations", "seed", "creates", "retrieves", "deletes", "digest"), PUBLISHED)
def test_published_streams(iterations: int, seed: int, creates: int, retrieves: int, deletes: int, digest: str) -> None:
    assert summarize(create_simulation(iterations, seed)) == {
        "CREATE": creates,
        "RETRIEVE": retrieves,
        "DELETE": deletes,
        "expected_keys": creates - deletes,
        "digest": digest,
    }


@pytest.mark.parametrize("seed", [0, 1, 7, 123, -5, 2**70])
def test_same_stream_as_the_rules_word_for_word(seed: int) -> None:
    assert list(create_simulation(3_000, seed)) == draw_naively(3_000, random.Random(seed))


@pytest.mark.parametrize("seed", range(5))
def test_collisions_of_addresses_and_names(seed: int) -> None:
    operations = pack(draw_operations(2_000, NarrowSource(seed)), NameService().key_name)
    assert list(operations) == draw_naively(2_000, NarrowSource(seed))
    taken_over = [
        index
        for index in range(1, len(operations))
        if operations[index][0] == "CREATE" and operations[index - 1][0] == "DELETE"
    ]
    assert len(operations) > 2_000
    assert taken_over


@pytest.mark.parametrize("block", [1, 7, 64])
def test_many_live_pairs_stand_in_many_blocks(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(name_service, "_BLOCK", block)
    assert list(create_simulation(4_000, 9)) == draw_naively(4_000, random.Random(9))


@settings(max_examples=60)
@given(st.integers(1, 400), st.integers())
def test_every_stream_is_one_of_a_name_service(iterations: int, seed: int) -> None:
    live: dict[str, str] = {}
    operations = create_simulation(iterations, seed)
    for operation in operations:
        if operation[0] == "CREATE":
            assert operation[1] not in live
            live[operation[1]] = operation[-1]
            assert len(set(live.values())) == len(live)
        else:
            assert operation[1] in live
            if operation[0] == "DELETE":
                del live[operation[1]]
    assert len(operations) >= iterations
    assert summarize(operations)["expected_keys"] == len(live)


def test_digest_counts_devices_not_names() -> None:
    operations = packed([("CREATE", "a", "1.2.3.4"), ("DELETE", "a"), ("CREATE", "a", "5.6.7.8"), ("RETRIEVE", "a")])
    text = "CREATE 0 1.2.3.4\nDELETE 0\nCREATE 1 5.6.7.8\nRETRIEVE 1\n"
    assert stream_digest(operations) == hashlib.sha256(text.encode()).hexdigest()


def test_names_repeat_where_the_notebooks_do_and_can_be_read_back() -> None:
    assert len(GIVEN_NAMES) == 168
    assert len(DEVICE_KINDS) == 9
    repeated = [(a, b) for a in range(168) for b in range(a + 1, 168) if GIVEN_NAMES[a] == GIVEN_NAMES[b]]
    assert repeated == [(21, 43), (27, 143)]
    assert [(a, b) for a in range(9) for b in range(a + 1, 9) if DEVICE_KINDS[a] == DEVICE_KINDS[b]] == [(2, 8)]
    words = [*GIVEN_NAMES, *DEVICE_KINDS]
    assert all(word.isascii() and word.isalpha() for word in words)
    # MySQL's default collation ignores case: names that differ in nothing else would be one row.
    assert len({word.lower() for word in words}) == len(set(words))


@pytest.mark.parametrize("iterations", [0, -1, 1.5, "10", None, True])
def test_refuses_iterations_that_are_no_count(iterations: object) -> None:
    with pytest.raises(LabError, match="iterations"):
        create_simulation(iterations, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [1.5, "1", None, True])
def test_refuses_a_seed_that_is_no_number(seed: object) -> None:
    with pytest.raises(LabError, match="seed"):
        create_simulation(10, seed)  # type: ignore[arg-type]


def test_leaves_the_shared_random_source_alone() -> None:
    before = random.getstate()
    create_simulation(100, 1)
    assert random.getstate() == before


def test_100_000_operations_in_half_a_second() -> None:
    def cpu_s() -> float:
        started = time.process_time()
        create_simulation(100_000, 123)
        return time.process_time() - started

    assert min(cpu_s() for _ in range(5)) < 0.5


def test_memory_grows_with_the_operations_and_little_more() -> None:
    def peak_bytes_per_operation(iterations: int) -> float:
        tracemalloc.start()
        try:
            create_simulation(iterations, 5)
            return tracemalloc.get_traced_memory()[1] / iterations
        finally:
            tracemalloc.stop()

    small, large = peak_bytes_per_operation(10_000), peak_bytes_per_operation(160_000)
    assert large < 80
    assert large < 1.25 * small

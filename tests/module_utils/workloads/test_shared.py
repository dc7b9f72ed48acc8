# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The workloads whose keys belong to all clients: their first operations, mixes, distributions and options."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from failover.shapes import LabError
from failover.workloads.options import whole_number
from failover.workloads.registry import WORKLOADS, create_simulation
from failover.workloads.stream import stream_digest

# Of 1,000 iterations with seed 123: what changes them breaks the promise that a seed decides the stream.
DIGESTS = {
    "register": "d6a201ebea3c12ac",
    "append": "af13cee2230c515b",
    "ycsb_a": "1e0ecc41f9e4273a",
    "ycsb_b": "9b6d1d5c4cc3ab99",
    "ycsb_c": "b71ade0020ccbd4c",
    "ycsb_d": "10c1e4a910c66e21",
    "ycsb_e": "04dcafa33825800d",
    "ycsb_f": "6175f1f2b04ef547",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_the_stream_of_a_seed_stays_what_it_is(name: str) -> None:
    assert stream_digest(create_simulation(1000, 123, {"name": name})).startswith(DIGESTS[name])


def shares(name: str, **options: Any) -> dict[str, float]:
    operations = create_simulation(20_000, 5, {"name": name, **options})
    return {kind: count / len(operations) for kind, count in Counter(o[0] for o in operations).items()}


def test_a_register_is_read_written_compared_and_deleted() -> None:
    found = shares("register")
    assert found["RETRIEVE"] == pytest.approx(0.40, abs=0.02)
    assert found["DELETE"] == pytest.approx(0.10, abs=0.02)
    # A CAS of a key that would hold nothing is a WRITE.
    assert found["WRITE"] + found["CAS"] == pytest.approx(0.50, abs=0.02)
    assert found["CAS"] > 0.15
    assert set(shares("register", mix={"RETRIEVE": 50, "WRITE": 50})) == {"RETRIEVE", "WRITE"}


def test_a_cas_expects_what_the_stream_left_there() -> None:
    held: dict[str, str] = {}
    operations = create_simulation(3000, 5, {"name": "register", "keys": 3})
    assert {operation[1] for operation in operations} == {"register0", "register1", "register2"}
    for operation in operations:
        if operation[0] == "DELETE":
            held.pop(operation[1], None)
        elif operation[0] in ("WRITE", "CAS"):
            if operation[0] == "CAS":
                assert operation[3] == held[operation[1]]
            held[operation[1]] = operation[2]


def test_a_list_is_left_when_it_is_full() -> None:
    operations = create_simulation(5000, 5, {"name": "append", "lists": 2, "elements": 50, "mix": {"APPEND": 100}})
    counts = Counter(operation[1] for operation in operations)
    assert set(counts.values()) <= {50} | set(list(counts.values())[-2:])
    assert len(counts) >= 100


@pytest.mark.parametrize(
    ("letter", "expected"),
    [
        ("a", {"RETRIEVE": 0.5, "WRITE": 0.5}),
        ("b", {"RETRIEVE": 0.95, "WRITE": 0.05}),
        ("c", {"RETRIEVE": 1.0}),
        ("d", {"RETRIEVE": 0.95, "WRITE": 0.05}),
        ("e", {"SCAN": 0.95, "WRITE": 0.05}),
        ("f", {"RETRIEVE": 2 / 3, "WRITE": 1 / 3}),
    ],
)
def test_ycsb_has_its_mix(letter: str, expected: dict[str, float]) -> None:
    assert shares(f"ycsb_{letter}", preload=False) == pytest.approx(expected, abs=0.02)


def test_scans_that_no_client_takes_are_refused() -> None:
    options = {"value_size": 100_000, "preload": False}
    with pytest.raises(LabError) as failed:
        create_simulation(10, 5, {"name": "ycsb_e", **options})
    assert str(failed.value) == (
        "scan_length 100 with value_size 100,000 makes answers of 10 MB, and a client takes 4 MB at most: "
        "make one of the two smaller"
    )
    assert len(create_simulation(10, 5, {"name": "ycsb_e", **options, "scan_length": 10})) == 10
    assert len(create_simulation(10, 5, {"name": "ycsb_a", **options})) == 10


def touched(letter: str, **options: Any) -> list[int]:
    """Return how often each record is touched, the most popular first."""
    operations = create_simulation(20_000, 5, {"name": f"ycsb_{letter}", "preload": False, **options})
    return sorted(Counter(operation[1] for operation in operations).values(), reverse=True)


def test_zipfian_keys_have_a_long_tail() -> None:
    weights = [(rank + 1) ** -0.99 for rank in range(1000)]
    found = touched("c")
    assert found[0] / 20_000 == pytest.approx(weights[0] / sum(weights), rel=0.1)
    assert sum(found[:100]) / 20_000 == pytest.approx(sum(weights[:100]) / sum(weights), rel=0.05)


def test_uniform_keys_are_alike_and_hot_ones_are_not() -> None:
    assert max(touched("c", distribution="uniform")) < 50
    assert sum(touched("c", distribution="hotspot")[:200]) / 20_000 == pytest.approx(0.8, abs=0.02)


def test_the_latest_records_are_read_most() -> None:
    operations = create_simulation(20_000, 5, {"name": "ycsb_d"})
    assert operations[:2] == [("WRITE", "user0", "0-".ljust(100, "v")), ("WRITE", "user1", "1-".ljust(100, "v"))]
    last = int(operations[-1][1].removeprefix("user"))
    read = [int(operation[1].removeprefix("user")) for operation in operations[-1000:] if operation[0] == "RETRIEVE"]
    assert sum(record > last - 200 for record in read) > 600


def test_scans_are_of_all_lengths() -> None:
    operations = create_simulation(20_000, 5, {"name": "ycsb_e", "preload": False, "scan_length": 7})
    lengths = Counter(operation[2] for operation in operations if operation[0] == "SCAN")
    assert sorted(lengths) == list("1234567")
    assert max(lengths.values()) < 1.1 * min(lengths.values())


def test_a_read_modify_write_is_one_clients() -> None:
    operations = create_simulation(2000, 5, {"name": "ycsb_f", "preload": False})
    shares_of = WORKLOADS["ycsb_f"].assign(operations, 7)
    client_of = {index: client for client, share in enumerate(shares_of) for index in share}
    pairs = [
        index
        for index in range(1, len(operations))
        if operations[index][0] == "WRITE" and operations[index - 1][:2] == ("RETRIEVE", operations[index][1])
    ]
    assert len(pairs) > 500
    assert all(client_of[index] == client_of[index - 1] for index in pairs)
    assert max(map(len, shares_of)) - min(map(len, shares_of)) < 100


@pytest.mark.parametrize(
    ("workload", "told"),
    [
        ({"name": "register", "keys": 0}, "keys of the workload is 0: it has to be a whole number from 1 to 1,000,000"),
        ({"name": "register", "keys": True}, "keys of the workload is True"),
        ({"name": "register", "keys": "ten"}, "keys of the workload is 'ten'"),
        ({"name": "register", "mix": {"APPEND": 100}}, "it has to give percentages by kind, of RETRIEVE, WRITE, CAS"),
        ({"name": "register", "mix": {"RETRIEVE": 60}}, "mix of the workload makes 60 %"),
        ({"name": "register", "mix": 5}, "mix of the workload is 5"),
        ({"name": "append", "elements": 0}, "elements of the workload is 0"),
        ({"name": "ycsb_a", "value_size": 5}, "value_size of the workload is 5: .* from 20 to 1,000,000"),
        ({"name": "ycsb_a", "distribution": "odd"}, "has to be one of zipfian, latest, uniform, hotspot"),
        ({"name": "ycsb_a", "distribution": ["zipfian"]}, "has to be one of zipfian"),
        ({"name": ["register"]}, "Unknown workload"),
        ({"name": "register", 5: 1}, "has no option 5"),
        ({"name": "ycsb_a", "preload": "perhaps"}, "preload of the workload is 'perhaps'"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(workload: dict[str, Any], told: str) -> None:
    with pytest.raises(LabError, match=told):
        create_simulation(10, 1, workload)


def test_options_may_be_text_as_from_a_command_line() -> None:
    assert whole_number({"size": "7"}, "size", 5, least=1, most=9) == 7
    given = {"name": "ycsb_a", "records": "50", "preload": "no"}
    exact = {"name": "ycsb_a", "records": 50, "preload": False}
    assert list(create_simulation(10, 1, given)) == list(create_simulation(10, 1, exact))

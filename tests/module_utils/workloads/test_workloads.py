# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every workload has, and what is done with any stream."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Any

import pytest
from failover.shapes import FIRST_KINDS, LabError, RunSettings
from failover.workloads.base import Content, Draw, Sharing, Workload
from failover.workloads.registry import USUAL, WORKLOADS, create_simulation
from failover.workloads.stream import stream_digest, summarize
from packing import packed


class OneKey(Workload):
    """Writes one key again and again; what it writes is an option of its own."""

    name = "one_key"
    says = "one key, again and again"
    sharing = Sharing.ALL_CLIENTS
    options = ("value",)

    def draws(self, iterations: int, seed: int, options: Mapping[str, Any]) -> Iterator[Draw]:
        return repeat(("CREATE", 0, str(options.get("value", seed))), iterations)

    def key_name(self, key: int) -> str:
        return f"k{key}"


@pytest.fixture
def one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORKLOADS, OneKey.name, OneKey())


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_seed_decides_the_stream(name: str) -> None:
    assert WORKLOADS[name].name == name
    assert list(create_simulation(50, 7, {"name": name})) == list(create_simulation(50, 7, {"name": name}))
    assert list(create_simulation(50, 7, {"name": name})) != list(create_simulation(50, 8, {"name": name}))


def test_the_notebooks_workload_is_the_usual_one() -> None:
    usual = list(create_simulation(50, 7))
    assert usual == list(create_simulation(50, 7, {"name": USUAL})) == list(create_simulation(50, 7, {}))


@pytest.mark.usefixtures("one_key")
def test_a_workload_gets_its_own_options() -> None:
    assert list(create_simulation(2, 7, {"name": "one_key", "value": 5})) == [("CREATE", "k0", "5")] * 2


@pytest.mark.usefixtures("one_key")
def test_what_a_workload_does_not_know_is_named() -> None:
    with pytest.raises(LabError, match=r"one_key has no option size\. Its options are value\."):
        create_simulation(2, 7, {"name": "one_key", "size": 5})
    with pytest.raises(LabError, match=r"name_service has no option value\. Its options are none\."):
        create_simulation(2, 7, {"value": 5})
    with pytest.raises(LabError, match=r"Unknown workload 'other'\. Known are name_service.*, one_key\."):
        create_simulation(2, 7, {"name": "other"})


def test_a_key_that_is_read_before_it_is_created_has_its_number() -> None:
    operations = packed(
        [("RETRIEVE", "a"), ("CREATE", "b", "1"), ("DELETE", "a"), ("CREATE", "a", "2"), ("RETRIEVE", "a")]
    )
    text = "RETRIEVE 0\nCREATE 1 1\nDELETE 0\nCREATE 2 2\nRETRIEVE 2\n"
    assert stream_digest(operations) == hashlib.sha256(text.encode()).hexdigest()


def test_a_key_is_one_clients_or_everybodys() -> None:
    operations = packed([("CREATE", "a", "1"), ("RETRIEVE", "a"), ("CREATE", "b", "2"), ("DELETE", "a")])

    def shares(workload: Workload, clients: int) -> list[list[int]]:
        return [list(share) for share in workload.assign(operations, clients)]

    assert shares(WORKLOADS[USUAL], 1) == [[0, 1, 2, 3]]
    assert shares(WORKLOADS[USUAL], 2) == [[0, 1, 3], [2]]
    assert shares(OneKey(), 3) == [[0, 3], [1], [2]]


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("clients", [1, 3, 32])
def test_each_operation_is_one_clients_and_each_client_goes_forward(name: str, clients: int) -> None:
    operations = create_simulation(500, 7, {"name": name})
    shares = WORKLOADS[name].assign(operations, clients)
    assert len(shares) == clients
    assert sorted(index for share in shares for index in share) == list(range(len(operations)))
    assert all(list(share) == sorted(share) for share in shares)


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_value_is_longer_than_the_workload_says_and_no_two_are_equal_where_all_share(name: str) -> None:
    operations = create_simulation(2000, 7, {"name": name})
    workload = WORKLOADS[name]
    values = [operation[2] for operation in operations if len(operation) > 2 and operation[0] != "SCAN"]
    assert max(map(len, values), default=0) <= workload.longest_value({})
    if workload.sharing is Sharing.ALL_CLIENTS:
        assert len(set(values)) == len(values)


@pytest.mark.parametrize("name", WORKLOADS)
def test_what_the_exact_model_does_not_know_is_shared(name: str) -> None:
    kinds = {operation[0] for operation in create_simulation(2000, 7, {"name": name})}
    workload = WORKLOADS[name]
    assert workload.sharing is Sharing.ALL_CLIENTS or (kinds <= set(FIRST_KINDS) and workload.content is Content.VALUE)


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_more_operations_than_the_workload_says(name: str) -> None:
    made = len(create_simulation(5000, 7, {"name": name}))
    assert made <= WORKLOADS[name].most_operations(5000, {}) * 1.01


@pytest.mark.parametrize("given", [5, True, ["register"]])
def test_a_workload_is_a_name_or_a_mapping(given: object) -> None:
    with pytest.raises(LabError, match="give a name, or a mapping with name and options"):
        RunSettings.from_dict({"iterations": 1, "seed": 1, "workload": given})


def test_other_kinds_are_counted_where_there_are_any() -> None:
    summary = summarize(create_simulation(1000, 7, {"name": "register"}))
    assert list(summary) == ["CREATE", "RETRIEVE", "DELETE", "WRITE", "CAS", "expected_keys", "digest"]
    assert (summary["CREATE"], summary["expected_keys"]) == (0, None)

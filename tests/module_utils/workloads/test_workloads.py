# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every workload has, and what is done with any stream."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from failover.shapes import LabError
from failover.workloads.base import Operation, Sharing, Workload
from failover.workloads.registry import USUAL, WORKLOADS, create_simulation
from failover.workloads.stream import assign_clients, stream_digest


class OneKey(Workload):
    """Writes one key again and again; what it writes is an option of its own."""

    name = "one_key"
    sharing = Sharing.ALL_CLIENTS
    options = ("value",)

    def operations(self, iterations: int, seed: int, options: Mapping[str, Any]) -> list[Operation]:
        return [("CREATE", "k", str(options.get("value", seed)))] * iterations


@pytest.fixture
def one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORKLOADS, OneKey.name, OneKey())


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_seed_decides_the_stream(name: str) -> None:
    assert WORKLOADS[name].name == name
    assert create_simulation(50, 7, {"name": name}) == create_simulation(50, 7, {"name": name})
    assert create_simulation(50, 7, {"name": name}) != create_simulation(50, 8, {"name": name})


def test_the_notebooks_workload_is_the_usual_one() -> None:
    assert create_simulation(50, 7) == create_simulation(50, 7, {"name": USUAL}) == create_simulation(50, 7, {})


@pytest.mark.usefixtures("one_key")
def test_a_workload_gets_its_own_options() -> None:
    assert create_simulation(2, 7, {"name": "one_key", "value": 5}) == [("CREATE", "k", "5")] * 2


@pytest.mark.usefixtures("one_key")
def test_what_a_workload_does_not_know_is_named() -> None:
    with pytest.raises(LabError, match=r"one_key has no option size\. Its options are value\."):
        create_simulation(2, 7, {"name": "one_key", "size": 5})
    with pytest.raises(LabError, match=r"name_service has no option value\. Its options are none\."):
        create_simulation(2, 7, {"value": 5})
    with pytest.raises(LabError, match=r"Unknown workload 'other'\. Known are name_service.*, one_key\."):
        create_simulation(2, 7, {"name": "other"})


def test_a_key_that_is_read_before_it_is_created_has_its_number() -> None:
    operations = [("RETRIEVE", "a"), ("CREATE", "b", "1"), ("DELETE", "a"), ("CREATE", "a", "2"), ("RETRIEVE", "a")]
    text = "RETRIEVE 0\nCREATE 1 1\nDELETE 0\nCREATE 2 2\nRETRIEVE 2\n"
    assert stream_digest(operations) == hashlib.sha256(text.encode()).hexdigest()


def test_a_key_is_one_clients_or_everybodys() -> None:
    operations: list[Operation] = [("CREATE", "a", "1"), ("RETRIEVE", "a"), ("CREATE", "b", "2"), ("DELETE", "a")]
    assert assign_clients(operations, 1) == [[0, 1, 2, 3]]
    assert assign_clients(operations, 2) == [[0, 1, 3], [2]]
    assert assign_clients(operations, 3, Sharing.ALL_CLIENTS) == [[0, 3], [1], [2]]

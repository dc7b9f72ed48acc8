# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a workload left in doubt, settled against a toy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from failover.run.settling import Settling
from failover.shapes import Event, RunSettings, Target
from failover.systems.registry import SYSTEMS
from toy.server import ToyServer
from toy.system import Toy

DOUBT = {"index": 7, "client": 1, "fence": "E1-toy/1", "kind": "CREATE", "at": "aa-1", "to": "aa-2"}
OTHER = {"index": 9, "client": 2, "fence": "E1-toy/2", "kind": "DELETE", "at": "bb-5", "to": "bb-6"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyServer]:
    monkeypatch.setitem(SYSTEMS, "toy", Toy())
    made = ToyServer()
    yield made
    made.stop()


def settle(server: ToyServer, *unresolved: dict[str, Any], timeout_s: float = 60) -> tuple[dict[str, Any], list[Event]]:
    target = Target("toy", {"toy1": {"address": server.endpoint}}, [server.endpoint])
    settling = Settling(target, RunSettings(10, 1, operation_budget_ms=300), source="client1")
    return settling.run(unresolved, timeout_s=timeout_s), settling.events


def test_what_took_effect_is_told_from_what_did_not(server: ToyServer) -> None:
    server.fences = {"E1-toy/1": "aa-2", "E1-toy/2": "bb-5"}
    result, events = settle(server, DOUBT, OTHER)
    assert result == {"settled": {"applied": 1, "not applied": 1}, "left": []}
    assert [(event.event, event.source) for event in events] == [("client.write_settled", "client1")] * 2
    assert [(event.data["write"], event.data["applied"]) for event in events] == [(7, True), (9, False)]
    # Of the second nothing can come any more: its fence has been moved.
    assert server.fences["E1-toy/1"] == "aa-2"
    assert server.fences["E1-toy/2"] not in ("bb-5", "bb-6")


def test_a_member_that_is_gone_leaves_it_in_doubt(server: ToyServer) -> None:
    server.stop()
    result, events = settle(server, DOUBT)
    assert result == {
        "settled": {"applied": 0, "not applied": 0},
        "left": [DOUBT | {"error": "connection refused"}],
    }
    assert events == []


def test_a_fence_of_somebody_else_leaves_it_in_doubt(server: ToyServer) -> None:
    server.fences = {"E1-toy/1": "cc-1"}
    result, _ = settle(server, DOUBT)
    assert "somebody else moves the fence E1-toy/1" in result["left"][0]["error"]


def test_when_the_time_is_over_the_rest_is_left(server: ToyServer) -> None:
    result, _ = settle(server, DOUBT, timeout_s=0)
    assert result["left"] == [DOUBT | {"error": "the time was over"}]

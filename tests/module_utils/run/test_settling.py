# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a workload left in doubt, settled against a toy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from failover.run.settling import Settling
from failover.shapes import Event, LabError, LastingError, RunSettings, Target
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


class Time:
    """Passes in pauses only; at each of them something may happen."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.now_s = 0.0
        self.pauses = 0
        self._meanwhile = meanwhile

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.pauses += 1
        self._meanwhile()


def settle(
    server: ToyServer, *unresolved: dict[str, Any], timeout_s: float = 60, time: Time | None = None
) -> tuple[dict[str, Any], list[Event]]:
    target = Target("toy", {"toy1": {"address": server.endpoint}}, [server.endpoint])
    settings, passing = RunSettings(10, 1, operation_budget_ms=300), time or Time()
    settling = Settling(target, settings, source="client1", clock=passing.clock, sleep=passing.sleep)
    return settling.run(unresolved, timeout_s=timeout_s), settling.events


def fail_to_connect(monkeypatch: pytest.MonkeyPatch, *errors: LabError) -> None:
    """Have the first clients not made, for these reasons."""
    first, make = list(errors), Toy.client

    def client(*given: Any) -> Any:
        if first:
            raise first.pop(0)
        return make(*given)

    monkeypatch.setattr(Toy, "client", client)


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
    time = Time()
    result, events = settle(server, DOUBT, timeout_s=1, time=time)
    assert result == {
        "settled": {"applied": 0, "not applied": 0},
        "left": [DOUBT | {"error": "connection refused"}],
    }
    assert events == []
    assert time.now_s == 1
    assert time.pauses > 1


def test_members_that_come_back_in_time_are_asked_again(server: ToyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.fences = {"E1-toy/1": "aa-2", "E1-toy/2": "bb-5"}
    # As the clients of etcd and of a group, which ask each member once.
    fail_to_connect(monkeypatch, *[LabError("no member answers")] * 5)
    time = Time()
    result, events = settle(server, DOUBT, OTHER, time=time)
    assert result == {"settled": {"applied": 1, "not applied": 1}, "left": []}
    assert sorted((event.data["write"], event.data["applied"]) for event in events) == [(7, True), (9, False)]
    assert time.pauses == 3


def test_a_fence_that_was_moved_unheard_is_known_when_it_is_tried_again(server: ToyServer) -> None:
    server.fences = {"E1-toy/1": "aa-1"}
    well = server.take

    def unheard(request: dict[str, Any]) -> None:
        well(request)

    server.take = unheard  # type: ignore[method-assign]

    def be_heard() -> None:
        assert server.fences["E1-toy/1"] != "aa-1"
        server.take = well  # type: ignore[method-assign]

    time = Time(be_heard)
    result, _ = settle(server, DOUBT, time=time)
    assert result == {"settled": {"applied": 0, "not applied": 1}, "left": []}
    assert time.pauses == 1


def test_a_fence_of_somebody_else_leaves_it_in_doubt(server: ToyServer) -> None:
    server.fences = {"E1-toy/1": "cc-1", "E1-toy/2": "bb-5"}
    time = Time()
    result, _ = settle(server, DOUBT, OTHER, time=time)
    assert result["settled"] == {"applied": 0, "not applied": 1}
    (left,) = result["left"]
    assert (left["index"], time.pauses) == (7, 0)  # it will not come back, and is not waited for
    assert "somebody else moves the fence E1-toy/1" in left["error"]


def test_what_trying_again_does_not_change_is_not_tried_again(
    server: ToyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_connect(monkeypatch, LastingError("a package is missing"))
    time = Time()
    result, _ = settle(server, DOUBT, time=time)
    assert (result["left"], time.pauses) == ([DOUBT | {"error": "a package is missing"}], 0)


def test_an_entry_that_lacks_something_is_told_before_any_is_settled(server: ToyServer) -> None:
    server.fences = {"E1-toy/1": "aa-1"}
    with pytest.raises(LabError, match="an entry lacks fence"):
        settle(server, DOUBT, {"index": 9, "client": 2})
    assert server.fences == {"E1-toy/1": "aa-1"}


def test_when_the_time_is_over_the_rest_is_left(server: ToyServer) -> None:
    result, _ = settle(server, DOUBT, timeout_s=0)
    assert result["left"] == [DOUBT | {"error": "the time was over"}]

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes behind a fence, in a small world that is explored as a whole.

Every attempt may be lost before or after it took effect, refused, or held up and executed at any later moment, and the
client may be replaced by another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from failover.checks.failures import proves_nothing
from failover.shapes import WRITE_SETTLED, Kind, LabError
from failover.systems.fence import NOWHERE, Change, Doubt, Fence, Ids, Moved
from failover.systems.loop import Answer, AttemptFailedError, FailoverLoop, FailoverPolicy

# Two attempts an operation: one second each, where it is not answered.
POLICY = FailoverPolicy(attempt_timeout_ms=1000, operation_budget_ms=2000)
PUT, REMOVE, PUT_AGAIN = Change(Kind.CREATE, "k", "1"), Change(Kind.DELETE, "k"), Change(Kind.CREATE, "k", "2")

ANSWERED, REFUSED, LOST, UNANSWERED, HELD_UP = "answered", "refused", "lost", "unanswered", "held up"
FATES = (ANSWERED, REFUSED, LOST, UNANSWERED, HELD_UP)


class Choices:
    """One way through the world: a prefix that is given, and the first possibility from there on."""

    def __init__(self, prefix: list[int]) -> None:
        self._prefix = prefix
        self.taken: list[tuple[int, int]] = []  # which, of how many

    def choose(self, count: int) -> int:
        which = self._prefix[len(self.taken)] if len(self.taken) < len(self._prefix) else 0
        self.taken.append((which, count))
        return which


def every_way(live: Callable[[Choices], None]) -> int:
    """Run ``live`` through every combination of choices; return how many there are."""
    ways, prefix = 0, list[int]()
    while True:
        choices = Choices(prefix)
        live(choices)
        ways += 1
        taken = [which for which, _ in choices.taken]
        for place in reversed(range(len(taken))):
            if taken[place] + 1 < choices.taken[place][1]:
                prefix = [*taken[:place], taken[place] + 1]
                break
        else:
            return ways


@dataclass
class Request:
    """A request on its way to the store."""

    at: str
    to: str
    change: Change | None


@dataclass
class World:
    """A store with one fence and one key, and a network that may do anything to ``faults`` requests."""

    choices: Choices
    faults: int
    guarded: bool = True  # False: the store makes every change, as one without a fence would
    now_s: float = 0.0
    fence: str = NOWHERE
    value: str | None = None
    held_up: list[Request] = field(default_factory=list)
    effects: list[Change] = field(default_factory=list)  # in order

    def execute(self, request: Request) -> Moved:
        if self.guarded and self.fence != request.at:
            return Moved(False, self.fence)
        self.fence = request.to
        return Moved(True, affected=None if request.change is None else self.apply(request.change))

    def apply(self, change: Change) -> int | None:
        self.effects.append(change)
        affected = int(self.value is not None) if change.kind is Kind.DELETE else None
        self.value = change.value
        return affected

    def request(self, at: str, to: str, change: Change | None) -> Request:
        return Request(at, to, change)

    def let_through(self) -> None:
        """Execute some of what was held up, in any choice and order."""
        while self.held_up:
            which = self.choices.choose(len(self.held_up) + 1)
            if which == 0:
                return
            self.execute(self.held_up.pop(which - 1))

    def move(self, _endpoint: str, timeout_s: float, at: str, to: str, change: Change | None) -> Moved:
        self.let_through()
        fate = FATES[self.choices.choose(len(FATES))] if self.faults else ANSWERED
        self.faults -= fate != ANSWERED
        request = self.request(at, to, change)
        if fate == ANSWERED:
            return self.execute(request)
        if fate == REFUSED:
            raise AttemptFailedError(fate, ambiguous=False)
        if fate == UNANSWERED:
            self.execute(request)
        elif fate == HELD_UP:
            self.held_up.append(request)
        self.now_s += timeout_s
        raise AttemptFailedError(fate, ambiguous=True)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def client(self, emit: Callable[[str, dict[str, Any]], None], doubt: Doubt | None = None) -> Fence:
        loop = FailoverLoop(["a:1", "b:1"], POLICY, lambda *_: None, 1, clock=lambda: self.now_s, sleep=self.sleep)
        return Fence("c", loop, self.move, emit, ids=Ids(), doubt=doubt, clock=lambda: self.now_s)


@dataclass
class OneTransactionAnId(World):
    """A store that has no fence, and executes one transaction of an id at most, as MySQL does of a GTID."""

    sent: str = NOWHERE
    used: set[str] = field(default_factory=set)
    voided: set[str] = field(default_factory=set)

    def request(self, _at: str, to: str, change: Change | None) -> Request:
        if change is not None:
            self.sent = to
        return Request(self.sent, to, change)

    def execute(self, request: Request) -> Moved:
        transaction = request.at
        if self.guarded and transaction in self.used:
            return Moved(False, request.to if transaction in self.voided else transaction)
        if transaction != NOWHERE:
            self.used.add(transaction)
        if request.change is not None:
            return Moved(True, affected=self.apply(request.change))
        self.voided.add(transaction)
        return Moved(True)

    def client(self, emit: Callable[[str, dict[str, Any]], None], doubt: Doubt | None = None) -> Fence:
        self.sent = NOWHERE if doubt is None else doubt.to
        return super().client(emit, doubt)


WORLDS = pytest.mark.parametrize("kind", [World, OneTransactionAnId])


class Ledger:
    """What clients say of their writes, held against what took effect, and when."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.in_doubt: Change | None = None
        self.told: dict[Change, bool] = {}  # whether a write took effect, since it is over

    def listen(self, event: str, data: dict[str, Any]) -> None:
        if event == WRITE_SETTLED:
            assert self.in_doubt is not None
            self._over(self.in_doubt, applied=data["applied"])
            self.in_doubt = None

    def write(self, fence: Fence, change: Change) -> None:
        result = fence.write(change)
        if result.outcome == "unknown":
            assert fence.doubt is not None
            self.in_doubt = change
        else:
            self._over(change, applied=result.outcome == "ok")

    def _over(self, change: Change, *, applied: bool) -> None:
        assert self.world.effects.count(change) == int(applied), self.world.choices.taken
        self.told[change] = applied

    def close(self) -> None:
        """Whatever is still on its way comes now, when all writes are over."""
        while self.world.held_up:
            self.world.execute(self.world.held_up.pop())
        for change, applied in self.told.items():
            assert self.world.effects.count(change) == int(applied), self.world.choices.taken


def live_through(
    kind: type[World], choices: Choices, *, faults: int, changes: list[Change], guarded: bool = True
) -> Ledger:
    world = kind(choices, faults, guarded)
    ledger = Ledger(world)
    fence = world.client(ledger.listen)
    fence.take_over()
    for change in changes:
        ledger.write(fence, change)
    world.faults = 0
    assert fence.settle()
    assert fence.doubt is None
    assert ledger.told.keys() == set(changes)
    ledger.close()
    return ledger


@WORLDS
@pytest.mark.parametrize(("faults", "changes"), [(3, [PUT, REMOVE]), (2, [PUT, REMOVE, PUT_AGAIN])])
def test_a_write_that_is_over_took_effect_as_its_client_says_and_never_will_again(
    kind: type[World], faults: int, changes: list[Change]
) -> None:
    seen: Counter[bool] = Counter()

    def live(choices: Choices) -> None:
        try:
            seen.update(live_through(kind, choices, faults=faults, changes=changes).told.values())
        except LabError:
            return  # the fence could not be made; there was no write

    assert every_way(live) > 400
    assert min(seen[True], seen[False]) > 30  # both ends were reached


@WORLDS
def test_without_a_fence_the_same_world_has_ghosts(kind: type[World]) -> None:
    def live(choices: Choices) -> None:
        live_through(kind, choices, faults=1, changes=[PUT, REMOVE], guarded=False)

    with pytest.raises(AssertionError):
        every_way(live)


@WORLDS
def test_another_client_that_takes_its_place_settles_what_was_in_doubt(kind: type[World]) -> None:
    ways: Counter[bool] = Counter()

    def live(choices: Choices) -> None:
        world = kind(choices, faults=0)
        ledger = Ledger(world)
        fence = world.client(ledger.listen)
        fence.take_over()
        world.faults = 3
        ledger.write(fence, PUT)
        doubt = fence.doubt
        if doubt is None:
            return
        heir = world.client(ledger.listen, Doubt.from_dict({"index": 7, **doubt.as_dict()}))
        if not heir.settle():
            world.faults = 0
            heir = world.client(ledger.listen, doubt)  # it may be asked again by one more
            assert heir.settle()
        ledger.close()
        ways[ledger.told[PUT]] += 1

    every_way(live)
    assert min(ways[True], ways[False]) > 5


def test_a_client_takes_over_the_fence_of_one_that_is_gone() -> None:
    world = World(Choices([]), faults=0)
    world.client(lambda *_: None).take_over()
    left_at = world.fence
    late = Request(left_at, "its-next", PUT)
    fence = world.client(lambda *_: None)
    fence.take_over()
    assert not world.execute(late).moved
    assert fence.write(PUT).outcome == "ok"


def test_a_read_waits_for_what_is_in_doubt() -> None:
    world = World(Choices([]), faults=0)
    events: list[tuple[str, dict[str, Any]]] = []
    fence = world.client(lambda event, data: events.append((event, data)))
    fence.take_over()
    world.choices, world.faults = Choices([2, 2, 2]), 3  # lost, twice, and so is the first try to settle
    assert fence.write(PUT).outcome == "unknown"
    result = fence.read(lambda _endpoint, _timeout_s, _after: Answer(read=world.value))
    assert (result.outcome, result.attempts, result.read) == ("ok", 2, None)
    assert result.error == "not sent: the write before is still in doubt: lost"
    assert events == [(WRITE_SETTLED, {"endpoint": "b:1", "applied": False, "revision": None})]


def test_a_store_that_lost_writes_is_told_and_gone_on_with() -> None:
    world = World(Choices([]), faults=0)
    events: list[str] = []
    fence = world.client(lambda event, _data: events.append(event))
    fence.take_over()
    first = world.fence
    assert fence.write(PUT).outcome == "ok"
    world.fence, world.value = first, None  # the last write is gone
    result = fence.write(REMOVE)
    assert result.affected == 0
    # Nothing was done, and the checks take the client's word for it.
    assert str(result.error).startswith("the fence is at ")
    assert not proves_nothing("etcd", result.error)
    assert events == ["client.fence_astray"]


def test_two_clients_of_one_fence_are_found_out() -> None:
    world = World(Choices([]), faults=0)
    fence, other = world.client(lambda *_: None), world.client(lambda *_: None)
    fence.take_over()
    other.take_over()
    with pytest.raises(LabError, match="somebody else moves the fence c"):
        fence.write(PUT)

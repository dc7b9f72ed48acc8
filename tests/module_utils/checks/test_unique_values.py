# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys no two of whose writes have the same value, held against trying every order, and against the search."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from failover.checks import absences, linearizability, unique_values
from failover.checks.operations import Action, Answer, Call, as_of, first_impossible
from failover.selftest.orders import explained
from hypothesis import given, settings
from hypothesis import strategies as st

READ, WRITE, CAS, REMOVE = Action.READ, Action.WRITE, Action.CAS, Action.REMOVE
KINDS = (READ, READ, WRITE, WRITE, CAS, CAS, REMOVE, "delete", "delete")


class _Register:
    """A register that clients see at moments between begin and end of their operations."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.state: Any = None
        self.given: list[int] = []
        self.calls: list[Call] = []

    def do(self, number: int, begin: int, end: int | None) -> None:
        """Let an operation take effect; one without an end does so, or not."""
        kind, takes_effect = self.source.choice(KINDS), end is not None or self.source.random() < 0.6
        if kind is WRITE:
            self._add(WRITE, number, None, begin, end)
            self._gives(number, takes_effect)
        elif kind is CAS and self.given:
            expected = self.state if self.state and self.source.random() < 0.7 else self.source.choice(self.given)
            if end is not None and expected != self.state:
                self._add(READ, None, self.state, begin, end)
                return
            self._add(CAS, (expected, number), None, begin, end)
            self._gives(number, takes_effect and expected == self.state)
        elif kind is REMOVE and (self.state is not None or end is None):
            self._add(REMOVE, None, None, begin, end)
            self.state = None if takes_effect else self.state
        elif kind == "delete":
            self._add(WRITE, None, None, begin, end)
            self.state = None if takes_effect else self.state
        elif end is not None:
            self._add(READ, None, self.state, begin, end)

    def _gives(self, value: int, takes_effect: bool) -> None:
        self.given.append(value)
        self.state = value if takes_effect else self.state

    def _add(self, action: Action, argument: Any, result: Any, begin: int, end: int | None) -> None:
        label = f"{action.value} {argument} {result}, operation {len(self.calls)}"
        self.calls.append(Call(action, argument, result, begin, end, label))


def simulated(source: random.Random, most: int, wrong: Sequence[int]) -> list[Call]:
    """Return a history of a register, of which some answers or times were changed afterwards."""
    count, length = source.randint(2, most), source.choice([2, 4, 8])
    moments = sorted(source.random() * count * source.choice([0.5, 1, 3]) for _ in range(count))
    register, unknown = _Register(source), source.choice([0, 0, 0.1, 0.3])
    for number, moment in enumerate(moments, 1):
        begin, end = int(moment - source.random() * length), int(moment + source.random() * length) + 1
        register.do(number, begin, end if source.random() >= unknown else None)
    calls = register.calls
    for _ in range(source.choice(wrong) if calls else 0):
        at = source.randrange(len(calls))
        call = calls[at]
        if call.action is READ and source.random() < 0.5:
            calls[at] = call._replace(result=source.choice([*register.given, None]))
        elif call.end is not None and source.random() < 0.5:
            by = source.choice([-3, -2, -1, 1, 2, 3])
            calls[at] = call._replace(begin=call.begin + by, end=call.end + by)
        elif call.end is not None:
            calls[at] = call._replace(begin=call.begin, end=source.randint(call.begin, call.end))
    return sorted(calls, key=lambda call: call.begin)


def test_agrees_with_trying_every_order_on_simulated_registers() -> None:
    answers: Counter[bool] = Counter()
    for number in range(6_000):
        calls = simulated(random.Random(f"every order {number}"), 7, (0, 2, 4, 7))
        expected = explained(calls, None)
        found = unique_values.by_unique_values(calls, None, None)
        assert found is not None, number
        assert (found[0] is Answer.LINEARIZABLE) is expected, number
        answers[expected] += 1
    assert min(answers.values()) > 300


def test_agrees_with_the_search_where_every_order_is_too_many() -> None:
    answers: Counter[Answer] = Counter()
    for number in range(1_500):
        calls = simulated(random.Random(f"search {number}"), 24, (0, 1, 4, 9))
        expected, _ = linearizability._Search(calls, None).run(None)
        found = unique_values.by_unique_values(calls, None, None)
        assert found is not None, number
        assert found[0] is expected, number
        answers[expected] += 1
    assert min(answers[Answer.LINEARIZABLE], answers[Answer.NOT_LINEARIZABLE]) > 200


@st.composite
def drawn(draw: st.DrawFn) -> list[Call]:
    count = draw(st.integers(1, 7))
    values = [None, *range(count)]
    calls = []
    for number in range(count):
        action = draw(st.sampled_from([READ, READ, WRITE, WRITE, CAS, REMOVE]))
        begin = draw(st.integers(0, 10))
        known = action is READ or draw(st.integers(0, 3)) > 0
        argument: Any = {READ: None, REMOVE: None, WRITE: draw(st.sampled_from([number, number, None]))}.get(action)
        if action is CAS:
            argument = (draw(st.integers(0, count - 1)), number)
        result = draw(st.sampled_from(values)) if action is READ else None
        end = begin + draw(st.integers(0, 8)) if known else None
        calls.append(Call(action, argument, result, begin, end, f"operation {number}"))
    return sorted(calls, key=lambda call: call.begin)


@settings(max_examples=400)
@given(calls=drawn(), initial=st.sampled_from([None, "first"]))
def test_agrees_with_trying_every_order_on_drawn_histories(calls: list[Call], initial: Any) -> None:
    first = [call._replace(result=initial) if call.result == 0 else call for call in calls]
    for each in (calls, first):
        found = unique_values.by_unique_values(each, initial, None)
        assert found is not None
        assert (found[0] is Answer.LINEARIZABLE) is explained(each, initial)


def test_the_operation_that_is_named_shows_it_first() -> None:
    """Where one answer is wrong there is no order when it has ended, and there is one just before; nearly always."""
    named = first = 0
    for number in range(1_500):
        calls = simulated(random.Random(f"named {number}"), 12, (1,))
        answer, label = unique_values.by_unique_values(calls, None, None) or (None, None)
        if answer is Answer.NOT_LINEARIZABLE:
            end = next(call.end for call in calls if call.label == label)
            assert end is not None
            found, before = (
                linearizability._Search(as_of(calls, moment), None).run(None)[0] for moment in (end, end - 1)
            )
            named += 1
            first += found is Answer.NOT_LINEARIZABLE and before is Answer.LINEARIZABLE
    assert named > 40
    assert first > named * 0.8


@pytest.mark.parametrize(
    "calls",
    [
        [Call(WRITE, 1, None, 0, 5, "one"), Call(WRITE, 1, None, 1, 6, "the same")],
        [Call(CAS, (None, 1), None, 0, 5, "from nothing")],
        [Call(WRITE, 1, None, 0, 5, "one"), Call(CAS, (1, None), None, 1, 6, "to nothing")],
        [Call(Action.APPEND, "a", None, 0, 5, "append")],
    ],
)
def test_what_is_not_for_it_is_left_to_the_search(calls: list[Call]) -> None:
    assert unique_values.by_unique_values(calls, None, None) is None


def test_an_order_with_a_fault_in_it_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [
        Call(WRITE, 1, None, 0, 5, "write"),
        Call(READ, None, 1, 3, 9, "read"),
        Call(READ, None, None, 1, 2, "none"),
    ]
    assert unique_values.by_unique_values(calls, None, None) == (Answer.LINEARIZABLE, None)
    monkeypatch.setattr(unique_values, "in_order", lambda items, deadline: list(range(len(items))))
    assert unique_values.by_unique_values(calls, None, None) is None
    assert linearizability.check_key(calls, None) == (Answer.LINEARIZABLE, None)


def test_an_order_is_gone_through_in_values_and_in_time() -> None:
    write, read = Call(WRITE, 1, None, 4, 8, "write"), Call(READ, None, 1, 0, 3, "read")
    assert first_impossible([write, read._replace(end=9)], None) is None
    assert first_impossible([write, read], None) is read
    assert first_impossible([read, write], None) is read
    assert first_impossible([write, write._replace(end=None)], None) is None


def hard_history(rounds: int) -> list[Call]:
    """Return removals that need values of long ago, and in the end one too many."""
    calls = []
    for number in range(rounds):
        at = number * 10
        calls.append(Call(WRITE, number, None, at, at + 60, f"write {number}"))
        calls.append(Call(READ, None, None, at + 3, at + 40, f"read {number}"))
        calls.append(Call(REMOVE, None, None, at + 2, at + 55, f"remove {number}"))
    calls.append(Call(REMOVE, None, None, 0, rounds * 10 + 70, "one too many"))
    return sorted(calls, key=lambda call: call.begin)


def test_a_removal_too_many_is_found_though_all_choices_have_to_be_tried() -> None:
    calls = hard_history(200)
    started = time.process_time()
    assert unique_values.by_unique_values(calls, None, None) == (Answer.NOT_LINEARIZABLE, "one too many")
    assert time.process_time() - started < 20


def test_time_that_is_over_leaves_it_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absences, "_STEPS_PER_LOOK", 1)
    assert unique_values.by_unique_values(hard_history(5), None, 0.0) == (Answer.UNKNOWN, None)


@pytest.mark.parametrize("stale", [False, True])
def test_one_key_that_all_clients_crowd_in_seconds(stale: bool) -> None:
    """What the search cannot decide in minutes: 64 clients at one key, and one operation in 30 of unknown outcome."""
    source = random.Random(5)
    register = _Register(source)
    for number in range(1, 8_000):
        begin, end = number * 10 - source.randint(0, 640), number * 10 + source.randint(1, 640)
        register.do(number, begin, end if source.random() < 0.97 else None)
    calls = register.calls
    if stale:
        writes = [call for call in calls[:6_000] if call.action is WRITE and call.argument and call.end is not None]
        last = writes[-1]
        old = next(call for call in reversed(writes) if (call.end or 0) < last.begin)
        at = next(n for n, call in enumerate(calls) if call.action is READ and call.begin > (last.end or 0))
        calls[at] = calls[at]._replace(result=old.argument)
    started = time.process_time()
    answer, label = linearizability.check_key(calls, None)
    assert (answer, label) == ((Answer.NOT_LINEARIZABLE, calls[at].label) if stale else (Answer.LINEARIZABLE, None))
    assert time.process_time() - started < 10

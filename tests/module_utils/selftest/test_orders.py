# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Small histories, and trying every order of them. Hypothesis does so, too: test_linearizability.py."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from failover.checks.linearizability import check_key
from failover.checks.operations import Action, Call
from failover.selftest.orders import MIXES, MOST_CALLS, compare, explained, small_history

READ, WRITE = Action.READ, Action.WRITE


def call(action: Action, value: int | None, begin: int, end: int | None) -> Call:
    is_read = action is READ
    return Call(action, None if is_read else value, value if is_read else None, begin, end, "")


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([], True),
        ([call(WRITE, 1, 0, 1), call(READ, 1, 2, 3)], True),
        ([call(WRITE, 1, 0, 1), call(READ, None, 2, 3)], False),
        ([call(WRITE, 1, 0, 9), call(READ, None, 1, 2), call(READ, 1, 3, 4)], True),
        ([call(WRITE, 1, 0, 9), call(READ, 1, 1, 2), call(READ, None, 3, 4)], False),
        ([call(WRITE, 1, 0, None), call(READ, None, 1, 2), call(READ, 1, 3, 4)], True),
        ([call(READ, 1, 0, 1), call(WRITE, 1, 2, None)], False),
    ],
)
def test_every_order_is_tried(calls: list[Call], expected: bool) -> None:
    assert explained(calls, None) is expected


def test_small_histories_are_of_all_kinds() -> None:
    for mix, (actions, values, _) in MIXES.items():
        drawn = [small_history(mix, random.Random(number)) for number in range(300)]
        calls = [call for history in drawn for call in history]
        assert {len(history) for history in drawn} == set(range(1, MOST_CALLS + 1))
        assert {call.action for call in calls} == set(actions)
        assert {call.result for call in calls if call.action is READ} == set(values)
        assert any(call.end is None for call in calls)
        assert all(call.end is not None for call in calls if call.action is READ)


def test_both_agree_and_the_seed_decides() -> None:
    compared = compare(2_000, 5)
    assert (compared.histories, compared.disagreed, compared.told) == (2_000, 0, [])
    # Neither answer is rare.
    assert 200 < compared.linearizable < 1_800
    assert replace(compare(2_000, 5), took_s=0) == replace(compared, took_s=0)
    assert compare(2_000, 6).linearizable != compared.linearizable


def test_where_they_disagree_the_history_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from failover.checks import linearizability

    def forgetful(calls: list[Call], initial: object) -> object:
        """Lose the last call."""
        return check_key(calls[:-1], initial)

    monkeypatch.setattr(linearizability, "check_key", forgetful)
    compared = compare(700, 5)
    assert 0 < compared.disagreed < 700
    first = compared.told[0]
    assert len(first["calls"]) == len(small_history(first["mix"], random.Random(f"5 {first['number']}")))

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Operations that are over, and of which it is not known whether they took effect."""

from __future__ import annotations

import random
from typing import Any

import pytest
from failover.checks.linearizable import MOST_DOUBTFUL, check_with_doubts
from failover.checks.operations import Action, Answer, Call
from failover.selftest.orders import explained

FAR = 1e12


def write(value: str, begin: int, end: int) -> Call:
    return Call(Action.WRITE, value, None, begin, end, f"write {value}")


def read(value: Any, begin: int, end: int) -> Call:
    return Call(Action.READ, None, value, begin, end, f"read {value}")


def swap(expected: str, value: str, begin: int, end: int | None) -> Call:
    return Call(Action.CAS, (expected, value), None, begin, end, f"cas {expected} {value}")


@pytest.mark.parametrize("found", ["0", "1"])
def test_it_took_effect_in_its_time_or_never(found: str) -> None:
    own = [write("0", 0, 1), read(found, 20, 21)]
    assert check_with_doubts(own, [swap("0", "1", 5, 9)], FAR)[0] is Answer.LINEARIZABLE


def test_it_takes_no_effect_after_its_time() -> None:
    own = [write("0", 0, 1), read("0", 20, 21), read("1", 30, 31)]
    late = swap("0", "1", 5, 9)
    answer, label = check_with_doubts(own, [late], FAR)
    assert (answer, label) == (Answer.NOT_LINEARIZABLE, "read 0")
    # As it would be without a fence.
    assert check_with_doubts([*own, late._replace(end=None)], [], FAR)[0] is Answer.LINEARIZABLE


@pytest.mark.parametrize("writes", [1, 2])
def test_of_very_many_the_values_tell_which_or_the_search_decides(writes: int) -> None:
    """Of two writes of one value a read does not tell which one it saw."""
    doubtful = [swap("0", str(number), 5, 9) for number in range(1, MOST_DOUBTFUL + 3)]
    own = [*[write("0", 0, 1)] * writes, read(str(MOST_DOUBTFUL + 2), 20, 21)]
    assert check_with_doubts(own, doubtful, FAR)[0] is Answer.LINEARIZABLE
    assert check_with_doubts([*own, read("3", 30, 31)], doubtful, FAR)[0] is Answer.NOT_LINEARIZABLE


def test_what_values_tell_of_doubtful_ones_is_what_some_choice_of_them_explains() -> None:
    linearizable = 0
    for number in range(3_000):
        source = random.Random(f"doubtful {number}")
        given = ["0"]
        own, doubtful = [write("0", 0, 2)], []
        for value in "12345"[: source.randint(1, 5)]:
            begin = source.randint(0, 9)
            one = swap(source.choice([*given, value]), value, begin, begin + source.randint(1, 5))
            (own if source.random() < 0.2 else doubtful).append(one)
            given.append(value)
        own += [read(source.choice([*given, None]), 12 + n, 13 + n) for n in range(0, source.choice([1, 1, 2, 4]), 2)]
        chosen = [[call for n, call in enumerate(doubtful) if bits >> n & 1] for bits in range(1 << len(doubtful))]
        expected = any(explained([*own, *some], None) for some in chosen)
        assert (check_with_doubts(own, doubtful, FAR)[0] is Answer.LINEARIZABLE) is expected, number
        linearizable += expected
    assert 300 < linearizable < 2_700

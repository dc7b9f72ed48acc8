# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Operations that are over, and of which it is not known whether they took effect."""

from __future__ import annotations

from typing import Any

import pytest
from failover.checks.linearizable import MOST_DOUBTFUL, check_with_doubts
from failover.checks.operations import Action, Answer, Call

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
    assert (answer, label) == (Answer.NOT_LINEARIZABLE, "read 1")
    # As it would be without a fence.
    assert check_with_doubts([*own, late._replace(end=None)], [], FAR)[0] is Answer.LINEARIZABLE


def test_of_very_many_the_search_decides() -> None:
    doubtful = [swap("0", str(number), 5, 9) for number in range(1, MOST_DOUBTFUL + 3)]
    own = [write("0", 0, 1), read(str(MOST_DOUBTFUL + 2), 20, 21)]
    assert check_with_doubts(own, doubtful, FAR)[0] is Answer.LINEARIZABLE

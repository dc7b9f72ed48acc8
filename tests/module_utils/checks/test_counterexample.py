# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from failover.checks import counterexample
from failover.checks.counterexample import Counterexample, letter_of, sentences, shrink, staleness, told_of
from failover.checks.linearizability import check_key
from failover.checks.operations import Action, Answer, Call
from failover.selftest.orders import MIXES, explained, small_history

LONG_S = 60.0


def forgotten(call: Call) -> list[Call]:
    """Return what is left of an operation of which nothing is known any more."""
    if call.action is Action.READ:
        return []
    if call.action is Action.APPEND:
        return [call._replace(begin=-1, end=None)]
    value = {Action.CAS: lambda: call.argument[1], Action.REMOVE: lambda: None}.get(
        call.action, lambda: call.argument
    )()
    return [Call(Action.WRITE, value, None, -1, None, call.label)]


def with_only(calls: Sequence[Call], kept: Sequence[Call]) -> list[Call]:
    return [one for call in calls for one in ([call] if call in kept else forgotten(call))]


@pytest.mark.parametrize("mix", MIXES)
def test_what_is_left_contradicts_itself_and_no_part_of_it_does(mix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By trying every order: of what was kept, and without each of it."""
    # A busy machine may hold up any search for so long.
    monkeypatch.setattr(counterexample, "SEARCH_LIMIT_S", LONG_S)
    initial, shrunk = MIXES[mix][2], 0
    for number in range(400):
        drawn = small_history(mix, random.Random(number))
        calls = [call._replace(label=f"operation {n}") for n, call in enumerate(drawn)]
        if explained(calls, initial):
            continue
        shrunk += 1
        found = shrink(calls, initial, LONG_S)
        assert found is not None
        assert found.is_minimal
        assert set(found.calls) <= set(calls)
        assert not explained(with_only(calls, found.calls), initial), (number, found)
        for call in found.calls:
            rest = [other for other in found.calls if other != call]
            assert explained(with_only(calls, rest), initial), (number, call.label)
    assert shrunk > 100


def stale_history(operations: int, seed: int) -> list[Call]:
    """Return writes and reads of one client after the other, and one read near the end that is ten writes late."""
    source, calls, value = random.Random(seed), [], None
    for number in range(operations):
        begin = number * 10
        if source.random() < 0.3:
            value = str(number)
            calls.append(Call(Action.WRITE, value, None, begin, begin + 5, f"write {value}"))
        else:
            # Two at once, so that there is more than one order.
            calls += [Call(Action.READ, None, value, begin, begin + 5 + n, f"read {number}.{n}") for n in range(2)]
    writes = [call for call in calls if call.action is Action.WRITE]
    late = writes[-1].begin + 6
    calls.append(Call(Action.READ, None, writes[-11].argument, late, late + 1, "the late read"))
    return calls


def test_of_thousands_of_operations_three_are_left() -> None:
    calls = stale_history(8_000, 3)
    assert check_key(calls, None)[0] is Answer.NOT_LINEARIZABLE
    found = shrink(calls, None, LONG_S)
    assert found is not None
    assert found.is_minimal
    first, second, read = found.calls
    assert read.label == "the late read"
    assert first.argument == read.result
    assert second.action is Action.WRITE
    assert first.end is not None
    assert second.end is not None
    assert first.end < second.begin < second.end < read.begin


def told(calls: Sequence[Call]) -> list[str]:
    found = shrink(calls, None, LONG_S)
    assert found is not None
    return sentences(found, in_ns=True)


def test_an_answer_that_is_out_of_date_is_told_in_words() -> None:
    calls = [
        Call(Action.WRITE, "a", None, 0, 2_000_000, "write 1"),
        Call(Action.WRITE, "b", None, 3_500_000, 5_000_000, "write 2"),
        Call(Action.READ, None, "b", 4_000_000, 9_000_000, "read 3"),
        Call(Action.READ, None, "a", 6_000_000, 8_000_000, "read 4"),
        Call(Action.CAS, ("a", "z"), None, 1_000_000, None, "cas 5"),
    ]
    assert told(calls) == [
        "A, write 1: it wrote 'a'.",
        "B, write 2: it wrote 'b'. It began 1.5 ms after A had ended.",
        "C, read 4: it found 'a'. It began 1.0 ms after B had ended.",
        "They do not overlap, so they took effect in this order. Before C the key held 'b', and no other operation can "
        "have given it 'a' again: the answer was out of date.",
    ]


def test_where_there_are_several_orders_it_is_said_that_none_will_do() -> None:
    calls = [
        Call(Action.WRITE, "a", None, 0, 5, "write 1"),
        Call(Action.WRITE, "b", None, 1, 6, "write 2"),
        Call(Action.READ, None, "a", 7, 8, "read 3"),
        Call(Action.READ, None, "b", 9, 10, "read 4"),
    ]
    found = shrink(calls, None, LONG_S)
    assert found is not None
    assert staleness(found.calls) is None
    assert sentences(found)[-2:] == [
        "C, read 4: it found 'b'. It began after B had ended.",
        "In whatever order they took effect, each at one moment between its begin and its end, one of them would have "
        "been answered otherwise, and nothing else that was done changes that.",
    ]


def test_an_answer_that_nobody_gave_is_alone() -> None:
    calls = [Call(Action.WRITE, "a", None, 0, 2, "write 1"), Call(Action.READ, None, "x", 1, 3, "read 2")]
    assert told(calls) == [
        "A, read 2: it found 'x'.",
        "Nothing else that was done explains that answer.",
    ]


@pytest.mark.parametrize(
    ("call", "deed"),
    [
        (Call(Action.CAS, ("a", None), None, 0, 1, "cas"), "cas: it found 'a' and made it nothing"),
        (Call(Action.APPEND, ",3", None, 0, 1, "append"), "append: it added ',3'"),
        (Call(Action.REMOVE, None, None, 0, 1, "remove"), "remove: it removed what was there"),
        (Call(Action.WRITE, None, None, 0, 1, "delete"), "delete: it deleted the key"),
        (Call(Action.READ, None, None, 0, 1, "read"), "read: it found nothing"),
        (Call(Action.READ, None, "a", 0, 1, "read, which found 'a'"), "read, which found 'a'"),
    ],
)
def test_each_deed_has_its_words(call: Call, deed: str) -> None:
    assert told_of(call) == deed


def test_what_nobody_knows_is_said() -> None:
    calls = (Call(Action.CAS, ("a", "b"), None, 0, None, "cas"), Call(Action.READ, None, "b", 4, 9, "read"))
    first, second, _, last = sentences(Counterexample(calls, is_minimal=False))
    assert first.endswith("Nobody knows whether or when it took effect.")
    assert "began when" not in second
    assert last.endswith("The time to look for fewer of them was over.")


def test_without_time_there_is_none() -> None:
    assert shrink(stale_history(2_000, 5), None, 0.0) is None


def test_letters_go_on_behind_z() -> None:
    assert [letter_of(number) for number in (0, 25, 26, 52)] == ["A", "Z", "A2", "A3"]

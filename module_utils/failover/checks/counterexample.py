# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The few operations of a key that no order explains, out of the thousands among which they were found.

An operation is left out by forgetting what is known of it: a read is gone, and a change may have taken effect at any
time, whatever it expected to find, or never. So what is left over contradicts itself, whatever the others did, and
with any one more of it forgotten there is an order. The search halves what may be forgotten (Junker, "QuickXplain",
2004).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from string import ascii_uppercase
from typing import Any

from ..sentences import listing
from .linearizability import check_key
from .operations import Action, Answer, Call, as_of

# So many operations, the nearest to where it fails, are tried first; then twice as many, and so on.
FIRST_TRIED = 8
# How long it is searched whether a few operations can be ordered, in s: of those that tell something it takes some ms.
SEARCH_LIMIT_S = 0.25


@dataclass(frozen=True)
class Counterexample:
    """Operations that contradict each other."""

    calls: tuple[Call, ...]  # by the time at which they began
    is_minimal: bool  # no one of them can be left out; else the time was over, or a search was given up


def shrink(calls: Sequence[Call], initial: Any, timeout_s: float) -> Counterexample | None:
    """Return the few operations of a key that cannot be ordered; None where all can, or they were not found in time.

    :param initial: what the key holds at first
    :param timeout_s: for all; a set that is found, and could be smaller, is returned, and says so
    """
    return _Shrinking(calls, initial, time.thread_time() + timeout_s).run()


def sentences(found: Counterexample, *, in_ns: bool = False) -> list[str]:
    """Tell a counterexample to people who know no theory: a sentence an operation, and what it comes to.

    :param in_ns: whether times are nanoseconds; else only their order counts
    """
    calls = found.calls
    before = _just_before(calls)
    told = []
    for number, call in enumerate(calls):
        when = ""
        if before[number]:
            over = listing([letter_of(other) for other in before[number]])
            since_ms = (call.begin - max(calls[other].end or 0 for other in before[number])) / 1e6
            when = f" It began {f'{since_ms:,.1f} ms ' if in_ns else ''}after {over} had ended."
        doubt = "" if call.end is not None else " Nobody knows whether or when it took effect."
        told.append(f"{letter_of(number)}, {told_of(call)}.{when}{doubt}")
    if len(calls) == 1:
        told.append("Nothing else that was done explains that answer.")
        return told
    stale = staleness(calls)
    if stale is not None:
        told.append(stale)
    else:
        told.append(
            "In whatever order they took effect, each at one moment between its begin and its end, one of them would "
            "have been answered otherwise, and nothing else that was done changes that."
        )
    if not found.is_minimal:
        told.append("The time to look for fewer of them was over.")
    return told


def staleness(calls: Sequence[Call]) -> str | None:
    """Say so where the last is a read of what another operation had replaced before it began; None where it is not."""
    *changes, last = calls
    following = [number > 0 and number - 1 in over for number, over in enumerate(_just_before(calls))]
    if last.action is not Action.READ or not all(following[1:]) or not all(_writes(call) for call in changes):
        return None
    if last.result not in [call.argument for call in changes[:-1]]:
        return None
    return (
        f"They do not overlap, so they took effect in this order. Before {letter_of(len(changes))} the key held "
        f"{_held(changes[-1].argument)}, and no other operation can have given it {_held(last.result)} again: the "
        "answer was out of date."
    )


def _writes(call: Call) -> bool:
    return call.action is Action.WRITE and call.end is not None


def told_of(call: Call) -> str:
    """Return an operation's name with what it did, or found."""
    return call.label if "found" in call.label else f"{call.label}: {_deed(call)}"


def letter_of(number: int) -> str:
    """Return what an operation is called, from 0 on: A, B, ..., Z, A2, B2, ..."""
    letter = ascii_uppercase[number % len(ascii_uppercase)]
    return letter if number < len(ascii_uppercase) else f"{letter}{number // len(ascii_uppercase) + 1}"


def _deed(call: Call) -> str:
    """Say what an operation did, or found."""
    if call.action is Action.READ:
        return f"it found {_held(call.result)}"
    if call.action is Action.CAS:
        return f"it found {_held(call.argument[0])} and made it {_held(call.argument[1])}"
    if call.action is Action.APPEND:
        return f"it added {call.argument!r}"
    if call.action is Action.REMOVE:
        return "it removed what was there"
    return "it deleted the key" if call.argument is None else f"it wrote {call.argument!r}"


def _held(value: Any) -> str:
    return "nothing" if value is None else repr(value)


def _just_before(calls: Sequence[Call]) -> list[list[int]]:
    """Return for each operation those that were over when it began, less those that were over before one of these."""
    before: list[list[int]] = []
    for call in calls:
        over = [n for n, other in enumerate(calls) if other.end is not None and other.end < call.begin]
        latest_begin = max((calls[n].begin for n in over), default=0)
        before.append([n for n in over if (calls[n].end or 0) >= latest_begin])
    return before


def _is_over(call: Call, moment: int) -> bool:
    return call.end is not None and call.end <= moment


def _as_of(call: Call, moment: int) -> Call:
    """Return what was known of an operation then: nothing of the end of one that was under way."""
    return call if _is_over(call, moment) else call._replace(end=None)


def _changes(call: Call) -> bool:
    return call.action is not Action.READ


class _Shrinking:
    def __init__(self, calls: Sequence[Call], initial: Any, deadline: float) -> None:
        self.initial = initial
        self.deadline = deadline
        self.given_up = False
        self._take(sorted(calls, key=lambda call: call.begin))

    def _take(self, calls: list[Call]) -> None:
        """Look at these from now on, with what is left of each when it is forgotten, which a read leaves nothing of."""
        self.calls = calls
        before_all = calls[0].begin if calls else 0
        self.forgotten = [forgotten_of(call)._replace(begin=before_all) if _changes(call) else None for call in calls]

    def run(self) -> Counterexample | None:
        whole = self.calls
        last = self._first_failure()
        if last is None:
            return None
        # Reads that were not over then say nothing. Of changes it counts that they did not begin sooner.
        kept_of = [number for number, call in enumerate(whole) if _is_over(call, last) or _changes(call)]
        self._take([_as_of(whole[number], last) for number in kept_of])
        # Where there is a choice, what comes first is kept. Several small sets may contradict themselves; those with
        # writes that were over are the shorter ones as a rule, and the easier to read.
        over = [number for number, call in enumerate(self.calls) if call.end is not None]
        others = [number for number, call in enumerate(self.calls) if call.end is None]
        nearest = [*sorted(over, key=lambda number: self.calls[number].end or 0, reverse=True), *reversed(others)]
        near = self._enough_of(nearest)
        if near is None:
            return None
        writes_first = sorted(near, key=lambda number: not _changes(self.calls[number]))
        found = [self._needed(order, []) for order in (writes_first, near)]
        # That those under way then were over later may make others of them unnecessary.
        self._take(whole)
        kept = self._needed([kept_of[number] for number in min(found, key=len)], [])
        return Counterexample(tuple(whole[number] for number in sorted(kept)), not self.given_up)

    def _first_failure(self) -> int | None:
        """Return the first return by which no order is left; None where one is, or time is over."""
        ends = sorted({call.end for call in self.calls if call.end is not None})
        low, high = 0, len(ends) - 1
        # Where the search for an order got stuck is that return, or just before it, as it looks ahead.
        answer, label = check_key(self.calls, self.initial, self.deadline)
        if answer is not Answer.NOT_LINEARIZABLE:
            return None
        stuck = next((call.end for call in self.calls if call.label == label and call.end is not None), None)
        if stuck is not None and self._contradicts(as_of(self.calls, stuck)):
            high = ends.index(stuck)
            if high == 0 or not self._contradicts(as_of(self.calls, ends[high - 1])):
                return stuck
        while low < high:
            middle = (low + high) // 2
            if self._contradicts(as_of(self.calls, ends[middle])):
                high = middle
            else:
                low = middle + 1
        return ends[low]

    def _enough_of(self, order: list[int]) -> list[int] | None:
        """Return as many of the first as it takes; a contradiction is as a rule one of neighbours in time."""
        size = FIRST_TRIED
        while time.thread_time() < self.deadline:
            if self._is_enough(order[:size]):
                return order[:size]
            if size >= len(order):
                break
            size *= 2
        return None

    # ------------------------------------------------------------ what is needed

    def _needed(self, candidates: list[int], fixed: list[int]) -> list[int]:
        """Return those of the candidates that contradict the fixed ones, as few as there have to be."""
        if len(candidates) <= 1:
            return candidates
        half = len(candidates) // 2
        first, second = candidates[:half], candidates[half:]
        # One half alone may do; the nearer one is tried first.
        from_second = [] if self._is_enough(fixed + first) else self._needed(second, fixed + first)
        from_first = [] if self._is_enough(fixed + from_second) else self._needed(first, fixed + from_second)
        return from_first + from_second

    def _is_enough(self, numbers: Sequence[int]) -> bool:
        """Say whether these contradict each other, whatever is forgotten of the others."""
        wanted = set(numbers)
        if not wanted:
            return False
        known = [self.calls[number] for number in sorted(wanted)]
        forgotten = [call for number, call in enumerate(self.forgotten) if call is not None and number not in wanted]
        # Without an answer by then they count as not enough, and what is found may not be the smallest.
        return self._contradicts(known + _of_use(forgotten, known), SEARCH_LIMIT_S)

    def _contradicts(self, calls: list[Call], timeout_s: float = inf) -> bool:
        answer, _ = check_key(calls, self.initial, min(self.deadline, time.thread_time() + timeout_s))
        if answer is Answer.UNKNOWN:
            self.given_up = True
        return answer is Answer.NOT_LINEARIZABLE


def forgotten_of(call: Call) -> Call:
    """Return what is left of a change of which nothing is known but what it gives: at any time, or never."""
    if call.action is Action.APPEND:
        return call._replace(end=None)
    given = {Action.WRITE: call.argument, Action.REMOVE: None}
    value = call.argument[1] if call.action is Action.CAS else given[call.action]
    return call._replace(action=Action.WRITE, argument=value, result=None, end=None)


def _of_use(forgotten: list[Call], known: Sequence[Call]) -> list[Call]:
    """Return those that could help to find an order; where a text grows, all may.

    Others give a value that somebody has to find. A known REMOVE has to find any: one change more for each will do.
    """
    if any(call.action is Action.APPEND for call in (*known, *forgotten)):
        return forgotten
    needed = {call.result for call in known if call.action is Action.READ}
    needed |= {call.argument[0] for call in known if call.action is Action.CAS}
    removes = sum(call.action is Action.REMOVE for call in known)
    others = [call for call in forgotten if call.argument is not None and call.argument not in needed]
    return [call for call in forgotten if call.argument in needed] + others[:removes]

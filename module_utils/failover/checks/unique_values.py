# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides a key no two of whose writes have the same value: a read tells which one it saw.

A value is there once, so all that saw it, or built on it, stands between the write that gave it and the next change. A
compare-and-set stands at the end of one value and at the beginning of the next, and makes a chain of the two. So an
order of all operations is an order of chains, and inside of each there is no choice: a write, its reads, what was made
of its value, the reads of that, and so on.

A chain can begin when the first of its operations ends, and is over no sooner than the last of them begins (Gibbons and
Korach, "Testing shared memories", 1997, call that its zone). Where the last begin is after the first end, it has the
whole time between the two for itself: nothing else can be there, neither another such chain nor anything that fits in
between. Where it is not, the chain can take effect at one moment: any from its last begin to its first end. Chains
alone are ordered so without a search; what goes on between them where keys are absent is for :mod:`.absences`.

What may have happened, as its outcome is unknown, and gave a value that nobody saw:

- of a compare-and-set it is assumed that it did not. If it took effect in some order, that order without it is as good:
  its value was there until the next change, no read, nor a compare-and-set that took effect, asked for it, and to a
  write or a removal one value is as good as the one before it;
- a write can help a removal, which has to find some value, and nothing else: it is used there, or it did not happen.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from itertools import chain
from math import inf
from typing import Any

from .absences import ABSENT, DELETE, MAY_DELETE, MAY_WRITE, REMOVE, VALUE, Item, NoOrderError, OutOfTimeError, in_order
from .operations import Action, Answer, Call, as_of, changes_nothing, first_impossible

_CAS, _READ, _WRITE = Action.CAS, Action.READ, Action.WRITE
# Stands for the write of what the key held at first.
_INITIAL = -1


def by_unique_values(ordered: Sequence[Call], initial: Any, deadline: float | None) -> tuple[Answer, str | None] | None:
    """Decide a key; return the answer and what no order explains. None where values are not unique.

    An order that is found is a proof only when :func:`first_impossible` has gone through it. So None, too, where that
    finds fault with one.

    :param ordered: by their begins
    :param deadline: on the clock of time.thread_time; None for none
    """
    key = _Key(ordered, initial)
    if not key.is_unique:
        return None
    try:
        items = key.items()
        found = in_order(items, deadline)
    except NoOrderError as error:
        return Answer.NOT_LINEARIZABLE, _shown_by(ordered, initial, deadline, error).label
    except OutOfTimeError:
        return Answer.UNKNOWN, None
    order = chain.from_iterable(items[number].calls for number in found)
    if first_impossible((ordered[number] for number in order if number != _INITIAL), initial) is not None:
        return None
    return Answer.LINEARIZABLE, None


def without_doubt(calls: Sequence[Call], doubtful: Sequence[Call], initial: Any) -> list[Call] | None:
    """Return the calls, and of the doubtful ones those that took effect; None where values are not unique.

    :param doubtful: compare-and-sets that are over, and of which it is not known whether they took effect. Where nobody
        saw the value of one, there is an order without it if there is one with it.
    """
    key = _Key([*calls, *(call._replace(end=None) for call in doubtful)], initial)
    if not key.is_unique:
        return None
    try:
        seen = key.seen()
    except NoOrderError:
        return list(calls)  # Somebody saw a value that none of them gives.
    return [*calls, *(call for call in doubtful if call.argument[1] in seen and not changes_nothing(call))]


# ---------------------------------------------------------------- where there is no order


def _shown_by(ordered: Sequence[Call], initial: Any, deadline: float | None, error: NoOrderError) -> Call:
    """Return the operation at whose end it could be seen that there is no order, or one near it."""
    if error.numbers:
        return _last_of(ordered, error.numbers)
    shown = [_last_of(ordered, numbers) for pair in error.pairs if (numbers := _clashing(ordered, *pair))]
    return min(shown, key=_ended) if shown else _first_shown(ordered, initial, deadline)


def _first_shown(ordered: Sequence[Call], initial: Any, deadline: float | None) -> Call:
    """Look for it by halves; where the time is over, return what is left of the latest half."""
    ending = sorted((call for call in ordered if call.end is not None), key=_ended)
    low, high = 0, len(ending) - 1
    while low < high and (deadline is None or time.thread_time() < deadline):
        middle = (low + high) // 2
        try:
            in_order(_Key(as_of(ordered, ending[middle].end or 0), initial).items(), deadline)
            low = middle + 1
        except NoOrderError:
            high = middle
        except OutOfTimeError:
            break
    return ending[high]


def _clashing(ordered: Sequence[Call], one: Item, other: Item) -> list[int]:
    """Return, of each of two items, the operation that ended first of those that began when the other was over."""
    late = [
        [
            number
            for number in item.calls
            if number != _INITIAL and ordered[number].end is not None and ordered[number].begin > (before.end or 0)
        ]
        for item, before in ((one, other), (other, one))
    ]
    return [min(numbers, key=lambda number: _ended(ordered[number])) for numbers in late if numbers]


def _last_of(ordered: Sequence[Call], numbers: Sequence[int]) -> Call:
    """Return the one of these that ended last: when it had, they contradicted each other."""
    return max((ordered[number] for number in numbers if number != _INITIAL), key=_ended)


def _ended(call: Call) -> tuple[bool, int]:
    return call.end is not None, call.end or 0


class _Key:
    """The operations of a key by what they have to do with each value. Numbers are places in ``ordered``."""

    def __init__(self, ordered: Sequence[Call], initial: Any) -> None:
        self.ordered = ordered
        self.initial = initial
        self.giver: dict[Hashable, int] = {} if initial is None else {initial: _INITIAL}
        self.readers: dict[Hashable, list[int]] = {}
        self.takers: dict[Hashable, list[int]] = {}  # compare-and-sets that found it
        # What has to do with the key's absence: calls of each kind of item.
        self.others: dict[int, list[int]] = {REMOVE: [], DELETE: [], ABSENT: [], MAY_DELETE: []}
        self.is_unique = self._sort()

    def _sort(self) -> bool:
        """Sort all operations; return False where one is not for here."""
        giver, readers, takers, others = self.giver, self.readers, self.takers, self.others
        for number, (action, argument, result, _, end, _) in enumerate(self.ordered):
            known = end is not None
            if action is _READ or (action is _CAS and argument[0] == argument[1]):
                found = result if action is _READ else argument[0]
                if not known:
                    continue
                if found is None:
                    others[ABSENT].append(number)
                elif found in readers:
                    readers[found].append(number)
                else:
                    readers[found] = [number]
            elif action is _WRITE and argument is not None:
                if argument in giver:
                    return False
                giver[argument] = number
            elif action is _CAS:
                expected, new = argument
                if expected is None or new is None or new in giver:
                    return False
                giver[new] = number
                if known:
                    takers.setdefault(expected, []).append(number)
            elif action is Action.APPEND:
                return False
            elif known:
                others[DELETE if action is _WRITE else REMOVE].append(number)
            else:
                # What is not known of a removal is not known of a write of nothing.
                others[MAY_DELETE].append(number)
        return True

    def items(self) -> list[Item]:
        """Return the chains, and all that has to do with the key's absence."""
        seen = self.seen()
        ordered = self.ordered
        items = []
        in_chains = 0
        for value, number in self.giver.items():
            if number != _INITIAL and ordered[number].action is _CAS:
                continue
            if number != _INITIAL and ordered[number].end is None and value not in seen:
                items.append(Item(MAY_WRITE, ordered[number].begin, None, (number,)))
                continue
            item, links = self._chain(value, number)
            in_chains += links
            items.append(item)
        if in_chains < sum(map(len, self.takers.values())):
            # They go round in a circle, and none of their values came first.
            raise NoOrderError([number for takers in self.takers.values() for number in takers])
        for kind, numbers in self.others.items():
            for number in numbers:
                _, _, _, begin, end, _ = ordered[number]
                items.append(Item(kind, begin, end, (number,)))
        return items

    def seen(self) -> set[Hashable]:
        """Return the values that were there, as somebody saw them; what gave one of them took effect, too."""
        seen = set(self.readers) | set(self.takers)
        to_do = list(seen)
        while to_do:
            value = to_do.pop()
            if value not in self.giver:
                raise NoOrderError((self.readers.get(value) or self.takers[value])[:1])
            number = self.giver[value]
            if number == _INITIAL:
                continue
            call = self.ordered[number]
            if call.end is None and call.action is _CAS:
                expected = call.argument[0]
                self.takers.setdefault(expected, []).append(number)
                if expected not in seen:
                    seen.add(expected)
                    to_do.append(expected)
        return seen

    def _chain(self, value: Hashable, number: int) -> tuple[Item, int]:
        """Return the chain that begins with what gave a value, and how many compare-and-sets are in it.

        Raises :class:`NoOrderError` where one of its operations was over before one that has to be in front of it
        began.
        """
        ordered = self.ordered
        numbers = [number]
        if number == _INITIAL:
            latest = ordered[0].begin - 1
            earliest: float = latest
        else:
            latest = ordered[number].begin
            known_end = ordered[number].end
            earliest = inf if known_end is None else known_end
        begins_last = number
        links = 0
        while True:
            takers = self.takers.get(value, ())
            for next_number in (*self.readers.get(value, ()), *takers):
                _, argument, _, begin, end, _ = ordered[next_number]
                if begin > latest:
                    latest, begins_last = begin, next_number
                if end is not None:
                    if end < latest:
                        # A read that came too late; or what could not know yet what it found.
                        too_late = changes_nothing(ordered[begins_last])
                        raise NoOrderError([begins_last if too_late else next_number])
                    if end < earliest:
                        earliest = end
                numbers.append(next_number)
            if not takers:
                break
            if len(takers) > 1:
                raise NoOrderError(takers)
            links += 1
            value = argument[1]
        return Item(VALUE, latest, int(earliest), numbers), links

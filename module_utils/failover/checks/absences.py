# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds an order of a key's values and of the times between them in which it was absent.

Absent is what a key can be again and again, and so the one thing of which a read does not tell which one it saw. What
has to be put in order are items: values (see :mod:`.unique_values`: each a chain of operations, at one moment between
two, or with a time for itself), removals (that have to find a value), deletes (that do not), reads that found nothing,
and deletes and writes that may have happened, at any time after their begin.

The search goes along the begins and ends of all items and does something only when the end of one is due that has not
had its place (Lowe, "Testing for linearizability", 2017). It knows whether the key is absent, and of the items under
way:

- a read that found nothing has its place as soon as the key is absent. If it is due before, something makes it absent;
- a value has had its place if the key held some value at any time since it began, just before that one was replaced, or
  if a delete had its place while the key was absent, just before that. It can still be used to give the key a value
  until it ends;
- a delete is the same the other way round: it has had its place if the key was absent at any time since it began, or a
  value had its place while the key held another one. It can still be used to make the key absent;
- a removal changes the key each time. It is both something to do and something to make the key absent with.

Of several of a kind the one that ends first is used: where another one is, and this one later, they can be exchanged.
What has to be tried is only what is used, and what is kept:

- where a read is due, whether a removal, a delete, or a delete that may have happened makes the key absent;
- where a value is due, whether the key gets it, if it needs it no more, or, while the key holds another one, whether
  something makes the key absent just before;
- where a delete is due, whether it takes effect, if it needs to no more, or else whether a removal does just before.

Whatever else one could do, one can do as well when something is due the next time. No combination is followed that
leaves no way open that another one did not, which was tried before.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

# Kinds of items. All but the last two have an end.
VALUE, REMOVE, DELETE, ABSENT, MAY_DELETE, MAY_WRITE = range(6)
# An event is the begin of an item, told by its kind, or that it is due: the kind and this.
_DUE = 6
# Clashes of items that are told.
_MOST_PAIRS = 200
# Combinations between two looks at the clock.
_STEPS_PER_LOOK = 2048


class Item(NamedTuple):
    """Something that has a place in the order."""

    kind: int
    begin: int  # of a VALUE it is after the end where the VALUE has the time between the two for itself
    end: int | None
    calls: Sequence[int]  # in their order


class NoOrderError(Exception):
    """There is no order. It may be known why."""

    def __init__(self, numbers: Sequence[int] = (), pairs: Sequence[tuple[Item, Item]] = ()) -> None:
        super().__init__()
        self.numbers = numbers  # of calls that contradict each other
        self.pairs = pairs  # of items each of which had to be in front of the other


class OutOfTimeError(Exception):
    """Whether there is an order was not found in time."""


class _Zones:
    """The times that some values have for themselves."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._zones = sorted((item for item in items if _is_zone(item)), key=_end)
        self._starts = [_end(zone) for zone in self._zones]
        for one, other in pairwise(self._zones):
            if _clash(one, other):
                raise self._no_order(one, other)

    def _no_order(self, *zones: Item) -> NoOrderError:
        """Return the error that tells what clashes with these, for the caller to find what shows it first."""
        pairs = ((zone, item) for zone in zones for item in self._items if item.end is not None and _clash(zone, item))
        return NoOrderError(pairs=list(islice(pairs, _MOST_PAIRS)))

    def window(self, item: Item) -> tuple[int, int | None]:
        """Return from when to when an item can have its place: what of a zone it sees is left out."""
        begin, end = item.begin, item.end
        if not self._zones:
            return begin, end
        inside = bisect_left(self._starts, begin) - 1
        if inside >= 0 and begin < self._zones[inside].begin:
            begin = self._zones[inside].begin
        if end is not None:
            inside = bisect_right(self._starts, end) - 1
            if inside >= 0 and end < self._zones[inside].begin:
                end = self._starts[inside]
                if end < begin:
                    raise self._no_order(self._zones[inside])
        return begin, end


def _end(item: Item) -> int:
    return item.begin if item.end is None else item.end


def _is_zone(item: Item) -> bool:
    return _end(item) < item.begin


def _clash(one: Item, other: Item) -> bool:
    """Say whether each has to be in front of the other, as it was over for some when the other began for some."""
    return one is not other and _end(one) < other.begin and _end(other) < one.begin


class _Timeline(NamedTuple):
    """The begins and ends of items in the order of time."""

    codes: list[int]
    # By event: of an item that is never due its number, else the number of its due event among all due events.
    others: list[int]
    due: list[int]  # by the number of a due event: the item


def _timeline(items: Sequence[Item]) -> _Timeline:
    """Put begins and ends in order. At one moment begins come first: what is closed at both ends overlaps there."""
    zones = _Zones(items)
    bits = len(items).bit_length()
    keys = []
    for number, item in enumerate(items):
        if _is_zone(item):
            # At its time all is over that had to be before it, and nothing has begun that has to be after it.
            keys.append((_end(item) * 4 + 2) << bits | number)
            continue
        first, last = zones.window(item)
        keys.append((first * 4) << bits | number)
        if last is not None:
            keys.append((last * 4 + 1) << bits | number)
    keys.sort()
    mask = (1 << bits) - 1
    codes: list[int] = []
    others: list[int] = []
    due: list[int] = []
    due_of: dict[int, int] = {}
    for key in reversed(keys):
        number = key & mask
        moment = key >> bits & 3
        kind = items[number].kind
        if moment:
            due_of[number] = len(due)
            codes.append(kind + _DUE)
            others.append(len(due))
            due.append(number)
        if moment != 1:
            codes.append(kind)
            others.append(due_of.get(number, number))
    for each in (codes, others, due):
        each.reverse()
    last_due = len(due) - 1
    others = [
        other if code in (MAY_DELETE, MAY_WRITE) else last_due - other
        for code, other in zip(codes, others, strict=True)
    ]
    return _Timeline(codes, others, due)


class _State(NamedTuple):
    """A combination: everything before ``event`` is dealt with.

    The sets of items under way are bits, the lowest of the one that is due next of all.
    """

    event: int
    passed: int  # due events before it
    is_absent: bool
    removes: int
    values: int  # not used yet
    bare_values: int  # those of them that need a place
    deletes: int  # not used yet
    bare_deletes: int  # those of them that need a place
    absents: int  # reads that need a place
    may_delete: int  # how many have begun and were not used
    may_write: int
    used: Any  # the last first: (due events before, that of the item or _ANY, what was used before)


# What is used is one of those that may have happened.
_ANY = -1


def in_order(items: Sequence[Item], deadline: float | None) -> list[int]:
    """Return numbers of items in an order that explains all; what may have happened and did not is left out.

    Raises :class:`NoOrderError` where there is none, and :class:`OutOfTimeError`.
    """
    timeline = _timeline(items)
    return _told(timeline, _search(timeline, deadline))


def _search(timeline: _Timeline, deadline: float | None) -> Any:
    """Return what was used, the last first, in an order that explains all."""
    codes = timeline.codes
    tried: defaultdict[tuple[int, bool, int], list[_State]] = defaultdict(list)
    state = _advance(timeline, _State(0, 0, True, 0, 0, 0, 0, 0, 0, 0, 0, None))
    # Where there is a choice, and how many ways to go on were tried; the next is worked out when it is its turn.
    choices: list[tuple[_State, int]] = []
    skipped = steps = 0
    while state.event < len(codes):
        steps += 1
        if deadline is not None and steps % _STEPS_PER_LOOK == 0 and time.thread_time() > deadline:
            raise OutOfTimeError
        following = next(islice(_OPTIONS[codes[state.event]](state), skipped, None), None)
        if following is not None:
            if codes[state.event] != REMOVE + _DUE:
                choices.append((state, skipped + 1))
            following = _advance(timeline, following)
            others = tried[following.event, following.is_absent, following.removes]
            if not any(_can_do_all_of(other, following) for other in others):
                others.append(following)
                state, skipped = following, 0
                continue
        if not choices:
            raise NoOrderError
        state, skipped = choices.pop()
    return state.used


def _can_do_all_of(one: _State, other: _State) -> bool:
    """Say whether ``one``, equal in event, absence and removals, leaves every way open that ``other`` does."""
    return (
        one.may_delete >= other.may_delete
        and one.may_write >= other.may_write
        and not one.absents & ~other.absents
        and not one.bare_values & ~other.bare_values
        and not one.bare_deletes & ~other.bare_deletes
        and not other.values & ~one.values
        and not other.deletes & ~one.deletes
    )


def _advance(timeline: _Timeline, state: _State) -> _State:
    """Go on to where something is due that has not had its place, or that could be used otherwise, or to the end."""
    codes, others, _ = timeline
    event, passed, is_absent, removes, values, bare_values, deletes, bare_deletes, absents, may_delete, *rest = state
    may_write, used = rest
    while event < len(codes):
        code = codes[event]
        if code >= _DUE:
            if (
                absents & 1
                or removes & 1
                or (values & 1 and (is_absent or removes or (absents and (deletes or may_delete))))
                or (deletes & 1 and not is_absent)
            ):
                break
            if values & 1:
                bare_deletes = 0
            if deletes & 1:
                bare_values = 0
            removes >>= 1
            values >>= 1
            bare_values >>= 1
            deletes >>= 1
            bare_deletes >>= 1
            absents >>= 1
            passed += 1
        elif code == VALUE:
            bit = 1 << others[event] - passed
            values |= bit
            if is_absent:
                bare_values |= bit
        elif code == ABSENT:
            if not is_absent:
                absents |= 1 << others[event] - passed
        elif code == REMOVE:
            removes |= 1 << others[event] - passed
        elif code == DELETE:
            bit = 1 << others[event] - passed
            deletes |= bit
            if not is_absent:
                bare_deletes |= bit
        elif code == MAY_DELETE:
            may_delete += 1
        else:
            may_write += 1
        event += 1
    sets = removes, values, bare_values, deletes, bare_deletes, absents
    return _State(event, passed, is_absent, *sets, may_delete, may_write, used)


# ---------------------------------------------------------------- what can be done where something is due


def _passing(state: _State) -> _State:
    """Go past what is due."""
    event, passed, is_absent, removes, values, bare_values, deletes, bare_deletes, absents, *rest = state
    sets = removes >> 1, values >> 1, bare_values >> 1, deletes >> 1, bare_deletes >> 1, absents >> 1
    return _State(event + 1, passed + 1, is_absent, *sets, *rest)


def _first(state: _State, items: int) -> tuple[int, int, Any]:
    """Return what was used, with the first of these items."""
    return state.passed, state.passed + (items & -items).bit_length() - 1, state.used


def _by_remove(state: _State) -> Iterator[_State]:
    """Make the key absent by the first removal, if there is one."""
    if state.removes:
        yield state._replace(
            is_absent=True,
            absents=0,
            bare_deletes=0,
            removes=state.removes & state.removes - 1,
            used=_first(state, state.removes),
        )


def _by_delete(state: _State) -> Iterator[_State]:
    """Make it absent by the first delete, if there is one, and by one that may have happened."""
    absent = state._replace(is_absent=True, absents=0, bare_deletes=0)
    if state.deletes:
        yield absent._replace(deletes=state.deletes & state.deletes - 1, used=_first(state, state.deletes))
    if state.may_delete:
        yield absent._replace(may_delete=state.may_delete - 1, used=(state.passed, _ANY, state.used))


def _by_value(state: _State) -> Iterator[_State]:
    """Give the key the value that ends first, else one that may have been written; all others have their place now."""
    held = state._replace(is_absent=False, bare_values=0, bare_deletes=0)
    if state.values:
        yield held._replace(values=state.values & state.values - 1, used=_first(state, state.values))
    elif state.may_write:
        yield held._replace(may_write=state.may_write - 1, used=(state.passed, _ANY, state.used))


def _absent_due(state: _State) -> Iterator[_State]:
    yield from map(_passing, _by_remove(state))
    yield from map(_passing, _by_delete(state))


def _remove_due(state: _State) -> Iterator[_State]:
    for held in _by_value(state) if state.is_absent else (state,):
        yield from map(_passing, _by_remove(held))


def _value_due(state: _State) -> Iterator[_State]:
    kept = _passing(state._replace(bare_deletes=state.bare_deletes if state.is_absent else 0))
    if state.is_absent:
        if not state.bare_values & 1:
            yield kept
        yield from map(_passing, _by_value(state))
        return
    yield kept
    for absent in _by_remove(state):
        yield from map(_passing, _by_value(absent))
    if state.absents:
        for absent in _by_delete(state):
            yield from map(_passing, _by_value(absent))


def _delete_due(state: _State) -> Iterator[_State]:
    if not state.bare_deletes & 1:
        yield _passing(state)
    yield _passing(next(_by_delete(state)))
    if state.bare_deletes & 1:
        yield from map(_passing, _by_remove(state))


_OPTIONS = {
    ABSENT + _DUE: _absent_due,
    REMOVE + _DUE: _remove_due,
    VALUE + _DUE: _value_due,
    DELETE + _DUE: _delete_due,
}


# ---------------------------------------------------------------- telling the order


def _told(timeline: _Timeline, used: Any) -> list[int]:
    """Return the order that comes of what was used: all other items have their places where they can."""
    steps = []
    while used is not None:
        passed, which, used = used
        steps.append((passed, which))
    return _Order(timeline, steps).told()


class _Order:
    """Puts items into the order, going along the time line once more."""

    def __init__(self, timeline: _Timeline, steps: list[tuple[int, int]]) -> None:
        self.timeline = timeline
        self.steps = steps  # the last first
        self.used = {which for _, which in steps if which != _ANY}
        self.is_absent = True
        self.order: list[list[int]] = []
        # The last place at which a value, or a delete, could be put without being seen.
        self.unseen: dict[int, list[int]] = {VALUE: [], DELETE: []}
        # What makes the key absent, or gives it a value, and may have happened, by their begins.
        self.may: dict[int, deque[int]] = {MAY_DELETE: deque(), MAY_WRITE: deque()}
        self.absents: dict[int, None] = {}  # reads that wait for their place, by numbers of their due events

    def told(self) -> list[int]:
        """Return the order."""
        passed = 0
        for code, other in zip(self.timeline.codes, self.timeline.others, strict=True):
            if code >= _DUE:
                while self.steps and self.steps[-1][0] == passed:
                    self._use(self.steps.pop()[1])
                if code - _DUE in self.unseen and other not in self.used:
                    self._put(code - _DUE, self.timeline.due[other])
                passed += 1
            elif code in self.may:
                self.may[code].append(other)
            elif code == ABSENT and self.is_absent:
                self.order.append([self.timeline.due[other]])
            elif code == ABSENT:
                self.absents[other] = None
        return [number for place in self.order for number in place]

    def _put(self, kind: int, item: int) -> None:
        """Put a value, or a delete, that changes nothing, or that nobody sees."""
        if (kind == DELETE) is not self.is_absent:
            self.unseen[kind].append(item)
            return
        self._mark(VALUE if self.is_absent else DELETE)
        self.order.append([item])

    def _mark(self, kind: int) -> None:
        """Mark a place for those that nobody sees there."""
        self.unseen[kind] = []
        self.order.append(self.unseen[kind])

    def _use(self, which: int) -> None:
        """Change whether the key is absent; a read that waits has its place after that."""
        self._mark(DELETE if self.is_absent else VALUE)
        if which != _ANY:
            self.order.append([self.timeline.due[which]])
        else:
            self.order.append([self.may[MAY_WRITE if self.is_absent else MAY_DELETE].popleft()])
        self.is_absent = not self.is_absent
        if self.is_absent:
            self.order.append([self.timeline.due[number] for number in self.absents])
            self.absents.clear()

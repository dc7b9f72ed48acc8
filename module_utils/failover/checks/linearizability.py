# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks whether some order of the operations explains every answer and agrees with real time.

Linearizability: each operation takes effect at one moment between its call and its return (Herlihy and
Wing, "Linearizability: a correctness condition for concurrent objects", 1990). It is a property of each key
alone, so keys are checked one by one. A key none of whose operations overlap has one order. One no two of whose
writes have the same value is decided by what its values tell (see :mod:`.unique_values`). Others are searched.

The search is that of Wing and Gong with Lowe's two ideas, remembering
the combinations already tried and ordering operations only when a return forces it ("Testing for
linearizability", 2017), and six more that keep the number of combinations small:

- an operation that changes no state (a read) is placed as soon as its answer fits: that closes no way;
- of equal operations that wait, one is tried: the one that has to be placed first;
- a write that nobody sees is not placed: it may have happened just before any other write in its time;
- a combination that leaves no way open that another, otherwise equal one does not, is not followed;
- nor is one in which a read to come can no longer find its value;
- states that no operation to come can tell apart are one.

An operation of unknown outcome may take effect at any time after its call, or never.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .operations import IMPOSSIBLE, UNSEEN, Action, Answer, Call, History, changes_nothing, first_impossible, step
from .unique_values import by_unique_values

# Combinations between two looks at the clock.
_STEPS_PER_LOOK = 2048


@dataclass(frozen=True)
class Result:
    """The answer for a history, and for people what it is about where it is not good."""

    answer: Answer
    operations: int
    keys: int
    key: str | None = None  # the key that is not linearizable, or that took too long
    blocked: str | None = None  # the operation that no order explains, whatever was tried


def check(history: History, timeout_s: float | None = None) -> Result:
    """Check every key; stop at the first that is not linearizable.

    :param timeout_s: for the whole history; a key that is not decided by then makes the answer unknown, unless
        another one turns out not to be linearizable.
    """
    deadline = None if timeout_s is None else time.thread_time() + timeout_s
    operations = sum(len(calls) for calls in history.calls.values())
    undecided: str | None = None
    for key, calls in history.calls.items():
        answer, blocked = check_key(calls, history.initial, deadline)
        if answer is Answer.NOT_LINEARIZABLE:
            return Result(answer, operations, len(history.calls), key, blocked)
        if answer is Answer.UNKNOWN:
            undecided = key
    answer = Answer.LINEARIZABLE if undecided is None else Answer.UNKNOWN
    return Result(answer, operations, len(history.calls), undecided)


def check_key(calls: Sequence[Call], initial: Any, deadline: float | None = None) -> tuple[Answer, str | None]:
    """Check the operations of one key; return the answer and, if it is not linearizable, where it got stuck.

    :param deadline: on the clock of time.thread_time; None for none.
    """
    ordered = sorted(calls, key=lambda call: call.begin)
    if _one_after_the_other(ordered):
        wrong = first_impossible(ordered, initial)
        return (Answer.LINEARIZABLE, None) if wrong is None else (Answer.NOT_LINEARIZABLE, wrong.label)
    answer = by_unique_values(ordered, initial, deadline)
    if answer is not None:
        return answer
    return _Search(ordered, initial).run(deadline)


# What takes effect in any state, so that it can have happened unseen just before a WRITE.
_COVERABLE = (Action.WRITE, Action.APPEND)


def _one_after_the_other(ordered: Sequence[Call]) -> bool:
    """Say whether no two operations overlap and none is unknown, so that there is only one order."""
    end: int | None = None
    for call in ordered:
        if call.end is None or (end is not None and call.begin <= end):
            return False
        end = call.end
    return True


class _Node(NamedTuple):
    """A combination: everything before ``event`` is dealt with.

    ``placed`` has a bit for each known operation that has taken effect and not returned, ``used`` one for each
    unknown operation that has taken effect, ``covered`` one for each waiting known write or append that may be said
    to have taken effect just before a write that overwrote it unseen. Operations are numbered by their calls.
    """

    event: int
    state: Any
    placed: int
    used: int
    covered: int


class _Search:
    """The search over the operations of one key."""

    def __init__(self, ordered: Sequence[Call], initial: Any) -> None:
        self.calls = ordered
        self.initial = initial
        self.still = [changes_nothing(call) for call in ordered]
        # Intervals are closed: a call at the moment of another one's return overlaps it, so it comes first.
        events = [(call.begin, 0, number) for number, call in enumerate(ordered)]
        events += [(call.end, 1, number) for number, call in enumerate(ordered) if call.end is not None]
        events.sort()
        self.events = [(is_return == 1, number) for _, is_return, number in events]
        self.twins = self._find_twins()
        self._list_waiting()
        # Two kinds of keys allow to look ahead: those whose operations have plain values, and texts that grow.
        actions = {call.action for call in ordered}
        self.has_values = Action.APPEND not in actions
        self.has_texts = not self.has_values and actions <= {Action.READ, Action.WRITE, Action.APPEND}
        if self.has_values:
            self.last_source = self._find_last_sources()
            self.last_need = self._find_last_needs()
        # Known reads and writes by the event of their return, and all unknown writes.
        returns = [(event, number) for event, (is_return, number) in enumerate(self.events) if is_return]
        self.reads = [(event, number) for event, number in returns if ordered[number].action is Action.READ]
        self.writes = [(event, number) for event, number in returns if ordered[number].action is Action.WRITE]
        self.unknown_writes = [
            number for number, call in enumerate(ordered) if call.action is Action.WRITE and call.end is None
        ]

    def _list_waiting(self) -> None:
        """For each event, list the operations called before it that have not returned: known and unknown ones."""
        known: list[int] = []
        unknown: list[int] = []
        self.known: list[list[int]] = []
        self.unknown: list[list[int]] = []
        for is_return, number in self.events:
            self.known.append(list(known))
            self.unknown.append(unknown)
            if is_return:
                known.remove(number)
            elif self.calls[number].end is not None:
                known.append(number)
            elif not self.still[number]:
                unknown = [*unknown, number]

    def _find_twins(self) -> list[int]:
        """For each changing operation, return the bits of equal ones that, if they wait too, are placed before it.

        Those are the ones that return earlier, or, where nothing returns, that were called earlier.
        """
        twins = [0] * len(self.calls)
        groups: defaultdict[tuple[Action, Any, bool], list[int]] = defaultdict(list)
        for number, call in enumerate(self.calls):
            if not self.still[number]:
                groups[call.action, call.argument, call.end is None].append(number)
        for numbers in groups.values():
            bits = 0
            for number in sorted(numbers, key=lambda number: (self.calls[number].end or 0, number)):
                twins[number] = bits
                bits |= 1 << number
        return twins

    def _find_last_sources(self) -> dict[int, int]:
        """For each known read, return the last event before its return at which what gives its value is called."""
        called: dict[Any, int] = {}
        last: dict[int, int] = {}
        for event, (is_return, number) in enumerate(self.events):
            call = self.calls[number]
            if is_return and call.action is Action.READ:
                last[number] = called.get(call.result, -1)
            elif not is_return and not self.still[number]:
                called[_gives(call)] = event
        return last

    def _find_last_needs(self) -> dict[Any, int]:
        """For each value, return the last event at which an operation that needs it has not returned."""
        last: dict[Any, int] = {}
        for event, (is_return, number) in enumerate(self.events):
            call = self.calls[number]
            if is_return and call.action is Action.READ:
                last[call.result] = max(event, last.get(call.result, -1))
            elif call.action is Action.CAS and (is_return or call.end is None):
                needed_until = event if is_return else len(self.events)
                last[call.argument[0]] = max(needed_until, last.get(call.argument[0], -1))
        return last

    def run(self, deadline: float | None) -> tuple[Answer, str | None]:
        """Search; return the answer and the operation at which the best attempt got stuck."""
        tried: defaultdict[tuple[int, Any, int], list[_Node]] = defaultdict(list)
        stack = [_Node(0, self.initial, 0, 0, 0)]
        furthest = 0
        steps = 0
        while stack:
            steps += 1
            if deadline is not None and steps % _STEPS_PER_LOOK == 1 and time.thread_time() > deadline:
                return Answer.UNKNOWN, None
            node = self._advance(stack.pop())
            if node.event == len(self.events):
                return Answer.LINEARIZABLE, None
            if not self._is_needed(node.event, node.state, node.placed):
                node = node._replace(state=UNSEEN)
            furthest = max(furthest, node.event)
            others = tried[node.event, node.state, node.placed]
            if any(_can_do_all_of(other, node) for other in others):
                continue
            others[:] = [other for other in others if not _can_do_all_of(node, other)]
            others.append(node)
            if self._can_still_be_read(node):
                stack.extend(self._next_nodes(node))
        return Answer.NOT_LINEARIZABLE, self.calls[self.events[furthest][1]].label

    def _advance(self, node: _Node) -> _Node:
        """Go on to the next return of an operation that is not placed yet, or to the end."""
        event, state, placed, used, covered = node
        while event < len(self.events):
            is_return, number = self.events[event]
            bit = 1 << number
            if is_return:
                if not placed & bit:
                    break
                placed ^= bit
            elif self._fits(state, number):
                placed |= bit
            event += 1
        return _Node(event, state, placed, used, covered)

    def _next_nodes(self, node: _Node) -> Iterator[_Node]:
        """Yield what one more operation that takes effect leads to, the most promising last."""
        event, state, placed, used, covered = node
        due = self.events[event][1]
        waiting = [number for number in self.known[event] if not placed >> number & 1]
        unused = [number for number in self.unknown[event] if not used >> number & 1]
        rest = [*waiting, *unused]
        waiting_bits = sum(1 << number for number in waiting)
        coverable = sum(1 << number for number in waiting if self.calls[number].action in _COVERABLE)

        def after(number: int, placed: int, used: int) -> _Node | None:
            call = self.calls[number]
            new = step(state, call)
            if new is IMPOSSIBLE:
                return None
            with_still = placed | sum(1 << other for other in waiting if self._fits(new, other))
            # A write that nothing sees or builds on can as well be covered, or, if unknown, left out. What has to
            # be placed whatever it changes is the operation that is due, and a known one that needs the state.
            if (
                number != due
                and (call.end is None or call.action in _COVERABLE)
                and with_still == placed
                and not self._is_built_on(event, new, placed, [other for other in rest if other != number])
            ):
                return None
            now_covered = (covered | coverable) & ~with_still if call.action is Action.WRITE else covered & ~with_still
            return _Node(event, new, with_still, used, now_covered)

        found: list[_Node | None] = [
            after(number, placed, used | 1 << number) for number in unused if not self.twins[number] & ~used
        ]
        waiting.sort(key=lambda number: (number == due, -(self.calls[number].end or 0)))
        found += [
            after(number, placed | 1 << number, used)
            for number in waiting
            if not self.still[number] and not self.twins[number] & waiting_bits
        ]
        yield from (node for node in found if node is not None)
        if covered >> due & 1:
            yield _Node(event + 1, state, placed, used, covered ^ 1 << due)

    def _is_needed(self, event: int, state: Any, placed: int) -> bool:
        """Say whether an operation that has not returned yet may tell this state from another one."""
        if state is None or state is UNSEEN:
            return state is None
        if self.has_values:
            return self.last_need.get(state, -1) >= event
        if not self.has_texts:
            return True
        return any(
            not placed >> number & 1 and self.calls[number].result.startswith(state)
            for _, number in self.reads[bisect_left(self.reads, (event,)) :]
        )

    def _fits(self, state: Any, number: int) -> bool:
        """Say whether this is a known operation that changes nothing, and its answer fits the state."""
        call = self.calls[number]
        return self.still[number] and call.end is not None and step(state, call) is not IMPOSSIBLE

    def _is_built_on(self, event: int, state: Any, placed: int, others: list[int]) -> bool:
        """Say whether one of ``others`` needs the state to take effect, or makes a text of it that is needed."""
        text_matters: bool | None = None
        for number in others:
            call = self.calls[number]
            if self.still[number] or call.action is Action.WRITE:
                continue
            if call.action is not Action.APPEND:
                if step(state, call) is not IMPOSSIBLE:
                    return True
                continue
            if text_matters is None:
                text_matters = self._is_needed(event, state, placed)
            if text_matters:
                return True
        return False

    def _can_still_be_read(self, node: _Node) -> bool:
        """Say whether there is still something that can give the reads to come their values."""
        event, state, placed, used, _ = node
        if self.has_texts:
            # Every read to come has to begin with the state, or with a write to come.
            starts = [] if state is UNSEEN else [state]
            coming = self.writes[bisect_left(self.writes, (event,)) :]
            starts += [self.calls[number].argument for _, number in coming if not placed >> number & 1]
            starts += [self.calls[number].argument for number in self.unknown_writes if not used >> number & 1]
            beginnings = tuple(starts)
            return all(
                placed >> number & 1 or self.calls[number].result.startswith(beginnings)
                for _, number in self.reads[bisect_left(self.reads, (event,)) :]
            )
        if not self.has_values:
            return True
        sources: set[Any] | None = None
        for number in self.known[event]:
            call = self.calls[number]
            if call.action is not Action.READ or placed >> number & 1 or self.last_source[number] >= event:
                continue
            if sources is None:
                sources = {
                    _gives(self.calls[n]) for n in self.known[event] if not placed >> n & 1 and not self.still[n]
                }
                sources.update(_gives(self.calls[n]) for n in self.unknown[event] if not used >> n & 1)
            if call.result not in sources:
                return False
        return True


def _gives(call: Call) -> Any:
    """Return the value that a changing operation, other than an APPEND, leaves."""
    if call.action is Action.CAS:
        return call.argument[1]
    return None if call.action is Action.REMOVE else call.argument


def _can_do_all_of(one: _Node, other: _Node) -> bool:
    """Say whether ``one``, equal in event, state and what is placed, leaves every way open that ``other`` does."""
    return one.used & ~other.used == 0 and other.covered & ~one.covered == 0

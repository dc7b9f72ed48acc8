# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Operations on the one value of a key, and what they do to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple


class Action(Enum):
    """What an operation does to the one value of its key; None stands for absent."""

    READ = "read"  # returns ``result``; changes nothing
    WRITE = "write"  # sets ``argument``
    CAS = "cas"  # sets ``argument[1]`` where the value is ``argument[0]``, else it does not take effect
    APPEND = "append"  # adds the text ``argument``
    REMOVE = "remove"  # makes a value that is there absent


class Call(NamedTuple):
    """One operation on one key. Times are of any one clock; only their order counts."""

    action: Action
    argument: Any
    result: Any  # of a READ; None elsewhere
    begin: int
    end: int | None  # None: the outcome is unknown
    label: str  # names it for people


class Answer(Enum):
    """What a check found, in the words that scripts/check_history prints last."""

    LINEARIZABLE = "linearizable"
    NOT_LINEARIZABLE = "not linearizable"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class History:
    """The operations of a history by key, each key starting from ``initial``."""

    initial: Any
    calls: dict[str, list[Call]]
    notes: tuple[str, ...] = ()  # for people: what is not in it


IMPOSSIBLE = object()
# Stands for every state that no operation to come can tell from another one.
UNSEEN = object()


def step(state: Any, call: Call) -> Any:
    """Return the state after ``call`` took effect in ``state``, or IMPOSSIBLE."""
    action = call.action
    if action is Action.READ:
        return state if state == call.result else IMPOSSIBLE
    if action is Action.WRITE:
        return call.argument
    if action is Action.CAS:
        return call.argument[1] if state == call.argument[0] else IMPOSSIBLE
    if action is Action.APPEND:
        return state if state is UNSEEN else state + call.argument
    return IMPOSSIBLE if state is None else None


def changes_nothing(call: Call) -> bool:
    """Say whether an operation leaves every state in which it can take effect as it is."""
    return call.action is Action.READ or (call.action is Action.CAS and call.argument[0] == call.argument[1])


def as_of(calls: Iterable[Call], moment: int) -> list[Call]:
    """Return what was known at a moment: nothing of the end of a change under way, and nothing of other answers."""
    known = []
    for call in calls:
        if call.end is not None and call.end <= moment:
            known.append(call)
        elif call.begin <= moment and call.action is not Action.READ:
            known.append(call._replace(end=None))
    return known


def first_impossible(ordered: Iterable[Call], initial: Any) -> Call | None:
    """Go through operations in the order given; return the first that cannot take effect there, or that comes too late.

    None is a proof that they are linearizable: each takes effect at the latest begin of those before it and its own.
    """
    state, latest_begin = initial, None
    for call in ordered:
        if latest_begin is None or call.begin > latest_begin:
            latest_begin = call.begin
        state = step(state, call)
        if state is IMPOSSIBLE or (call.end is not None and call.end < latest_begin):
            return call
    return None

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The search for an order, held against trying every order, on small random histories.

Trying every order is short enough to be read in one sitting, and so slow that it is for a handful of operations only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..checks import linearizability
from ..checks.operations import Action, Answer, Call

READ, WRITE, CAS, APPEND, REMOVE = Action.READ, Action.WRITE, Action.CAS, Action.APPEND, Action.REMOVE

# What small histories are made of: the actions, as often as each is drawn; the values; and the state at first.
MIXES: dict[str, tuple[Sequence[Action], Sequence[Any], Any]] = {
    "register": ([READ, READ, WRITE], [None, 0, 1], None),
    "cas register": ([READ, READ, WRITE, CAS], [None, 0, 1, 2], None),
    "lab": ([READ, READ, WRITE, REMOVE], [None, 0, 1, 2], None),
    "growing text": ([READ, READ, APPEND], ["", "a", "b", "ab", "ba", "aa"], ""),
    "kv": ([READ, READ, APPEND, WRITE], ["", "a", "b", "ab", "ba", "aa"], ""),
    "everything": ([READ, READ, WRITE, CAS, REMOVE], [None, 0, 1], None),
    "texts and cas": ([READ, READ, APPEND, WRITE, CAS], ["", "a", "b", "ab"], ""),
    "unique values": ([READ, READ, WRITE, WRITE, CAS, REMOVE], [None, 0, 1, 2, 3], None),
}
# Here each write gives its own number, so that values tell which operation gave them, and one in five nothing.
UNIQUE = "unique values"
MOST_CALLS = 7
# Histories told by number where the two disagree.
_MOST_TOLD = 20


@dataclass
class Compared:
    """On how many small histories both said the same."""

    seed: int
    histories: int = 0
    linearizable: int = 0
    disagreed: int = 0
    took_s: float = 0.0
    told: list[dict[str, Any]] = field(default_factory=list)  # mix, number and calls of the first that disagree


def compare(histories: int, seed: int) -> Compared:
    """Ask both about so many histories, the mixes in turn."""
    began = time.monotonic()
    compared = Compared(seed, histories)
    mixes = list(MIXES)
    for number in range(histories):
        mix = mixes[number % len(mixes)]
        initial = MIXES[mix][2]
        calls = small_history(mix, random.Random(f"{seed} {number}"))
        expected = explained(calls, initial)
        answer, blocked = linearizability.check_key(calls, initial)
        compared.linearizable += expected
        right = answer is (Answer.LINEARIZABLE if expected else Answer.NOT_LINEARIZABLE)
        if not right or (blocked is None) is not expected:
            compared.disagreed += 1
            if len(compared.told) < _MOST_TOLD:
                told = [f"{call.label} to {call.end}: {call.argument!r} {call.result!r}" for call in calls]
                compared.told.append({"mix": mix, "number": number, "answer": answer.value, "calls": told})
    compared.took_s = round(time.monotonic() - began, 1)
    return compared


def small_history(mix: str, source: random.Random) -> list[Call]:
    """Draw the calls of one key: up to seven, most of which overlap, and some without an end."""
    actions, values, _ = MIXES[mix]
    calls = []
    for number in range(source.randint(1, MOST_CALLS)):
        action = source.choice(actions)
        begin = source.randint(0, 12)
        known = action is READ or source.random() < 0.75
        end = begin + source.randint(1, 8) if known else None
        given: Any = None if action is REMOVE else source.choice(values)
        if mix == UNIQUE and action is WRITE:
            given = number if source.random() < 0.8 else None
        if action is CAS:
            given = (source.choice(values[1:]), number) if mix == UNIQUE else (given, source.choice(values))
        argument, result = (None, given) if action is READ else (given, None)
        calls.append(Call(action, argument, result, begin, end, f"{action.value} at {begin}"))
    return calls


def explained(calls: Sequence[Call], initial: Any) -> bool:
    """Try every order that agrees with real time, each operation without an end also left out."""

    def try_from(left: tuple[int, ...], state: Any) -> bool:
        ends = [end for n in left if (end := calls[n].end) is not None]
        if not ends:
            return True
        for n in left:
            if calls[n].begin > min(ends):
                continue
            possible, after = _effect(state, calls[n])
            if possible and try_from(tuple(other for other in left if other != n), after):
                return True
        return False

    return try_from(tuple(range(len(calls))), initial)


def _effect(state: Any, call: Call) -> tuple[bool, Any]:
    """Return whether a call is possible in a state, and the state after it."""
    if call.action is READ:
        return state == call.result, state
    if call.action is WRITE:
        return True, call.argument
    if call.action is CAS:
        return state == call.argument[0], call.argument[1]
    if call.action is APPEND:
        return True, state + call.argument
    return state is not None, None

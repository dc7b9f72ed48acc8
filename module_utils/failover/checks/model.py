# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the stream and the client's answers allow the data to be, and nothing more than that.

All operations of a device are run by one client, one after the other, so the operations of a key take
effect in the order of the stream. Only a write whose outcome is unknown is freer: it takes effect at any
time after its place in that order, or never. An operation without a row in the history is taken as unknown
too. For a key without such a write there is exactly one right state at every place; for a key with one,
every combination that agrees with all answers is followed, which also tells in the end which of the unknown
writes took effect.

An acknowledged write that the client sent more than once may take effect once more, late. That is its client's doing
and not the system's; :func:`expected_state` allows it where it is told which writes these are.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, ItemsView, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..shapes import Outcome
from ..workloads.base import CREATE, RETRIEVE, Operation
from ..workloads.packed import CODE_OF, Stream
from .columns import Words

OK = Outcome.OK.value
FAIL = Outcome.FAIL.value
_CREATE, _RETRIEVE = CODE_OF[CREATE], CODE_OF[RETRIEVE]

Allowed = frozenset[str | None]  # values that a key may have; None stands for absent

# Combinations followed for one key before giving up on telling them apart. Keys see one or two unknown writes.
MAX_BRANCHES = 20_000

# Classes of a wrong observation
LOST = "lost"  # a key that must be there is absent
RESURRECTED = "resurrected"  # a key that was deleted for certain is there, with a value it had before
PHANTOM = "phantom"  # a key is there that nothing, or only a failed write, put there
STALE = "stale"  # the key has a value that it had before, not the one it must have
WRONG_VALUE = "wrong-value"  # the key has a value that no operation gave it
NO_ORDER = "no-order"  # no order of the key's operations explains every answer
TWICE_LISTED = "twice-in-list"  # an element is in its list more than once
REORDERED = "reordered"  # an element stands in front of one that was there before it was appended
FORKED = "forked"  # two lists of one key were seen of which neither is the beginning of the other
LATE_DUPLICATE = "late-duplicate"  # an acknowledged write that was sent again took effect once more, later

# Words for an unknown write, once all evidence is in
APPLIED = "applied"
NOT_APPLIED = "not applied"
UNDETERMINED = "undetermined"

# What a DELETE that reports a removed key has seen of it: not its value.
SOME_VALUE = "(some value)"


@dataclass(frozen=True)
class Answers:
    """What the client saw of each operation, by its position in the stream; None in ``outcome`` where no row is."""

    outcome: Words
    read: Sequence[str | None]
    affected: Sequence[int | None]
    attempts: Sequence[int]


@dataclass(frozen=True)
class Contradiction:
    """An acknowledged operation whose answer no allowed state explains."""

    index: int
    key: str
    wrong: str  # one of the classes above
    allowed: Allowed  # states allowed at that place
    found: str | None  # what the operation saw of the key; None: that it was absent


@dataclass(frozen=True)
class _Branch:
    """One combination of which unknown writes of a key took effect so far."""

    state: str | None
    pending: frozenset[int]  # unknown writes that may still take effect
    applied: frozenset[int]


class Certain(Mapping[str, str]):
    """Keys with their values, in the order in which they came: a few bytes for each key of the stream."""

    def __init__(self, operations: Stream) -> None:
        self._operations = operations
        # Of each key the CREATE that gave its value, and the one that it is there since; + 1, or 0 where it is absent.
        self._made, self._since = (array("I", bytes(4 * len(operations.keys))) for _ in range(2))
        self._count = 0

    def put(self, key: int, index: int) -> None:
        """Have a key by its number, by the CREATE at ``index``."""
        if not self._made[key]:
            self._since[key] = index + 1
            self._count += 1
        self._made[key] = index + 1

    def remove(self, key: int) -> None:
        """Have a key no more."""
        self._count -= self._made[key] > 0
        self._made[key] = 0

    def held(self, key: int) -> str | None:
        """Return what a key has, by its number; None where it is absent."""
        return self._operations.values[self._made[key] - 1] if self._made[key] else None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return (self._operations.keys[key] for key in self._in_order())

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __getitem__(self, key: str) -> str:
        held: str | None = self.get(key)
        if held is None:
            raise KeyError(key)
        return held

    def get(self, key: str, default: Any = None) -> Any:
        """Return what a key has, or another value: without an exception where it is absent."""
        number = self._operations.number_of.find(key)
        held = None if number is None else self.held(number)
        return default if held is None else held

    def items(self) -> ItemsView[str, str]:
        """Return keys and values, which need not be found one by one."""
        return _CertainItems(self)

    def _in_order(self) -> Iterator[int]:
        order = np.argsort(np.frombuffer(self._since, dtype=np.uint32), kind="stable")
        return (key for key in order.data if self._made[key])


class _CertainItems(ItemsView[str, str]):
    _mapping: Certain

    def __iter__(self) -> Iterator[tuple[str, str]]:
        keys = self._mapping._operations.keys
        return ((keys[key], str(self._mapping.held(key))) for key in self._mapping._in_order())


@dataclass
class ExpectedState:
    """What the data may be after the last operation."""

    certain: Certain  # keys that must exist, with their value
    branches: dict[str, set[_Branch]]  # per key with an unknown write: what may have happened
    undecided: dict[str, Allowed] = field(default_factory=dict)  # keys with too many combinations: any value given
    contradictions: list[Contradiction] = field(default_factory=list)  # by index

    def allowed(self, key: str) -> Allowed:
        """Return the values that the key may have in the end."""
        if key in self.undecided:
            return self.undecided[key]
        if key in self.branches:
            return frozenset(branch.state for branch in self.branches[key])
        return frozenset([self.certain.get(key)])

    @property
    def doubtful(self) -> set[str]:
        """Keys with an unknown write."""
        return set(self.undecided) | set(self.branches)

    def key_count(self) -> tuple[int, int]:
        """Return the least and the largest number of keys that may exist."""
        least = most = len(self.certain)
        for key in self.doubtful:
            allowed = self.allowed(key)
            least += None not in allowed
            most += allowed != {None}
        return least, most

    def resolve(self, key: str, index: int, observed: Collection[str | None]) -> str:
        """Say whether the unknown write ``index`` of ``key`` took effect.

        :param observed: what the members have for the key; where they disagree, only the answers count.
        """
        if key in self.undecided:
            return UNDETERMINED
        branches = self.branches[key]
        if len(observed) == 1:
            branches = {branch for branch in branches if branch.state in observed} or branches
        took_effect = {index in branch.applied for branch in branches}
        if took_effect == {True}:
            return APPLIED
        return NOT_APPLIED if took_effect == {False} else UNDETERMINED


def classify(found: str | None, allowed: Collection[str | None], given: Collection[str]) -> str:
    """Return the class of a wrong observation.

    :param given: the values that acknowledged or unknown writes gave the key before.
    """
    if found is None:
        return LOST
    if None in allowed and len(allowed) == 1:
        return RESURRECTED if given and (found in given or found == SOME_VALUE) else PHANTOM
    return STALE if found in given else WRONG_VALUE


def values_given(operations: Sequence[Operation], answers: Answers, keys: Collection[str]) -> dict[str, list[str]]:
    """Return, for each of ``keys``, the values of its CREATEs in order, without those that certainly failed."""
    given: dict[str, list[str]] = {key: [] for key in keys}
    for operation, outcome in zip(operations, answers.outcome, strict=True):
        if operation[0] == CREATE and outcome != FAIL and operation[1] in given:
            given[operation[1]].append(operation[-1])
    return given


def expected_state(operations: Stream, answers: Answers, resent: Collection[int] = frozenset()) -> ExpectedState:
    """Follow the stream with the client's answers; return the allowed end and every answer that contradicts it.

    :param resent: acknowledged writes that may take effect once more, at any later time, by their index
    """
    outcomes, keys = answers.outcome, operations.key_numbers
    doubtful: dict[int, list[int]] = {keys[index]: [] for index in resent}
    for index, (code, outcome) in enumerate(zip(operations.kinds, outcomes, strict=True)):
        if outcome not in (OK, FAIL) and code != _RETRIEVE:
            doubtful.setdefault(keys[index], [])

    certain = Certain(operations)
    wrong: list[tuple[int, Allowed, str | None]] = []
    for index, (code, key, outcome) in enumerate(zip(operations.kinds, keys, outcomes, strict=True)):
        if key in doubtful:
            doubtful[key].append(index)
        elif outcome != OK:
            continue
        elif code == _CREATE:
            certain.put(key, index)
        elif code == _RETRIEVE:
            if answers.read[index] != (held := certain.held(key)):
                wrong.append((index, frozenset([held]), answers.read[index]))
        else:
            state = certain.held(key)
            certain.remove(key)
            if not _delete_fits(state, index, answers):
                wrong.append((index, frozenset([state]), None if state is not None else SOME_VALUE))
    branches: dict[str, set[_Branch]] = {}
    undecided: dict[str, Allowed] = {}
    for key, indices in doubtful.items():
        followed = _follow(indices, operations, answers, resent, wrong)
        if followed is None:
            created = [operations[index][-1] for index in indices if operations[index][0] == CREATE]
            undecided[operations.keys[key]] = frozenset([None, *created])
        else:
            branches[operations.keys[key]] = followed

    given = values_given(operations, answers, {operations[index][1] for index, _, _ in wrong})
    contradictions = [
        Contradiction(
            index, operations[index][1], classify(found, allowed, given[operations[index][1]]), allowed, found
        )
        for index, allowed, found in sorted(wrong, key=lambda item: item[0])
    ]
    return ExpectedState(certain, branches, undecided, contradictions)


def _delete_fits(state: str | None, index: int, answers: Answers) -> bool:
    """Say whether an acknowledged DELETE's number of removed keys, where it gave one, agrees with the state before."""
    affected = answers.affected[index]
    return affected is None or (affected > 0) == (state is not None)


def _follow(
    indices: list[int],
    operations: Sequence[Operation],
    answers: Answers,
    resent: Collection[int],
    wrong: list[tuple[int, Allowed, str | None]],
) -> set[_Branch] | None:
    """Follow one key with unknown writes; return what may have happened, or None where that is too much to follow.

    Answers that no branch explains are added to ``wrong``, and the branches go on as if they had not been given.
    """
    nothing: frozenset[int] = frozenset()
    branches = {_Branch(None, nothing, nothing)}
    for index in indices:
        kind, outcome = operations[index][0], answers.outcome[index]
        if outcome == FAIL or (kind == RETRIEVE and outcome != OK):
            continue
        if outcome != OK:
            branches = {_Branch(b.state, b.pending | {index}, b.applied) for b in branches}
            continue
        branches = _with_late_effects(branches, operations)
        if len(branches) > MAX_BRANCHES:
            return None
        again = frozenset([index]) if index in resent else nothing
        if kind == CREATE:
            branches = {_Branch(operations[index][-1], b.pending | again, b.applied) for b in branches}
            continue
        if kind == RETRIEVE:
            fitting = {b for b in branches if b.state == answers.read[index]}
            found = answers.read[index]
        else:
            fitting = {b for b in branches if _delete_fits(b.state, index, answers)}
            found = SOME_VALUE if answers.affected[index] else None
        if not fitting:
            wrong.append((index, frozenset(b.state for b in branches), found))
            fitting = branches
        branches = fitting if kind == RETRIEVE else {_Branch(None, b.pending | again, b.applied) for b in fitting}
    branches = _with_late_effects(branches, operations)
    return branches if len(branches) <= MAX_BRANCHES else None


def _with_late_effects(branches: set[_Branch], operations: Sequence[Operation]) -> set[_Branch]:
    """Add, to each branch, those in which some of its pending writes take effect now, in any order."""
    found = set(branches)
    fresh = list(branches)
    while fresh and len(found) <= MAX_BRANCHES:
        branch = fresh.pop()
        for index in branch.pending:
            state = operations[index][-1] if operations[index][0] == CREATE else None
            later = _Branch(state, branch.pending - {index}, branch.applied | {index})
            if later not in found:
                found.add(later)
                fresh.append(later)
    return found

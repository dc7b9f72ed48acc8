# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes behind a fence: once an operation is over, no attempt of it can take effect any more.

A fence is one value in the system's own data, owned by one client. Each write moves it in its own transaction, from
where the client left it to the operation's id, and only a transaction that finds it there changes anything. So of all
attempts of an operation one takes effect at most, whichever comes first; an attempt that was lost on its way and comes
late finds the fence moved. What became of an attempt in doubt is asked by sending the same transaction again: it
takes effect now, or it finds the fence at the operation's id, since an earlier one did.

A write that is still in doubt when its budget ends is settled before the client does anything else, at the latest after
the faults are healed: the fence is moved on without a change. Where that succeeds, the write never took effect and
never will; where the fence is found at the write's id, it did.

Why it holds, and what it needs of a system:

- ids are never used twice (a number of the client's own behind a random name), so a fence never comes back to a value;
- one write is under way a fence, and nobody deletes a fence during a run;
- the fence's value is never learned from a plain read, which may be stale: it comes from the transaction that would
  have moved it, which goes the way of all writes.

A system that executes one transaction of an id at most, as MySQL does of a GTID, has its fence built in: it moves
nothing, says of a write that is sent again that it is there, and settles by using up the id of the write before.

``safe`` of the retry policies means this (shapes.RetryPolicy). What was measured of it: docs/measuring.md.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from ..shapes import WRITE_SETTLED, ClientEmit, Kind, LabError, LastingError, Outcome
from .loop import Answer, Attempt, AttemptFailedError, FailoverLoop, OperationResult
from .refusals import FENCE_ELSEWHERE, NOT_SENT

# Where a fence stands that is not there yet.
NOWHERE = ""


class Change(NamedTuple):
    """What a write does beside moving the fence."""

    kind: Kind  # any but those that read
    key: str
    value: str | None = None  # what is written, of an APPEND the element; None of a DELETE
    expected: str | None = None  # of a CAS


class Moved(NamedTuple):
    """A system's answer to a request to move a fence."""

    moved: bool  # it was where it was said to be: it is moved, and the change made
    found: str = NOWHERE  # where it stands instead
    affected: int | None = None  # keys or rows that the change says it changed
    revision: int | None = None  # of the store, when the fence came to where it stands now
    read: str | None = None  # what a CAS found instead of the value that it expected


# In one transaction: where the fence stands at the first id (NOWHERE: does not exist), move it to the second and make
# the change, if there is one. (member, time left in s, from, to, change) -> Moved; raises AttemptFailedError. The fence
# is moved also where a CAS finds another value: it is over then, and none of its attempts can come late.
Move = Callable[[str, float, str, str, Change | None], Moved]


class Ids:
    """Ids for writes, never used twice: numbers behind a random name of 12 hexadecimal digits. For several threads."""

    def __init__(self) -> None:
        self.series = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """Return the next one, "series-number"."""
        return f"{self.series}-{next(self._numbers)}"


@dataclass(frozen=True)
class Doubt:
    """A write whose outcome is not known, and what settles it."""

    fence: str  # name
    kind: str  # Kind of the write
    at: str  # where the fence was left before it
    to: str  # the write's id: where the fence is if it took effect

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Doubt:
        """Read what :meth:`as_dict` returned, with or without other keys beside; LabError where one is missing."""
        missing = [entry.name for entry in fields(cls) if entry.name not in given]
        if missing:
            raise LabError(f"unresolved: an entry lacks {missing[0]}; give the entries as workload_run returns them")
        return cls(**{entry.name: str(given[entry.name]) for entry in fields(cls)})


class Fence:
    """One client's fence. One thread at a time.

    Events: ``client.write_settled`` {endpoint, applied, revision} when a doubt is settled; ``client.fence_astray``
    {endpoint, left_at, found} where the fence stands at an earlier id of this client: the member that answers has lost
    acknowledged writes, or not caught up with them.

    :param name: of the fence, the same for a client that takes the place of another
    :param ids: of its writes; clients of one process may share them
    :param doubt: of a client whose place this one takes only to settle it; without one, the fence is taken over
    """

    def __init__(
        self,
        name: str,
        loop: FailoverLoop,
        move: Move,
        emit: ClientEmit,
        *,
        ids: Ids,
        doubt: Doubt | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._loop = loop
        self._move = move
        self._emit = emit
        self._clock = clock
        self._ids = ids
        self._doubt = doubt
        self._at = NOWHERE if doubt is None else doubt.at
        self._settling_to = NOWHERE if doubt is None else ids.next()
        self._known_series = {ids.series, *([_series(doubt.at), _series(doubt.to)] if doubt is not None else [])}

    @property
    def doubt(self) -> Doubt | None:
        """The write that is still to be settled."""
        return self._doubt

    def take_over(self) -> None:
        """Make the fence, or move it to an id of this client where it is there already; LabError where that fails."""
        to = self._ids.next()

        def attempt(endpoint: str, timeout_s: float, _after_ambiguous: bool) -> Answer:
            until = self._clock() + timeout_s
            moved = self._move(endpoint, timeout_s, self._at, to, None)
            if not moved.moved and moved.found != to:  # an earlier client left it there
                self._at = moved.found
                self._known_series.add(_series(moved.found))
                moved = self._move(endpoint, max(0.0, until - self._clock()), self._at, to, None)
                if not moved.moved and moved.found != to:
                    raise AttemptFailedError(f"the fence {self._name} is being moved", ambiguous=False)
            self._at = to
            return Answer()

        result = self._loop.run(Kind.CREATE, attempt)
        if result.outcome != Outcome.OK:
            raise LabError(f"the fence {self._name} cannot be made: {result.error}; can its clients write?")

    def write(self, change: Change) -> OperationResult:
        """Make a change; where its outcome is ``unknown`` there is a :attr:`doubt` afterwards."""
        to = self._ids.next()

        def attempt(endpoint: str, timeout_s: float, _after_ambiguous: bool) -> Answer:
            until = self._clock() + timeout_s
            self._settle_first(endpoint, timeout_s)
            moved = self._move(endpoint, max(0.0, until - self._clock()), self._at, to, change)
            if not moved.moved and moved.found != to:
                raise self._astray(endpoint, moved)
            self._at = to
            # Of an earlier attempt that took effect nobody knows any more what it changed.
            return Answer(moved.read, moved.affected, moved.revision)

        result = self._loop.run(change.kind, attempt)
        if result.outcome == Outcome.UNKNOWN:
            self._doubt = Doubt(self._name, change.kind.value, self._at, to)
            self._settling_to = self._ids.next()
        return result

    def read(self, attempt: Attempt, kind: Kind = Kind.RETRIEVE) -> OperationResult:
        """Make a read, after what is in doubt is settled."""

        def after_settling(endpoint: str, timeout_s: float, after_ambiguous: bool) -> Answer:
            until = self._clock() + timeout_s
            self._settle_first(endpoint, timeout_s)
            return attempt(endpoint, max(0.0, until - self._clock()), after_ambiguous)

        return self._loop.run(kind, after_settling)

    def settle(self) -> bool:
        """Settle what is in doubt, within one operation's budget; say whether nothing is in doubt any more."""
        if self._doubt is None:
            return True

        def attempt(endpoint: str, timeout_s: float, _after_ambiguous: bool) -> Answer:
            self._settle(endpoint, timeout_s)
            return Answer()

        return self._loop.run(Kind(self._doubt.kind), attempt).outcome == Outcome.OK

    def _settle_first(self, endpoint: str, timeout_s: float) -> None:
        """Settle what is in doubt; where that fails, the operation behind it was not sent."""
        if self._doubt is None:
            return
        try:
            self._settle(endpoint, timeout_s)
        except AttemptFailedError as failed:
            reason = f"{NOT_SENT}the write before is still in doubt: {failed.reason}"
            raise AttemptFailedError(reason, ambiguous=False, final=failed.final) from failed

    def _settle(self, endpoint: str, timeout_s: float) -> None:
        assert self._doubt is not None
        moved = self._move(endpoint, timeout_s, self._at, self._settling_to, None)
        if moved.moved or moved.found == self._settling_to:
            self._at = self._settling_to
        elif moved.found == self._doubt.to:
            self._at = self._doubt.to
        else:
            raise self._astray(endpoint, moved)
        applied = self._at == self._doubt.to
        self._doubt = None
        revision = moved.revision if applied else None
        self._emit(WRITE_SETTLED, {"endpoint": endpoint, "applied": applied, "revision": revision})

    def _astray(self, endpoint: str, moved: Moved) -> AttemptFailedError:
        """Go on from where the fence is found; nothing was changed. LabError where it is moved by somebody else."""
        left_at, self._at = self._at, moved.found
        if moved.found != NOWHERE and _series(moved.found) not in self._known_series:
            raise LastingError(
                f"somebody else moves the fence {self._name}: another workload of this experiment is running; "
                "wait for its end, or end it with ./scripts/lab heal"
            )
        self._emit("client.fence_astray", {"endpoint": endpoint, "left_at": left_at, "found": moved.found})
        where = f"{FENCE_ELSEWHERE}{moved.found or 'no place'}, not at {left_at}"
        return AttemptFailedError(where, ambiguous=False)


def _series(fence_id: str) -> str:
    return fence_id.partition("-")[0]

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The columns of a history as arrays, and what is asked of them: which operations, how many, at what rate.

All times are nanoseconds since the experiment's origin unless a name ends in another unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ..results.rows import Rows
from ..shapes import FIRST_KINDS, WRITE_KINDS, Kind, Outcome

Ints = npt.NDArray[Any]  # whole numbers; of eight bytes each where somebody reckons with them
Codes = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]

KINDS: tuple[str, ...] = tuple(kind.value for kind in Kind)
OUTCOMES: tuple[str, ...] = tuple(outcome.value for outcome in Outcome)
WRITES = tuple(KINDS.index(kind.value) for kind in WRITE_KINDS)
OK = OUTCOMES.index(Outcome.OK.value)

MS = 1_000_000
S = 1_000_000_000


@dataclass(frozen=True)
class Columns:
    """The columns of one history that the figures need; all of one length, in the order of the history.

    Together they take some 25 bytes an operation. Times have eight bytes each, the others as few as their numbers need.
    ``kind`` and ``outcome`` are positions in KINDS and OUTCOMES.
    """

    index: Ints
    client: Ints
    kind: Codes
    outcome: Codes
    intended_ns: Ints
    invoke_ns: Ints
    complete_ns: Ints
    attempts: Ints

    def __len__(self) -> int:
        return len(self.index)

    @property
    def latency_ns(self) -> Ints:
        """Completion minus invocation: what the client waited for each operation."""
        return self.complete_ns - self.invoke_ns

    @property
    def intended_latency_ns(self) -> Ints:
        """Completion minus intended start: what a user waited who came at the planned time."""
        return self.complete_ns - self.intended_ns

    @property
    def ok(self) -> Mask:
        """Whether each operation took effect and was acknowledged."""
        return np.asarray(self.outcome == OK, dtype=np.bool_)

    @property
    def not_ok(self) -> int:
        """How many operations were not acknowledged."""
        return int(np.count_nonzero(~self.ok))

    @property
    def ok_ns(self) -> Ints:
        """Return when the operations were complete that took effect and were acknowledged, in order."""
        ended = self.complete_ns[self.ok]
        ended.sort()
        return ended

    def chosen(self, mask: Mask) -> Columns:
        """Return the operations that are chosen, in their order; those that are side by side share the columns."""
        count = np.count_nonzero(mask)
        first = int(np.argmax(mask)) if count else 0
        side_by_side = bool(mask[first : first + count].all())
        which = slice(first, first + count) if side_by_side else mask
        chosen = {item.name: getattr(self, item.name)[which] for item in fields(Columns)}
        if self.intended_ns is self.invoke_ns:
            chosen["intended_ns"] = chosen["invoke_ns"]
        return Columns(**chosen)

    @property
    def kinds(self) -> list[tuple[int, str]]:
        """Return the kinds of operations that tables tell, each with its code: FIRST_KINDS, or those that there are."""
        there = {int(code) for code in np.unique(self.kind)}
        first = {KINDS.index(kind.value) for kind in FIRST_KINDS}
        return [(code, KINDS[code]) for code in sorted(first if there <= first else there)]

    @property
    def is_write(self) -> Mask:
        """Whether each operation writes."""
        return np.isin(self.kind, WRITES)


def columns_of(rows: Rows) -> Columns:
    """Take the numeric columns out of a history."""

    def codes(name: str, words: Sequence[str]) -> Codes:
        codes, told = rows.words(name, (None, *words))
        if len(told) > len(words) + 1:
            raise ValueError(f"the history has {told[-1]!r} as {name}")
        codes -= 1  # none is missing
        return codes.view(np.int8)

    invoke_ns, intended_ns = rows.times("invoke_ns"), rows.times("intended_ns")
    return Columns(
        index=rows.numbers("index"),
        client=rows.numbers("client"),
        kind=codes("kind", KINDS),
        outcome=codes("outcome", OUTCOMES),
        # Without a rate, operations are due when they are sent.
        intended_ns=invoke_ns if np.array_equal(intended_ns, invoke_ns) else intended_ns,
        invoke_ns=invoke_ns,
        complete_ns=rows.times("complete_ns"),
        attempts=rows.numbers("attempts"),
    )


def first_completion(columns: Columns, mask: Mask, from_ns: int) -> int | None:
    """Return the position in the history of the first masked operation that completed at or after ``from_ns``."""
    chosen = np.flatnonzero(mask & (columns.complete_ns >= from_ns))
    if len(chosen) == 0:
        return None
    return int(chosen[np.argmin(columns.complete_ns[chosen])])


def rate_between(columns: Columns, start_ns: int, end_ns: int) -> float | None:
    """Return ok completions per second in [start, end), or None for an empty interval."""
    if end_ns <= start_ns:
        return None
    completed = columns.complete_ns[columns.ok]
    return float(np.count_nonzero((completed >= start_ns) & (completed < end_ns)) / ((end_ns - start_ns) / S))


def operations_overlapping(columns: Columns, start_ns: int, end_ns: int) -> Ints:
    """Return the positions of all operations that were in flight at some moment of [start, end]."""
    return np.flatnonzero((columns.complete_ns >= start_ns) & (columns.invoke_ns <= end_ns))

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done with any stream of operations: its digest and counts, and how it is cut."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise

from ..shapes import FIRST_KINDS, Kind
from .base import CREATE, DELETE
from .packed import CODE_OF, KINDS, Stream

# Lines that are put into the digest together, which is quicker than one by one.
LINES_AT_ONCE = 4096


def stream_digest(operations: Stream) -> str:
    """Return the SHA-256 of the stream, in hexadecimal, independent of the keys' names.

    One line an operation, its kind, n, and its value and what it expects where it has them, each ended by a newline, as
    in ``CREATE n value`` or ``RETRIEVE n``; n numbers the keys from 0 in the order of their creation, or of their first
    mention where that comes sooner.
    """
    digest = hashlib.sha256()
    one_more = array("I", bytes(4 * len(operations.keys)))  # n + 1 of each key, 0 where it has none yet
    mentioned = 0
    create = CODE_OF[CREATE]
    lines: list[str] = []
    for index, (code, key) in enumerate(zip(operations.kinds, operations.key_numbers, strict=True)):
        if code == create or not one_more[key]:
            mentioned += 1
            one_more[key] = mentioned
        lines.append(f"{' '.join((KINDS[code], str(one_more[key] - 1), *operations.texts(index)))}\n")
        if len(lines) >= LINES_AT_ONCE:
            digest.update("".join(lines).encode())
            lines.clear()
    digest.update("".join(lines).encode())
    return digest.hexdigest()


def summarize(operations: Stream) -> dict[str, int | str | None]:
    """Return the counts by kind, the keys expected at the end and the digest of a stream.

    Kinds beside CREATE, RETRIEVE and DELETE are there where the stream has them. How many keys there are then depends
    on which client comes first: None.
    """
    counts = kinds_told(counted(operations.kinds))
    expected = counts[CREATE] - counts[DELETE] if counts[CREATE] and len(counts) == len(FIRST_KINDS) else None
    return {**counts, "expected_keys": expected, "digest": stream_digest(operations)}


def counted(codes: Iterable[int]) -> dict[str, int]:
    """Return how often each kind is there, by the codes of a stream."""
    return {KINDS[code]: count for code, count in Counter(codes).items()}


def kinds_told(counts: Mapping[str, int]) -> dict[str, int]:
    """Return how many operations there are of each kind that a table of them has: FIRST_KINDS, and what there is."""
    return {kind.value: counts.get(kind, 0) for kind in Kind if kind in FIRST_KINDS or counts.get(kind)}


def cut_stream(operations: int, repeats: int) -> list[range]:
    """Return the operations of each repeat: the stream in order, cut into slices that differ by one at most.

    :param operations: length of the stream
    """
    bounds = [operations * number // repeats for number in range(repeats + 1)]
    return [range(first, end) for first, end in pairwise(bounds)]

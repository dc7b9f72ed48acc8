# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Streams of operations that a test wrote down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from failover.checks.columns import WORDS, Words
from failover.workloads.packed import Stream, pack


def packed(operations: Iterable[Sequence[str]]) -> Stream:
    """Return the stream of these operations."""
    numbers: dict[str, int] = {}
    draws = [(kind, numbers.setdefault(key, len(numbers)), *texts) for kind, key, *texts in operations]
    return pack(draws, list(numbers).__getitem__)  # type: ignore[arg-type]


def outcomes_of(words: Iterable[str | None]) -> Words:
    """Return these outcomes as a history has them."""
    return Words(bytearray(map(WORDS.index, words)), WORDS)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done with any stream of operations: its digest and counts, and how it is cut and shared out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from .base import CREATE, DELETE, RETRIEVE, Operation, Sharing

# Lines that are put into the digest together, which is quicker than one by one.
LINES_AT_ONCE = 4096


def stream_digest(operations: Iterable[Sequence[str]]) -> str:
    """Return the SHA-256 of the stream, in hexadecimal, independent of the keys' names.

    One line an operation, ``CREATE n value``, ``RETRIEVE n`` or ``DELETE n``, each ended by a newline; n numbers the
    keys from 0 in the order of their creation, or of their first mention where that comes sooner.
    """
    digest = hashlib.sha256()
    number_of: dict[str, int] = {}
    created = 0
    lines: list[str] = []
    for operation in operations:
        key = operation[1]
        if operation[0] == CREATE or key not in number_of:
            number_of[key] = created
            created += 1
        value = f" {operation[2]}" if operation[0] == CREATE else ""
        lines.append(f"{operation[0]} {number_of[key]}{value}\n")
        if len(lines) >= LINES_AT_ONCE:
            digest.update("".join(lines).encode())
            lines.clear()
    digest.update("".join(lines).encode())
    return digest.hexdigest()


def summarize(operations: Sequence[Operation]) -> dict[str, int | str]:
    """Return the counts by kind, the keys expected at the end and the digest of a stream."""
    counts = Counter(operation[0] for operation in operations)
    return {
        CREATE: counts[CREATE],
        RETRIEVE: counts[RETRIEVE],
        DELETE: counts[DELETE],
        "expected_keys": counts[CREATE] - counts[DELETE],
        "digest": stream_digest(operations),
    }


def cut_stream(operations: int, repeats: int) -> list[range]:
    """Return the operations of each repeat: the stream in order, cut into slices that differ by one at most.

    :param operations: length of the stream
    """
    bounds = [operations * number // repeats for number in range(repeats + 1)]
    return [range(first, end) for first, end in pairwise(bounds)]


def assign_clients(
    operations: Sequence[Operation], clients: int, sharing: Sharing = Sharing.ONE_CLIENT
) -> list[list[int]]:
    """Return the indexes that each client runs, ascending.

    Keys are numbered in the order in which their names first appear, and a key belongs to the client of its number
    modulo ``clients``: all operations of one key are one client's, in the stream's order. Keys of all clients belong to
    nobody, and the operations go round the clients one by one.
    """
    if sharing is Sharing.ALL_CLIENTS:
        return [list(range(client, len(operations), clients)) for client in range(clients)]
    if clients == 1:
        return [list(range(len(operations)))]
    assigned: list[list[int]] = [[] for _ in range(clients)]
    number_of: dict[str, int] = {}
    for index, operation in enumerate(operations):
        assigned[number_of.setdefault(operation[1], len(number_of)) % clients].append(index)
    return assigned

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How clients.py talks to the programs that run its operations: worker.py, and go/main.go.

On stdin, a line for each operation, its fields separated by tabs: turn, client (a number), kind, key, value (empty
where the kind has none). After an empty line the program connects its clients and answers. Each further line,
``TURN TIME``, starts a turn at that time (in s since 1970, so that several programs begin at once), and is answered
when it is over. At the end of stdin the program ends.

An answer is one line of JSON on stdout: ``wall_s`` since the beginning of the turn, ``cpu_s`` of the whole process
meanwhile, and ``error`` where an operation failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TextIO

from failover.workloads.base import Operation, value_of

# Begins all keys and the names of all clients, which name their fences: what is removed at the end.
PREFIX = "BENCHMARK-"

# Of each client that takes part, by its number: the operations of a turn.
Shares = Mapping[int, Sequence[Operation]]


class Answer(NamedTuple):
    """What a program says when it is ready, or a turn is over."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    error: str | None = None

    def line(self) -> str:
        """Return the answer as it is sent."""
        told = {"wall_s": self.wall_s, "cpu_s": self.cpu_s} | ({"error": self.error} if self.error else {})
        return f"{json.dumps(told)}\n"


def read_answer(line: str) -> Answer:
    """Read an answer; a line that is none, as where the program ended, is an answer with an error."""
    try:
        told = json.loads(line)
        return Answer(float(told["wall_s"]), float(told["cpu_s"]), told.get("error"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Answer(error=f"it ended, or said {line.strip()[:200]!r}")


def operation_lines(turns: Sequence[Shares], prefix: str) -> Iterator[str]:
    """Yield the lines of the operations, and the empty one after them.

    :param prefix: of the keys
    """
    for turn, shares in enumerate(turns):
        for client, share in shares.items():
            for operation in share:
                yield f"{turn}\t{client}\t{operation[0]}\t{prefix}{operation[1]}\t{value_of(operation) or ''}\n"
    yield "\n"


def read_operations(lines: TextIO) -> list[dict[int, list[Operation]]]:
    """Read the operations up to the empty line."""
    turns: list[dict[int, list[Operation]]] = []
    for line in iter(lines.readline, "\n"):
        turn, client, kind, key, value = line.removesuffix("\n").split("\t")
        while len(turns) <= int(turn):
            turns.append({})
        operation: Operation = (kind, key, value) if value else (kind, key)
        turns[int(turn)].setdefault(int(client), []).append(operation)
    return turns


def clients_of(turns: Iterable[Shares]) -> list[int]:
    """Return which clients have a share in any of the turns, ascending."""
    return sorted({client for shares in turns for client in shares})


def turn_line(turn: int, begin_s: float) -> str:
    """Return the line that starts a turn."""
    return f"{turn} {begin_s:.6f}\n"


def read_turn(line: str) -> tuple[int, float]:
    """Return the turn that a line starts, and when."""
    turn, begin_s = line.split()
    return int(turn), float(begin_s)

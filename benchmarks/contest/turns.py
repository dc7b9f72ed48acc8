# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Contenders in turns: what they are asked for, and who begins."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Protocol

from failover.shapes import LabError
from failover.workloads.base import Operation
from failover.workloads.name_service import NameService

from .protocol import Answer, Shares, clients_of, operation_lines, read_answer, turn_line

# How long before a turn begins its programs are told, in s: all of them are waiting by then.
LEAD_S = 0.05
# How long they may take to end, in s; one that is in the middle of a turn would go on.
END_S = 5.0


@dataclass
class Figures:
    """One contender's turns, each in s an operation."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)


class Contender(Protocol):
    """What is measured."""

    name: str

    def take_turn(self, turn: int) -> tuple[float, float]:
        """Run the operations of a turn; return wall time and CPU time, in s."""

    def close(self) -> None:
        """End its clients."""


def share_out(operations: Sequence[Operation], clients: int, turns: int) -> list[dict[int, list[Operation]]]:
    """Return what each client does in each turn: a key's operations are one client's, in the stream's order.

    LabError where there is not one operation for each client in each turn.
    """
    shares = NameService().assign(operations, clients)
    if any(len(share) < turns for share in shares):
        raise LabError(f"{len(operations)} operations are too few for {turns} turns of {clients} clients; ask for more")
    return [
        {
            client: [
                operations[index] for index in share[len(share) * turn // turns : len(share) * (turn + 1) // turns]
            ]
            for client, share in enumerate(shares)
        }
        for turn in range(turns)
    ]


def split(turns: Sequence[Shares], processes: int) -> list[list[Shares]]:
    """Return the turns of each process: client c belongs to process c modulo their number."""
    return [
        [{client: share for client, share in shares.items() if client % processes == process} for shares in turns]
        for process in range(min(processes, len(clients_of(turns))))
    ]


class Programs:
    """A contender that runs as programs, which stay from turn to turn: so their connections are warm.

    :param command: starts one of them; each has its share of the clients
    :param environment: of the programs
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        turns: Sequence[Shares],
        prefix: str,
        *,
        processes: int = 1,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._started: list[subprocess.Popen[str]] = []
        try:
            for part in split(turns, processes):
                started = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for the one that ends them
                )
                self._started.append(started)
                self._send(started, "".join(operation_lines(part, prefix)))
            self._answers()
        except BaseException:
            self.close()
            raise

    def take_turn(self, turn: int) -> tuple[float, float]:
        """Let all programs begin at one moment; the turn is over with the last, and CPU time is that of all."""
        begin = turn_line(turn, time.time() + LEAD_S)
        for started in self._started:
            self._send(started, begin)
        answers = self._answers()
        return max(answer.wall_s for answer in answers), sum(answer.cpu_s for answer in answers)

    def close(self) -> None:
        """End the programs."""
        for started in self._started:
            with suppress(BrokenPipeError):
                _pipe(started.stdin).close()
        for started in self._started:
            try:
                started.wait(END_S)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()
            _pipe(started.stdout).close()

    def _send(self, started: subprocess.Popen[str], text: str) -> None:
        stdin = _pipe(started.stdin)
        with suppress(BrokenPipeError):  # its answer says why
            stdin.write(text)
            stdin.flush()

    def _answers(self) -> list[Answer]:
        answers = [read_answer(_pipe(started.stdout).readline()) for started in self._started]
        for answer in answers:
            if answer.error is not None:
                raise LabError(f"{self.name}: {answer.error}")
        return answers


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def take_turns(contenders: Sequence[Contender], turns: Sequence[Shares]) -> dict[str, Figures]:
    """Let the contenders take turns."""
    figures = {contender.name: Figures() for contender in contenders}
    for turn, shares in enumerate(turns):
        count = sum(map(len, shares.values()))
        # Who begins changes, so that none always comes after the same other.
        first = turn % len(contenders)
        for contender in [*contenders[first:], *contenders[:first]]:
            wall_s, cpu_s = contender.take_turn(turn)
            figures[contender.name].wall_s.append(wall_s / count)
            figures[contender.name].cpu_s.append(cpu_s / count)
    return figures

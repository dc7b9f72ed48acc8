# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contender sysbench: the same statements as text, sent by its own driver, libmariadb or libmysqlclient."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from failover.shapes import LabError
from failover.systems.endpoints import split_endpoint
from failover.systems.mysql.client import DELETE, INSERT, SELECT
from failover.workloads.base import CREATE, RETRIEVE, Operation, value_of

from .protocol import Shares, clients_of

SCRIPT = Path(__file__).with_name("sysbench.lua")
# What the script prints of each thread.
THREAD = re.compile(r"^turn (\S+) (\S+) (\S+) (\S+)$", re.M)

# Returns a statement with its values in it.
InFull = Callable[[str, tuple[str, ...]], str]


def statement_of(operation: Operation, prefix: str, in_full: InFull) -> str:
    """Return the statement that the lab's client sends for an operation."""
    kind, key = operation[0], prefix + operation[1]
    if kind == CREATE:
        return in_full(INSERT, (key, value_of(operation) or ""))
    return in_full(SELECT if kind == RETRIEVE else DELETE, (key,))


def read_times(said: str) -> tuple[float, float]:
    """Return wall time and CPU time of a turn, in s, from what the script printed: first to begin, last to end."""
    threads = [tuple(map(float, found)) for found in THREAD.findall(said)]
    if not threads:
        raise LabError(f"sysbench: {' '.join(said.split())[:300]}")
    began_s, ended_s, cpu_began_s, cpu_ended_s = zip(*threads, strict=True)
    return max(ended_s) - min(began_s), max(cpu_ended_s) - min(cpu_began_s)


class Sysbench:
    """A contender that is started for each turn; its connections are made before the turn begins.

    :param account: user, password and database
    """

    name = "sysbench"

    def __init__(
        self, endpoint: str, account: tuple[str, str, str], turns: Sequence[Shares], prefix: str, in_full: InFull
    ) -> None:
        self._threads = len(clients_of(turns))
        self._folder = tempfile.TemporaryDirectory(prefix="failover-lab-")  # readable by this user only
        host, port = split_endpoint(endpoint)
        options = {"host": host, "port": port, **dict(zip(("user", "password", "db"), account, strict=True))}
        config = "".join(f"mysql-{option}={value}\n" for option, value in options.items())
        self._path("config").write_text(config, encoding="utf-8")
        for turn, shares in enumerate(turns):
            lines = (
                f"{client}\t{statement_of(operation, prefix, in_full)}\n"
                for client, share in shares.items()
                for operation in share
            )
            self._path(f"turn{turn}").write_text("".join(lines), encoding="utf-8")

    def _path(self, name: str) -> Path:
        return Path(self._folder.name, name)

    def take_turn(self, turn: int) -> tuple[float, float]:
        """Run the operations of a turn; return wall time and CPU time, in s."""
        command = ["sysbench", f"--config-file={self._path('config')}", f"--threads={self._threads}"]
        said = subprocess.run(
            [*command, "--time=0", "--events=1", "--verbosity=1", str(SCRIPT), "run"],
            env={**os.environ, "BENCHMARK_STATEMENTS": str(self._path(f"turn{turn}"))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if said.returncode != 0 or len(THREAD.findall(said.stdout)) != self._threads:
            raise LabError(f"sysbench: {' '.join(said.stdout.split())[:300]}")
        return read_times(said.stdout)

    def close(self) -> None:
        """Remove its files."""
        self._folder.cleanup()

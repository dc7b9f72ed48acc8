# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A watch on the experiment's keys, kept while the workload runs, by a process of its own.

A thread would take its time from the clients beside it. What it is told goes to a file as it comes.
"""

from __future__ import annotations

import json
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from ..results.history import FLUSH_INTERVAL_NS
from ..shapes import SCHEMA_VERSION, WATCH_COLUMNS, LabError, WatchRow
from ..systems.base import Watcher
from .channel import Channel, ChannelClosedError
from .processes import end_worker, fork_worker

# How long the watch may take to begin, in s: the system is whole then. Without one the run goes on.
BEGIN_TIMEOUT_S = 10.0
# How long it may take at the end to have been told all that was acknowledged, in s: longer than an election.
CATCH_UP_TIMEOUT_S = 10.0
# Between two questions how far the watch is, in s.
_ASK_INTERVAL_S = 0.2
# How soon the process notices that it is spoken to, in s.
_LISTEN_INTERVAL_S = 0.1

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class KeptWatch:
    """The watch, as the process that leads the run has it. Best made before that has threads."""

    def __init__(self, watcher: Watcher, path: Path) -> None:
        """Start the process; LabError where there can be none.

        :param watcher: has opened nothing yet
        :param path: of the file that it writes
        """
        ours, theirs = socket.socketpair()
        try:
            self._pid: int | None = fork_worker(
                theirs,
                lambda channel: _Keeper(channel, watcher, path),
                closed=[ours],
                ignored=(signal.SIGTERM, signal.SIGINT),
            )
        except LabError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel = Channel(ours)
        self._error: str | None = "it was never begun"

    def begin(self) -> None:
        """Have it begin, and return when it has or could not: the first change after that is watched."""
        self._error = self._ask("begin", BEGIN_TIMEOUT_S).get("error")

    def finish(self) -> dict[str, Any]:
        """End the watch once it was told all that was acknowledged; return what there is to say of it.

        :returns: ``error`` (why there is no watch, or only a part of one; else null) and, where it began, ``events``,
            ``from_revision`` and ``to_revision`` (all changes in between were told), ``gaps`` ([first, last] revision
            of what nobody could tell any more), ``streams`` ({endpoint, revision, wall_ns, why}: where it was begun
            and resumed), ``cpu_s`` (CPU time of its process)
        """
        if self._error is not None:
            return {"error": self._error}
        return self._ask("finish", CATCH_UP_TIMEOUT_S)

    def close(self) -> None:
        """End the process; safe to call twice."""
        self._channel.close()
        if self._pid is not None:
            end_worker(self._pid)
            self._pid = None

    def _ask(self, name: str, timeout_s: float) -> dict[str, Any]:
        # A member that takes the connection and is silent may keep it waiting a little longer than it was told.
        self._channel.until_s = time.monotonic() + 2 * timeout_s
        try:
            self._channel.send(name, timeout_s=timeout_s)
            return self._channel.receive().fields
        except ChannelClosedError as error:
            return {"error": f"its process is gone: {error}"}


class _Keeper:
    """The process's side."""

    def __init__(self, channel: Channel, watcher: Watcher, path: Path) -> None:
        self._channel = channel
        self._watcher = watcher
        self._path = path
        self._events = 0

    def serve(self) -> bool:
        """Do what is said to the end, and tell whether it came."""
        try:
            begin = self._channel.receive()
            try:
                self._watcher.begin(float(begin.fields["timeout_s"]))
            except LabError as error:
                self._channel.send("begun", error=str(error))
                return True
            from_revision = self._watcher.seen_to + 1
            self._channel.send("begun", error=None)
            told = self._keep()
            self._channel.send("finished", from_revision=from_revision, **told)
        except ChannelClosedError:
            return False
        else:
            return True
        finally:
            self._watcher.close()

    def _keep(self) -> dict[str, Any]:
        """Write down what is told until the end; return what there is to say of it."""
        error = self._write_to("w", self._follow)
        timeout_s = float(self._channel.receive().fields["timeout_s"])
        if error is None:
            error = self._write_to("a", partial(self._catch_up, timeout_s=timeout_s))
        watcher = self._watcher
        return {
            "error": error,
            "events": self._events,
            "to_revision": watcher.seen_to,
            "gaps": watcher.gaps,
            "streams": [resumption._asdict() for resumption in watcher.resumptions],
            "cpu_s": time.process_time(),
        }

    def _write_to(self, mode: str, write: Callable[[IO[str]], str | None]) -> str | None:
        """Open the file and write to it; say why that was not done, or not to the end."""
        try:
            with self._path.open(mode, encoding="utf-8") as file:
                return write(file)
        except OSError as problem:
            return f"{self._path}: {problem.strerror or problem} after {self._events} events"

    def _follow(self, file: IO[str]) -> None:
        """Write down what is told until this process is spoken to."""
        file.write(_encode({"schema_version": SCHEMA_VERSION, "columns": WATCH_COLUMNS}) + "\n")
        flushed_ns = time.monotonic_ns()
        while not select.select([self._channel.connection], [], [], 0)[0]:
            self._write(file, self._watcher.receive(_LISTEN_INTERVAL_S))
            if time.monotonic_ns() - flushed_ns >= FLUSH_INTERVAL_NS:
                file.flush()
                flushed_ns = time.monotonic_ns()

    def _catch_up(self, file: IO[str], timeout_s: float) -> str | None:
        """Go on until all was told that is in the store by now; say why that was not to be had."""
        until_s = time.monotonic() + timeout_s
        newest = self._watcher.newest(timeout_s)
        if newest is None:
            return f"at the end no member told how far the store was: {self._watcher.last_error}"
        while self._watcher.seen_to < newest:
            if time.monotonic() >= until_s:
                return f"it was told of changes up to revision {self._watcher.seen_to} of {newest}, and no more in time"
            self._watcher.ask_progress()
            self._write(file, self._watcher.receive(_ASK_INTERVAL_S))
        return None

    def _write(self, file: IO[str], rows: Sequence[WatchRow]) -> None:
        file.writelines(_encode(row) + "\n" for row in rows)
        self._events += len(rows)

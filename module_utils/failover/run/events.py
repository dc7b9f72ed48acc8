# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The events of a run: written down as they come, and told in a few words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from ..results.write import line_of
from ..shapes import Event, LabError


class EventLog:
    """Writes events.jsonl, from any thread, each line at once."""

    def __init__(self, path: Path, on_error: Callable[[LabError], None]) -> None:
        """:param on_error: called with the first error; those who emit have other things to do than to handle it."""
        self._path = path
        self._on_error = on_error
        self._lock = threading.Lock()
        self._broken = False
        try:
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise self._error(error) from error

    def write(self, event: Event) -> None:
        """Write one event."""
        line = line_of(event)
        with self._lock:
            if self._broken or self._file.closed:
                return
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                self._broken = True
                self._on_error(self._error(error))

    def close(self) -> None:
        """Close the file; later events are dropped."""
        with self._lock:
            try:
                self._file.close()
            except OSError as error:
                if not self._broken:
                    self._broken = True
                    self._on_error(self._error(error))

    def _error(self, error: OSError) -> LabError:
        return LabError(
            f"events {self._path}: {error.strerror or error}; check the space and the rights in {self._path.parent}"
        )


def describe_fault(event: Event) -> str | None:
    """Return how a fault stands after one of its events, in a few words; None for every other event."""
    name, data = event.event, event.data
    if name == "fault.armed":
        return f"{data['fault']} {data['action']} {data['target']} waits for operation {data['at_index']:,}"
    if name == "fault.requested":
        return f"{data['fault']} {data['action']} {data['target']} requested"
    if name == "fault.signal_sent":
        return f"{data['fault']} {data['action']} {data['member']}"
    if name == "fault.missed":
        return f"{data['fault']} missed: {data['reason']}"
    return None

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where clients go while a choreographed fault leads them, and what of their work it waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from ..shapes import READ_KINDS, Kind


class Steered(Protocol):
    """Clients of another process, which have a steering of their own that does what this one is asked to."""

    reads_left: int
    writes: int

    def steer(self, what: str, *arguments: str | int) -> None:
        """Have a method of their steering called."""


class Steering:
    """Shared by all clients of a process; while nobody steers, it costs an operation one look at ``active``.

    That of a process that leads others passes on what it is asked, and adds up what they did.
    """

    def __init__(self) -> None:
        self.others: Sequence[Steered] = ()
        self.active = False
        self.turn = 0  # grows with each time that clients are sent away
        self._lock = threading.Lock()
        self._avoided: frozenset[str] = frozenset()
        self._reads_at = ""
        self._reads_left = 0
        self._counting_since_s: float | None = None
        self._writes = 0

    # ------------------------------------------------------------ of who steers

    def avoid(self, endpoint: str) -> None:
        """Send the clients away from a member, from their next operation on; they spread over the others."""
        self._avoided = frozenset([endpoint])
        self.turn += 1
        self.active = True
        for other in self.others:
            other.steer("avoid", endpoint)

    def let_go(self) -> None:
        """Let the clients go where they like; what was asked of them is forgotten."""
        with self._lock:
            self.active = False
            self._avoided = frozenset()
            self._reads_left = 0
            self._counting_since_s = None
        for other in self.others:
            other.steer("let_go")

    def ask_reads(self, endpoint: str, times: int) -> None:
        """Have the next reads, whoever's they are, begin at a member."""
        with self._lock:
            self._reads_at, self._reads_left = endpoint, 0 if self.others else times
            self.active = True
        for number, other in enumerate(self.others):
            other.steer("ask_reads", endpoint, len(range(number, times, len(self.others))))

    def reads_left(self) -> int:
        """Return how many of these reads nobody has begun yet."""
        return self._reads_left + sum(other.reads_left for other in self.others)

    def count_writes(self) -> None:
        """Count the writes that begin from now on and are acknowledged."""
        with self._lock:
            self._counting_since_s, self._writes = time.monotonic(), 0
            self.active = True
        for other in self.others:
            other.steer("count_writes")

    def writes(self) -> int:
        """Return how many they are by now."""
        return self._writes + sum(other.writes for other in self.others)

    # ------------------------------------------------------------ of the clients

    def allowed(self, endpoints: Sequence[str]) -> list[str]:
        """Return the members that clients may go to: all, where none would be left."""
        return [endpoint for endpoint in endpoints if endpoint not in self._avoided] or list(endpoints)

    def take_read(self, kind: Kind) -> str | None:
        """Return the member that an operation has to begin at, None where it is no matter."""
        if self._reads_left <= 0 or kind not in READ_KINDS:
            return None
        with self._lock:
            if self._reads_left <= 0:
                return None
            self._reads_left -= 1
            return self._reads_at

    def note_write(self, began_s: float) -> None:
        """Note that a write was acknowledged.

        :param began_s: when it began, by the monotonic clock
        """
        with self._lock:
            if self._counting_since_s is not None and began_s >= self._counting_since_s:
                self._writes += 1

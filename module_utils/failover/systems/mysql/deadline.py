# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""By when what is done over a connection of PyMySQL has to be over."""

from __future__ import annotations

import io
import math
import time
from typing import Any

from ..loop import AttemptFailedError

# Time limits are given to the socket in steps of 1/100 s, and at least one: 0 would mean no limit at all.
LIMIT_STEPS_PER_S = 100


class TookTimeError(AttemptFailedError):
    """What comes before a request took so much of the attempt that an answer may not fit in; nothing was sent.

    Who answers is well, only slow. So the connection is kept, and the next attempt goes on from there at once: one that
    waits for too short a time would have to give the connection up, and so on with the next.
    """

    def __init__(self) -> None:
        super().__init__("to get ready took most of the attempt's time", ambiguous=False, crossed=True)


def leave_time(began_s: float, until: float) -> None:
    """TookTimeError where less time is left than what was done since took: the next answer may take as long."""
    now_s = time.monotonic()
    if until - now_s < now_s - began_s:
        raise TookTimeError


def left_s(until: float) -> float:
    """Return the time left, rounded up to whole steps: the socket is told only where the limit is another one."""
    return max(1, math.ceil((until - time.monotonic()) * LIMIT_STEPS_PER_S)) / LIMIT_STEPS_PER_S


def limit(connection: Any, until: float) -> None:
    """Have the next answer of ``connection`` come by ``until`` (monotonic clock), or end in error 2013.

    PyMySQL takes its time limits for a whole connection only. It reads these two before each use of the socket, for
    which they hold anew; :class:`_Received` keeps the end of all of them.
    """
    seconds = left_s(until)
    connection._read_timeout = connection._write_timeout = seconds
    connection.until = time.monotonic() + seconds


def keep_limits(connection: Any) -> None:
    """Have what :func:`limit` says hold for the whole of an answer, however many parts it comes in.

    Of a connection over which nothing is awaited.
    """
    connection._rfile = io.BufferedReader(_Received(connection))


class _Received(io.RawIOBase):
    """What comes over a connection, as the module socket's own file, but for the limit."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for the next part, for as long as is left."""
        connection = self._connection
        left = connection.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        # Telling the socket is a call to the system; of most answers the first part is all.
        if left < connection._read_timeout - 1 / LIMIT_STEPS_PER_S:
            connection._sock.settimeout(left)
            connection._read_timeout = connection._write_timeout = left
        received: int = connection._sock.recv_into(buffer)
        return received

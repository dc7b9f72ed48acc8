# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the process that leads a run and those with its clients talk, over a stream socket.

A message is a name, fields of JSON and, where rows of the history go along, their lines as they are: who leads writes
them down without reading them.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any, NamedTuple

from ..shapes import LabError

# Lengths of a message's fields and of its lines, in bytes.
_LENGTHS = struct.Struct(">II")
# Longer messages are no message of this lab, in bytes: rows of half a second are a few MB.
LONGEST = 64 << 20


class ChannelClosedError(LabError):
    """The other end is gone."""


class ChannelSilentError(ChannelClosedError):
    """The other end is there, and says and takes nothing."""


class Message(NamedTuple):
    """What one end says to the other."""

    name: str
    fields: dict[str, Any]
    lines: str


class Channel:
    """One end. Any thread may send; one receives."""

    def __init__(self, connection: socket.socket) -> None:
        self.longest = LONGEST  # message that is received, in bytes
        self.until_s: float | None = None  # when one has to be there at the latest, by the monotonic clock
        self.connection = connection
        self._lock = threading.Lock()

    def send(self, name: str, *, lines: str = "", **fields: Any) -> None:
        """Send a message; ChannelClosedError where nobody takes it any more."""
        head = json.dumps([name, fields], separators=(",", ":")).encode()
        tail = lines.encode()
        frame = b"".join((_LENGTHS.pack(len(head), len(tail)), head, tail))
        try:
            with self._lock:
                self.connection.sendall(frame)
        except TimeoutError as error:
            raise ChannelSilentError("nothing is taken there") from error
        except OSError as error:
            raise ChannelClosedError(error.strerror or str(error)) from error

    def receive(self) -> Message:
        """Wait for the next message; ChannelClosedError where there is none any more, or what comes is none.

        ChannelSilentError where the connection has a timeout, and nothing comes that long.
        """
        head_length, tail_length = _LENGTHS.unpack(self._exactly(_LENGTHS.size))
        if head_length + tail_length > self.longest:
            raise ChannelClosedError(f"a message of {head_length + tail_length:,} bytes is none of this lab")
        try:
            name, fields = json.loads(self._exactly(head_length))
            return Message(name, fields, self._exactly(tail_length).decode())
        except (ValueError, TypeError, RecursionError) as error:  # the last of nothing but brackets
            raise ChannelClosedError(f"what came is no message of this lab: {error}") from None

    def _exactly(self, length: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            try:
                if self.until_s is not None:
                    # Of all of it: who sends a byte now and then would else be waited for again and again.
                    self.connection.settimeout(max(1e-3, self.until_s - time.monotonic()))
                part = self.connection.recv(min(length - len(parts), 1 << 20))
            except TimeoutError as error:
                raise ChannelSilentError("nothing came in time") from error
            except OSError as error:
                raise ChannelClosedError(error.strerror or str(error)) from error
            if not part:
                raise ChannelClosedError("the connection was closed")
            parts += part
        return bytes(parts)

    def close(self) -> None:
        """Close this end; whoever waits in :meth:`receive`, here or there, is told."""
        with suppress(OSError):  # it was closed from there
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Calls whose requests and answers are several messages each, over HTTP/2 connections like those of the unary ones.

A stream has its connection for itself, and both end together.
"""

from __future__ import annotations

import sys
import time
from typing import cast

from .base import CallError
from .frames import DATA, END_HEADERS, HEAD, HEADERS, ProtocolError, frame
from .http2 import CODE_OF_RESET, Connection, Exchange
from .lean import LeanChannel
from .unary import PREFIX_BYTES, failure_in, request_block, with_prefix
from .wire import OutOfTimeError

# A longer message is none of etcd's: it sends 1,000 revisions at once (watchBatchMaxRevs) of values below 1.5 MiB, and
# those of a workload have less than a KB.
_LONGEST_BYTES = 64 * 1024 * 1024


class _StreamingConnection(Connection):
    """A connection that carries one stream, and nothing after it."""

    def begin(self, block: bytes, until_s: float) -> Exchange:
        """Open the stream."""
        current = self._exchange = Exchange(self._next_number, self._first_window, sys.maxsize)
        self._next_number += 2
        self.usable = False
        block, self._table_update = self._table_update + block, b""
        out, self._out = self._out, b""
        self._send(out + HEAD.pack(0, len(block), HEADERS, END_HEADERS, current.number) + block, until_s)
        return current

    def send(self, current: Exchange, message: bytes, until_s: float) -> None:
        """Send a message that fits into one frame."""
        while not current.ended and len(message) > min(self._window, current.window):
            self.take_in(until_s)
        if not current.ended:
            self._window -= len(message)
            current.window -= len(message)
            self._send(frame(DATA, 0, current.number, message), until_s)

    def take_in(self, until_s: float) -> None:
        """Wait for input, and answer what asks for it."""
        self._take_in(until_s)
        self._send_answers(until_s)


class Stream:
    """One stream; every error ends it. For one thread at a time."""

    def __init__(self, connection: _StreamingConnection, block: bytes, until_s: float) -> None:
        """Open it; raises as :meth:`receive`."""
        self._connection = connection
        self._rest = b""
        self._failure: CallError | None = None  # that is told after what came before it
        try:
            self._exchange = connection.begin(block, until_s)
        except (OSError, OutOfTimeError, ProtocolError) as error:
            raise self._failed(error) from error

    def send(self, message: bytes, until_s: float) -> None:
        """Send a message, encoded; raises CallError."""
        try:
            self._connection.send(self._exchange, with_prefix(message), until_s)
        except (OSError, OutOfTimeError, ProtocolError) as error:
            raise self._failed(error) from error

    def receive(self, until_s: float) -> list[bytes]:
        """Wait for messages, and return those that are there, encoded; none where the time is over.

        :raises CallError: where the stream has ended, after all that came before
        """
        while not (messages := self._whole()):
            if self._failure is not None:
                raise self._failure
            if self._exchange.ended:
                raise self._why_ended()
            try:
                self._connection.take_in(until_s)
            except OutOfTimeError:
                return []
            except (OSError, ProtocolError) as error:
                self._failure = self._failed(error)
        return messages

    def _whole(self) -> list[bytes]:
        """Return the messages that are complete."""
        data = b"".join((self._rest, *self._exchange.parts))
        self._exchange.parts.clear()
        messages, at = [], 0
        while len(data) - at >= PREFIX_BYTES:
            length = int.from_bytes(data[at + 1 : at + PREFIX_BYTES], "big")
            if data[at] or length > _LONGEST_BYTES:
                raise CallError("INTERNAL", "a message is compressed, or longer than any of etcd's")
            end = at + PREFIX_BYTES + length
            if end > len(data):
                break
            messages.append(data[at + PREFIX_BYTES : end])
            at = end
        self._rest = data[at:]
        return messages

    def _why_ended(self) -> CallError:
        current = self._exchange
        if current.unprocessed is not None:
            return CallError("UNAVAILABLE", "the server is going away")
        if current.reset is not None:
            told = f"Received RST_STREAM with error code {current.reset}"
            return CallError(CODE_OF_RESET.get(current.reset, "INTERNAL"), told)
        if (current.trailers or {}).get(b"grpc-status") == b"0":
            return CallError("OK", "the server has ended the stream")
        return failure_in(current.fields or {}, current.trailers or {})

    def _failed(self, error: Exception) -> CallError:
        if isinstance(error, OutOfTimeError):
            return CallError("DEADLINE_EXCEEDED", "the connection took nothing within the time limit")
        if isinstance(error, ProtocolError):
            return CallError("INTERNAL", f"what came breaks HTTP/2: {error}")
        return CallError("UNAVAILABLE", str(getattr(error, "strerror", None) or error))


class StreamingChannel(LeanChannel):
    """A channel that opens streams as well; each keeps its connection until the channel is closed."""

    _connection = _StreamingConnection

    def stream(self, method: str, timeout_s: float, *, require_leader: bool, token: str = "") -> Stream:
        """Open a stream.

        :param method: its path, as "/etcdserverpb.Watch/Watch"
        :param timeout_s: for opening it
        :param token: as of :meth:`call`
        :param require_leader: the server ends it once it has known no leader for a while
        :raises CallError: where it cannot be opened
        """
        until_s = time.monotonic() + timeout_s
        block = request_block(self._endpoint, method, None, require_leader, token, self._scheme)
        return Stream(cast(_StreamingConnection, self._take(until_s)), block, until_s)

    def close(self) -> None:
        """Close all connections, and with them the streams."""
        super().close()
        with self._lock:
            busy, self._busy = self._busy, set()
        for connection in busy:
            connection.close()

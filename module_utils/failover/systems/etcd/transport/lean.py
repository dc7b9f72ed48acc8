# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Calls over sockets: one send and one receive each, where grpcio hands every event to a thread of its own."""

from __future__ import annotations

import ssl
import threading
import time
from contextlib import suppress
from typing import Any

from ....tls import client_context, why_not_secured
from ...refusals import NOT_SENT
from .base import ANSWER_MOST_BYTES, RECONNECT_FIRST_MS, RECONNECT_MOST_MS, CallError, Channel
from .frames import ProtocolError
from .http2 import Connection
from .unary import PREFIX_BYTES, answer_in, limit_in_ms, request_block, with_prefix
from .wire import OutOfTimeError, open_wire

# As gRPC's core says it, and the table of refusals has it; both transports fail alike.
_NO_CONNECTION = "failed to connect to all addresses; last error: "


class _Opening:
    """A connection that is being opened, on a thread of its own: looking a name up cannot be ended."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.failure: str | None = None


class LeanChannel(Channel):
    """Calls over HTTP/2 connections that carry one call at a time each.

    Usually that is one connection. A call that another thread makes meanwhile, to ask a silent member for its leader,
    opens a second one, which is kept. After a failed attempt to connect calls fail at once for a short time, which
    doubles up to a limit; the next call after it tries again.
    """

    _connection: type[Connection] = Connection

    def __init__(
        self, endpoint: str, connect_timeout_ms: int, *, ca: str = "", answer_most_bytes: int = ANSWER_MOST_BYTES
    ) -> None:
        self._endpoint = endpoint
        self._connect_timeout_s = connect_timeout_ms / 1000
        self._answer_most_bytes = answer_most_bytes
        self._tls = client_context(ca, "h2") if ca else None
        self._scheme = "http" if self._tls is None else "https"
        self._lock = threading.Lock()
        # Under the lock, all of it:
        self._closed = False
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._opening: _Opening | None = None
        self._failure = ""  # of the last attempt to connect
        self._pause_s = RECONNECT_FIRST_MS / 1000
        self._again_at_s = self._opened_at_s = 0.0  # by the monotonic clock

    def call(
        self,
        method: str,
        request: Any,
        response_type: Any,
        timeout_s: float,
        *,
        require_leader: bool,
        token: str = "",
    ) -> Any:
        """Send a request and wait for its answer."""
        until_s = time.monotonic() + timeout_s
        block = request_block(self._endpoint, method, limit_in_ms(timeout_s), require_leader, token, self._scheme)
        body = with_prefix(request.SerializeToString())
        connection = self._take(until_s)
        try:
            answer = connection.exchange(block, body, until_s, self._answer_most_bytes + PREFIX_BYTES)
        finally:
            self._give_back(connection)
        return answer_in(answer, response_type, self._answer_most_bytes)

    def connect(self) -> None:
        """Start opening a connection, where there is none; does not wait for it."""
        with self._lock:
            if not (self._closed or self._idle or self._opening):
                with suppress(CallError):  # the next call says so
                    self._start_opening()

    def abandon(self, reason: str) -> None:
        """End the calls that were sent and are waited for; one that waits for its connection goes on."""
        with self._lock:
            for connection in self._busy:
                connection.abandon(reason)
        self.connect()

    def close(self) -> None:
        """Close the connections; calls under way fail, and so do later ones."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for connection in self._busy:
                connection.abandon("the channel was closed")
            if self._opening is not None:
                self._opening.over.set()
        for connection in idle:
            connection.close()

    def _take(self, until_s: float) -> Connection:
        """Return a connection that is good, and that nobody else uses; raises CallError."""
        while True:
            with self._lock:
                if self._closed:
                    raise CallError("CANCELLED", f"{NOT_SENT}the channel is closed")
                connection = self._idle.pop() if self._idle else None
                if connection is None:
                    opening = self._opening or self._start_opening_again()
                else:
                    self._busy.add(connection)
            if connection is None:
                self._wait_for(opening, until_s)
            elif connection.still_good(until_s):
                return connection
            else:
                if connection.unused:
                    self._note_whether_closed_at_once()
                self._give_back(connection)

    def _note_whether_closed_at_once(self) -> None:
        """Take a connection that was good for no call at all for a failed attempt, so that the next one waits."""
        with self._lock:
            if time.monotonic() < self._opened_at_s + RECONNECT_FIRST_MS / 1000:
                self._note_failure(f"{self._endpoint} closed the connection at once")

    def _note_failure(self, failure: str) -> None:
        """With the lock held."""
        self._failure = f"{_NO_CONNECTION}{failure}"
        self._again_at_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, RECONNECT_MOST_MS / 1000)

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            self._busy.discard(connection)
            keep = connection.usable and not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def _start_opening_again(self) -> _Opening:
        """Open a connection, unless it is too soon after the last attempt; raises CallError. With the lock held."""
        if time.monotonic() < self._again_at_s:
            raise CallError("UNAVAILABLE", self._failure)
        return self._start_opening()

    def _start_opening(self) -> _Opening:
        """With the lock held; raises CallError where there can be no thread."""
        opening = _Opening()
        try:
            threading.Thread(target=self._open, args=(opening,), name="etcd-connect", daemon=True).start()
        except RuntimeError as error:
            self._note_failure(f"{self._endpoint}: {error}")
            raise CallError("UNAVAILABLE", self._failure) from error
        # The thread sets it back, and needs the lock for that.
        self._opening = opening
        return opening

    def _wait_for(self, opening: _Opening, until_s: float) -> None:
        """Wait until a connection is open, or raise CallError."""
        if not opening.over.wait(until_s - time.monotonic()):
            raise CallError("DEADLINE_EXCEEDED", f"{NOT_SENT}no connection within the time limit")
        if opening.failure is not None:
            raise CallError("UNAVAILABLE", opening.failure)

    def _open(self, opening: _Opening) -> None:
        """Open a connection and put it to the others."""
        connection: Connection | None = None
        failure: str | None = None
        try:
            until_s = time.monotonic() + self._connect_timeout_s
            connection = self._connection(open_wire(self._endpoint, self._connect_timeout_s, self._tls), until_s)
        except OutOfTimeError:
            failure = f"{self._endpoint} took the connection and said nothing"
        except ProtocolError as error:
            failure = f"{self._endpoint} does not speak HTTP/2: {error}"
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have
            failure = f"{self._endpoint}: {_why(error)}"
        except Exception as error:  # whatever it is: calls wait for this thread
            failure = f"{self._endpoint}: {error!r}"
        with self._lock:
            self._opening = None
            if connection is not None and not self._closed:
                self._idle.append(connection)
                connection = None
                self._pause_s = RECONNECT_FIRST_MS / 1000
                self._opened_at_s = time.monotonic()
            elif failure is not None:
                self._note_failure(failure)
                opening.failure = self._failure
        if connection is not None:
            connection.close()
        opening.over.set()


def _why(error: OSError | UnicodeError) -> str:
    """Say why there is no connection; an error of the kernel's as it is, as the table of refusals has it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return why_not_secured(error)
    return str(getattr(error, "strerror", None) or error)

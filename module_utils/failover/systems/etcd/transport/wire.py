# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bytes under HTTP/2: one TCP connection, each wait of which ends at a moment of the monotonic clock.

The kernel finds a peer that is cut off: it closes a connection on which nothing that was sent is acknowledged for a
while (TCP_USER_TIMEOUT; tcp(7)). One whose process is frozen costs each call its time limit, and no more. So nobody has
to send a PING, and no thread has to wait for its answer; a connection that died while it was idle is found by the next
call, before that sends anything.
"""

from __future__ import annotations

import select
import socket
import ssl
import time

from ....tls import ClientContext, SecuredSocket
from ...endpoints import split_endpoint
from .base import KEEPALIVE_TIMEOUT_MS

_CHUNK_BYTES = 65_536


class OutOfTimeError(Exception):
    """The moment until which something could be waited for has passed."""


class Wire:
    """A connected socket that never blocks, with its waits. The methods raise OSError where the connection is gone.

    :param sock: connected; belongs to this object from now on
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._input = select.poll()
        self._input.register(sock, select.POLLIN)
        self._any = select.poll()
        self._any.register(sock, select.POLLIN | select.POLLOUT)

    def send(self, data: bytes | memoryview) -> int:
        """Hand over what the kernel takes now, and return how many bytes that are; nothing, where it raises."""
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0

    def has_input(self) -> bool:
        """Say whether there is something to receive, the end of the connection included."""
        return bool(self._input.poll(0))

    def receive(self, until_s: float) -> bytes:
        """Wait for input and return it, at least one byte; raises OutOfTimeError."""
        while True:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not self._input.poll(left_s * 1000):
                raise OutOfTimeError
            try:
                chunk = self._sock.recv(_CHUNK_BYTES)
            except BlockingIOError:
                continue
            if not chunk:
                raise ConnectionError("Socket closed")
            return chunk

    def wait_to_send(self, until_s: float) -> bool:
        """Wait until more can be sent, or something came: say which by whether it came; raises OutOfTimeError."""
        left_s = until_s - time.monotonic()
        events = self._any.poll(left_s * 1000) if left_s > 0 else []
        if not events:
            raise OutOfTimeError
        return bool(events[0][1] & ~select.POLLOUT)

    def shut_down(self) -> None:
        """End the connection for both sides, also for a thread that waits on it; that one closes it."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended already
            return

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()


class SecuredWire(Wire):
    """The same over TLS, after its handshake.

    That the socket can be read says only that a record came, and not that there is anything in it for HTTP/2; and what
    was read for one may hold the next, too. So what is there is read ahead, and waited for at the socket after that.

    A send that could not be finished leaves its record half written. The other side can do nothing with it, and
    whoever gives such a request up gives the connection up, too (:class:`.http2.Connection`).
    """

    def __init__(self, sock: SecuredSocket) -> None:
        super().__init__(sock)
        self._secured = sock
        self._ahead = b""
        self._over = False  # the other side has ended the connection

    def send(self, data: bytes | memoryview) -> int:
        """Hand over what the kernel takes now."""
        try:
            return self._secured.send(data)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0

    def has_input(self) -> bool:
        """Say whether there is something to receive, the end of the connection included."""
        if not self._ahead and not self._over:
            try:
                self._ahead = self._secured.recv(_CHUNK_BYTES)
                self._over = not self._ahead
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
        return True

    def receive(self, until_s: float) -> bytes:
        """Wait for input and return it, at least one byte; raises OutOfTimeError."""
        # Mostly the answer is not there yet; asking for it before waiting would cost as much as reading it.
        while self._secured.pending() or self._ahead or self._over or self._wait(until_s):
            if self.has_input():
                if self._over:
                    raise ConnectionError("Socket closed")
                chunk, self._ahead = self._ahead, b""
                return chunk
        raise OutOfTimeError

    def wait_to_send(self, until_s: float) -> bool:
        """Wait until more can be sent, or something came: say which by whether it came; raises OutOfTimeError."""
        while not self.has_input():
            left_s = until_s - time.monotonic()
            events = self._any.poll(left_s * 1000) if left_s > 0 else []
            if not events:
                raise OutOfTimeError
            if events[0][1] & select.POLLOUT:
                return False
        return True

    def shut_down(self) -> None:
        """End the connection for both sides; past TLS, whose state belongs to the thread that waits."""
        try:
            socket.socket.shutdown(self._secured, socket.SHUT_RDWR)
        except OSError:  # it has ended already
            return

    def _wait(self, until_s: float) -> bool:
        left_s = until_s - time.monotonic()
        return left_s > 0 and bool(self._input.poll(left_s * 1000))


def open_wire(endpoint: str, timeout_s: float, tls: ClientContext | None = None) -> Wire:
    """Connect, past any proxy; raises OSError. Each address of a name may take the whole time.

    :param endpoint: "host:port", IPv6 in brackets
    :param tls: None: without
    """
    until_s = time.monotonic() + timeout_s
    sock = socket.create_connection(split_endpoint(endpoint), timeout_s)
    # A request is one segment: waiting for more to send with it (Nagle's algorithm) would delay it.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, KEEPALIVE_TIMEOUT_MS)
    if tls is None:
        return Wire(sock)
    sock.settimeout(max(1e-3, until_s - time.monotonic()))
    return SecuredWire(tls.wrap_socket(sock, server_hostname=split_endpoint(endpoint)[0]))

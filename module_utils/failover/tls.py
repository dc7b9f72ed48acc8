# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TLS as all of the lab speaks it: version 1.3, and the other side's certificate is verified with its name.

Standard library only: the fault agents on the members' hosts use it, too.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

from .shapes import LabError

# For forget_errors alone.
_SCRATCH = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def forget_errors() -> None:
    """Empty this thread's list of OpenSSL's errors.

    CPython leaves an error of the kernel's there (python/cpython#148594; seen with Python 3.13 and OpenSSL 3.5): after
    a BrokenPipeError on one connection, waiting on any other one of this thread's is a BrokenPipeError, too, for ever.
    Of what the module ssl offers, a refused list of ciphers empties it.
    """
    with suppress(ssl.SSLError):
        _SCRATCH.set_ciphers("")


P = ParamSpec("P")
T = TypeVar("T")


def _forgetting(method: Callable[P, T]) -> Callable[P, T]:
    """Return a method of a socket whose errors are not left to the thread's other connections; a wait is none."""

    @wraps(method)
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return method(*arguments, **options)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            forget_errors()
            raise

    return call


class SecuredSocket(ssl.SSLSocket):
    """A connection to a server, which knows how long its handshake took, and leaves its session to the next one.

    Its errors are its own: they do not reach the thread's other connections.
    """

    handshake_ms: float | None = None
    peer: Any = None  # address of the server
    context: ClientContext
    # All ways to receive and to send come to these.
    read = _forgetting(ssl.SSLSocket.read)
    send = _forgetting(ssl.SSLSocket.send)
    _shake_hands = _forgetting(ssl.SSLSocket.do_handshake)

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands, and time it."""
        self.peer = self.getpeername()
        began = time.monotonic()
        self._shake_hands(block)
        self.handshake_ms = (time.monotonic() - began) * 1000

    def close(self) -> None:
        """Keep the session: its ticket came after the handshake."""
        if self.handshake_ms is not None and self.session is not None:
            self.context.sessions[self.peer] = self.session
        super().close()


class ClientContext(ssl.SSLContext):
    """Connects to servers, and resumes the last session with each.

    That saves the server its signature, and us its verification. A server that was started again knows no session, and
    shakes hands as with a stranger.
    """

    sslsocket_class = SecuredSocket

    def __init__(self, *_arguments: Any) -> None:
        self.sessions: dict[Any, ssl.SSLSession] = {}  # by the server's address

    def wrap_socket(self, sock: socket.socket, *arguments: Any, **options: Any) -> SecuredSocket:
        """Shake hands within the socket's time limit; where that fails, OSError, and the socket is closed."""
        try:
            options["session"] = self.sessions.get(sock.getpeername())
            secured = super().wrap_socket(sock, *arguments, **options)
        except BaseException:
            sock.close()
            raise
        assert isinstance(secured, SecuredSocket)
        return secured


# Reading certificates takes milliseconds, and a failover opens many connections.
@lru_cache(maxsize=8)
def client_context(ca: str, *alpn: str) -> ClientContext:
    """Return what connects to servers whose certificate is of an authority; LabError where there is none of its.

    :param ca: file with the authority's certificate
    :param alpn: protocols of the application, the preferred one first
    """
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(ca)
    except OSError as error:  # ssl.SSLError is one, too
        raise LabError(
            f"the certificate authority {ca} cannot be read: {(error.strerror or str(error)).lower()}; "
            "provision the hosts with playbooks/up.yml"
        ) from None
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def server_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return what serves with a certificate and its private key; LabError where they cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise LabError(
            f"the certificate {certificate} with the key {key} cannot be used: "
            f"{(error.strerror or str(error)).lower()}; provision the host with playbooks/up.yml"
        ) from None
    return context


def secured(connection: socket.socket, host: str, ca: str) -> socket.socket:
    """Return a connection after its handshake, or as it is where ``ca`` is empty; OSError where there is none.

    :param host: who the other side has to be, by name or address
    """
    return client_context(ca).wrap_socket(connection, server_hostname=host) if ca else connection


def why_not_secured(error: OSError) -> str:
    """Say in a few words why a connection, or its handshake, failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    return (error.strerror or str(error)).lower()

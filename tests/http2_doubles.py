# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Servers for the transports of etcd's client: one of HTTP/2 that does what a test says, and grpcio's own."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import etcd3.etcdrpc as rpc
import grpc
import hpack
from certificates import Signed
from failover.systems.etcd.transport import frames
from failover.systems.etcd.transport.base import CallError, Channel
from failover.systems.etcd.transport.grpcio import GrpcioChannel
from failover.systems.etcd.transport.lean import LeanChannel
from failover.tls import server_context

CHANNELS: dict[str, type[Channel]] = {"grpcio": GrpcioChannel, "lean": LeanChannel}
ECHO = "/test.Echo/Echo"
# For what a test does not wait for, on a busy machine.
PATIENCE_S = 60.0

OK_HEAD = [(":status", "200"), ("content-type", "application/grpc")]
OK_END = [("grpc-status", "0"), ("grpc-message", "")]


def echo(channel: Channel, value: str, timeout_s: float = PATIENCE_S, *, require_leader: bool = False) -> str:
    """Have a value sent back."""
    request = rpc.PutRequest(key=value.encode())
    return channel.call(ECHO, request, rpc.PutRequest, timeout_s, require_leader=require_leader).key.decode()


def message(value: str) -> bytes:
    """Return the message with a value, with gRPC's prefix."""
    body = rpc.PutRequest(key=value.encode()).SerializeToString()
    return b"\0" + len(body).to_bytes(4, "big") + body


class Peer:
    """The server's end of one connection, as a script uses it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is sent has arrived
        self.sock = sock
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.seen: list[tuple[int, int, int, bytes]] = []  # all frames: type, flags, stream, payload
        self.input = sock.makefile("rb")
        self.ended = threading.Event()  # its script is over, and the connection closed

    def read(self, size: int) -> bytes:
        """Read exactly so much; raises EOFError at the end of the connection."""
        data = self.input.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def greet(self, *settings: tuple[int, int]) -> None:
        """Take the preface, and send settings."""
        assert self.read(len(frames.PREFACE)) == frames.PREFACE
        self.send(frames.frame(frames.SETTINGS, 0, 0, b"".join(struct.pack(">HL", *each) for each in settings)))

    def send(self, *sent: bytes) -> None:
        self.sock.sendall(b"".join(sent))

    def frame(self) -> tuple[int, int, int, bytes]:
        """Read a frame, and acknowledge settings and PINGs."""
        high, low, kind, flags, stream = struct.unpack(">BHBBL", self.read(9))
        payload = self.read(high << 16 | low)
        if kind in (frames.SETTINGS, frames.PING) and not flags & frames.ACK:
            self.send(frames.frame(kind, frames.ACK, 0, payload if kind == frames.PING else b""))
        self.seen.append((kind, flags, stream, payload))
        return self.seen[-1]

    def until(self, wanted: int, *, ack: bool = False) -> tuple[int, bytes]:
        """Read up to a frame of a type; return its stream and payload."""
        while True:
            kind, flags, stream, payload = self.frame()
            if kind == wanted and bool(flags & frames.ACK) is ack:
                return stream, payload

    def request(self) -> tuple[int, str, dict[str, str]]:
        """Read a request; return its stream, its value and its header fields."""
        fields: dict[str, str] = {}
        body = b""
        while True:
            kind, flags, stream, payload = self.frame()
            if kind == frames.HEADERS:
                assert flags & frames.END_HEADERS
                assert not flags & (frames.PADDED | frames.PRIORITISED)
                fields = dict(self.decoder.decode(payload))
            elif kind == frames.DATA:
                body += payload
            if kind in (frames.HEADERS, frames.DATA) and flags & frames.END_STREAM:
                return stream, rpc.PutRequest.FromString(body[5:]).key.decode(), fields

    def head(self, stream: int, fields: list[tuple[Any, Any]], *, end: bool = False) -> bytes:
        """Return header fields as a frame."""
        flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
        return frames.frame(frames.HEADERS, flags, stream, self.encoder.encode(fields))

    def good(self, stream: int, value: str) -> bytes:
        """Return an answer."""
        data = frames.frame(frames.DATA, 0, stream, message(value))
        return self.head(stream, OK_HEAD) + data + self.head(stream, OK_END, end=True)

    def echo_on(self) -> None:
        """Answer all requests."""
        while True:
            stream, value, _ = self.request()
            self.send(self.good(stream, value))


Script = Callable[[Peer], None]


def echoing(peer: Peer) -> None:
    peer.greet()
    peer.echo_on()


def holding(arrived: threading.Event) -> Script:
    """Return a script that takes a request, says so, and never answers."""

    def hold(peer: Peer) -> None:
        peer.greet()
        peer.request()
        arrived.set()
        peer.read(1 << 20)

    return hold


def waiting_for(channel: Channel, value: str) -> tuple[threading.Thread, list[CallError]]:
    """Make a call on a thread of its own; return it, and what becomes of a call that fails."""
    errors: list[CallError] = []

    def wait() -> None:
        try:
            echo(channel, value)
        except CallError as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    return waiting, errors


class Server:
    """Listens, and runs a script on each connection: the one of its number, or the last one."""

    def __init__(self, *scripts: Script, signed: Signed | None = None) -> None:
        self.scripts = scripts
        self.tls = None if signed is None else server_context(signed.certificate, signed.key)
        if self.tls is not None:
            self.tls.set_alpn_protocols(["h2"])
        self.peers: list[Peer] = []
        self.problems: list[BaseException] = []  # of scripts
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if self.tls is not None:
                try:
                    sock = self.tls.wrap_socket(sock, server_side=True)
                except OSError:
                    continue
            self.peers.append(Peer(sock))
            number = min(len(self.peers), len(self.scripts)) - 1
            threading.Thread(target=self._run, args=(self.peers[-1], self.scripts[number]), daemon=True).start()

    def _run(self, peer: Peer, script: Script) -> None:
        try:
            script(peer)
        except (EOFError, OSError, ValueError):  # ValueError: the file is closed
            pass
        except BaseException as problem:
            self.problems.append(problem)
        finally:
            with suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
            peer.sock.close()
            peer.ended.set()

    def close(self) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.peers:
            with suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        assert self.problems == []


@contextmanager
def serving(*scripts: Script, signed: Signed | None = None) -> Iterator[Server]:
    server = Server(*scripts, signed=signed)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def opened(kind: str, endpoint: str, connect_timeout_ms: int = 30_000, **more: Any) -> Iterator[Channel]:
    channel = CHANNELS[kind](endpoint, connect_timeout_ms, **more)
    try:
        yield channel
    finally:
        channel.close()


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, behave: Callable[[bytes, Any], bytes]) -> None:
        self.behave = behave

    def service(self, _details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(self.behave)


@contextmanager
def grpc_server(behave: Callable[[bytes, Any], bytes], signed: Signed | None = None, **options: int) -> Iterator[str]:
    """Serve all methods with grpcio; yields where.

    :param behave: from a request's bytes and its context, the answer's bytes
    :param signed: serves with it over TLS
    :param options: grpcio's, with ``_`` for ``.``, without "grpc."
    """
    server = grpc.server(
        futures.ThreadPoolExecutor(4),
        handlers=[_Handler(behave)],
        options=[(f"grpc.{name}", value) for name, value in options.items()],
    )
    if signed is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = Path(signed.key).read_bytes(), Path(signed.certificate).read_bytes()
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait(5)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Servers that speak MySQL's protocol over a socket of this process, quickly or slowly."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from certificates import Signed
from failover.systems.mysql_cluster.views import MEMBERS
from failover.tls import server_context

# Reference manual, "Protocol::HandshakeV10": what the server can do.
PROTOCOL_41, SSL, SECURE, PLUGIN_AUTH = 0x200, 0x800, 0x8000, 0x80000


def packet(number: int, payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


def greeting(can: int) -> bytes:
    salt = b"s" * 8
    lower, upper = can & 0xFFFF, can >> 16
    head = b"\x0a9.7.4\0" + struct.pack("<I", 1) + salt + b"\0" + struct.pack("<HBHHB", lower, 255, 2, upper, 21)
    return packet(0, head + bytes(10) + b"s" * 12 + b"\0caching_sha2_password\0")


# Of an answer that comes in parts, in bytes.
PART = 40

OK = b"\0\0\0\x02\0\0\0"


class Server:
    """Takes every login and every statement, over TLS where it has a certificate; keeps what was said without."""

    def __init__(self, signed: Signed | None) -> None:
        self.tls = None if signed is None else server_context(signed.certificate, signed.key)
        self.open: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, EOFError):
            connection.sendall(greeting(PROTOCOL_41 | SECURE | PLUGIN_AUTH | (SSL if self.tls else 0)))
            self.open.append(self._read(connection))
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self._read(connection)
            self.answer(connection, 3 if self.tls is not None else 2, b"")
            while True:
                self.answer(connection, 1, self._read(connection))

    def answer(self, connection: socket.socket, number: int, _said: bytes) -> None:
        """Answer a login (which says nothing here), or what was said then.

        :param number: of the answer's first packet
        """
        connection.sendall(packet(number, OK))

    @staticmethod
    def _read(connection: socket.socket) -> bytes:
        def exactly(length: int) -> bytes:
            data = b""
            while len(data) < length:
                part = connection.recv(length - len(data))
                if not part:
                    raise EOFError
                data += part
            return data

        return exactly(int.from_bytes(exactly(4)[:3], "little"))

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@contextmanager
def serving(signed: Signed | None) -> Iterator[Server]:
    server = Server(signed)
    try:
        yield server
    finally:
        server.close()


class SlowServer(Server):
    """Answers after ``delay_s``, and has ``found`` for every SELECT; of each group that it is asked for, ``view``.

    :param view: rows as :data:`MEMBERS` asks for them
    """

    def __init__(self, signed: Signed | None = None) -> None:
        super().__init__(signed)
        self.endpoint = f"127.0.0.1:{self.port}"
        self.delay_s = 0.0
        self.loses = 0  # so many of the next statements get no answer
        self.part_s = 0.0  # where not 0, answers come in parts, with so much time before each
        self.found: list[tuple[str, ...]] = [("v",)]
        self.view: list[tuple[str, ...]] = []
        self.logins = 0
        self.said: list[str] = []

    def answer(self, connection: socket.socket, number: int, said: bytes) -> None:
        if said[:1] == b"\x01":  # the client takes its leave
            raise EOFError
        statements = said[1:].decode().split("; ")
        if said:
            self.said.append(statements[-1])
            if self.loses and not statements[0].startswith(("SET NAMES", MEMBERS)):
                self.loses -= 1
                threading.Event().wait(5)
                raise EOFError
        else:
            self.logins += 1
        time.sleep(self.delay_s)
        packets: list[bytes] = []
        for each in statements:
            packets += self._result(each, each is not statements[-1])
        sent = b"".join(packet((number + turn) % 256, each) for turn, each in enumerate(packets))
        parts = [sent[at : at + PART] for at in range(0, len(sent), PART)] if self.part_s else [sent]
        for part in parts:
            time.sleep(self.part_s)
            connection.sendall(part)

    def _result(self, statement: str, more: bool) -> list[bytes]:
        status = struct.pack("<H", 2 | (8 if more else 0))  # autocommit, and whether another result follows
        if not statement.startswith("SELECT"):
            return [b"\0\1\0" + status + b"\0\0"]
        rows = self.view if statement == MEMBERS else self.found
        end = b"\xfe\0\0" + status
        column = text("def") + text("") * 3 + text("c") * 2 + b"\x0c" + struct.pack("<HIBHBH", 255, 80, 253, 0, 0, 0)
        return [bytes([len(rows[0])]), *[column] * len(rows[0]), end, *[b"".join(map(text, row)) for row in rows], end]


def text(value: str) -> bytes:
    """Return a short text with its length."""
    return bytes([len(value)]) + value.encode()


def slow_group(count: int) -> list[SlowServer]:
    """Return servers that all name the first one as the primary of a group of all."""
    servers = [SlowServer() for _ in range(count)]
    for asked in servers:
        asked.view = [
            (asked.endpoint, each.endpoint, *each.endpoint.split(":"), "ONLINE", role)
            for each, role in zip(servers, ["PRIMARY", *["SECONDARY"] * (count - 1)], strict=True)
        ]
    return servers

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""MySQL servers that let nobody in without TLS."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, Signed
from failover.systems.mysql.client import MySQLClient
from failover.systems.mysql.connect import MySQLAddress, connected, handshake_of
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
            number = 3 if self.tls is not None else 2
            while True:
                connection.sendall(packet(number, OK))
                self._read(connection)
                number = 1

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


@contextmanager
def serving(signed: Signed | None) -> Iterator[Server]:
    server = Server(signed)
    try:
        yield server
    finally:
        with suppress(OSError):
            server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def address(server: Server, ca: str) -> MySQLAddress:
    return MySQLAddress("127.0.0.1", server.port, "lab", "secret", "db", timeout_s=30, ca=ca)


def test_who_logs_in_has_verified_the_server_first(authority: Authority) -> None:
    with serving(authority.sign()) as server:
        told = []
        for _ in range(2):
            with connected(address(server, authority.ca)) as connection:
                told.append(handshake_of(connection))
        assert [each["resumed"] for each in told] == [False, True]
        assert all(each["handshake_ms"] > 0 for each in told)
        assert all(b"lab" not in said for said in server.open), "the account's name came before the handshake"


Sign = Callable[[Authority, Path], Signed | None]


@pytest.mark.parametrize(
    ("sign", "said"),
    [
        (lambda authority, _: authority.sign("IP:127.0.0.2"), "certificate is not valid for '127.0.0.1'"),
        (lambda _, folder: Authority(folder, "another").sign(), "unable to get local issuer certificate"),
        (lambda *_: None, "SSL is required but the server doesn't support it"),
    ],
)
def test_a_server_that_is_not_the_labs_hears_nothing(
    authority: Authority, tmp_path: Path, sign: Sign, said: str
) -> None:
    with serving(sign(authority, tmp_path)) as server:
        with pytest.raises(OSError, match=re.escape(said)), connected(address(server, authority.ca)):
            pass
        assert all(b"lab" not in given for given in server.open)


def test_a_client_tells_what_its_handshakes_cost(authority: Authority) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    with serving(authority.sign()) as server:
        client = MySQLClient(
            "127.0.0.1", server.port, "lab", "secret", "db", emit=lambda *event: events.append(event), ca=authority.ca
        )
        client.close()
    told = dict(events)
    assert told["client.secured"]["endpoint"] == f"127.0.0.1:{server.port}"
    assert told["client.secured"]["handshake_ms"] > 0
    assert list(told)[-2:] == ["client.secured", "client.connected"]

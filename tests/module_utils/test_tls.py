# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from certificates import Authority, Signed
from failover import tls
from failover.shapes import LabError
from failover.tls import SecuredSocket, client_context, secured, server_context, why_not_secured


@contextmanager
def greeting(signed: Signed) -> Iterator[tuple[str, int]]:
    """Serve a greeting to whoever shakes hands; yields where."""
    context = server_context(signed.certificate, signed.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as peer:
                    peer.sendall(b"hello")
                    peer.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def connect(address: tuple[str, int], host: str, ca: str) -> socket.socket:
    return secured(socket.create_connection(address, timeout=30), host, ca)


def test_the_second_connection_resumes_the_session_of_the_first(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with greeting(authority.sign()) as address:
        for resumed in (False, True):
            with connect(address, "127.0.0.1", authority.ca) as connection:
                assert isinstance(connection, SecuredSocket)
                assert connection.recv(5) == b"hello"
                assert connection.session_reused is resumed
                assert connection.version() == "TLSv1.3"
                assert connection.handshake_ms is not None
                assert connection.handshake_ms > 0


def test_a_connection_that_broke_does_not_break_the_thread_s_others(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with greeting(authority.sign()) as address:
        with connect(address, "127.0.0.1", authority.ca) as broken:
            socket.socket.shutdown(broken, socket.SHUT_RDWR)
            with pytest.raises(OSError, match=r"Broken pipe|EOF occurred"):
                broken.send(b"x")
        with connect(address, "127.0.0.1", authority.ca) as good:
            assert good.recv(5) == b"hello"
            good.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError):
                good.recv(1)


def test_errors_of_a_thread_s_connections_are_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Whether an error would stay is a matter of the versions of Python and OpenSSL; that it is seen to is not.
    forgotten: list[str] = []
    monkeypatch.setattr(tls, "forget_errors", lambda: forgotten.append("errors"))
    authority = Authority(tmp_path)
    with greeting(authority.sign()) as address, connect(address, "127.0.0.1", authority.ca) as connection:
        assert connection.recv(5) == b"hello"
        connection.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            connection.recv(1)
        assert not forgotten
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
        with pytest.raises(OSError, match=r"Broken pipe|EOF occurred"):
            connection.sendall(b"x")
        assert forgotten == ["errors"]


@pytest.mark.parametrize(
    ("names", "of_another", "said"),
    [
        ("IP:127.0.0.1", True, "unable to get local issuer certificate"),
        ("DNS:etcd1", False, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
def test_who_is_somebody_else_is_not_talked_to(tmp_path: Path, names: str, of_another: bool, said: str) -> None:
    authority = Authority(tmp_path)
    ca = Authority(tmp_path, "another").ca if of_another else authority.ca
    with greeting(authority.sign(names)) as address:
        with pytest.raises(ssl.SSLCertVerificationError) as raised:
            connect(address, "127.0.0.1", ca)
        assert said in why_not_secured(raised.value)


def test_without_an_authority_a_connection_stays_as_it_is(tmp_path: Path) -> None:
    left, right = socket.socketpair()
    with left, right:
        assert secured(left, "127.0.0.1", "") is left


def test_files_that_are_none_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"authority /nowhere/ca.pem cannot be read: no such file or directory; "):
        client_context("/nowhere/ca.pem")
    with pytest.raises(LabError, match=r"certificate /nowhere/a with the key /nowhere/b cannot be used: no such file"):
        server_context("/nowhere/a", "/nowhere/b")
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(LabError, match="cannot be read"):
        client_context(str(tmp_path / "ca.pem"))

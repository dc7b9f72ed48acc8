# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import socket
import threading

import pymysql
import pytest
from failover.systems.mysql.observe import MySQLAddress, assess_server, await_server, greeting_version, observe_server
from fault_doubles import FakeObservedMySQL

ADDRESS = MySQLAddress("10.0.0.21", 3306, "lab", "secret", "test_database")


def test_a_server_is_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeObservedMySQL(monkeypatch)
    found = observe_server(ADDRESS)
    assert (found["reachable"], found["error"], found["read_only"]) == (True, None, False)
    assert (found["version"], found["version_comment"], found["hostname"]) == ("9.7.4-2", "(Debian)", "mysql1")
    assert (found["uptime_s"], found["tls"]) == (61, "TLS_AES_128_GCM_SHA256")
    assert found["variables"]["sync_binlog"] == "1"
    assert found["status"] == {"Uptime": 61, "Threads_connected": 2}
    assert found["gtid_executed"].endswith("6e:1-9,c0ffee00-0000-0000-0000-000000000001:1-7")
    assert found["gtid_purged"] == ""
    asked = server.asked[0]
    assert (asked["host"], asked["port"], asked["user"], asked["database"]) == (
        "10.0.0.21",
        3306,
        "lab",
        "test_database",
    )
    assert asked["connect_timeout"] == asked["read_timeout"] == asked["write_timeout"] == 3
    assert server.closed == 1


def test_a_server_in_offline_mode_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeObservedMySQL(monkeypatch)
    assert assess_server(observe_server(ADDRESS)) == (True, [])
    server.variables["offline_mode"] = "ON"
    healthy, reasons = assess_server(observe_server(ADDRESS))
    assert (healthy, reasons) == (False, ["it is in offline mode, in which it lets no client in"])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (pymysql.err.OperationalError(2003, "Can't connect to MySQL server on '10.0.0.21'"), "Can't connect to MySQL"),
        (pymysql.err.OperationalError(1045, "Access denied for user 'lab'"), "Access denied for user 'lab'"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (RuntimeError("'cryptography' package is required for caching_sha2_password"), "'cryptography' package is"),
    ],
)
def test_a_server_that_does_not_answer_is_data(monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str) -> None:
    FakeObservedMySQL(monkeypatch, errors=[error])
    found = observe_server(ADDRESS)
    assert found["reachable"] is False
    assert found["error"].startswith(reason)
    assert assess_server(found) == (False, [f"it does not answer: {found['error']}"])


def test_a_connection_that_breaks_in_the_middle_is_closed_and_data(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeObservedMySQL(monkeypatch)
    server.break_at = "SHOW GLOBAL STATUS"
    found = observe_server(ADDRESS)
    assert (found["reachable"], found["error"]) == (False, "Lost connection")
    assert server.closed == 1


def test_a_server_that_takes_no_writes_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeObservedMySQL(monkeypatch)
    server.variables["super_read_only"] = "ON"
    assert assess_server(observe_server(ADDRESS)) == (False, ["it is read-only"])


def test_waiting_ends_when_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = pymysql.err.OperationalError(2003, "refused")
    server = FakeObservedMySQL(monkeypatch, errors=[refused, refused])
    found = await_server(ADDRESS, "healthy", 10)
    assert (found["reached"], found["healthy"], len(server.asked)) == (True, True, 3)


def test_waiting_ends_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeObservedMySQL(monkeypatch).variables["super_read_only"] = "ON"
    found = await_server(ADDRESS, "healthy", 0.3)
    assert (found["reached"], found["reachable"], found["reasons"]) == (False, True, ["it is read-only"])
    assert await_server(ADDRESS, "none", 0.3)["reached"]


def test_an_address_is_named_as_it_is_used() -> None:
    assert str(ADDRESS) == "10.0.0.21:3306"
    assert str(MySQLAddress("x", 1, "root", "", unix_socket="/run/mysqld/mysqld.sock")) == "/run/mysqld/mysqld.sock"


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (b"\x0b\x00\x00\x00\x0a9.7.4-2\x00xyz", "9.7.4-2"),
        (b"\x10\x00\x00\x00\xff\x10\x04Too many conn", "Too many conn"),
        (b"\x05\x00\x00\x00hello", "this is not a MySQL server"),
        (b"\x00\x00\x00\x00", "an empty greeting"),
        (b"\x0b\x00\x00\x00\x0a9.7", "connection closed"),
        (b"", "connection closed"),
    ],
)
def test_a_greeting_is_read(content: bytes, outcome: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            connection.sendall(content)
            connection.close()

        threading.Thread(target=greet, daemon=True).start()
        port = listener.getsockname()[1]
        if outcome == "9.7.4-2":
            assert greeting_version("127.0.0.1", port) == outcome
            return
        with pytest.raises(OSError, match=outcome):
            greeting_version("127.0.0.1", port)

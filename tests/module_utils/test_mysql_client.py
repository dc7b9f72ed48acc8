# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The MySQL client over connections that keep one small table and fail on demand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymysql
import pytest
from failover import mysql_client
from failover.failover_policy import FailoverPolicy
from failover.mysql_client import MySQLClient, failure_of
from failover.shapes import LabError
from pymysql import err

CORE = Path(__file__).resolve().parents[2] / "module_utils"
POLICY = FailoverPolicy(operation_budget_ms=400)

LOST = err.OperationalError(2013, "Lost connection to MySQL server during query")
REFUSED = err.OperationalError(2003, "Can't connect to MySQL server on 'mysql1' ([Errno 111] Connection refused)")

Events = list[tuple[str, dict[str, Any]]]


class FakeServer:
    """One table, and what goes wrong next: each entry of ``faults`` meets one statement, of ``refusals`` one connect.

    A fault is an error raised instead of the statement's effect, or after it where it stands in a tuple.
    """

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.faults: list[Exception | tuple[Exception] | None] = []
        self.refusals: list[Exception | None] = []
        self.down = False
        self.statements: list[str] = []
        self.arguments: list[dict[str, Any]] = []
        self.connections: list[FakeConnection] = []

    def connect(self, **arguments: Any) -> FakeConnection:
        self.arguments.append(arguments)
        refusal = self.refusals.pop(0) if self.refusals else None
        if self.down or refusal is not None:
            raise refusal or REFUSED
        connection = FakeConnection(self)
        self.connections.append(connection)
        return connection

    def execute(self, statement: str, values: tuple[str, ...]) -> tuple[int, list[tuple[str, ...]]]:
        self.statements.append(statement.split()[0])
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        answer = self.apply(statement, values)
        if fault is not None:
            raise fault[0]
        return answer

    def apply(self, statement: str, values: tuple[str, ...]) -> tuple[int, list[tuple[str, ...]]]:
        if statement == mysql_client.INSERT:
            key, value = values
            if key in self.rows:
                raise err.IntegrityError(1062, f"Duplicate entry '{key}' for key 'ips.PRIMARY'")
            self.rows[key] = value
            return 1, []
        (key,) = values
        if statement == mysql_client.DELETE:
            return int(self.rows.pop(key, None) is not None), []
        assert statement == mysql_client.SELECT
        return int(key in self.rows), [(self.rows[key],)] if key in self.rows else []


class FakeConnection:
    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.closed = False
        self.found: list[tuple[str, ...]] = []

    def cursor(self) -> FakeConnection:
        return self

    def __enter__(self) -> FakeConnection:
        return self

    def __exit__(self, *_raised: object) -> None:
        return None

    def execute(self, statement: str, values: tuple[str, ...]) -> int:
        assert not self.closed, "a statement went to a connection that was given up"
        affected, self.found = self.server.execute(statement, values)
        return affected

    def fetchone(self) -> tuple[str, ...] | None:
        return self.found[0] if self.found else None

    def close(self) -> None:
        if self.closed:
            raise err.Error("Already closed")
        self.closed = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    made = FakeServer()
    monkeypatch.setattr(pymysql, "connect", made.connect)
    return made


def connect(policy: FailoverPolicy = POLICY) -> tuple[MySQLClient, Events]:
    events: Events = []
    client = MySQLClient(
        "10.0.0.9",
        3306,
        "lab",
        "s3cret",
        "lab",
        policy=policy,
        emit=lambda event, data: events.append((event, data)),
    )
    return client, events


def test_write_read_delete(server: FakeServer) -> None:
    client, events = connect()
    there = "10.0.0.9:3306"
    assert client.get_with_retry("k") == ("ok", 1, there, None, None, None)
    assert client.put_with_retry("k", "10.0.0.1") == ("ok", 1, there, None, 1, None)
    assert client.get_with_retry("k") == ("ok", 1, there, "10.0.0.1", None, None)
    assert client.delete_with_retry("k") == ("ok", 1, there, None, 1, None)
    assert client.delete_with_retry("k") == ("ok", 1, there, None, 0, None)
    assert [name for name, _ in events] == ["client.members_discovered", "client.connected"]
    assert client.members == {there: there}
    assert client.endpoint == there
    assert len(server.connections) == 1


def test_connections_have_limits_and_no_transaction_left_open(server: FakeServer) -> None:
    connect(FailoverPolicy(attempt_timeout_ms=700, connect_timeout_ms=200))
    (arguments,) = server.arguments
    assert arguments["autocommit"] is True
    assert arguments["ssl_disabled"] is True
    assert (arguments["connect_timeout"], arguments["read_timeout"], arguments["write_timeout"]) == (0.2, 0.7, 0.7)


def test_a_duplicate_key_is_an_error_of_the_request(server: FakeServer) -> None:
    client, events = connect()
    server.rows["k"] = "10.0.0.1"
    result = client.put_with_retry("k", "10.0.0.1")
    assert (result.outcome, result.attempts) == ("fail", 1)
    assert "1062" in str(result.error)
    assert "client.failover_started" not in [name for name, _ in events]
    assert client.get_with_retry("k").outcome == "ok"
    assert len(server.connections) == 1


def test_an_insert_that_lost_its_answer_is_found_again(server: FakeServer) -> None:
    client, events = connect()
    server.faults = [(LOST,)]
    result = client.put_with_retry("k", "10.0.0.1")
    assert (result.outcome, result.attempts) == ("ok", 2)
    assert "2013" in str(result.error)
    assert server.statements == ["INSERT", "INSERT", "SELECT"]
    assert server.rows == {"k": "10.0.0.1"}
    assert [name for name, _ in events[2:]] == [
        "client.attempt_failed",
        "client.failover_started",
        "client.connected",
        "client.failover_completed",
    ]
    assert [connection.closed for connection in server.connections] == [True, False]


def test_an_insert_that_was_lost_itself_is_made_again(server: FakeServer) -> None:
    client, _ = connect()
    server.faults = [LOST]
    assert client.put_with_retry("k", "10.0.0.1")[:2] == ("ok", 2)
    assert server.statements == ["INSERT", "INSERT"]


def test_another_value_after_an_ambiguous_attempt_settles_nothing(server: FakeServer) -> None:
    client, _ = connect()
    server.rows["k"] = "10.0.0.2"
    server.faults = [LOST]
    result = client.put_with_retry("k", "10.0.0.1")
    assert result.outcome == "unknown"
    assert "another value: 10.0.0.2" in str(result.error)


def test_a_comparison_that_is_lost_too_is_repeated(server: FakeServer) -> None:
    client, _ = connect()
    server.faults = [(LOST,), None, LOST]
    result = client.put_with_retry("k", "10.0.0.1")
    assert (result.outcome, result.attempts) == ("ok", 3)
    assert server.statements == ["INSERT", "INSERT", "SELECT", "INSERT", "SELECT"]


def test_a_row_that_is_gone_before_the_comparison_is_inserted_again(server: FakeServer) -> None:
    client, _ = connect()
    server.faults = [LOST, err.IntegrityError(1062, "Duplicate entry")]
    result = client.put_with_retry("k", "10.0.0.1")
    assert (result.outcome, result.attempts) == ("ok", 3)
    assert server.rows == {"k": "10.0.0.1"}


def test_a_delete_that_lost_its_answer_does_not_say_what_it_removed(server: FakeServer) -> None:
    client, _ = connect()
    server.rows["k"] = "10.0.0.1"
    server.faults = [(LOST,)]
    result = client.delete_with_retry("k")
    assert (result.outcome, result.attempts, result.affected) == ("ok", 2, None)


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (lambda client: client.put_with_retry("k", "v"), "unknown"),
        (lambda client: client.delete_with_retry("k"), "unknown"),
        (lambda client: client.get_with_retry("k"), "fail"),
    ],
)
def test_a_server_that_dies_under_an_operation(
    server: FakeServer, run: Callable[[MySQLClient], Any], outcome: str
) -> None:
    client, _ = connect(FailoverPolicy(operation_budget_ms=2000))
    server.faults = [LOST]
    server.down = True
    result = run(client)
    assert result.outcome == outcome
    assert result.attempts > 2
    assert "2003" in result.error


def test_a_server_that_cannot_be_reached_certainly_did_nothing(server: FakeServer) -> None:
    client, events = connect()
    server.faults = [LOST]
    server.down = True
    client.get_with_retry("k")
    events.clear()
    assert client.put_with_retry("k", "v").outcome == "fail"
    assert not any(data["ambiguous"] for name, data in events if name == "client.attempt_failed")


def test_losing_the_server_while_connecting_is_definite(server: FakeServer) -> None:
    client, events = connect()
    server.faults = [err.OperationalError(1213, "Deadlock found")]
    server.refusals = [LOST, None]
    assert client.put_with_retry("k", "v")[:2] == ("ok", 3)
    assert [data["ambiguous"] for name, data in events if name == "client.attempt_failed"] == [False, False]


@pytest.mark.parametrize(
    ("error", "ambiguous", "final"),
    [
        (REFUSED, True, False),  # as for a statement; while connecting everything is definite
        (LOST, True, False),
        (err.OperationalError(2006, "MySQL server has gone away"), True, False),
        (err.OperationalError(1053, "Server shutdown in progress"), True, False),
        (err.OperationalError(3100, "Error on observer while running replication hook"), True, False),
        (err.InternalError("Packet sequence number wrong"), True, False),
        (err.InterfaceError(0, ""), False, False),
        (err.OperationalError(1205, "Lock wait timeout exceeded"), False, False),
        (err.OperationalError(1213, "Deadlock found"), False, False),
        (err.OperationalError(1290, "running with the --super-read-only option"), False, False),
        (err.OperationalError(1836, "Running in read-only mode"), False, False),
        (err.OperationalError(3101, "Plugin instructed the server to rollback"), False, False),
        (err.OperationalError(1045, "Access denied"), False, True),
        (err.ProgrammingError(1146, "Table 'lab.ips' doesn't exist"), False, True),
        (err.DataError(1406, "Data too long for column 'ip'"), False, True),
        (err.IntegrityError(1062, "Duplicate entry"), False, True),
    ],
)
def test_errors_are_classified(error: Exception, ambiguous: bool, final: bool) -> None:
    failed = failure_of(error)
    assert (failed.ambiguous, failed.final) == (ambiguous, final)
    assert failed.reason.startswith(type(error).__name__)


def test_the_connection_is_never_refused_ambiguously(server: FakeServer) -> None:
    server.down = True
    with pytest.raises(LabError, match=r"10\.0\.0\.9:3306 .*2003") as raised:
        connect()
    assert "s3cret" not in str(raised.value)


def test_the_missing_package_of_the_password_is_named(server: FakeServer) -> None:
    server.refusals = [RuntimeError("'cryptography' package is required for caching_sha2_password auth methods")]
    with pytest.raises(LabError, match=r"cryptography.*install PyMySQL\[rsa\]"):
        connect()


def test_closing_twice_is_no_error(server: FakeServer) -> None:
    client, _ = connect()
    client.close()
    client.close()
    assert server.connections[0].closed


def test_a_missing_pymysql_is_one_line() -> None:
    program = "\n".join(
        (
            "import sys",
            "sys.modules['pymysql'] = None",
            "from failover.mysql_client import MySQLClient",
            "from failover.shapes import LabError",
            "try:",
            "    MySQLClient('127.0.0.1', 3306, 'u', 'p', 'd')",
            "except LabError as error:",
            "    print(error)",
        )
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(CORE)}
    )
    (line,) = done.stdout.splitlines()
    assert "install PyMySQL[rsa]" in line

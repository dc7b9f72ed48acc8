# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The MySQL client over connections that keep one small table and fail on demand."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pymysql
import pytest
from failover.shapes import LabError, RetryPolicy
from failover.systems.loop import FailoverPolicy
from failover.systems.mysql import client as mysql_client
from failover.systems.mysql.client import MySQLClient, failure_of
from failover.systems.mysql_cluster import client as group_client
from failover.systems.mysql_cluster.client import GroupClient
from failover.systems.mysql_cluster.views import MEMBERS
from fake_mysql import Events, client_of
from pymysql import err

CORE = Path(__file__).resolve().parents[3] / "module_utils"
# What these tests are about is the same with and without a fence, which has tests of its own below.
blind = partial(FailoverPolicy, retry_policy=RetryPolicy.BLIND)
POLICY = blind(operation_budget_ms=400)

PASSING = "; ".join((group_client.PASS_BEGIN, group_client.PASS, group_client.PASS_END))

LOST = err.OperationalError(2013, "Lost connection to MySQL server during query")
REFUSED = err.OperationalError(2003, "Can't connect to MySQL server on 'mysql1' ([Errno 111] Connection refused)")


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
        """Take the place of pymysql.connect."""
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

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        raise AssertionError(f"a single server was asked {statement}")

    def apply(self, statement: str, values: tuple[str, ...]) -> tuple[int, list[tuple[str, ...]]]:
        if statement == mysql_client.INSERT:
            key, value = values
            if key in self.rows:
                raise err.IntegrityError(1062, f"Duplicate entry '{key}' for key 'ips.PRIMARY'")
            self.rows[key] = value
            return 1, []
        if statement == mysql_client.SCAN:
            first, count = values
            there = [(key, self.rows[key]) for key in sorted(self.rows) if key >= first][: int(count)]
            return len(there), there
        (key,) = values
        if statement == mysql_client.DELETE:
            return int(self.rows.pop(key, None) is not None), []
        assert statement == mysql_client.SELECT
        return int(key in self.rows), [(self.rows[key],)] if key in self.rows else []


class FakeConnection:
    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.closed = False
        self.found: list[tuple[Any, ...]] = []
        self._read_timeout = self._write_timeout = 0.0
        self.rowcount = 0
        self.limits_s: list[float] = []

    def cursor(self) -> FakeConnection:
        return self

    def __enter__(self) -> FakeConnection:
        return self

    def __exit__(self, *_raised: object) -> None:
        return None

    def execute(self, statement: str, values: tuple[str, ...]) -> int:
        assert not self.closed, "a statement went to a connection that was given up"
        assert self._read_timeout == self._write_timeout
        self.limits_s.append(self._read_timeout)
        known = (mysql_client.INSERT, mysql_client.SELECT, mysql_client.DELETE, mysql_client.SCAN)
        if statement not in known:
            self.found = self.server.ask(statement)
            return len(self.found)
        affected, self.found = self.server.execute(statement, values)
        return affected

    def nextset(self) -> None:
        self.found = []

    def fetchone(self) -> tuple[Any, ...] | None:
        return self.found[0] if self.found else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.found

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
    return client_of(policy)


def test_write_read_delete(server: FakeServer) -> None:
    client, events = connect()
    there = "10.0.0.9:3306"
    assert client.get_with_retry("k")[:6] == ("ok", 1, there, None, None, None)
    assert client.put_with_retry("k", "10.0.0.1")[:6] == ("ok", 1, there, None, 1, None)
    assert client.get_with_retry("k")[:6] == ("ok", 1, there, "10.0.0.1", None, None)
    assert client.delete_with_retry("k")[:6] == ("ok", 1, there, None, 1, None)
    assert client.delete_with_retry("k")[:6] == ("ok", 1, there, None, 0, None)
    assert [name for name, _ in events] == ["client.members_discovered", "client.connected"]
    assert client.members == {there: there}
    assert client.endpoint == there
    assert len(server.connections) == 1


def test_a_scan_says_what_it_found(server: FakeServer) -> None:
    client, _ = connect()
    server.rows = {"a": "1", "b": "2", "c": "3"}
    assert client.scan_with_retry("", "b", 10)[:6] == ("ok", 1, client.endpoint, "c", 2, None)
    assert client.scan_with_retry("", "a", 2).read == "b"
    assert client.scan_with_retry("", "d", 2)[3:5] == (None, 0)
    server.faults = [LOST]
    assert client.scan_with_retry("", "a", 1)[:2] == ("ok", 2)


def test_connections_have_limits_and_no_transaction_left_open(server: FakeServer) -> None:
    connect(blind(attempt_timeout_ms=700, connect_timeout_ms=200))
    (arguments,) = server.arguments
    assert arguments["autocommit"] is True
    assert arguments["ssl_disabled"] is True
    # The login is part of making a connection.
    assert {arguments[f"{what}_timeout"] for what in ("connect", "read", "write")} == {0.2}


def test_an_attempt_ends_with_its_time_whatever_it_runs(server: FakeServer) -> None:
    client, _ = connect(blind(attempt_timeout_ms=700, connect_timeout_ms=600, operation_budget_ms=1000))
    server.faults = [(LOST,)]
    assert client.put_with_retry("k", "v").outcome == "ok"
    insert_s, compare_s = server.connections[1].limits_s
    assert 0 < compare_s <= insert_s <= 0.7


def test_the_comparison_gets_what_the_insert_left(server: FakeServer) -> None:
    client, _ = connect(blind(attempt_timeout_ms=60_000, operation_budget_ms=60_000))
    server.faults = [(LOST,)]
    apply = server.apply

    def slowly(statement: str, values: tuple[str, ...]) -> tuple[int, list[tuple[str, ...]]]:
        time.sleep(0.1)
        return apply(statement, values)

    server.apply = slowly  # type: ignore[method-assign]
    assert client.put_with_retry("k", "v").outcome == "ok"
    insert_s, compare_s = server.connections[1].limits_s
    assert compare_s <= insert_s - 0.08
    assert insert_s <= 60.01


def test_a_server_that_says_nothing_is_left_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        with pytest.raises(LabError, match=r"127\.0\.0\.1.*timed out"):
            MySQLClient("127.0.0.1", silent.getsockname()[1], "u", "p", "d", policy=POLICY)
        assert 0.2 < time.monotonic() - started < 5


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
    client, _ = connect(blind(operation_budget_ms=2000))
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


def test_a_deadlock_is_no_failover(server: FakeServer) -> None:
    client, events = connect()
    server.faults = [err.OperationalError(1213, "Deadlock found"), err.OperationalError(1213, "Deadlock found")]
    assert client.put_with_retry("k", "v")[:2] == ("ok", 3)
    assert len(server.connections) == 1
    told = [name for name, _ in events if name not in ("client.members_discovered", "client.connected")]
    assert told == ["client.attempt_failed"] * 2


def test_losing_the_server_while_connecting_is_definite(server: FakeServer) -> None:
    client, events = connect()
    server.faults = [err.OperationalError(1205, "Lock wait timeout exceeded")]
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
        (err.OperationalError(3101, "Plugin instructed the server to rollback"), True, False),
        (err.OperationalError(1792, "Cannot execute statement in a READ ONLY transaction"), False, False),
        (err.OperationalError(3797, "Error while waiting for group transactions commit"), False, False),
        (err.OperationalError(3032, "The server is currently in offline mode"), False, False),
        (err.OperationalError(3098, "The table does not comply with the requirements"), False, True),
        (err.InternalError("Packet sequence number wrong"), True, False),
        (err.InterfaceError(0, ""), False, False),
        (err.OperationalError(1205, "Lock wait timeout exceeded"), False, False),
        (err.OperationalError(1213, "Deadlock found"), False, False),
        (err.OperationalError(1290, "running with the --super-read-only option"), False, False),
        (err.OperationalError(1836, "Running in read-only mode"), False, False),
        (err.OperationalError(1045, "Access denied"), False, True),
        (err.ProgrammingError(1146, "Table 'lab.ips' doesn't exist"), False, True),
        (err.DataError(1406, "Data too long for column 'ip'"), False, True),
        (err.IntegrityError(1062, "Duplicate entry"), False, True),
        # The class of PyMySQL alone proves nothing.
        (err.OperationalError(1114, "The table 'ips' is full"), True, False),
        (err.OperationalError(1180, "Got error 28 during COMMIT"), True, False),
        (err.InternalError(1030, "Got error 28 from storage engine"), True, False),
        (err.ProgrammingError(1317, "Query execution was interrupted"), True, False),
        (err.NotSupportedError(9999, "an error of later days"), True, False),
    ],
)
def test_errors_are_classified(error: Exception, ambiguous: bool, final: bool) -> None:
    failed = failure_of(error)
    assert (failed.ambiguous, failed.final) == (ambiguous, final)
    assert failed.reason.removeprefix("not sent: ").startswith(type(error).__name__)


class FakeMember(FakeServer):
    """A member of a group; ``passes`` is whether the group lets a read of it pass."""

    def __init__(self, group: FakeGroup, endpoint: str) -> None:
        super().__init__()
        self.group = group
        self.endpoint = endpoint
        self.rows = group.rows
        self.passes = True
        self.silent = False
        self.sees: dict[str, tuple[str, str]] | None = None  # where its view is another one than the group's
        self.asked: list[str] = []

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        self.asked.append(statement)
        if self.silent:
            raise LOST
        if statement == MEMBERS:
            seen = self.group.states if self.sees is None else self.sees
            rows = [
                (f"uuid-{self.endpoint}", f"uuid-{endpoint}", *endpoint.split(":"), state, role)
                for endpoint, (state, role) in seen.items()
            ]
            return rows or [(f"uuid-{self.endpoint}", "", "", 0, "OFFLINE", "")]
        assert statement == PASSING
        if not self.passes:
            raise LOST
        return []


class FakeGroup:
    """Three members on one table; ``states`` is what they all see."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.states: dict[str, tuple[str, str]] = {}
        self.members = [FakeMember(self, f"10.0.0.{number}:3306") for number in (1, 2, 3)]
        self.elect(1)

    def __getitem__(self, number: int) -> FakeMember:
        return self.members[number - 1]

    def elect(self, number: int, without: Sequence[int] = ()) -> None:
        """Make a member the primary, and take others out of the view."""
        self.states = {
            self[each].endpoint: ("ONLINE", "PRIMARY" if each == number else "SECONDARY")
            for each in (1, 2, 3)
            if each not in without
        }

    def connect(self, **arguments: Any) -> FakeConnection:
        endpoint = f"{arguments['host']}:{arguments['port']}"
        return next(member for member in self.members if member.endpoint == endpoint).connect(**arguments)

    def written(self) -> list[list[str]]:
        return [member.statements for member in self.members]


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> FakeGroup:
    made = FakeGroup()
    monkeypatch.setattr(pymysql, "connect", made.connect)
    return made


def connect_to_group(
    seeds: Sequence[str] = (), policy: FailoverPolicy = POLICY, first: str = "10.0.0.1"
) -> tuple[GroupClient, Events]:
    events: Events = []
    client = GroupClient(
        first,
        3306,
        "lab",
        "s3cret",
        "lab",
        seeds=seeds,
        policy=policy,
        emit=lambda event, data: events.append((event, data)),
    )
    return client, events


def passed_over(events: Events) -> list[tuple[str, str]]:
    return [(data["endpoint"], data["reason"]) for name, data in events if name == "client.member_passed_over"]


def test_everything_goes_to_the_primary_of_a_group(group: FakeGroup) -> None:
    group.elect(2)
    client, events = connect_to_group()
    assert client.members == {member.endpoint: member.endpoint for member in group.members}
    assert client.put_with_retry("k", "v")[:6] == ("ok", 1, "10.0.0.2:3306", None, 1, None)
    assert client.get_with_retry("k").read == "v"
    assert client.delete_with_retry("k").affected == 1
    assert group.written() == [[], ["INSERT", "SELECT", "DELETE"], []]
    (discovered,) = [data for name, data in events if name == "client.members_discovered"]
    assert discovered == {"endpoint": "10.0.0.1:3306", "members": client.members}
    # All connections are open before they are needed, and nobody is asked again while all is well.
    assert [len(member.connections) for member in group.members] == [1, 1, 1]
    assert group[2].asked.count(MEMBERS) == 1


def test_members_that_are_away_at_the_start_are_known_all_the_same(group: FakeGroup) -> None:
    group.elect(2, without=[1])
    group[1].down = True
    client, _ = connect_to_group(["10.0.0.3:3306"])
    assert set(client.members) == {"10.0.0.1:3306", "10.0.0.2:3306", "10.0.0.3:3306"}
    assert client.endpoint == "10.0.0.2:3306"


@pytest.mark.parametrize(
    ("sees", "reason"),
    [
        ({}, "it is not in a group"),
        ({"10.0.0.1:3306": ("ERROR", "")}, "its state in the group is ERROR"),
        ({"10.0.0.1:3306": ("RECOVERING", "SECONDARY")}, "its state in the group is RECOVERING"),
        (
            {
                "10.0.0.1:3306": ("ONLINE", "PRIMARY"),
                "10.0.0.2:3306": ("UNREACHABLE", "SECONDARY"),
                "10.0.0.3:3306": ("UNREACHABLE", "SECONDARY"),
            },
            "it reaches 1 of 3 members of its group",
        ),
        (
            {"10.0.0.1:3306": ("ONLINE", "SECONDARY"), "10.0.0.2:3306": ("UNREACHABLE", "PRIMARY"),
             "10.0.0.3:3306": ("ONLINE", "SECONDARY")},
            "it is a secondary, and knows no primary",
        ),
    ],
)  # fmt: skip
def test_a_member_that_may_not_write_gets_nothing(
    group: FakeGroup, sees: dict[str, tuple[str, str]], reason: str
) -> None:
    client, events = connect_to_group()
    group[1].sees = sees
    group[1].faults = [LOST]
    group[2].down = group[3].down = True
    result = client.put_with_retry("k", "v")
    assert (result.outcome, result.attempts) == ("unknown", 1)
    assert group.written() == [["INSERT"], [], []]
    # Nothing was sent by the next one at all: its one attempt is definite.
    result = client.put_with_retry("k2", "v")
    assert (result.outcome, result.attempts) == ("fail", 1)
    assert group[1].statements == ["INSERT"]
    failed = [data for name, data in events if name == "client.attempt_failed"]
    assert [data["ambiguous"] for data in failed] == [True, False]
    with pytest.raises(LabError, match=reason):
        connect_to_group()


def test_a_new_primary_is_gone_to_from_whoever_knows_it(group: FakeGroup) -> None:
    client, events = connect_to_group()
    group[1].down = True
    group[1].faults = [LOST]
    group.elect(3, without=[1])
    assert client.put_with_retry("k", "v")[:6] == ("ok", 2, "10.0.0.3:3306", None, 1, str_of(LOST))
    assert passed_over(events) == [("10.0.0.2:3306", "it is a secondary of 10.0.0.3:3306")]
    assert group.written() == [["INSERT"], [], ["INSERT"]]
    assert client.get_with_retry("k").endpoint == "10.0.0.3:3306"


def str_of(error: Exception) -> str:
    return failure_of(error).reason


def test_secondaries_get_nothing_however_long_an_election_takes(group: FakeGroup) -> None:
    client, events = connect_to_group(policy=blind(operation_budget_ms=20_000, pass_over_ms=1))
    group[1].down = True
    group[1].faults = [LOST]
    looked = threading.Event()

    def elect() -> None:
        looked.wait(10)
        group.elect(2, without=[1])

    election = threading.Thread(target=elect)
    election.start()
    count = 0
    ask = group[3].ask

    def counted(statement: str) -> list[tuple[Any, ...]]:
        nonlocal count
        count += 1
        if count > 3:
            looked.set()
        return ask(statement)

    group[3].ask = counted  # type: ignore[method-assign]
    result = client.put_with_retry("k", "v")
    election.join()
    assert (result.outcome, result.attempts, result.endpoint) == ("ok", 2, "10.0.0.2:3306")
    assert group.written() == [["INSERT"], ["INSERT"], []]
    assert len(passed_over(events)) == 1


def test_a_primary_whose_group_does_not_answer_it_gets_no_second_write(group: FakeGroup) -> None:
    client, _ = connect_to_group()
    # Cut off from the others a moment ago: its view is still that of a whole group.
    group[1].faults = [LOST]
    group[1].passes = False
    assert client.put_with_retry("k", "v")[:2] == ("unknown", 1)
    assert client.get_with_retry("k")[:2] == ("fail", 1)
    assert group[1].statements == ["INSERT"]
    group[1].passes = True
    assert client.put_with_retry("k", "v").outcome == "ok"


def test_a_primary_that_was_only_slow_is_used_again(group: FakeGroup) -> None:
    client, _ = connect_to_group()
    group[1].faults = [(LOST,)]
    assert client.put_with_retry("k", "v")[:3] == ("ok", 2, "10.0.0.1:3306")
    assert group[1].statements == ["INSERT", "INSERT", "SELECT"]
    assert group[1].asked[-2:] == [MEMBERS, PASSING]


def test_a_primary_that_became_a_secondary_says_so_definitely(group: FakeGroup) -> None:
    client, events = connect_to_group()
    group[1].faults = [err.OperationalError(1290, "running with the --super-read-only option")]
    group.elect(2)
    result = client.put_with_retry("k", "v")
    assert (result.outcome, result.attempts, result.endpoint) == ("ok", 2, "10.0.0.2:3306")
    assert [data["ambiguous"] for name, data in events if name == "client.attempt_failed"] == [False]


def test_a_silent_member_and_one_without_accounts_are_passed_over(group: FakeGroup) -> None:
    client, _ = connect_to_group()
    group[1].down = True
    group[1].faults = [LOST]
    group[2].silent = True
    group[2].refusals = [err.OperationalError(1045, "Access denied")] * 50
    group.elect(3, without=[1])
    assert client.put_with_retry("k", "v")[:3] == ("ok", 2, "10.0.0.3:3306")
    group[3].down = True
    group[3].faults = [LOST]
    # A refused login is final at a single server; here another member may take it.
    result = client.put_with_retry("k2", "v")
    assert (result.outcome, result.attempts) == ("unknown", 1)
    assert group[2].statements == []


def test_a_member_that_was_quick_so_far_is_asked_for_a_moment_only(group: FakeGroup) -> None:
    client, _ = connect_to_group(policy=blind(attempt_timeout_ms=60_000, operation_budget_ms=120_000))
    group[1].down = True
    group[1].faults = [LOST]
    group[2].silent = True
    group.elect(3, without=[1])
    assert client.put_with_retry("k", "v")[:3] == ("ok", 2, "10.0.0.3:3306")
    (asked_s,) = group[2].connections[0].limits_s
    assert asked_s <= group_client.ASK_TIMEOUT_S + 0.01


def test_a_group_without_a_primary_is_one_line(group: FakeGroup) -> None:
    group.states = {}
    group[2].down = True
    with pytest.raises(LabError, match="no primary of the replication group") as raised:
        connect_to_group(["10.0.0.2:3306", "10.0.0.3:3306"])
    for said in ("10.0.0.1:3306 (it is not in a group)", "10.0.0.2:3306 (OperationalError 2003", "10.0.0.3:3306"):
        assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "s3cret" not in str(raised.value)


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
            "from failover.systems.mysql.client import MySQLClient",
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

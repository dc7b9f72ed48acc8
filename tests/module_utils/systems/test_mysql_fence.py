# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The MySQL client behind its fence, over connections that keep two small tables and fail on demand."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest
from failover.systems.loop import FailoverPolicy
from failover.systems.mysql import client as mysql_client
from failover.systems.mysql.client import MySQLClient
from pymysql import err
from pymysql.constants import CLIENT

POLICY = FailoverPolicy(operation_budget_ms=400)
LOST = err.OperationalError(2013, "Lost connection to MySQL server during query")
READ_ONLY = err.OperationalError(1290, "running with the --super-read-only option")
THERE = "10.0.0.9:3306"


class Server:
    """Two tables. Each entry of ``faults`` meets one packet: an error instead of its effect, or after it in a tuple."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.fences: dict[str, str] = {}
        self.attempts: dict[str, str] = {}  # that moved a fence last
        self.faults: list[Exception | tuple[Exception] | None] = []
        self.packets: list[list[str]] = []
        self.flags: set[int] = set()
        self.opened = 0

    def connect(self, **arguments: Any) -> Connection:
        self.flags.add(arguments["client_flag"])
        self.opened += 1
        return Connection(self)

    def run(self, packet: str, values: tuple[str, ...]) -> list[tuple[int, list[tuple[str, ...]]]]:
        """Run a packet of statements; return the rows that each affected, and found."""
        statements = packet.split("; ")
        self.packets.append(statements)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        given, results = list(values), []
        before = dict(self.rows), dict(self.fences), dict(self.attempts)
        try:
            for statement in statements:
                own = [given.pop(0) for _ in range(statement.count("%s"))]
                affected, found = self._apply(statement, own)
                results.append((affected, found))
        except err.MySQLError:
            self.rows, self.fences, self.attempts = before
            raise
        if fault is not None:
            raise fault[0]
        return results

    def _apply(self, statement: str, values: list[str]) -> tuple[int, list[tuple[str, ...]]]:
        """Apply one statement."""
        if statement == mysql_client.MAKE_FENCE:
            return int(self.fences.setdefault(values[0], "") == ""), []
        if statement == mysql_client.FIND_FENCE:
            return 1, [(self.fences[values[0]],)]
        if statement == mysql_client.MOVE_FENCE:
            to, attempt, name, at = values
            moves = self.fences.get(name) == at
            if moves:
                self.fences[name] = to
                self.attempts[name] = attempt
            return int(moves), []
        if mysql_client.OF_ATTEMPT in statement:
            at = 2 if statement.startswith(mysql_client.INSERT_IF_MOVED) else len(values) - 2
            name, attempt = values[at : at + 2]
            del values[at : at + 2]
            return (self._change(statement, values) if self.attempts.get(name) == attempt else 0), []
        if statement in (mysql_client.SELECT, mysql_client.SELECT_NOW):
            return 1, [(self.rows[values[0]],)] if values[0] in self.rows else []
        assert statement in ("START TRANSACTION", "COMMIT")
        return 0, []

    def _change(self, statement: str, values: list[str]) -> int:
        if statement.startswith(mysql_client.DELETE):
            return int(self.rows.pop(values[0], None) is not None)
        if statement.startswith(mysql_client.UPDATE):
            value, key, expected = values
            if self.rows.get(key) != expected:
                return 0
            self.rows[key] = value
            return 1
        assert statement.startswith(mysql_client.INSERT_IF_MOVED)
        if values[0] not in self.rows:
            self.rows[values[0]] = values[1]
            return 1
        if "CONCAT" in statement:
            self.rows[values[0]] += f",{values[2]}"
        elif "ON DUPLICATE" in statement:
            self.rows[values[0]] = values[2]
        else:
            raise err.IntegrityError(1062, f"Duplicate entry '{values[0]}' for key 'ips.PRIMARY'")
        return 2


class Connection:
    """A connection, and its only cursor."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._results: list[tuple[int, list[tuple[str, ...]]]] = []
        self._read_timeout = self._write_timeout = 0.0
        self.rowcount = 0

    def cursor(self) -> Connection:
        return self

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_raised: object) -> None:
        return None

    def execute(self, packet: str, values: tuple[str, ...]) -> int:
        self._results = self._server.run(packet, values)
        self.rowcount = self._results[0][0]
        return self.rowcount

    def nextset(self) -> None:
        self._results.pop(0)
        self.rowcount = self._results[0][0]

    def fetchone(self) -> tuple[str, ...] | None:
        found = self._results[0][1]
        return found[0] if found else None

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(pymysql, "connect", made.connect)
    return made


def connect() -> tuple[MySQLClient, list[tuple[str, dict[str, Any]]]]:
    events: list[tuple[str, dict[str, Any]]] = []
    client = MySQLClient(
        "10.0.0.9", 3306, "lab", "s3cret", "lab", policy=POLICY, emit=lambda name, data: events.append((name, data))
    )
    return client, events


def test_a_write_is_one_packet_that_moves_the_fence(server: Server) -> None:
    client, events = connect()
    stood_at = server.fences["client"]
    assert client.put_with_retry("k", "10.0.0.1")[:6] == ("ok", 1, THERE, None, 1, None)
    assert server.packets[-1] == [
        "START TRANSACTION",
        mysql_client.MOVE_FENCE,
        mysql_client.INSERT_IF_MOVED,
        "COMMIT",
    ]
    assert server.fences["client"] != stood_at
    assert client.get_with_retry("k").read == "10.0.0.1"
    assert client.delete_with_retry("k")[:6] == ("ok", 1, THERE, None, 1, None)
    assert client.delete_with_retry("k").affected == 0
    assert server.rows == {}
    assert server.flags == {CLIENT.MULTI_STATEMENTS}
    assert [name for name, _ in events] == ["client.members_discovered", "client.connected"]


def test_a_write_whose_answer_was_lost_is_done_once(server: Server) -> None:
    client, _ = connect()
    server.faults = [(LOST,)]
    result = client.put_with_retry("k", "v")
    # What the first attempt changed nobody knows any more.
    assert (result.outcome, result.attempts, result.affected) == ("ok", 2, None)
    assert server.packets[-1] == [mysql_client.FIND_FENCE]
    assert server.opened == 2


def test_a_write_that_comes_late_finds_the_fence_moved(server: Server) -> None:
    client, _ = connect()
    late: list[tuple[str, tuple[str, ...]]] = []
    run = server.run

    def hold_up(packet: str, values: tuple[str, ...]) -> list[tuple[int, list[tuple[str, ...]]]]:
        if not late:
            late.append((packet, values))
            raise LOST
        return run(packet, values)

    server.run = hold_up  # type: ignore[method-assign]
    assert client.put_with_retry("k", "v").outcome == "ok"
    assert client.delete_with_retry("k").affected == 1
    assert run(*late[0])[1:3] == [(0, []), (0, [])]
    assert server.rows == {}


def test_a_refused_insert_moves_nothing_and_leaves_no_transaction_open(server: Server) -> None:
    client, _ = connect()
    client.put_with_retry("k", "v")
    stands_at = server.fences["client"]
    result = client.put_with_retry("k", "other")
    assert (result.outcome, result.attempts) == ("fail", 1)
    assert "1062" in str(result.error)
    assert server.fences["client"] == stands_at
    assert server.opened == 1
    client.get_with_retry("k")
    assert server.opened == 2  # the connection went with its transaction


def test_a_refusal_is_definite_and_the_next_attempt_finds_the_fence_where_it_was(server: Server) -> None:
    client, _ = connect()
    server.faults = [READ_ONLY]
    assert client.put_with_retry("k", "v")[:2] == ("ok", 2)
    assert client.doubt is None


def test_what_stays_in_doubt_is_settled_by_the_next_operation(server: Server) -> None:
    client, events = connect()
    server.faults = [LOST] * 1000
    assert client.delete_with_retry("k").outcome == "unknown"
    server.faults = []
    assert client.get_with_retry("k").outcome == "ok"
    assert [data["applied"] for name, data in events if name == "client.write_settled"] == [False]


def test_the_fence_is_taken_over_from_a_client_that_is_gone(server: Server) -> None:
    client, _ = connect()
    client.put_with_retry("k", "v")
    left_at = server.fences["client"]
    heir, events = connect()
    assert heir.delete_with_retry("k").affected == 1
    assert server.fences["client"] != left_at
    assert "client.fence_astray" not in [name for name, _ in events]

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The MySQL client behind its fence, over connections to a small table with GTIDs that fail on demand."""

from __future__ import annotations

import re
from typing import Any

import pymysql
import pytest
from failover.shapes import Kind
from failover.systems.base import ClientIdentity
from failover.systems.fence import Change, Ids
from failover.systems.loop import FailoverPolicy
from failover.systems.mysql import client as mysql_client
from failover.systems.mysql.client import MySQLClient
from fake_mysql import Events, client_of
from pymysql import err
from pymysql.constants import CLIENT

POLICY = FailoverPolicy(operation_budget_ms=400)
LOST = err.OperationalError(2013, "Lost connection to MySQL server during query")
READ_ONLY = err.OperationalError(1290, "running with the --super-read-only option")
THERE = "10.0.0.9:3306"


class Server:
    """A table, and the GTIDs that were used. Each entry of ``faults`` meets one packet: an error instead of its effect,
    or after it in a tuple.
    """

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.used: set[str] = set()
        self.voided: set[str] = set()
        self.faults: list[Exception | tuple[Exception] | None] = []
        self.packets: list[list[str]] = []
        self.flags: set[int] = set()
        self.opened = 0

    def connect(self, **arguments: Any) -> Connection:
        self.flags.add(arguments["client_flag"])
        self.opened += 1
        self._taken: str | None = None
        return Connection(self)

    def run(self, packet: str, values: tuple[str, ...]) -> list[tuple[int, list[tuple[str, ...]]]]:
        """Run a packet of statements; return the rows that each affected, and found."""
        statements = packet.split("; ")
        self.packets.append(statements)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        given, results = list(values), []
        before = dict(self.rows), set(self.used), set(self.voided)
        try:
            for statement in statements:
                own = [given.pop(0) for _ in range(statement.count("%s"))]
                results.append(self._apply(statement, own))
        except err.MySQLError:
            self._taken = None
            self.rows, self.used, self.voided = before
            raise
        if fault is not None:
            raise fault[0]
        return results

    def _apply(self, statement: str, values: list[str]) -> tuple[int, list[tuple[str, ...]]]:
        """Apply one statement."""
        if statement == mysql_client.TAKE_GTID:
            assert self._taken is None or self._taken in self.used, "a GTID is still owned"
            self._taken, self._skips = values[0], values[0] in self.used
            return 0, []
        if statement == mysql_client.LEAVE_GTID:
            return 0, []
        if statement == mysql_client.OWNED:
            assert self._taken is not None
            return 1, [("" if self._skips else self._taken,)]
        if statement == mysql_client.FIND_VOIDED:
            return 1, [(values[0],)] if values[0] in self.voided else []
        if statement in (mysql_client.SELECT, mysql_client.SELECT_NOW):
            return 1, [(self.rows[values[0]],)] if values[0] in self.rows else []
        if statement in (mysql_client.BEGIN, mysql_client.COMMIT):
            if statement == mysql_client.COMMIT and self._taken is not None:
                self.used.add(self._taken)
            return 0, []
        if self._taken is not None and self._skips:
            return 0, []
        affected = self._change(statement, values)
        if affected and self._taken is not None:
            self.used.add(self._taken)
        return affected, []

    def _change(self, statement: str, values: list[str]) -> int:
        if statement == mysql_client.VOID:
            self.voided.add(values[0])
            return 1
        if statement == mysql_client.DELETE:
            return int(self.rows.pop(values[0], None) is not None)
        if statement == mysql_client.UPDATE:
            value, key, expected = values
            if self.rows.get(key) != expected:
                return 0
            self.rows[key] = value
            return 1
        assert statement.startswith(mysql_client.INSERT)
        if values[0] not in self.rows:
            self.rows[values[0]] = values[1]
            return 1
        if "ON DUPLICATE" not in statement:
            raise err.IntegrityError(1062, f"Duplicate entry '{values[0]}' for key 'ips.PRIMARY'")
        value = f"{self.rows[values[0]]},{values[2]}" if "CONCAT" in statement else values[2]
        same = self.rows[values[0]] == value
        self.rows[values[0]] = value
        return 0 if same else 2


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


def connect(identity: ClientIdentity | None = None) -> tuple[MySQLClient, Events]:
    return client_of(POLICY, identity)


def test_a_write_is_one_packet_of_a_gtid_of_its_own(server: Server) -> None:
    client, events = connect()
    assert client.put_with_retry("k", "10.0.0.1")[:6] == ("ok", 1, THERE, None, 1, None)
    assert server.packets[-1] == [mysql_client.TAKE_GTID, mysql_client.INSERT]
    assert client.get_with_retry("k").read == "10.0.0.1"
    assert client.delete_with_retry("k")[:6] == ("ok", 1, THERE, None, 1, None)
    assert client.delete_with_retry("k").affected == 0
    assert server.rows == {}
    uuids = {re.fullmatch(r"(6661696c-6f76-6572-8000-[0-9a-f]{12}):\d+", gtid)[1] for gtid in server.used}  # type: ignore[index]
    # One more: the first transaction, which changes nothing.
    assert (len(uuids), len(server.used)) == (1, 4)
    assert server.flags == {CLIENT.MULTI_STATEMENTS}
    assert [name for name, _ in events] == ["client.members_discovered", "client.connected"]


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (Change(Kind.CREATE, "new", "v"), {"k": "1", "new": "v"}),
        (Change(Kind.WRITE, "k", "1"), {"k": "1"}),
        (Change(Kind.APPEND, "k", "2"), {"k": "1,2"}),
        (Change(Kind.CAS, "k", "2", "1"), {"k": "2"}),
        (Change(Kind.CAS, "k", "2", "other"), {"k": "1"}),
        (Change(Kind.DELETE, "k"), {}),
        (Change(Kind.DELETE, "none"), {"k": "1"}),
    ],
)
def test_a_write_whose_answer_was_lost_is_done_once(server: Server, change: Change, left: dict[str, str]) -> None:
    client, _ = connect()
    server.rows["k"] = "1"
    server.faults = [(LOST,)]
    result = client.change_with_retry(change)
    # What the first attempt changed nobody knows any more; one that changed nothing used no GTID up.
    affected = 0 if change.key == "none" else None
    assert (result.outcome, result.attempts, result.affected, result.read) == ("ok", 2, affected, None)
    assert any(mysql_client.OWNED in packet for packet in server.packets)
    assert (server.rows, server.opened) == (left, 2)


def test_a_write_that_comes_late_is_skipped(server: Server) -> None:
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
    assert run(*late[0]) == [(0, []), (0, [])]
    assert server.rows == {}


def test_a_refused_insert_is_definite_and_uses_no_gtid_up(server: Server) -> None:
    client, _ = connect()
    client.put_with_retry("k", "v")
    used = set(server.used)
    result = client.put_with_retry("k", "other")
    assert (result.outcome, result.attempts) == ("fail", 1)
    assert "1062" in str(result.error)
    assert server.used == used


def test_a_refusal_is_definite_and_the_next_attempt_has_the_same_gtid(server: Server) -> None:
    client, _ = connect()
    server.faults = [READ_ONLY]
    assert client.put_with_retry("k", "v")[:2] == ("ok", 2)
    assert client.doubt is None
    assert len(server.used) == 2


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("lost", [False, True], ids=["", "the answer to the first settling is lost"])
def test_what_stays_in_doubt_is_settled_by_the_next_operation(server: Server, applied: bool, lost: bool) -> None:
    client, events = connect()
    server.rows["k"] = "1"
    server.faults = [(LOST,) if applied else LOST, *[LOST] * 1000]
    assert client.delete_with_retry("k").outcome == "unknown"
    server.faults = [(LOST,)] if lost else []
    assert client.get_with_retry("k")[:4] == ("ok", 1 + lost, THERE, None if applied else "1")
    assert [data["applied"] for name, data in events if name == "client.write_settled"] == [applied]


def test_another_process_settles_what_stayed_in_doubt(server: Server) -> None:
    client, _ = connect()
    server.faults = [LOST] * 1000
    assert client.put_with_retry("k", "v").outcome == "unknown"
    assert client.settle() is False
    late = next(packet for packet in server.packets[::-1] if mysql_client.INSERT in packet)
    server.faults = []
    assert client.doubt is not None
    heir, events = connect(ClientIdentity("client", doubt=client.doubt))
    assert heir.settle() is True
    assert [data["applied"] for name, data in events if name == "client.write_settled"] == [False]
    gtid = mysql_client.gtid_of(client.doubt.to)
    assert server.run("; ".join(late), (gtid, "k", "v"))[-1] == (0, [])
    assert server.rows == {}


def test_clients_of_one_process_share_one_uuid(server: Server) -> None:
    ids = Ids()
    for name in ("a", "b"):
        client, _ = connect(ClientIdentity(name, ids=ids))
        client.put_with_retry(name, "v")
    assert {gtid.partition(":")[2] for gtid in server.used} == {"1", "2", "3", "4"}
    assert len({gtid.partition(":")[0] for gtid in server.used}) == 1


def test_a_write_says_its_gtid_where_it_may_have_taken_effect(server: Server) -> None:
    client, _ = connect()
    assert client.put_with_retry("k", "v").transaction in server.used
    assert client.put_with_retry("k", "other").transaction is None  # a duplicate
    assert client.get_with_retry("k").transaction is None
    server.faults = [(LOST,), *[LOST] * 1000]
    assert client.delete_with_retry("k").transaction in server.used

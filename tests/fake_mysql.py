# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A MySQL server in this process, as far as dumping and emptying the workload's table need one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import pymysql
import pytest
from failover.systems.base import ClientIdentity
from failover.systems.loop import FailoverPolicy
from failover.systems.mysql.client import MySQLClient
from failover.systems.mysql.keys import CREATE_VOIDED
from failover.systems.mysql_cluster.views import MEMBERS

Events = list[tuple[str, dict[str, Any]]]


def client_of(policy: FailoverPolicy, identity: ClientIdentity | None = None) -> tuple[MySQLClient, Events]:
    """Return a client of the server that stands in for PyMySQL's connections, and the events that it will emit."""
    events: Events = []
    client = MySQLClient(
        "10.0.0.9",
        3306,
        "lab",
        "s3cret",
        "lab",
        policy=policy,
        emit=lambda event, data: events.append((event, data)),
        identity=identity or ClientIdentity("client"),
    )
    return client, events


class FakeMySQL:
    """The server: ``rows`` is None where there is no table; ``error`` is raised on every connect.

    ``view`` is what it answers to :data:`MEMBERS`: its uuid, and uuid, host, port, state and role of each member.
    """

    def __init__(
        self,
        rows: dict[str, str] | None = None,
        error: tuple[int, str] | None = None,
        view: Sequence[tuple[Any, ...]] = (),
    ) -> None:
        self.rows = rows
        self.error = error
        self.view = view
        self.value_type = "char(20)"
        self.asked: dict[str, Any] = {}
        self.statements: list[str] = []

    def connect(self, **asked: Any) -> FakeConnection:
        self.asked = asked
        if self.error:
            raise pymysql.err.OperationalError(*self.error)
        return FakeConnection(self)


class FakeConnection:
    def __init__(self, server: FakeMySQL) -> None:
        self.server = server

    def cursor(self, _kind: type | None = None) -> FakeCursor:
        return FakeCursor(self.server)

    def close(self) -> None:
        """Nothing is open."""


class FakeCursor:
    def __init__(self, server: FakeMySQL) -> None:
        self.server = server
        self.found: list[tuple[Any, ...]] = []

    def __enter__(self) -> FakeCursor:
        return self

    def close(self) -> None:
        """Nothing is open."""

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is open."""

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.found)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.found

    def fetchone(self) -> tuple[Any, ...] | None:
        return self.found[0] if self.found else None

    def execute(self, statement: str, _values: tuple[Any, ...] = ()) -> None:
        server = self.server
        server.statements.append(statement)
        if statement.startswith("SHOW TABLES"):
            self.found = [] if server.rows is None else [("ips",)]
        elif statement == CREATE_VOIDED:
            self.found = []
        elif statement.startswith("CREATE TABLE"):
            assert server.rows is None
            server.rows = {}
            server.value_type = "mediumtext" if "mediumtext" in statement else "char(20)"
        elif statement.startswith("SHOW COLUMNS"):
            self.found = [("ip", server.value_type)]
        elif statement == "DROP TABLE IF EXISTS ips":
            server.rows = None
        elif statement == MEMBERS:
            self.found = list(server.view)
        elif statement.startswith(("START TRANSACTION", "SET SESSION")):
            self.found = []
        else:
            assert server.rows is not None
            if statement.startswith("SELECT COUNT"):
                self.found = [(len(server.rows),)]
            elif statement.startswith("SELECT device, ip"):
                self.found = sorted(server.rows.items())
            elif statement.startswith("TRUNCATE"):
                server.rows.clear()
            else:
                raise AssertionError(f"unexpected statement: {statement}")


def install(monkeypatch: pytest.MonkeyPatch, server: FakeMySQL) -> FakeMySQL:
    """Have PyMySQL connect to ``server``."""
    monkeypatch.setattr(pymysql, "connect", server.connect)
    return server


def install_group(monkeypatch: pytest.MonkeyPatch, servers: Mapping[str, FakeMySQL]) -> None:
    """Have PyMySQL connect to the servers by their addresses."""
    monkeypatch.setattr(pymysql, "connect", lambda **asked: servers[asked["host"]].connect(**asked))


def view_from(number: int, states: Mapping[int, tuple[str, str]]) -> list[tuple[Any, ...]]:
    """Return the view of member ``number`` (10.0.0.NUMBER) of a group with these states and roles."""
    return [
        (f"uuid{number}", f"uuid{each}", f"10.0.0.{each}", 3306, state, role) for each, (state, role) in states.items()
    ]

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A replication group of MySQL servers as PyMySQL sees it, with just the statements that the core uses."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pymysql
import pytest

MEMBERS = {"group1": "10.0.0.41:3306", "group2": "10.0.0.42:3306", "group3": "10.0.0.43:3306"}


@dataclass
class Server:
    """One server: whether it runs, whether it is in the group, and what it has."""

    name: str
    up: bool = True
    state: str = "OFFLINE"
    gtids: str = ""
    checksum: int | None = 7
    bootstraps: bool = False
    rejoins: int = 0  # whether it tries by itself to come back, and pauses
    locked_by: object = None
    refuses: list[str] = field(default_factory=list)  # what the next START says
    read_only: bool = False  # though it is primary
    offline_mode: bool = False
    forced: str | None = None  # what group_replication_force_members was set to
    stuck: bool = False  # it goes out when it is forced


class FakeGroup:
    """Takes the place of pymysql.connect; ``home`` is who is meant by a socket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, home: str = "group1") -> None:
        self.home = home
        self.servers = {name: Server(name) for name in MEMBERS}
        self.primary: str | None = None
        self.view = 0
        self.groups_made: list[str] = []
        self.lock = threading.RLock()
        self.logins: list[dict[str, Any]] = []
        monkeypatch.setattr(pymysql, "connect", self.connect)

    def form(self) -> None:
        """Put all members into the group; the first one leads."""
        for server in self.servers.values():
            server.state = "ONLINE"
        self.primary, self.view = "group1", len(self.servers)

    def connect(self, **login: Any) -> Connection:
        """Log in to a server that is up."""
        address = f"{login['host']}:{login['port']}"
        name = self.home if login["unix_socket"] else next(n for n, a in MEMBERS.items() if a == address)
        self.logins.append(login)
        if not self.servers[name].up:
            raise pymysql.err.OperationalError(2003, "connection refused")
        return Connection(self, self.servers[name])

    @property
    def inside(self) -> list[Server]:
        """Who is in the group."""
        return [server for server in self.servers.values() if server.state == "ONLINE"]


class Connection:
    """One login; its locks end with it."""

    def __init__(self, group: FakeGroup, server: Server) -> None:
        self.group, self.server = group, server
        self._rows: list[tuple[Any, ...]] = []

    def close(self) -> None:
        if self.server.locked_by is self:
            self.server.locked_by = None

    def cursor(self) -> Connection:
        return self

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        """Answer one statement of the core."""
        with self.group.lock:
            if not self.server.up:
                raise pymysql.err.OperationalError(2013, "Lost connection")
            self._rows = self._answer(statement, values)

    def _answer(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        group, server = self.group, self.server
        if statement.startswith("SELECT @@server_uuid"):
            return [(f"uuid-{server.name}", "the-group", server.gtids, server.rejoins)]
        if statement.startswith("SELECT @@GLOBAL.read_only"):
            read_only = int(server.read_only or server.name != group.primary)
            return [(read_only, read_only, int(server.offline_mode))]
        if "replication_group_members" in statement:
            shown = group.inside if server.state == "ONLINE" else [server]
            return [
                (f"uuid-{s.name}", *MEMBERS[s.name].split(":"), s.state, self._role(s) if s.state == "ONLINE" else "")
                for s in shown
            ]
        if "replication_group_member_stats" in statement:
            return [(f"1:{group.view}" if server.state == "ONLINE" else "",)]
        if statement == "SELECT @@GLOBAL.gtid_executed":
            return [(server.gtids,)]
        if "@@GLOBAL.gtid_executed, GTID_SUBTRACT" in statement:
            return [(server.gtids, "" if server.gtids.startswith(values[0]) else values[0])]
        if "GTID_SUBTRACT" in statement:
            part, whole = values
            return [("" if whole.startswith(part) else part,)]
        if "GET_LOCK" in statement:
            if server.locked_by not in (None, self):
                return [(0,)]
            server.locked_by = self
            return [(1,)]
        if statement.startswith("CHECKSUM TABLE"):
            return [(statement.split()[2], server.checksum)]
        if statement.startswith("SET GLOBAL group_replication_bootstrap_group"):
            server.bootstraps = statement.endswith("ON")
        elif statement == "SELECT @@group_replication_local_address":
            return [(f"{MEMBERS[server.name].partition(':')[0]}:33061",)]
        elif statement == "SET GLOBAL group_replication_force_members = %s":
            self._force(values)
        elif statement == "SET GLOBAL group_replication_force_members = ''":
            server.forced = ""
        elif statement.startswith("START GROUP_REPLICATION"):
            self._start(values)
        elif statement == "STOP GROUP_REPLICATION":
            server.state, server.rejoins = "OFFLINE", 0
            group.view += 1
            if group.primary == server.name:
                group.primary = group.inside[0].name if group.inside else None
        else:
            raise AssertionError(f"the fake knows no {statement}")
        return []

    def _force(self, values: tuple[Any, ...]) -> None:
        if self.server.refuses:
            raise pymysql.err.OperationalError(3092, self.server.refuses.pop(0))
        [self.server.forced] = values
        for other in self.group.inside:
            other.state = "ONLINE" if other is self.server and not self.server.stuck else "OFFLINE"
        self.group.primary = self.server.name

    def _role(self, server: Server) -> str:
        return "PRIMARY" if server.name == self.group.primary else "SECONDARY"

    def _start(self, values: tuple[Any, ...]) -> None:
        group, server = self.group, self.server
        if values != ("lab_group", "hidden-secret"):
            raise AssertionError(f"who is {values}?")
        if server.gtids and group.inside and not group.inside[0].gtids.startswith(server.gtids):
            raise pymysql.err.OperationalError(3092, "The server is not configured properly")
        if server.refuses:
            raise pymysql.err.OperationalError(3092, server.refuses.pop(0))
        if server.bootstraps:
            group.groups_made.append(server.name)
            group.primary, group.view = server.name, 1
        elif not group.inside:
            raise pymysql.err.OperationalError(3092, "there is no group")
        else:
            group.view += 1
            server.gtids = group.inside[0].gtids
        server.state = "ONLINE"

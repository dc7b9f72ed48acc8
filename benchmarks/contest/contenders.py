# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contenders for each system."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

from failover.shapes import LabError
from failover.systems.endpoints import split_endpoint
from failover.systems.loop import AttemptFailedError, FailoverPolicy

from .protocol import PREFIX, Shares
from .sysbench import Sysbench
from .turns import Contender, Programs

WORKER = (sys.executable, str(Path(__file__).with_name("worker.py")))
# How long a member may take to say who leads, in s.
ASK_TIMEOUT_S = 5.0


class Asked(NamedTuple):
    """How contenders are to be made."""

    turns: Sequence[Shares]
    processes: int  # of the lab's own clients


class Made(NamedTuple):
    """The contenders, and why others could not be made."""

    contenders: list[Contender]
    missing: dict[str, str]


def prefix_of(contender: str) -> str:
    """Return the prefix of a contender's keys."""
    return f"{PREFIX}{contender}-"


class Etcd:
    """Contenders for the leader of an etcd cluster.

    :param endpoint: any member
    :param go: the program that go/build makes
    """

    title = "etcd"

    def __init__(self, endpoint: str, go: Path) -> None:
        self._asked = endpoint
        self._go = go
        self.endpoint, self._members = self._leader()
        with closing(HTTPConnection(*split_endpoint(self.endpoint), timeout=ASK_TIMEOUT_S)) as connection:
            connection.request("GET", "/version")
            self.version = str(json.load(connection.getresponse())["etcdserver"])

    def _leader(self) -> tuple[str, list[str]]:
        """Return the leader, and all members."""
        from failover.systems.etcd.driver import EtcdMember

        try:
            with closing(EtcdMember(*split_endpoint(self._asked), FailoverPolicy())) as member:
                membership, leader_id = member.members(), member.leader_id(ASK_TIMEOUT_S)
        except AttemptFailedError as failed:
            raise LabError(f"etcd at {self._asked} does not answer: {failed.reason}") from failed
        leader = next((name for name, member_id in membership.ids.items() if member_id == leader_id), None)
        if leader is None:
            raise LabError(f"etcd at {self._asked} knows no leader; measure a healthy system")
        return membership.clients[leader], list(membership.clients.values())

    @contextmanager
    def contenders(self, asked: Asked) -> Iterator[Made]:
        """Make the contenders; end them afterwards, and remove what they wrote."""
        with ExitStack() as ends:
            ends.callback(self._clean)
            made = Made([], {})
            for name in ("safe", "blind", "grpcio", "etcd3"):
                processes = 1 if name == "etcd3" else asked.processes
                command = (*WORKER, self.title, name, self.endpoint)
                programs = Programs(name, command, asked.turns, prefix_of(name), processes=processes)
                made.contenders.append(ends.enter_context(closing(programs)))
            for name, endpoints in (("clientv3", [self.endpoint]), ("clientv3-all", self._members)):
                if not self._go.is_file():
                    made.missing[name] = f"no program {self._go}; ./benchmarks/go/build makes it"
                    continue
                programs = Programs(name, (str(self._go), ",".join(endpoints)), asked.turns, prefix_of(name))
                made.contenders.append(ends.enter_context(closing(programs)))
            yield made
            if self._leader()[0] != self.endpoint:
                raise LabError(f"{self.endpoint} led etcd when this began, and does no more; measure again")

    def _clean(self) -> None:
        from failover.systems.etcd.keys import FENCES, empty

        for prefix in (PREFIX, f"{FENCES}{PREFIX}"):
            empty([self.endpoint], prefix)


class MySQL:
    """Contenders for a MySQL server."""

    title = "mysql"

    def __init__(self, endpoint: str, user: str, password: str, database: str) -> None:
        self.endpoint = endpoint
        self._account = {"user": user, "password": password, "database": database}
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            self.version = str(cursor.fetchone()[0])

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        from failover.systems.mysql.connect import MySQLAddress, connected

        try:
            with connected(MySQLAddress.of(self.endpoint, self._account, ASK_TIMEOUT_S)) as connection:
                yield connection
        except OSError as error:
            raise LabError(f"MySQL at {self.endpoint} cannot be used: {error.strerror}") from error

    @contextmanager
    def contenders(self, asked: Asked) -> Iterator[Made]:
        """Make the contenders; end them afterwards, and empty the table."""
        user, password, database = self._account.values()
        environment = {**os.environ, "MYSQL_PWD": password}
        with ExitStack() as ends:
            self._clean()
            ends.callback(self._clean)
            made = Made([], {})
            for name in ("safe", "blind", "PyMySQL"):
                processes = 1 if name == "PyMySQL" else asked.processes
                command = (*WORKER, self.title, name, self.endpoint, user, database)
                programs = Programs(
                    name, command, asked.turns, prefix_of(name), processes=processes, environment=environment
                )
                made.contenders.append(ends.enter_context(closing(programs)))
            if shutil.which("sysbench"):
                with self._connection() as connection, connection.cursor() as cursor:
                    sysbench = Sysbench(
                        self.endpoint, (user, password, database), asked.turns, prefix_of(Sysbench.name), cursor.mogrify
                    )
                made.contenders.append(ends.enter_context(closing(sysbench)))
            else:
                made.missing[Sysbench.name] = "no program sysbench; apt-get install sysbench"
            yield made

    def _clean(self) -> None:
        """Make the table where there is none, and empty it."""
        from failover.systems.mysql.keys import NOTEBOOK_CHARS, empty

        empty(self.endpoint, self._account, NOTEBOOK_CHARS)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The MySQL client of the workload, with the same methods, rules and events as the one of etcd.

It talks to a single server, or to the primary of a replication group (Group Replication, single primary).
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .failover_policy import (
    Answer,
    AttemptFailedError,
    FailoverLoop,
    FailoverPolicy,
    OperationResult,
    PassOver,
    discard,
    join_endpoint,
    pass_over_nobody,
    removed,
    split_endpoint,
)
from .group_replication import Seen, State, View
from .mysql_refusals import ANSWERS
from .refusals import NOT_SENT
from .shapes import ClientEmit, Kind, LabError

try:
    import pymysql
    from pymysql import err
except ImportError as error:
    _import_problem: str | None = str(error)
else:
    _import_problem = None

# A table of the name ips: device CHAR(200) PRIMARY KEY, ip CHAR(20).
INSERT = "INSERT INTO ips (device, ip) VALUES (%s, %s)"
SELECT = "SELECT ip FROM ips WHERE device = %s"
DELETE = "DELETE FROM ips WHERE device = %s"

# One member's view of its group.
VIEW = (
    "SELECT @@server_uuid, MEMBER_ID, MEMBER_HOST, MEMBER_PORT, MEMBER_STATE, MEMBER_ROLE "
    "FROM performance_schema.replication_group_members"
)
# A read that the group must let pass: with BEFORE it waits until a message of its own has come back from the group. A
# primary that was partitioned from the others does not know it for 5 s, and sees a whole group; this read
# is never answered there. The server gives it up after wait_timeout, so that such reads do not pile up.
PASS_BEGIN = "SET SESSION group_replication_consistency = 'BEFORE', wait_timeout = 1"
PASS = "SELECT 1 FROM ips LIMIT 1"
PASS_END = "SET SESSION group_replication_consistency = DEFAULT, wait_timeout = DEFAULT"

# How long a member may take to tell its view of the group, in s. It needs no other member for that.
ASK_TIMEOUT_S = 0.1
# Time limits are given to the socket in steps of 1/100 s, and at least one: 0 would mean no limit at all.
LIMIT_STEPS_PER_S = 100

DUPLICATE_KEY = 1062

# Runs a statement with its values: the number of rows affected, and the first row if it has any.
Execute = Callable[[str, tuple[str, ...]], tuple[int, tuple[Any, ...] | None]]


class NotPrimaryError(AttemptFailedError):
    """A member does not take operations now: it said so itself, or does not say anything. Nothing was sent to it.

    :param primary: the member that does, "host:port", where this one knows it
    """

    def __init__(self, reason: str, primary: str | None = None) -> None:
        super().__init__(reason, ambiguous=False)
        self.primary = primary


class MySQLClient:
    """A client of a MySQL server, or of a whole replication group, that reconnects. One thread at a time.

    Connections are made here and nowhere else, so that each new one is counted, timed and emitted. An INSERT that
    finds its key already there, after an ambiguous attempt of its own, reads the row: the same value means that the
    earlier attempt took effect. An attempt ends with its time limit, reconnecting and looking at the row included.

    Of a group only the primary gets operations, reads too. A member is asked for its role whenever a connection was
    made to it and after every failed attempt: it must say itself that it is online, the primary, and with more than
    half of the members, and the group must let a read of it pass (:data:`PASS`). Other members are passed over for as
    long as it takes; where they know the primary, the client goes there next.

    Events beside those of FailoverLoop: ``client.members_discovered`` {endpoint, members} once, ``client.connected``
    {endpoint} for each connection.

    :param seeds: further members as "host:port", asked in this order where the first one does not answer
    :param in_group: whether the server is a member of a replication group; else its group is never asked for
    :param emit: takes the events
    :param jitter_seed: of the jitter of the pauses between attempts
    :raises LabError: where the server or the group cannot be used as it is, now or in the middle of a run
    """

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        database: str,
        *,
        seeds: Sequence[str] = (),
        in_group: bool = False,
        policy: FailoverPolicy = FailoverPolicy(),  # noqa: B008  frozen, so it is safe to share
        emit: ClientEmit = discard,
        jitter_seed: int = 0,
    ) -> None:
        if _import_problem is not None:
            raise LabError(f"the Python package PyMySQL cannot be imported ({_import_problem}); install PyMySQL[rsa]")
        self._user = user
        self._password = password
        self._database = database
        self._in_group = in_group
        self._policy = policy
        self._emit = emit
        self._connections: dict[str, Any] = {}
        self._primary: str | None = None  # the member that was found to be it since the last failure
        given = dict.fromkeys([join_endpoint(host, port), *(join_endpoint(*split_endpoint(each)) for each in seeds)])
        endpoints = self._find_primary(list(given)) if in_group else self._reach_server(next(iter(given)))
        self._loop = FailoverLoop(
            endpoints,
            policy,
            emit,
            jitter_seed,
            why_pass_over=self._why_pass_over if in_group else pass_over_nobody,
            # What the members of a group say of themselves is no guess, and holds for as long as they say it.
            pass_over_s=math.inf,
        )

    @property
    def endpoint(self) -> str:
        """The server that the client talks to, as "host:port"."""
        return self._loop.endpoint

    def put_with_retry(self, key: str, value: str) -> OperationResult:
        """Insert the row of ``key``; a key that is already there is an error of the request, and not retried."""

        def statements(execute: Execute, after_ambiguous: bool) -> Answer:
            try:
                return Answer(affected=execute(INSERT, (key, value))[0])
            except err.IntegrityError as error:
                if not (error.args and error.args[0] == DUPLICATE_KEY and after_ambiguous):
                    raise
            return _settle_duplicate(key, value, execute(SELECT, (key,))[1])

        return self._run(Kind.CREATE, statements)

    def get_with_retry(self, key: str) -> OperationResult:
        """Read the row of ``key``."""

        def statements(execute: Execute, _after_ambiguous: bool) -> Answer:
            row = execute(SELECT, (key,))[1]
            return Answer(read=None if row is None else str(row[0]))

        return self._run(Kind.RETRIEVE, statements)

    def delete_with_retry(self, key: str) -> OperationResult:
        """Delete the row of ``key``; ``affected`` is the number of rows that this deleted, None where not known."""

        def statements(execute: Execute, after_ambiguous: bool) -> Answer:
            return removed(execute(DELETE, (key,))[0], after_ambiguous)

        return self._run(Kind.DELETE, statements)

    def close(self) -> None:
        """Close all connections."""
        for endpoint in list(self._connections):
            self._drop(endpoint)

    def _run(self, kind: Kind, statements: Callable[[Execute, bool], Answer]) -> OperationResult:
        """Run ``statements`` (what runs one, after an ambiguous attempt) in the loop, on a connection that is sound."""

        def attempt(endpoint: str, timeout_s: float, after_ambiguous: bool) -> Answer:
            until = time.monotonic() + timeout_s
            try:
                connection = self._usable(endpoint, until)
            except AttemptFailedError as why:
                raise AttemptFailedError(f"{NOT_SENT}{why.reason}", ambiguous=False, final=why.final) from why
            try:
                return statements(
                    lambda statement, values: _execute(connection, statement, values, until), after_ambiguous
                )
            except err.MySQLError as error:
                failed = failure_of(error)
                if not failed.final:
                    self._drop(endpoint)  # whatever may still come over it belongs to the attempt that failed
                raise failed from error
            except AttemptFailedError as failed:
                if not failed.final:
                    self._drop(endpoint)
                raise

        return self._loop.run(kind, attempt)

    def _reach_server(self, endpoint: str) -> list[str]:
        """Connect to the single server; return it as the only one there is."""
        self.members = {endpoint: endpoint}
        self._emit("client.members_discovered", {"endpoint": endpoint, "members": self.members})
        try:
            self._usable(endpoint, self._one_attempt_from_now())
        except AttemptFailedError as failed:
            raise LabError(
                f"MySQL at {endpoint} does not let user {self._user} into database {self._database}: "
                f"{failed.reason}; is it running, and do account and database exist?"
            ) from failed
        return [endpoint]

    def _find_primary(self, given: list[str]) -> list[str]:
        """Ask one member after the other for the group; return all members, those given too, the primary first."""
        refusals: list[str] = []
        for asked in given:
            try:
                view = self._view(asked, self._one_attempt_from_now())
                if not view.is_working or view.primary is None:
                    raise NotPrimaryError(why_not_primary(view) or "it knows no primary")
                # A member that is away now is not in the view, and may come back.
                endpoints = list(dict.fromkeys([*given, *(member.address for member in view.members)]))
                primary = view.primary.address
                self._usable(primary, self._one_attempt_from_now())
            except AttemptFailedError as failed:
                refusals.append(f"{asked} ({failed.reason})")
                continue
            self.members = {endpoint: endpoint for endpoint in endpoints}
            self._emit("client.members_discovered", {"endpoint": asked, "members": self.members})
            first = endpoints.index(primary)
            for endpoint in endpoints:
                # All up front, so that a failover finds the other connections open.
                with contextlib.suppress(AttemptFailedError):
                    self._connect(endpoint, self._one_attempt_from_now())
            return endpoints[first:] + endpoints[:first]
        raise LabError(
            f"no primary of the replication group lets user {self._user} into database {self._database}: "
            f"{', '.join(refusals)}; are the members running and in their group, and do account and table exist?"
        )

    def _one_attempt_from_now(self) -> float:
        return time.monotonic() + self._policy.attempt_timeout_ms / 1000

    def _why_pass_over(self, endpoint: str) -> PassOver | None:
        """Pass over whoever is not the primary of a group that works."""
        try:
            self._usable(endpoint, self._one_attempt_from_now())
        except AttemptFailedError as failed:
            return PassOver(failed.reason, failed.primary if isinstance(failed, NotPrimaryError) else None)
        return None

    def _usable(self, endpoint: str, until: float) -> Any:
        """Return a connection to ``endpoint`` that may get operations; whatever is against that is definite.

        :param until: end of the time for it, on the monotonic clock
        """
        connection = self._connect(endpoint, until)
        if not self._in_group or endpoint == self._primary:
            return connection
        view = self._view(endpoint, until)
        reason = why_not_primary(view)
        if reason is not None:
            raise NotPrimaryError(reason, view.primary.address if view.is_working and view.primary else None)
        try:
            for statement in (PASS_BEGIN, PASS, PASS_END):
                _execute(connection, statement, (), until)
        except err.MySQLError as error:
            self._drop(endpoint)
            raise NotPrimaryError(f"its group does not let its read pass: {failure_of(error).reason}") from error
        self._primary = endpoint
        return connection

    def _view(self, endpoint: str, until: float) -> View:
        """Ask a member for its view of the group."""
        connection = self._connect(endpoint, until)
        try:
            return read_view(connection, min(until, time.monotonic() + ASK_TIMEOUT_S))
        except err.MySQLError as error:
            self._drop(endpoint)
            raise NotPrimaryError(f"it does not report its view of the group: {failure_of(error).reason}") from error

    def _connect(self, endpoint: str, until: float) -> Any:
        """Return the open connection to ``endpoint``, or a new one.

        Whatever goes wrong in making one is definite: no statement of the operation has been sent.
        """
        connection = self._connections.get(endpoint)
        if connection is not None:
            return connection
        try:
            connection = connect(
                endpoint,
                self._user,
                self._password,
                self._database,
                min(self._policy.connect_timeout_ms / 1000, _left_s(until)),
            )
        except err.MySQLError as error:
            failed = failure_of(error)
            if self._in_group:
                # Also what would be final at a single server: a member that is just being made anew has no accounts.
                raise NotPrimaryError(failed.reason) from error
            raise AttemptFailedError(failed.reason, ambiguous=False, final=failed.final) from error
        self._connections[endpoint] = connection
        self._emit("client.connected", {"endpoint": endpoint})
        return connection

    def _drop(self, endpoint: str) -> None:
        """Close a connection; who the primary is has to be found out again."""
        self._primary = None
        connection = self._connections.pop(endpoint, None)
        if connection is not None:
            with contextlib.suppress(err.MySQLError):  # it is already closed
                connection.close()


class GroupLeader:
    """Finds the primary of a group with as few questions as possible, over connections of its own."""

    def __init__(self, members: Mapping[str, Mapping[str, Any]], account: Mapping[str, str], timeout_s: float) -> None:
        """:param members: name -> {"address": "host:port"}; ``account``: user, password, database."""
        self._names = {str(member["address"]): name for name, member in members.items()}
        self._account = account
        self._timeout_s = timeout_s
        self._connections: dict[str, Any] = {}
        self._last = ""

    def ask(self) -> str | None:
        """Return the primary's name as the first member says that is in a working group; None without one."""
        for endpoint in sorted(self._names, key=lambda endpoint: endpoint != self._last):
            try:
                if endpoint not in self._connections:
                    self._connections[endpoint] = connect(endpoint, **self._account, timeout_s=self._timeout_s)
                view = read_view(self._connections[endpoint], time.monotonic() + self._timeout_s)
            except (err.MySQLError, LabError):
                self._drop(endpoint)
                continue
            if view.is_working and view.primary is not None:
                self._last = view.primary.address
                return self._names.get(view.primary.address)
        return None

    def close(self) -> None:
        """Close the connections."""
        for endpoint in list(self._connections):
            self._drop(endpoint)

    def _drop(self, endpoint: str) -> None:
        connection = self._connections.pop(endpoint, None)
        if connection is not None:
            with contextlib.suppress(err.MySQLError):
                connection.close()


def connect(endpoint: str, user: str, password: str, database: str, timeout_s: float) -> Any:
    """Open a connection to "host:port"; PyMySQL's errors come through.

    :param timeout_s: for the connection, and for each answer of the login
    """
    host, port = split_endpoint(endpoint)
    try:
        return pymysql.connect(
            host=host,
            port=port,
            user=user,
            password=password,
            database=database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=timeout_s,
            read_timeout=timeout_s,
            write_timeout=timeout_s,
            # The etcd side of the comparison is plain, too; TLS on one side would be measured as the system's own.
            ssl_disabled=True,
            program_name="failover-lab",
        )
    except RuntimeError as error:
        # PyMySQL without the package cryptography, at a server that wants the password encrypted.
        raise LabError(f"cannot log in to MySQL at {endpoint}: {error}; install PyMySQL[rsa]") from error


def read_view(connection: Any, until: float) -> View:
    """Ask a server for its view of its group, without asking the group; PyMySQL's errors come through."""
    _limit(connection, until)
    with connection.cursor() as cursor:
        cursor.execute(VIEW, ())
        rows = cursor.fetchall()
    # A server that is in no group may still have a row, of nobody.
    members = tuple(Seen(row[1], join_endpoint(row[2], int(row[3])), row[4], row[5]) for row in rows if row[1])
    own = next((member for member in members if member.uuid == rows[0][0]), None)
    if own is None:
        return View(members=members)
    return View(uuid=own.uuid, state=own.state, role=own.role, members=members)


def why_not_primary(view: View) -> str | None:
    """Say why a member with this view gets no operations; None where it is the primary of a group that works."""
    if view.state == State.OFFLINE:
        return "it is not in a group"
    if view.state != State.ONLINE:
        return f"its state in the group is {view.state}"
    if not view.has_quorum:
        reached = [member for member in view.members if member.state != State.UNREACHABLE]
        return f"it reaches {len(reached)} of {len(view.members)} members of its group"
    if view.role != "PRIMARY":
        primary = view.primary
        return f"it is a secondary of {primary.address}" if primary else "it is a secondary, and knows no primary"
    return None


def failure_of(error: Exception) -> AttemptFailedError:
    """Classify an error of PyMySQL for a statement that was sent; what is not known to be definite is ambiguous."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else None
    text = str(error.args[1]) if len(error.args) > 1 and error.args[1] else str(error)
    reason = f"{type(error).__name__} {number}: {text}" if number else f"{type(error).__name__}: {text}"
    refusal = ANSWERS.get(number) if number is not None else None
    if refusal is not None:
        return AttemptFailedError(reason, ambiguous=False, final=refusal.final)
    if isinstance(error, err.InterfaceError) and not number:  # the connection was known to be closed
        return AttemptFailedError(f"{NOT_SENT}{reason}", ambiguous=False)
    return AttemptFailedError(reason, ambiguous=True)


def _settle_duplicate(key: str, value: str, row: tuple[Any, ...] | None) -> Answer:
    """Decide what a duplicate key after an ambiguous attempt means, from the row that is there now."""
    if row is not None and row[0] == value:
        return Answer()
    if row is None:
        raise AttemptFailedError(f"{key} was a duplicate, and is gone again", ambiguous=True)
    raise AttemptFailedError(f"{key} is already there with another value: {row[0]}", ambiguous=False, final=True)


def _left_s(until: float) -> float:
    """Return the time left, rounded up to whole steps: the socket is told only where the limit is another one."""
    return max(1, math.ceil((until - time.monotonic()) * LIMIT_STEPS_PER_S)) / LIMIT_STEPS_PER_S


def _limit(connection: Any, until: float) -> None:
    """Have the next answer of ``connection`` come by ``until`` (monotonic clock), or end in error 2013.

    PyMySQL takes its time limits for a whole connection only. It reads these two before each use of the socket.
    """
    connection._read_timeout = connection._write_timeout = _left_s(until)


def _execute(
    connection: Any, statement: str, values: tuple[str, ...], until: float
) -> tuple[int, tuple[Any, ...] | None]:
    """Run one statement; return the number of rows affected and the first row, if it has any."""
    _limit(connection, until)
    with connection.cursor() as cursor:
        affected = cursor.execute(statement, values)
        return affected, cursor.fetchone()

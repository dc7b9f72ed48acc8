# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The MySQL client of the workload, with the same methods, rules and events as the one of etcd."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...shapes import LIST_SEPARATOR, ClientEmit, Kind, LabError
from ..base import ClientIdentity, FencedClient
from ..endpoints import join_endpoint
from ..fence import NOWHERE, Change, Moved
from ..loop import (
    Answer,
    Attempt,
    AttemptFailedError,
    FailoverLoop,
    FailoverPolicy,
    OperationResult,
    PassOver,
    changed,
    discard,
)
from ..refusals import NOT_SENT
from .connect import MySQLAddress, connect
from .refusals import ANSWERS

try:
    from pymysql import err
except ImportError as error:
    _import_problem: str | None = str(error)
else:
    _import_problem = None

# The tables are described in keys: ips of the workload's data, fences of one fence a client.
INSERT = "INSERT INTO ips (device, ip) VALUES (%s, %s)"
UPDATE = "UPDATE ips SET ip = %s WHERE device = %s AND ip = %s"
DELETE = "DELETE FROM ips WHERE device = %s"
SELECT = "SELECT ip FROM ips WHERE device = %s"
# What a CAS finds: the row as it is, which the UPDATE before has locked.
SELECT_NOW = f"{SELECT} FOR SHARE"

MAKE_FENCE = "INSERT IGNORE INTO fences (name, stands_at, attempt) VALUES (%s, '', '')"
MOVE_FENCE = "UPDATE fences SET stands_at = %s, attempt = %s WHERE name = %s AND stands_at = %s"
FIND_FENCE = "SELECT stands_at FROM fences WHERE name = %s FOR SHARE"
# A change behind MOVE_FENCE is made only where that moved the fence: then, and only then, the row has this attempt. Not
# ROW_COUNT(), the number that the statement before affected: it is -1 where that statement's answer could not be sent,
# and a server that was frozen, and goes on when its client has gone away, would move the fence without the change.
OF_ATTEMPT = "FROM fences WHERE name = %s AND attempt = %s"
INSERT_IF_MOVED = f"INSERT INTO ips (device, ip) SELECT %s, %s {OF_ATTEMPT}"
IF_MOVED = f"EXISTS (SELECT * {OF_ATTEMPT})"

# Time limits are given to the socket in steps of 1/100 s, and at least one: 0 would mean no limit at all.
LIMIT_STEPS_PER_S = 100

DUPLICATE_KEY = 1062
# The server has rolled back the whole transaction, and its connection is as good as before.
DEADLOCK = 1213

# A statement and its values.
Statement = tuple[str, tuple[str, ...]]
# Runs a statement with its values: the number of rows affected, and the first row if it has any.
Execute = Callable[[str, tuple[str, ...]], tuple[int, tuple[Any, ...] | None]]


class MySQLClient(FencedClient):
    """A client of a MySQL server that reconnects. One thread at a time.

    Connections are made here and nowhere else, so that each new one is counted, timed and emitted. An attempt ends with
    its time limit, reconnecting and looking at a row included.

    Under the retry policy ``safe`` a write is one transaction, sent at once, that moves the client's fence and changes
    its row: a server that was frozen with it in its buffer executes all of it or nothing. Otherwise an INSERT that
    finds its key already there, after an ambiguous attempt of its own, reads the row: the same value means that the
    earlier attempt took effect.

    Events beside those of FailoverLoop and Fence: ``client.members_discovered`` {endpoint, members} once,
    ``client.connected`` {endpoint} for each connection.

    :param emit: takes the events
    :param identity: whose fence it moves
    :raises LabError: where the server cannot be used as it is, now or in the middle of a run
    """

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        database: str,
        *,
        policy: FailoverPolicy = FailoverPolicy(),  # noqa: B008  frozen, so it is safe to share
        emit: ClientEmit = discard,
        identity: ClientIdentity = ClientIdentity("client"),  # noqa: B008  frozen, as the policy
    ) -> None:
        if _import_problem is not None:
            raise LabError(f"the Python package PyMySQL cannot be imported ({_import_problem}); install PyMySQL[rsa]")
        self._account = {"user": user, "password": password, "database": database}
        self._policy = policy
        self._emit = emit
        self._connections: dict[str, Any] = {}
        self._loop = FailoverLoop(
            self._discover(join_endpoint(host, port)),
            policy,
            emit,
            identity.jitter_seed,
            why_pass_over=self._why_pass_over,
            # What servers say of themselves is no guess, and holds for as long as they say it.
            pass_over_s=math.inf,
        )
        self._fence_name = identity.name
        self._moves = 0  # of the fence, those that failed too: each is an attempt of its own
        self._raise_fence(policy, identity, self._move, emit)

    @property
    def endpoint(self) -> str:
        """The server that the client talks to, as "host:port"."""
        return self._loop.endpoint

    def get_with_retry(self, key: str) -> OperationResult:
        """Read the row of ``key``."""

        def statements(execute: Execute, _after_ambiguous: bool) -> Answer:
            row = execute(SELECT, (key,))[1]
            return Answer(read=None if row is None else str(row[0]))

        attempt = self._attempting(statements)
        return self._read(attempt)

    def _unfenced(self, change: Change) -> Attempt:
        """Return an attempt at a change: each statement is a transaction, but for a CAS, which is one of two."""

        def statements(execute: Execute, after_ambiguous: bool) -> Answer:
            if change.kind is Kind.CREATE:
                return self._create(change, execute, after_ambiguous)
            count = execute(*statement_for(change))[0]
            return changed(count, after_ambiguous) if change.kind is Kind.DELETE else Answer()

        def compare_and_set(endpoint: str, timeout_s: float, after_ambiguous: bool) -> Answer:
            until = time.monotonic() + timeout_s
            with self._sound(endpoint, until, in_transaction=True) as connection:
                done, found = execute_together(connection, _with_look(change, [statement_for(change)]), until)
            return changed(done[0], after_ambiguous, read=None if done[0] or found is None else str(found[0]))

        return compare_and_set if change.kind is Kind.CAS else self._attempting(statements)

    def _create(self, change: Change, execute: Execute, after_ambiguous: bool) -> Answer:
        """Insert a row; a key that is already there is an error of the request, and not retried."""
        try:
            return Answer(affected=execute(*statement_for(change))[0])
        except err.IntegrityError as error:
            if not (error.args and error.args[0] == DUPLICATE_KEY and after_ambiguous):
                raise
        assert change.value is not None
        return _settle_duplicate(change.key, change.value, execute(SELECT, (change.key,))[1])

    def close(self) -> None:
        """Close all connections."""
        for endpoint in list(self._connections):
            self._drop(endpoint)

    def _attempting(self, statements: Callable[[Execute, bool], Answer]) -> Attempt:
        """Return an attempt that runs ``statements`` (what runs one, after an ambiguous attempt), each by itself."""

        def attempt(endpoint: str, timeout_s: float, after_ambiguous: bool) -> Answer:
            until = time.monotonic() + timeout_s
            with self._sound(endpoint, until) as connection:
                return statements(
                    lambda statement, values: execute(connection, statement, values, until), after_ambiguous
                )

        return attempt

    def _move(self, endpoint: str, timeout_s: float, at: str, to: str, change: Change | None) -> Moved:
        """Move the client's fence, a row of its own, and make a change with it in one transaction."""
        until = time.monotonic() + timeout_s
        name = self._fence_name
        self._moves += 1
        attempt = f"{to}/{self._moves}"
        statements: list[Statement] = [(MOVE_FENCE, (to, attempt, name, at))]
        if change is not None:
            statements = _with_look(change, [*statements, statement_for(change, (name, attempt))])
        with self._sound(endpoint, until, in_transaction=True) as connection:
            if at == NOWHERE:
                execute(connection, MAKE_FENCE, (name,), until)
            counts, looked = execute_together(connection, statements, until)
            if counts[0] == 1:
                if change is None or change.kind in (Kind.WRITE, Kind.APPEND):
                    return Moved(True)
                found = None if counts[1] or looked is None else str(looked[0])
                return Moved(True, affected=counts[1], read=found)
            # It stood elsewhere when the transaction looked, and this server's rows do not go back.
            row = execute(connection, FIND_FENCE, (name,), until)[1]
            return Moved(False, NOWHERE if row is None else str(row[0]))

    @contextlib.contextmanager
    def _sound(self, endpoint: str, until: float, *, in_transaction: bool = False) -> Iterator[Any]:
        """Lend a connection for statements; PyMySQL's errors become failed attempts.

        :param in_transaction: an error may leave one open; the connection goes with it, and the server rolls it back
        """
        try:
            connection = self._usable(endpoint, until)
        except AttemptFailedError as why:
            raise AttemptFailedError(f"{NOT_SENT}{why.reason}", ambiguous=False, final=why.final) from why
        try:
            yield connection
        except err.MySQLError as error:
            failed = failure_of(error)
            if not failed.crossed and (in_transaction or not failed.final):
                self._drop(endpoint)  # whatever may still come over it belongs to the attempt that failed
            raise failed from error
        except AttemptFailedError as failed:
            if in_transaction or not failed.final:
                self._drop(endpoint)
            raise

    def _discover(self, endpoint: str) -> list[str]:
        """Connect to the server; return it as the only one there is."""
        self.members = {endpoint: endpoint}
        self._emit("client.members_discovered", {"endpoint": endpoint, "members": self.members})
        until = time.monotonic() + self._policy.operation_budget_ms / 1000
        while (failed := self._why_unusable(endpoint)) is not None:
            # A thousand clients that log in one after the other keep a server busy.
            if failed.final or time.monotonic() >= until:
                raise LabError(
                    f"MySQL at {endpoint} does not let user {self._account['user']} into database "
                    f"{self._account['database']}: {failed.reason}; is it running, and do account and database exist?"
                )
            time.sleep(self._policy.backoff_most_ms / 1000)
        return [endpoint]

    def _why_unusable(self, endpoint: str) -> AttemptFailedError | None:
        """Try once to get a connection for operations; say why there is none."""
        try:
            self._usable(endpoint, self._one_attempt_from_now())
        except AttemptFailedError as failed:
            return failed
        return None

    def _why_pass_over(self, endpoint: str) -> PassOver | None:
        """Say why a request to a server would be lost now; of a single one nobody else would take it."""
        return None

    def _one_attempt_from_now(self) -> float:
        return time.monotonic() + self._policy.attempt_timeout_ms / 1000

    def _usable(self, endpoint: str, until: float) -> Any:
        """Return a connection to ``endpoint`` that may get operations; whatever is against that is definite.

        :param until: end of the time for it, on the monotonic clock
        """
        return self._connect(endpoint, until)

    def _connect(self, endpoint: str, until: float) -> Any:
        """Return the open connection to ``endpoint``, or a new one.

        Whatever goes wrong in making one is definite: no statement of the operation has been sent.
        """
        connection = self._connections.get(endpoint)
        if connection is not None:
            return connection
        try:
            connection = log_in(endpoint, self._account, min(self._policy.connect_timeout_ms / 1000, left_s(until)))
        except err.MySQLError as error:
            raise self._not_connected(failure_of(error)) from error
        self._connections[endpoint] = connection
        self._emit("client.connected", {"endpoint": endpoint})
        return connection

    def _not_connected(self, failed: AttemptFailedError) -> AttemptFailedError:
        """Return what a connection that could not be made means for an attempt."""
        return AttemptFailedError(failed.reason, ambiguous=False, final=failed.final)

    def _drop(self, endpoint: str) -> None:
        """Close a connection."""
        connection = self._connections.pop(endpoint, None)
        if connection is not None:
            with contextlib.suppress(err.MySQLError):  # it is already closed
                connection.close()


def log_in(endpoint: str, account: Mapping[str, str], timeout_s: float) -> Any:
    """Open a connection to "host:port"; PyMySQL's errors come through.

    :param account: user, password, database
    :param timeout_s: for the connection, and for each answer of the login
    """
    try:
        # The etcd side of the comparison is plain, too; TLS on one side would be measured as the system's own.
        return connect(replace(MySQLAddress.of(endpoint, account, timeout_s), plain=True, several_at_once=True))
    except RuntimeError as error:
        # PyMySQL without the package cryptography, at a server that wants the password encrypted.
        raise LabError(f"cannot log in to MySQL at {endpoint}: {error}; install PyMySQL[rsa]") from error


def failure_of(error: Exception) -> AttemptFailedError:
    """Classify an error of PyMySQL for a statement that was sent; what is not known to be definite is ambiguous."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else None
    text = str(error.args[1]) if len(error.args) > 1 and error.args[1] else str(error)
    reason = f"{type(error).__name__} {number}: {text}" if number else f"{type(error).__name__}: {text}"
    refusal = ANSWERS.get(number) if number is not None else None
    if refusal is not None:
        return AttemptFailedError(reason, ambiguous=False, final=refusal.final, crossed=number == DEADLOCK)
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


def left_s(until: float) -> float:
    """Return the time left, rounded up to whole steps: the socket is told only where the limit is another one."""
    return max(1, math.ceil((until - time.monotonic()) * LIMIT_STEPS_PER_S)) / LIMIT_STEPS_PER_S


def limit(connection: Any, until: float) -> None:
    """Have the next answer of ``connection`` come by ``until`` (monotonic clock), or end in error 2013.

    PyMySQL takes its time limits for a whole connection only. It reads these two before each use of the socket.
    """
    connection._read_timeout = connection._write_timeout = left_s(until)


def execute(
    connection: Any, statement: str, values: tuple[str, ...], until: float
) -> tuple[int, tuple[Any, ...] | None]:
    """Run one statement; return the number of rows affected and the first row, if it has any."""
    limit(connection, until)
    with connection.cursor() as cursor:
        affected = cursor.execute(statement, values)
        return affected, cursor.fetchone()


def execute_together(
    connection: Any, statements: Sequence[Statement], until: float
) -> tuple[list[int], tuple[Any, ...] | None]:
    """Run statements as one transaction, sent at once; return the rows that each affected, and the last one's first.

    The server stops at the first error, which leaves the transaction open.
    """
    limit(connection, until)
    texts = ["START TRANSACTION", *(statement for statement, _ in statements), "COMMIT"]
    values = tuple(value for _, given in statements for value in given)
    counts = []
    row: tuple[Any, ...] | None = None
    with connection.cursor() as cursor:
        cursor.execute("; ".join(texts), values)
        for _ in statements:
            limit(connection, until)
            cursor.nextset()
            counts.append(int(cursor.rowcount))
            row = cursor.fetchone()
        limit(connection, until)
        cursor.nextset()  # the COMMIT's
    return counts, row


def statement_for(change: Change, moved: tuple[str, str] | None = None) -> Statement:
    """Return what makes a change, and its values.

    :param moved: a fence and the attempt that has to have moved it; without one the change is made in any case
    """
    key, value = change.key, change.value
    also = "" if moved is None else f" AND {IF_MOVED}"
    if value is None:
        return f"{DELETE}{also}", (key, *(moved or ()))
    if change.kind is Kind.CAS:
        return f"{UPDATE}{also}", (value, key, str(change.expected), *(moved or ()))
    new_row = INSERT if moved is None else INSERT_IF_MOVED
    if change.kind is Kind.CREATE:
        return new_row, (key, value, *(moved or ()))
    longer = f"CONCAT(ips.ip, '{LIST_SEPARATOR}', %s)" if change.kind is Kind.APPEND else "%s"
    return f"{new_row} ON DUPLICATE KEY UPDATE ip = {longer}", (key, value, *(moved or ()), value)


def _with_look(change: Change, statements: list[Statement]) -> list[Statement]:
    """Return the statements of a change, with a look behind that of a CAS: its answer has what it found."""
    return [*statements, (SELECT_NOW, (change.key,))] if change.kind is Kind.CAS else statements

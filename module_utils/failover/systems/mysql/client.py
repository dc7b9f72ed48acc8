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

from ...shapes import LIST_SEPARATOR, ClientEmit, Kind, LabError, LastingError, Outcome
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
from .connect import MySQLAddress, connect, handshake_of
from .deadline import keep_limits, leave_time, left_s, limit
from .refusals import ANSWERS

try:
    from pymysql import err
except ImportError as error:
    _import_problem: str | None = str(error)
else:
    _import_problem = None

# The tables are described in keys: ips of the workload's data, voided of writes that were settled.
INSERT = "INSERT INTO ips (device, ip) VALUES (%s, %s)"
UPDATE = "UPDATE ips SET ip = %s WHERE device = %s AND ip = %s"
DELETE = "DELETE FROM ips WHERE device = %s"
SELECT = "SELECT ip FROM ips WHERE device = %s"
SCAN = "SELECT device, ip FROM ips WHERE device >= %s ORDER BY device LIMIT %s"
# What a CAS finds: the row as it is, which the UPDATE before has locked.
SELECT_NOW = f"{SELECT} FOR SHARE"
BEGIN, COMMIT = "START TRANSACTION", "COMMIT"

# The fence of a write is its transaction's GTID, which the client chooses: a server, or a group, executes one
# transaction of a GTID at most, and skips the statements of any other. It waits where another session is about to.
# https://dev.mysql.com/doc/refman/9.7/en/replication-options-gtids.html#sysvar_gtid_next
TAKE_GTID = "SET SESSION gtid_next = %s"
LEAVE_GTID = "SET SESSION gtid_next = AUTOMATIC"
# Empty where the GTID was used before.
OWNED = "SELECT @@SESSION.gtid_owned"
# A transaction that uses up the GTID of a write in doubt is to be told from the write itself.
VOID = "INSERT INTO voided (gtid) VALUES (%s)"
FIND_VOIDED = "SELECT gtid FROM voided WHERE gtid = %s"
# In front of a fence's ids, so that they become UUIDs: the letters "failover".
UUID_OF_IDS = "6661696c-6f76-6572-8000-"

DUPLICATE_KEY = 1062
# The server has rolled back the whole transaction, and its connection is as good as before.
DEADLOCK = 1213

# A statement and its values.
Statement = tuple[str, tuple[str, ...]]
# The number of rows that a statement affected, and the first row if it has any.
Result = tuple[int, tuple[Any, ...] | None]
# Runs a statement with its values.
Execute = Callable[[str, tuple[str, ...]], Result]


class MySQLClient(FencedClient):
    """A client of a MySQL server that reconnects. One thread at a time.

    Connections are made here and nowhere else, so that each new one is counted, timed and emitted. An attempt ends with
    its time limit, looking at a row included; to log in has one for each answer, so that it succeeds at a slow server,
    too. Where it took so long that too little is left for a statement, that is left to the next attempt.

    Under the retry policy ``safe`` all attempts of a write are transactions of one GTID, of which the server executes
    one at most; a write that is settled as not applied has its GTID used up by another transaction. Otherwise an INSERT
    that finds its key already there, after an ambiguous attempt of its own, reads the row: the same value means that
    the earlier attempt took effect.

    Events beside those of FailoverLoop and Fence: ``client.members_discovered`` {endpoint, members} once,
    ``client.connected`` {endpoint} for each connection, and ``client.secured`` {endpoint, handshake_ms, resumed} for
    each over TLS.

    :param emit: takes the events
    :param identity: whose fence it moves
    :param ca: file with the certificate of the authority that signs the server's; empty: without TLS
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
        ca: str = "",
    ) -> None:
        if _import_problem is not None:
            raise LastingError(
                f"the Python package PyMySQL cannot be imported ({_import_problem}); install PyMySQL[rsa]"
            )
        self._account = {"user": user, "password": password, "database": database}
        self._ca = ca
        self._policy = policy
        self._emit = emit
        self._connections: dict[str, Any] = {}
        self._loop = FailoverLoop(
            self._discover(join_endpoint(host, port)),
            policy,
            emit,
            identity.jitter_seed,
            why_pass_over=self._why_pass_over,
            # No guess that may be wrong: who is passed over would get nothing in an attempt either.
            pass_over_s=math.inf,
            steering=identity.steering,
        )
        # The write that was sent last: of all of them, the only one that can be in doubt.
        self._sent = NOWHERE if identity.doubt is None else identity.doubt.to
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

    def scan_with_retry(self, _prefix: str, key: str, count: int) -> OperationResult:
        """Read rows; the table is the experiment's alone."""

        def attempt(endpoint: str, timeout_s: float, _after_ambiguous: bool) -> Answer:
            until = time.monotonic() + timeout_s
            with self._sound(endpoint, until) as connection, connection.cursor() as cursor:
                limit(connection, until)
                cursor.execute(SCAN, (key, count))
                rows = cursor.fetchall()
                return Answer(str(rows[-1][0]) if rows else None, len(rows))

        return self._read(attempt, Kind.SCAN)

    def change_with_retry(self, change: Change) -> OperationResult:
        """Make a write of any kind; behind a fence, one that took effect or may have says its GTID."""
        result = super().change_with_retry(change)
        if self._fence is None or result.outcome == Outcome.FAIL:
            return result
        return result._replace(transaction=gtid_of(self._sent))

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
                affected, found = result_of(change, execute_together(connection, in_transaction(change), until))
            assert affected is not None
            return changed(affected, after_ambiguous, read=found)

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

    def _move(self, endpoint: str, timeout_s: float, _at: str, to: str, change: Change | None) -> Moved:
        """Make a change in a transaction of the id's GTID; without a change, use up the GTID of the write before it."""
        until = time.monotonic() + timeout_s
        if change is None:
            return self._void(endpoint, until, to)
        again, self._sent = self._sent == to, to
        taking = [(TAKE_GTID, (gtid_of(to),)), *([(OWNED, ())] if again else [])]
        with self._sound(endpoint, until, in_transaction=True) as connection:
            results = execute_together(connection, [*taking, *in_transaction(change)], until)
            if again and not _owned(results[1]):
                return Moved(False, to)
            if change.kind is not Kind.CAS and results[-1][0] == 0:
                execute(connection, COMMIT, (), until)  # uses up the GTID of a write that changed nothing
        affected, found = result_of(change, results[len(taking) :])
        return Moved(True, affected=affected, read=found)

    def _void(self, endpoint: str, until: float, to: str) -> Moved:
        """Use up the GTID of the write that was sent last, or find out which transaction has."""
        with self._sound(endpoint, until, in_transaction=True) as connection:
            if self._sent == NOWHERE:  # the first transaction shows whether the account may choose GTIDs
                execute_together(connection, [(TAKE_GTID, (gtid_of(to),)), (COMMIT, ())], until)
                return Moved(True)
            gtid = gtid_of(self._sent)
            results = execute_together(connection, [(TAKE_GTID, (gtid,)), (OWNED, ()), (VOID, (gtid,))], until)
            if _owned(results[1]):
                return Moved(True)
            found = execute_together(connection, [(LEAVE_GTID, ()), (FIND_VOIDED, (gtid,))], until)
            return Moved(False, self._sent if found[1][1] is None else to)

    @contextlib.contextmanager
    def _sound(self, endpoint: str, until: float, *, in_transaction: bool = False) -> Iterator[Any]:
        """Lend a connection for statements; PyMySQL's errors become failed attempts.

        :param in_transaction: an error may leave one open; the connection goes with it, and the server rolls it back
        """
        began_s = time.monotonic()
        try:
            connection = self._usable(endpoint, until)
            leave_time(began_s, until)
        except AttemptFailedError as why:
            raise AttemptFailedError(
                f"{NOT_SENT}{why.reason}", ambiguous=False, final=why.final, crossed=why.crossed
            ) from why
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
            connection = log_in(
                endpoint, self._account, min(self._policy.connect_timeout_ms / 1000, left_s(until)), self._ca
            )
        except err.MySQLError as error:
            raise self._not_connected(failure_of(error)) from error
        self._connections[endpoint] = connection
        if self._ca:
            self._emit("client.secured", {"endpoint": endpoint, **handshake_of(connection)})
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


def log_in(endpoint: str, account: Mapping[str, str], timeout_s: float, ca: str = "") -> Any:
    """Open a connection to "host:port"; PyMySQL's errors come through.

    :param account: user, password, database
    :param timeout_s: for the connection, and for each answer of the login
    :param ca: as of :class:`MySQLClient`
    """
    try:
        # Without an authority the etcd side of the comparison is plain, too; TLS on one side would be measured as the
        # system's own.
        address = MySQLAddress.of(endpoint, account, timeout_s, ca=ca)
        connection = connect(replace(address, plain=not ca, several_at_once=True))
    except RuntimeError as error:
        # PyMySQL without the package cryptography, at a server that wants the password encrypted.
        raise LastingError(f"cannot log in to MySQL at {endpoint}: {error}; install PyMySQL[rsa]") from error
    keep_limits(connection)
    return connection


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


def execute(connection: Any, statement: str, values: tuple[str, ...], until: float) -> Result:
    """Run one statement; return the number of rows affected and the first row, if it has any."""
    return execute_together(connection, [(statement, values)], until)[0]


def execute_together(connection: Any, statements: Sequence[Statement], until: float) -> list[Result]:
    """Run statements, sent at once; return the result of each.

    The server stops at the first error, which leaves a transaction open.
    """
    values = tuple(value for _, given in statements for value in given)
    results: list[Result] = []
    with connection.cursor() as cursor:
        limit(connection, until)
        affected = cursor.execute("; ".join(statement for statement, _ in statements), values)
        results.append((affected, cursor.fetchone()))
        for _ in statements[1:]:
            limit(connection, until)
            cursor.nextset()
            results.append((int(cursor.rowcount), cursor.fetchone()))
    return results


def gtid_of(fence_id: str) -> str:
    """Return the GTID of a fence's id, which is "series-number" with a series of 12 hexadecimal digits."""
    return UUID_OF_IDS + fence_id.replace("-", ":")


def _owned(result: Result) -> bool:
    """Say whether the session has taken the GTID; by the result of OWNED."""
    return result[1] is not None and result[1][0] != ""


def statement_for(change: Change) -> Statement:
    """Return what makes a change, and its values."""
    key, value = change.key, change.value
    if value is None:
        return DELETE, (key,)
    if change.kind is Kind.CAS:
        return UPDATE, (value, key, str(change.expected))
    if change.kind is Kind.CREATE:
        return INSERT, (key, value)
    longer = f"CONCAT(ips.ip, '{LIST_SEPARATOR}', %s)" if change.kind is Kind.APPEND else "%s"
    return f"{INSERT} ON DUPLICATE KEY UPDATE ip = {longer}", (key, value, value)


def in_transaction(change: Change) -> list[Statement]:
    """Return the statements that make a change as one transaction.

    One statement is a transaction by itself, but a CAS is one and a look.
    """
    made = statement_for(change)
    return [(BEGIN, ()), made, (SELECT_NOW, (change.key,)), (COMMIT, ())] if change.kind is Kind.CAS else [made]


def result_of(change: Change, results: Sequence[Result]) -> tuple[int | None, str | None]:
    """Return the rows that a change affected, and what a CAS found instead of the value that it expected.

    :param results: of the statements of :func:`in_transaction`
    """
    if change.kind in (Kind.WRITE, Kind.APPEND):
        return None, None  # affected are one row or two
    if change.kind is not Kind.CAS:
        return results[0][0], None
    (affected, _), (_, looked) = results[1:3]
    return affected, None if affected or looked is None else str(looked[0])

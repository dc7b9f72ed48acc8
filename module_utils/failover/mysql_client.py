# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The MySQL client of the workload, with the same methods, rules and events as the one of etcd."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from .failover_policy import (
    Answer,
    AttemptFailedError,
    Emit,
    FailoverLoop,
    FailoverPolicy,
    OperationResult,
    discard,
    join_endpoint,
    removed,
)
from .shapes import Kind, LabError

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

DUPLICATE_KEY = 1062
# Numbers of errors after which the server has certainly not applied the statement, and which may pass or not be so on
# another server (MySQL 9 error reference, server errors).
_DEFINITE = {
    1040,  # too many connections
    1205,  # lock wait timeout: the statement, with autocommit the transaction, is rolled back
    1213,  # deadlock: rolled back
    1290,  # read only (--read-only, --super-read-only)
    1836,  # read only mode
    3101,  # Group Replication rolled the transaction back
    4031,  # the connection had been closed for inactivity
}
# Wrong account, host or rights: the same after every retry.
_FINAL = {1044, 1045, 1049, 1130, 1142, 1143, 1227}


class MySQLClient:
    """A client of a MySQL server that reconnects after failures. One thread at a time.

    Connections are made here and nowhere else, so that each new one is counted, timed and emitted. An INSERT that
    finds its key already there, after an ambiguous attempt of its own, reads the row: the same value means that the
    earlier attempt took effect. PyMySQL's time limits are those of a connection, and hold for each read and write of
    the socket, so an operation may outlive its budget by the length of one attempt or two.

    Events beside those of FailoverLoop: ``client.members_discovered`` {endpoint, members} once, ``client.connected``
    {endpoint} for each connection.

    :param emit: takes the events
    :param jitter_seed: of the jitter of the pauses between attempts
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
        emit: Emit = discard,
        jitter_seed: int = 0,
    ) -> None:
        if _import_problem is not None:
            raise LabError(f"the Python package PyMySQL cannot be imported ({_import_problem}); install PyMySQL[rsa]")
        self._user = user
        self._password = password
        self._database = database
        self._policy = policy
        self._emit = emit
        endpoint = join_endpoint(host, port)
        self._addresses = {endpoint: (host, port)}
        self._connections: dict[str, Any] = {}
        self._loop = FailoverLoop(list(self._addresses), policy, emit, jitter_seed)
        self.members = {endpoint: endpoint}
        emit("client.members_discovered", {"endpoint": endpoint, "members": self.members})
        try:
            self._connection(endpoint)
        except AttemptFailedError as failed:
            raise LabError(
                f"MySQL at {endpoint} does not take user {user} into database {database}: {failed.reason}; is it "
                "running, and do account and database exist?"
            ) from failed

    @property
    def endpoint(self) -> str:
        """The server that the client talks to, as "host:port"."""
        return self._loop.endpoint

    def put_with_retry(self, key: str, value: str) -> OperationResult:
        """Insert the row of ``key``; a key that is already there is an error of the request, and not retried."""

        def statements(connection: Any, after_ambiguous: bool) -> Answer:
            try:
                return Answer(affected=_execute(connection, INSERT, (key, value))[0])
            except err.IntegrityError as error:
                if not (error.args and error.args[0] == DUPLICATE_KEY and after_ambiguous):
                    raise
            return _settle_duplicate(key, value, _execute(connection, SELECT, (key,))[1])

        return self._run(Kind.CREATE, statements)

    def get_with_retry(self, key: str) -> OperationResult:
        """Read the row of ``key``."""

        def statements(connection: Any, _after_ambiguous: bool) -> Answer:
            row = _execute(connection, SELECT, (key,))[1]
            return Answer(read=None if row is None else str(row[0]))

        return self._run(Kind.RETRIEVE, statements)

    def delete_with_retry(self, key: str) -> OperationResult:
        """Delete the row of ``key``; ``affected`` is the number of rows that this deleted, None where not known."""

        def statements(connection: Any, after_ambiguous: bool) -> Answer:
            return removed(_execute(connection, DELETE, (key,))[0], after_ambiguous)

        return self._run(Kind.DELETE, statements)

    def close(self) -> None:
        """Close all connections."""
        for endpoint in list(self._connections):
            self._drop(endpoint)

    def _run(self, kind: Kind, statements: Callable[[Any, bool], Answer]) -> OperationResult:
        """Run ``statements`` (connection, after an ambiguous attempt) in the loop, on a connection that is sound."""

        def attempt(endpoint: str, _timeout_s: float, after_ambiguous: bool) -> Answer:
            connection = self._connection(endpoint)
            try:
                return statements(connection, after_ambiguous)
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

    def _connection(self, endpoint: str) -> Any:
        """Return the open connection to ``endpoint``, or a new one.

        Whatever goes wrong in making one is definite: no statement of the operation has been sent.
        """
        connection = self._connections.get(endpoint)
        if connection is not None:
            return connection
        host, port = self._addresses[endpoint]
        timeout_s = self._policy.attempt_timeout_ms / 1000
        try:
            connection = pymysql.connect(
                host=host,
                port=port,
                user=self._user,
                password=self._password,
                database=self._database,
                charset="utf8mb4",
                autocommit=True,
                connect_timeout=self._policy.connect_timeout_ms / 1000,
                read_timeout=timeout_s,
                write_timeout=timeout_s,
                # The etcd side of the comparison is plain, too; TLS on one side would be measured as the system's own.
                ssl_disabled=True,
                program_name="failover-lab",
            )
        except err.MySQLError as error:
            failed = failure_of(error)
            raise AttemptFailedError(failed.reason, ambiguous=False, final=failed.final) from error
        except RuntimeError as error:
            # PyMySQL without the package cryptography, at a server that wants the password encrypted.
            raise LabError(f"cannot log in to MySQL at {endpoint}: {error}; install PyMySQL[rsa]") from error
        self._connections[endpoint] = connection
        self._emit("client.connected", {"endpoint": endpoint})
        return connection

    def _drop(self, endpoint: str) -> None:
        connection = self._connections.pop(endpoint, None)
        if connection is not None:
            with contextlib.suppress(err.MySQLError):  # it is already closed
                connection.close()


def failure_of(error: Exception) -> AttemptFailedError:
    """Classify an error of PyMySQL for a statement that was sent; what is not known to be definite is ambiguous."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else None
    text = str(error.args[1]) if len(error.args) > 1 and error.args[1] else str(error)
    reason = f"{type(error).__name__} {number}: {text}" if number else f"{type(error).__name__}: {text}"
    if number in _DEFINITE:
        return AttemptFailedError(reason, ambiguous=False)
    if number in _FINAL or isinstance(
        error, err.ProgrammingError | err.DataError | err.IntegrityError | err.NotSupportedError
    ):
        return AttemptFailedError(reason, ambiguous=False, final=True)
    # InterfaceError: the connection was known to be closed, nothing was sent.
    return AttemptFailedError(reason, ambiguous=not isinstance(error, err.InterfaceError))


def _settle_duplicate(key: str, value: str, row: tuple[Any, ...] | None) -> Answer:
    """Decide what a duplicate key after an ambiguous attempt means, from the row that is there now."""
    if row is not None and row[0] == value:
        return Answer()
    if row is None:
        raise AttemptFailedError(f"{key} was a duplicate, and is gone again", ambiguous=True)
    raise AttemptFailedError(f"{key} is already there with another value: {row[0]}", ambiguous=False, final=True)


def _execute(connection: Any, statement: str, values: tuple[str, ...]) -> tuple[int, tuple[Any, ...] | None]:
    """Run one statement; return the number of rows affected and the first row, if it has any."""
    with connection.cursor() as cursor:
        affected = cursor.execute(statement, values)
        return affected, cursor.fetchone()

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The client of MySQL: the same three operations, over PyMySQL, with the failover loop of all systems.

CREATE is an INSERT, RETRIEVE a SELECT, DELETE a DELETE, each one statement and, with autocommit, one transaction.
Statements have parameters; connections are made explicitly and never come back silently (``ping`` is not used).

Connections have no TLS: the etcd side is plain, too, and encrypting one of the two would be measured. A password then
travels under the server's RSA key (caching_sha2_password), for which PyMySQL needs the package cryptography.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from .failover_policy import AttemptFailedError, AttemptResult, Emit, FailoverClient, FailoverPolicy, emit_nothing
from .shapes import LabError

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

_import_error: ImportError | None = None
try:
    import pymysql
except ImportError as error:
    _import_error = error

TABLE = "ips"
# The notebook's table. Keys compare by their bytes, as etcd's do; MySQL's default would take "a" and "A" for the same.
CREATE_TABLE = (
    f"CREATE TABLE {TABLE} (device CHAR(200) NOT NULL, ip CHAR(20), PRIMARY KEY (device)) "
    "ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin"
)
INSERT = f"INSERT INTO {TABLE} (device, ip) VALUES (%s, %s)"
SELECT = f"SELECT ip FROM {TABLE} WHERE device = %s"
DELETE = f"DELETE FROM {TABLE} WHERE device = %s"

# https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html (below 2000 and from 3000 on), and
# client-error-reference.html (2000 to 2999).
DUPLICATE_KEY = 1062
# Refusals that another member, or the same one a little later, may not repeat.
_REFUSED = {
    1040: "too many connections",
    1203: "too many connections of this user",
    1205: "lock wait timeout: the statement was rolled back",
    1213: "deadlock: the transaction was rolled back",
    1290: "the server is read-only",
    1792: "the transaction is read-only",
    1836: "the server is in read-only mode",
    3100: "a replication hook refused the transaction",
    3101: "the replication plugin rolled the transaction back",
    3168: "the server is not available",
}
# Refusals that stay.
_FINAL = {
    1021: "the disk is full",
    1044: "access to the database denied",
    1045: "access denied",
    1049: "unknown database",
    1064: "syntax error",
    1114: "the table is full",
    1142: "access to the table denied",
    1146: "no such table",
    1406: "data too long",
}


@dataclass(frozen=True)
class MySQLAccount:
    """As whom to connect, and to which database."""

    user: str
    password: str = field(repr=False)
    database: str


def classify(error: Exception, *, sent: bool) -> AttemptFailedError:
    """Say what an error of PyMySQL means for a write.

    :param sent: False where the error came before the statement: while connecting

    A connection lost after the statement was sent (2006, 2013) is ambiguous, and so is whatever is not known to be a
    refusal, a shutdown in the middle of a statement (1053) among it.
    """
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    reason = f"{number}: {text}" if number else f"{type(error).__name__}: {text}"
    if number in _FINAL or number == DUPLICATE_KEY:
        return AttemptFailedError(AttemptResult.NOT_APPLIED, reason, final=True)
    if not sent or number in _REFUSED:
        return AttemptFailedError(AttemptResult.NOT_APPLIED, reason)
    return AttemptFailedError(AttemptResult.AMBIGUOUS, reason)


Connect = Callable[..., "Connection[Cursor]"]
Answer = TypeVar("Answer")


def connect_mysql(**settings: Any) -> Connection[Cursor]:
    """Connect as all parts of the lab do: utf8mb4, autocommit, no TLS; LabError where PyMySQL is missing."""
    if _import_error is not None:
        raise LabError(
            f"The package PyMySQL cannot be used here ({_import_error}). Install the versions of "
            "roles/load_generator/files/requirements.txt."
        )
    try:
        return pymysql.connect(charset="utf8mb4", autocommit=True, ssl_disabled=True, **settings)
    except RuntimeError as error:
        # PyMySQL's way to say that the package cryptography is missing.
        raise LabError(f"{error}. Install PyMySQL[rsa] as in roles/load_generator/files/requirements.txt.") from None


class MySQLMember:
    """One server over one connection, which is made when it is first needed and again after it was lost."""

    def __init__(
        self, host: str, port: int, account: MySQLAccount, policy: FailoverPolicy, connect: Connect = connect_mysql
    ) -> None:
        """:param connect: makes a connection like PyMySQL's."""
        self.endpoint = f"{host}:{port}"
        attempt_timeout_s = policy.attempt_timeout_ms / 1000
        self._connect = connect
        self._settings = {
            "host": host,
            "port": port,
            "user": account.user,
            "password": account.password,
            "database": account.database,
            "connect_timeout": policy.connect_timeout_ms / 1000,
            "read_timeout": attempt_timeout_s,
            "write_timeout": attempt_timeout_s,
        }
        self._connection: Connection[Cursor] | None = None
        self._cursor: Cursor | None = None

    def put(self, key: str, value: str, *, doubtful: bool) -> int | None:
        """Insert a row.

        A key that is taken is a refusal, unless an earlier attempt of the same operation may have put it there: then
        the row is read, and the value that was to be written is the acknowledgement.
        """
        try:
            return self._execute(INSERT, (key, value), lambda cursor: cursor.rowcount)
        except AttemptFailedError as failure:
            if not doubtful or not failure.reason.startswith(f"{DUPLICATE_KEY}:"):
                raise
            found = self.get(key)
            if found == value:
                return None
            raise AttemptFailedError(
                AttemptResult.NOT_APPLIED, f"{failure.reason}, with the value {found!r}", final=True
            ) from None

    def get(self, key: str) -> str | None:
        """Return the value of a row, None where there is none."""

        def value(cursor: Cursor) -> str | None:
            row = cursor.fetchone()
            return str(row[0]) if row else None

        return self._execute(SELECT, (key,), value)

    def delete(self, key: str) -> int | None:
        """Delete a row; return how many were removed."""
        return self._execute(DELETE, (key,), lambda cursor: cursor.rowcount)

    def connect(self) -> None:
        """Connect where there is no connection; an AttemptFailedError of this has certainly sent no statement."""
        if self._connection is not None:
            return
        try:
            self._connection = self._connect(**self._settings)
        except (pymysql.MySQLError, OSError) as error:
            raise classify(error, sent=False) from None
        self._cursor = self._connection.cursor()

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None and connection.open:
            connection.close()

    def _execute(self, statement: str, parameters: tuple[str, ...], answer: Callable[[Cursor], Answer]) -> Answer:
        self.connect()
        assert self._connection is not None
        assert self._cursor is not None
        try:
            self._cursor.execute(statement, parameters)
            return answer(self._cursor)
        except (pymysql.MySQLError, OSError) as error:
            failure = classify(error, sent=True)
            # After a refusal the connection is as good as before; after anything else nobody knows what it will say.
            if failure.result is AttemptResult.AMBIGUOUS:
                self.close()
            raise failure from None


class MySQLClient(FailoverClient[MySQLMember]):
    """A client of one MySQL server, with the vocabulary of :class:`~.etcd_client.ClientWithFailover`.

    Failing over means connecting again. A cluster's client has more than one MySQLMember in the same loop, and says in
    ``_is_worth_trying`` which of them is the primary. For one thread.
    """

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        database: str,
        *,
        policy: FailoverPolicy | None = None,
        emit: Emit = emit_nothing,
        stop: threading.Event | None = None,
        jitter_seed: int = 0,
        connect: Connect = connect_mysql,
    ) -> None:
        """Connect; LabError where that is not possible."""
        policy = policy if policy is not None else FailoverPolicy()
        member = MySQLMember(host, port, MySQLAccount(user, password, database), policy, connect)
        super().__init__([member], policy, emit, stop=stop, jitter_seed=jitter_seed)
        try:
            member.connect()
        except AttemptFailedError as failure:
            raise LabError(
                f"MySQL at {member.endpoint} cannot be used by {user}: {failure.reason}. Check the address, and "
                "systemctl status mysql there; ./scripts/lab up starts the server and makes the account."
            ) from None
        emit("client.members_discovered", {"members": {member.endpoint: member.endpoint}, "down": []})
        emit("client.connected", {"endpoint": member.endpoint})

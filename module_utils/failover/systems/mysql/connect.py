# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connections to MySQL servers: the only place that opens one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from ...shapes import LabError
from ...tls import SecuredSocket, client_context
from ..endpoints import split_endpoint

if TYPE_CHECKING:
    from pymysql.connections import Connection

# MySQL's client errors for a server that is not there, does not answer or goes away, its "shutting down", and its
# "offline mode", in which it lets nobody in (a member that left its group may be set to it).
UNREACHABLE = frozenset({1053, 2002, 2003, 2006, 2013, 3032})

# Where the own server lets root in without a password (Debian's), and how long it may take to answer there, in s.
SOCKET = "/run/mysqld/mysqld.sock"
HOME_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class MySQLAddress:
    """Where and as whom to connect."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str | None = None
    unix_socket: str | None = None  # used instead of host and port
    timeout_s: float = 3.0  # for each answer, and for the connection where that has no time of its own
    connect_timeout_s: float | None = None
    plain: bool = False  # no TLS, even where the server offers it
    ca: str = ""  # file with the certificate of the authority that signs the server's: TLS, and who it is is verified
    several_at_once: bool = False  # whether several statements may be sent together

    def __str__(self) -> str:
        return self.unix_socket or f"{self.host}:{self.port}"

    @classmethod
    def of(cls, endpoint: str, account: Mapping[str, str], timeout_s: float, *, ca: str = "") -> MySQLAddress:
        """Return the address of "host:port" for an account of user, password and database."""
        host, port = split_endpoint(endpoint)
        return cls(host, port, account["user"], account["password"], account["database"], timeout_s=timeout_s, ca=ca)


def at_home(socket: str) -> MySQLAddress:
    """Return how root asks the own server, without a password."""
    return MySQLAddress(
        "localhost",
        0,
        "root",
        "",
        unix_socket=socket,
        timeout_s=HOME_TIMEOUT_S,
        connect_timeout_s=HOME_TIMEOUT_S,
    )


def connect(address: MySQLAddress) -> Connection[Any]:
    """Open a connection that commits each statement.

    PyMySQL's errors come through, and its RuntimeError where it lacks the package cryptography, at a server that wants
    the password encrypted. LabError where there is no PyMySQL.
    """
    try:
        import pymysql  # here, as most users of the core have none
        from pymysql.constants import CLIENT
    except ImportError as error:
        raise no_pymysql(error) from error
    return pymysql.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        database=address.database,
        unix_socket=address.unix_socket,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=address.connect_timeout_s or address.timeout_s,
        read_timeout=address.timeout_s,
        write_timeout=address.timeout_s,
        ssl=client_context(address.ca) if address.ca else None,
        ssl_disabled=address.plain,
        client_flag=CLIENT.MULTI_STATEMENTS if address.several_at_once else 0,
        program_name="failover-lab",
    )


def handshake_of(connection: Connection[Any]) -> dict[str, Any]:
    """Return what the TLS handshake of a connection cost, and whether it resumed an earlier session."""
    sock = cast(Any, connection)._sock  # PyMySQL keeps it to itself
    assert isinstance(sock, SecuredSocket)
    return {"handshake_ms": sock.handshake_ms, "resumed": sock.session_reused}


@contextmanager
def translated() -> Iterator[None]:
    """Turn what PyMySQL raises into OSError with the server's number and words."""
    try:
        from pymysql import MySQLError
    except ImportError as error:
        raise no_pymysql(error) from error
    try:
        yield
    except (MySQLError, RuntimeError) as error:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        raise OSError(number, reason_of(error)) from error


@contextmanager
def connected(address: MySQLAddress) -> Iterator[Any]:
    """Open a connection for a while; OSError where that, or a statement, fails."""
    with translated(), closing(connect(address)) as connection:
        yield connection


def reason_of(error: Exception) -> str:
    """Say in one line why a connection or a statement failed; PyMySQL has the words in the second argument."""
    return " ".join(str(error.args[1] if len(error.args) > 1 else error).split()) or type(error).__name__


def is_unreachable(error: OSError) -> bool:
    """Whether what :func:`translated` raised means that the server gave no answer, not that it refused."""
    return error.errno in UNREACHABLE


def no_pymysql(error: ImportError) -> LabError:
    """Say that PyMySQL is missing, in one line."""
    return LabError(
        f"PyMySQL is missing for this Python ({error}): on a load generator, provision it with playbooks/up.yml; "
        "elsewhere install python3-pymysql."
    )

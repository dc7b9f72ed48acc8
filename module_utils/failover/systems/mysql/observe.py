# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a MySQL server says of itself over a PyMySQL connection. One that cannot be reached is a finding, not an error.

:func:`greeting_version` needs no PyMySQL and no account: it tells whether a server accepts connections at all.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

from ..base import look_until_reached
from .connect import MySQLAddress, connected

# Settings that decide what an acknowledged write is worth, how the server replicates, and how fast it can be.
VARIABLES = (
    "autocommit",
    "binlog_format",
    "enforce_gtid_consistency",
    "gtid_mode",
    "innodb_buffer_pool_size",
    "innodb_doublewrite",
    "innodb_flush_log_at_trx_commit",
    "innodb_flush_method",
    "innodb_redo_log_capacity",
    "log_bin",
    "max_connections",
    "offline_mode",
    "read_only",
    "server_id",
    "server_uuid",
    "super_read_only",
    "sync_binlog",
    "transaction_isolation",
)
STATUS = ("Uptime", "Threads_connected", "Threads_running", "Questions")

# Between two looks at a server that is waited for, in s.
AWAIT_INTERVAL_S = 0.2

# The first payload byte of a server that greets (protocol version 10) and of one that refuses with an error packet.
PROTOCOL_VERSION = 10
ERROR_PACKET = 255
HEADER_LENGTH = 4


def observe_server(address: MySQLAddress) -> dict[str, Any]:
    """Connect once and ask the server for its version, uptime and settings.

    :returns: ``reachable``, ``error`` and, where it answered, ``version``, ``version_comment``, ``hostname``,
        ``uptime_s``, ``read_only``, ``connect_ms``, ``tls`` (cipher or None), ``variables`` (as text, those of
        VARIABLES that this release has), ``status`` (numbers), and the sets of transactions ``gtid_executed`` and
        ``gtid_purged``.
    """
    started = time.monotonic()
    try:
        with connected(address) as connection:
            connect_ms = (time.monotonic() - started) * 1000
            return {"reachable": True, "error": None, "connect_ms": connect_ms} | _ask(connection)
    except OSError as error:
        return {"reachable": False, "error": error.strerror, "connect_ms": None}


def _ask(connection: Any) -> dict[str, Any]:
    with connection.cursor() as cursor:
        variables = _pairs(cursor, "SHOW GLOBAL VARIABLES", VARIABLES)
        status = _pairs(cursor, "SHOW GLOBAL STATUS", STATUS)
        cursor.execute("SELECT VERSION(), @@version_comment, @@hostname")
        version, comment, hostname = cursor.fetchone() or (None, None, None)
        cursor.execute("SELECT @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged")
        executed, purged = cursor.fetchone() or ("", "")
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        cipher = (cursor.fetchone() or (None, ""))[1]
    return {
        "version": version,
        "version_comment": comment,
        "hostname": hostname,
        "uptime_s": int(status["Uptime"]),
        "read_only": "ON" in (variables.get("read_only"), variables.get("super_read_only")),
        "tls": cipher or None,
        "variables": variables,
        "status": {name: int(value) for name, value in status.items()},
        "gtid_executed": executed.replace("\n", ""),
        "gtid_purged": purged.replace("\n", ""),
    }


def _pairs(cursor: Any, statement: str, names: tuple[str, ...]) -> dict[str, str]:
    """Return name -> value of a SHOW statement, for those of ``names`` that the server knows."""
    placeholders = ", ".join(["%s"] * len(names))
    cursor.execute(f"{statement} WHERE Variable_name IN ({placeholders})", names)
    return {str(name): str(value) for name, value in cursor.fetchall()}


def assess_server(observation: Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Tell whether the server can take writes.

    :returns: ``(healthy, reasons)``; one sentence for each thing that is wrong.
    """
    if not observation["reachable"]:
        return False, [f"it does not answer: {observation['error']}"]
    reasons = ["it is read-only"] if observation["read_only"] else []
    if observation["variables"].get("offline_mode", "OFF").upper() in ("ON", "1"):
        reasons.append("it is in offline mode, in which it lets no client in")
    return not reasons, reasons


def await_server(address: MySQLAddress, wait_for: str, timeout_s: float) -> dict[str, Any]:
    """Observe the server until it is as wanted or the time is over.

    :param wait_for: ``none`` looks once, ``healthy`` waits for :func:`assess_server`.
    :returns: the observation with ``healthy``, ``reasons``, ``reached`` and ``elapsed_s``.
    """

    def look() -> dict[str, Any]:
        observation = observe_server(address)
        healthy, reasons = assess_server(observation)
        reached = {"none": True, "healthy": healthy}[wait_for]
        return observation | {"healthy": healthy, "reasons": reasons, "reached": reached}

    return look_until_reached(look, interval_s=AWAIT_INTERVAL_S, timeout_s=timeout_s)


def greeting_version(host: str, port: int, timeout_s: float = 1.0) -> str:
    """Read the greeting of a MySQL server and return its version; OSError says why there is none.

    The server counts a connection that ends here as one that failed to log in; after ``max_connect_errors`` (100) of
    them without a login between, it refuses this host. So ask until there is an answer, and not on and on.
    """
    with socket.create_connection((host, port), timeout=timeout_s) as connection:
        header = _read_exactly(connection, HEADER_LENGTH)
        payload = _read_exactly(connection, int.from_bytes(header[:3], "little"))
    if not payload or payload[0] == ERROR_PACKET:
        raise OSError(payload[3:].decode("utf-8", "replace") or "an empty greeting")
    if payload[0] != PROTOCOL_VERSION:
        raise OSError("this is not a MySQL server")
    return payload[1:].split(b"\0", 1)[0].decode("ascii", "replace")


def _read_exactly(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        chunk = connection.recv(length - len(data))
        if not chunk:
            raise ConnectionResetError("connection closed")
        data += chunk
    return data

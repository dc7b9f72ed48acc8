# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every key of one member, into a file: the evidence that the checkers hold against the history.

The file's first line is a header object (``member``, ``system``, ``prefix``, ``count``, ``wall_ns``, ``revision``),
each other line ``[key without the prefix, value, version, mod_revision]``. It appears as a whole or not at all, and is
read and written page by page. A member that does not answer is a finding: ``available`` is false, with the reason.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .etcd_http import EtcdHttp, EtcdUnreachableError
from .shapes import LabError

if TYPE_CHECKING:
    from pymysql.connections import Connection

RANGE_PATH = "/v3/kv/range"
DELETE_RANGE_PATH = "/v3/kv/deleterange"

# Keys asked for at once: an answer of a few hundred kB, and few round trips for 100,000 keys.
PAGE_SIZE = 2000
# How long one page may take, in s; reading 2,000 keys takes milliseconds.
TIMEOUT_S = 5.0
# How long emptying a prefix or a table may take, in s: one transaction over all keys of an earlier run.
EMPTYING_TIMEOUT_S = 60.0

TABLE = "ips"

# MySQL's client errors for a server that is not there, does not answer or goes away, its "shutting down", and its
# "offline mode", in which it lets nobody in (a member that left its group may be set to it).
MYSQL_UNREACHABLE = frozenset({1053, 2002, 2003, 2006, 2013, 3032})

Row = tuple[str, str, int | None, int | None]


class EtcdKeys(EtcdHttp):
    """The keys under one prefix, as one member has them."""

    def __init__(self, url: str, prefix: str, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__(url, timeout_s)
        self._start = prefix.encode() or b"\0"
        self._end = range_end(prefix.encode())

    def count(self, *, serializable: bool) -> tuple[int, int]:
        """Return how many keys there are, and the revision that says so.

        ``serializable``: as this member has them, even without a leader; else as the cluster has agreed on.
        """
        answer = self._post(
            RANGE_PATH,
            {"key": _b64(self._start), "range_end": _b64(self._end), "count_only": True, "serializable": serializable},
        )
        return int(answer.get("count", 0)), int(answer["header"]["revision"])

    def rows(self, revision: int) -> Iterator[Row]:
        """Yield ``(key with its prefix, value, version, mod_revision)`` of this member's data at one revision."""
        start, more = self._start, True
        while more:
            answer = self._post(
                RANGE_PATH,
                {
                    "key": _b64(start),
                    "range_end": _b64(self._end),
                    "revision": str(revision),
                    "limit": str(PAGE_SIZE),
                    "serializable": True,
                },
            )
            found = answer.get("kvs", [])
            for entry in found:
                # Fields that are zero or empty are left out of the answer.
                yield (
                    base64.b64decode(entry["key"]).decode(),
                    base64.b64decode(entry.get("value", "")).decode(),
                    int(entry.get("version", 0)),
                    int(entry.get("mod_revision", 0)),
                )
            more = bool(answer.get("more")) and bool(found)
            if more:
                start = base64.b64decode(found[-1]["key"]) + b"\0"

    def delete_all(self) -> int:
        """Remove all keys under the prefix; return how many there were."""
        answer = self._post(DELETE_RANGE_PATH, {"key": _b64(self._start), "range_end": _b64(self._end)})
        return int(answer.get("deleted", 0))


def range_end(prefix: bytes) -> bytes:
    """Return the first key after all that begin with ``prefix``; etcd reads a single zero byte as "no end"."""
    for position in range(len(prefix) - 1, -1, -1):
        if prefix[position] < 0xFF:
            return prefix[:position] + bytes([prefix[position] + 1])
    return b"\0"


def dump_etcd(member: str, client_url: str, key_prefix: str, dest: Path, *, write: bool = True) -> dict[str, Any]:
    """Write the keys that one etcd member has under a prefix, asking no other member.

    All pages are of one revision, so that writes meanwhile cannot tear the picture.

    :param write: False counts only
    :returns: ``member``, ``available``, ``reason`` (else null), ``count``, ``revision``, ``sha256`` of the file,
        ``dest``, ``changed`` (whether the file is written, or an old one removed)
    """
    try:
        keys = EtcdKeys(client_url, key_prefix)
    except ValueError as error:
        raise LabError(f"client_url of {member}: {error}") from error
    with closing(keys):
        try:
            count, revision = keys.count(serializable=True)
            header = _header(member, "etcd", key_prefix, count, revision)
            rows = ((key.removeprefix(key_prefix), *rest) for key, *rest in keys.rows(revision))
            return _write(dest, header, rows, write=write)
        except EtcdUnreachableError as error:
            return _unavailable(member, dest, str(error), write=write)


def dump_mysql(
    member: str,
    host: str,
    port: int,
    user: str,
    password: str,
    database: str,
    dest: Path,
    *,
    system: str = "mysql",
    write: bool = True,
) -> dict[str, Any]:
    """Write the rows of the table ``ips`` that one MySQL server has; parameters and result as :func:`dump_etcd`.

    A member of a group gives what it has applied, whatever its state and its role are, and asks nobody for more.
    ``revision`` is null. A refused login or a missing table raises :class:`LabError`: the server did answer.

    :param system: ``mysql`` or ``mysql_cluster``
    """
    # Imported here: etcd's hosts use this module, too, and have no PyMySQL.
    try:
        from pymysql.cursors import SSCursor
        from pymysql.err import MySQLError
    except ImportError as error:
        raise no_pymysql(error) from error
    try:
        with closing(connect_mysql(host, port, user, password, database)) as connection:
            with connection.cursor() as cursor:
                if system == "mysql_cluster":
                    # By default a new primary has readers wait until it has applied all that it received.
                    cursor.execute("SET SESSION group_replication_consistency = 'EVENTUAL'")
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                count = count_rows(connection)
            header = _header(member, system, "", count, None)
            with connection.cursor(SSCursor) as stream:
                stream.execute(f"SELECT device, ip FROM {TABLE} ORDER BY device")
                rows = ((str(device), str(ip), None, None) for device, ip in stream)
                return _write(dest, header, rows, write=write)
    except MySQLError as error:
        if is_unreachable(error):
            return _unavailable(member, dest, mysql_reason(error), write=write)
        raise LabError(
            f"{member} ({host}:{port}) does not return its keys: {mysql_reason(error)}; "
            "check mysql_user and mysql_database, and provision it with playbooks/up.yml"
        ) from error


def connect_mysql(
    host: str, port: int, user: str, password: str, database: str, timeout_s: float = TIMEOUT_S
) -> Connection[Any]:
    """Open a connection whose every answer may take ``timeout_s``; PyMySQL's errors come through."""
    try:
        import pymysql
    except ImportError as error:
        raise no_pymysql(error) from error
    return pymysql.connect(
        host=host,
        port=port,
        user=user,
        password=password,
        database=database,
        charset="utf8mb4",
        connect_timeout=max(1, int(timeout_s)),
        read_timeout=timeout_s,
        write_timeout=timeout_s,
    )


def count_rows(connection: Connection[Any]) -> int:
    """Return the number of rows of the table ``ips``."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {TABLE}")
        found = cursor.fetchone()
    return int(found[0])


def is_unreachable(error: Exception) -> bool:
    """Whether an error of PyMySQL means that the server gave no answer, not that it refused."""
    return bool(error.args) and error.args[0] in MYSQL_UNREACHABLE


def mysql_reason(error: Exception) -> str:
    """Return an error of PyMySQL in one line."""
    return " ".join(str(error.args[1] if len(error.args) > 1 else error).split())


def no_pymysql(error: ImportError) -> LabError:
    """Say that PyMySQL is missing, in one line."""
    return LabError(f"PyMySQL cannot be loaded here: {error}; provision the load generator with playbooks/up.yml")


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _header(member: str, system: str, prefix: str, count: int, revision: int | None) -> dict[str, Any]:
    return {
        "member": member,
        "system": system,
        "prefix": prefix,
        "count": count,
        "wall_ns": time.time_ns(),
        "revision": revision,
    }


def _unavailable(member: str, dest: Path, reason: str, *, write: bool) -> dict[str, Any]:
    """Say that there is no dump. What an earlier one left at ``dest`` is not of now, and readers must not find it."""
    stale = dest.exists()
    if stale and write:
        dest.unlink()
    return {
        "member": member,
        "available": False,
        "reason": reason,
        "count": None,
        "revision": None,
        "sha256": None,
        "dest": str(dest),
        "changed": stale,
    }


def _write(dest: Path, header: dict[str, Any], rows: Iterator[Any], *, write: bool) -> dict[str, Any]:
    """Write header and rows to ``dest`` by way of a file beside it; LabError where that fails or rows are missing."""
    member, count = header["member"], header["count"]
    result = {
        "member": member,
        "available": True,
        "reason": None,
        "count": count,
        "revision": header["revision"],
        "sha256": None,
        "dest": str(dest),
        "changed": True,
    }
    if not write:
        return result
    part = dest.with_name(f".{dest.name}.{os.getpid()}.part")
    digest = hashlib.sha256()
    written = -1  # the header is no row
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for value in _chain(header, rows):
                line = (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
                digest.update(line)
                file.write(line)
                written += 1
        if written != count:
            raise LabError(f"{member} returned {written:,} keys after announcing {count:,}; collect its keys again")
        os.replace(part, dest)
    except OSError as error:
        raise LabError(
            f"{dest} cannot be written: {error.strerror or error}; check the space and the rights in {dest.parent}"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return {**result, "sha256": digest.hexdigest()}


def _chain(header: dict[str, Any], rows: Iterator[Any]) -> Iterator[Any]:
    yield header
    yield from rows

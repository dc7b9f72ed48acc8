# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of the workload: made, emptied, read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ...shapes import LabError
from ..dump_file import EMPTYING_TIMEOUT_S, PAGE_TIMEOUT_S, header, unavailable, write_dump
from .connect import MySQLAddress, connected, is_unreachable

TABLE = "ips"
# As the notebook's, where its type of value is large enough; MEDIUMTEXT takes 16 MB.
CREATE_TABLE = f"CREATE TABLE {TABLE} (device CHAR(200), ip {{value_type}}, PRIMARY KEY (device))"
NOTEBOOK_TYPE, NOTEBOOK_CHARS = "char(20)", 20
LARGE_TYPE = "mediumtext"
# Writes that were settled as not applied (see .client). Not emptied with the other: settling comes after the workload.
CREATE_VOIDED = "CREATE TABLE IF NOT EXISTS voided (gtid VARCHAR(100) CHARACTER SET ascii PRIMARY KEY)"


def dump(
    system: str,
    member: str,
    endpoint: str,
    account: Mapping[str, str],
    dest: Path,
    *,
    before: Sequence[str] = (),
    write: bool = True,
    ca: str = "",
) -> dict[str, Any]:
    """Write the rows that one server has, in one consistent snapshot, asking no other.

    A refused login or a missing table raises :class:`LabError`: the server did answer.

    :param endpoint: "host:port"
    :param account: user, password, database
    :param before: statements for the session, before the snapshot
    :param write: False counts only
    :returns: as :func:`..dump_file.write_dump`; ``revision`` is null
    """
    address = MySQLAddress.of(endpoint, account, PAGE_TIMEOUT_S, ca=ca)
    try:
        with connected(address) as connection:
            with connection.cursor() as cursor:
                for statement in (*before, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"):
                    cursor.execute(statement)
                count = _count_rows(cursor)
            from pymysql.cursors import SSCursor  # streams: 100,000 rows are read page by page

            with closing(connection.cursor(SSCursor)) as stream:
                stream.execute(f"SELECT device, ip FROM {TABLE} ORDER BY device")
                rows = ((str(device), str(ip), None, None) for device, ip in stream)
                return write_dump(dest, header(member, system, "", count, None), rows, write=write)
    except OSError as error:
        if is_unreachable(error):
            return unavailable(member, dest, str(error.strerror), write=write)
        raise LabError(
            f"{member} ({endpoint}) does not return its keys: {error.strerror}; "
            "check mysql_user and mysql_database, and provision it with playbooks/up.yml"
        ) from error


def empty(
    endpoint: str, account: Mapping[str, str], longest_value: int, *, dry_run: bool = False, ca: str = ""
) -> dict[str, Any]:
    """Make the table where there is none for such values, and remove all its rows.

    :param endpoint: "host:port"
    :param account: user, password, database
    :param longest_value: in characters
    :param dry_run: only look
    :returns: ``removed`` (rows), ``created`` (whether the table was missing, or for other values), ``endpoint``
    """
    value_type = NOTEBOOK_TYPE if longest_value <= NOTEBOOK_CHARS else LARGE_TYPE
    address = MySQLAddress.of(endpoint, account, EMPTYING_TIMEOUT_S, ca=ca)
    try:
        with connected(address) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW TABLES LIKE %s", (TABLE,))
            missing = cursor.fetchone() is None
            if not dry_run:
                cursor.execute(CREATE_VOIDED)
            removed = 0 if missing else _count_rows(cursor)
            created = missing or _value_type(cursor) != value_type
            if not dry_run and created:
                cursor.execute(f"DROP TABLE IF EXISTS {TABLE}")
                cursor.execute(CREATE_TABLE.format(value_type=value_type))
            elif not dry_run and removed:
                # Not DELETE: InnoDB would still be purging the old rows while the workload is measured.
                cursor.execute(f"TRUNCATE TABLE {TABLE}")
            return {"removed": removed, "created": created, "endpoint": endpoint}
    except OSError as error:
        raise LabError(
            f"MySQL at {endpoint} could not be emptied: {error.strerror}; "
            "check mysql_user and mysql_database, and provision it with playbooks/up.yml"
        ) from error


def _value_type(cursor: Any) -> str:
    cursor.execute(f"SHOW COLUMNS FROM {TABLE} LIKE 'ip'")
    return str(cursor.fetchone()[1]).lower()


def _count_rows(cursor: Any) -> int:
    cursor.execute(f"SELECT COUNT(*) FROM {TABLE}")
    return int(cursor.fetchone()[0])

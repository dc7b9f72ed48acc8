# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes a system empty before a workload, so that its keys at the end are the workload's and nobody else's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from .etcd_http import EtcdUnreachableError
from .key_dump import (
    EMPTYING_TIMEOUT_S,
    TABLE,
    TIMEOUT_S,
    EtcdKeys,
    connect_mysql,
    count_rows,
    mysql_reason,
    no_pymysql,
)
from .shapes import LabError, Target

# The notebook's table.
CREATE_TABLE = f"CREATE TABLE {TABLE} (device CHAR(200), ip CHAR(20), PRIMARY KEY (device))"


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Return host and port of ``host:port``; an IPv6 address stands in brackets."""
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isdigit():
        raise LabError(f"{endpoint!r} is not the address of a member; write it as host:port, like 10.0.0.11:2379")
    return host.removeprefix("[").removesuffix("]"), int(port)


def empty(target: Target, key_prefix: str, *, dry_run: bool = False) -> dict[str, Any]:
    """Remove what an experiment will write to: the keys under its prefix (etcd), or all rows of the table.

    :param dry_run: only count them
    :returns: ``removed`` (keys or rows), ``created`` (whether the table was missing), ``endpoint``
    """
    if not target.endpoints:
        raise LabError("endpoints is empty: give at least one host:port of the system")
    if target.lacking:
        missing = ", ".join(f"mysql_{name}" for name in target.lacking)
        raise LabError(f"system is {target.system} and {missing} is missing: give the account of the workload")
    if target.system == "etcd":
        return empty_etcd(target.endpoints, key_prefix, dry_run=dry_run)
    if target.system == "mysql":
        return empty_mysql(target.endpoints[0], **target.account, dry_run=dry_run)
    return empty_mysql_group(target.endpoints, **target.account, dry_run=dry_run)


def empty_etcd(endpoints: Sequence[str], key_prefix: str, *, dry_run: bool = False) -> dict[str, Any]:
    """Remove all keys under a prefix, through the first member that answers.

    :param endpoints: "host:port"
    :param dry_run: only count them
    :returns: ``removed`` (keys), ``created`` (False: etcd needs no table), ``endpoint``
    """
    if not key_prefix:
        raise LabError("key_prefix is empty: that would remove every key of the cluster; give a prefix like EXP1-")
    reasons = []
    for endpoint in endpoints:
        split_endpoint(endpoint)
        with closing(EtcdKeys(f"http://{endpoint}", key_prefix, EMPTYING_TIMEOUT_S)) as keys:
            try:
                removed = keys.count(serializable=False)[0] if dry_run else keys.delete_all()
            except EtcdUnreachableError as error:
                # The next may do it; removing twice removes no more.
                reasons.append(f"{endpoint}: {error}")
                continue
        return {"removed": removed, "created": False, "endpoint": endpoint}
    raise LabError(
        f"no etcd member could empty {key_prefix} ({'; '.join(reasons)}); check the cluster with playbooks/up.yml"
    )


def empty_mysql_group(
    endpoints: Sequence[str], user: str, password: str, database: str, *, dry_run: bool = False
) -> dict[str, Any]:
    """Do :func:`empty_mysql` at the primary of a replication group; the other members follow.

    :param endpoints: "host:port" of the members
    """
    # Imported here: etcd's hosts use this module, too, and have no PyMySQL.
    from .mysql_client import read_view, why_not_primary

    try:
        from pymysql.err import MySQLError
    except ImportError as error:
        raise no_pymysql(error) from error
    reasons = []
    for endpoint in endpoints:
        try:
            with closing(connect_mysql(*split_endpoint(endpoint), user, password, database)) as connection:
                reason = why_not_primary(read_view(connection, time.monotonic() + TIMEOUT_S))
        except MySQLError as error:
            reason = mysql_reason(error)
        if reason is None:
            return empty_mysql(endpoint, user, password, database, dry_run=dry_run)
        reasons.append(f"{endpoint}: {reason}")
    raise LabError(
        f"the replication group has no primary through which it could be emptied ({'; '.join(reasons)}); "
        "check mysql_user and mysql_database, and bring the group up with playbooks/up.yml"
    )


def empty_mysql(endpoint: str, user: str, password: str, database: str, *, dry_run: bool = False) -> dict[str, Any]:
    """Make the table ``ips`` where there is none, and remove all its rows.

    :param endpoint: "host:port"
    :param dry_run: only look
    :returns: ``removed`` (rows), ``created`` (whether the table was missing), ``endpoint``
    """
    host, port = split_endpoint(endpoint)
    try:
        from pymysql.err import MySQLError
    except ImportError as error:
        raise no_pymysql(error) from error
    try:
        with closing(connect_mysql(host, port, user, password, database, EMPTYING_TIMEOUT_S)) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SHOW TABLES LIKE %s", (TABLE,))
                created = cursor.fetchone() is None
                removed = 0 if created else count_rows(connection)
                if not dry_run and created:
                    cursor.execute(CREATE_TABLE)
                elif not dry_run and removed:
                    # Not DELETE: InnoDB would still be purging the old rows while the workload is measured.
                    cursor.execute(f"TRUNCATE TABLE {TABLE}")
            return {"removed": removed, "created": created, "endpoint": endpoint}
    except MySQLError as error:
        raise LabError(
            f"MySQL at {endpoint} could not be emptied: {mysql_reason(error)}; "
            "check mysql_user and mysql_database, and provision it with playbooks/up.yml"
        ) from error

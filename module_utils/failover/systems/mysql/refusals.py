# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""MySQL's errors after which a statement has certainly not taken effect, by number.

Sources are the symbols of the MySQL 9 reference manual's server errors, and the section that says why nothing was
done. Not in the table on purpose:

- 3100 (a hook of the plugin failed) and 3101 (the plugin had the transaction rolled back) are also what a member that
  leaves its group tells all who wait for a commit. Their transactions were sent to the group by then, and the others
  may have taken them.
- 1053 (shutdown), 1114 (table full), 1180 (error during commit), 1317 (interrupted), 2006 and 2013 (connection lost):
  the statement may have been executed.
"""

from __future__ import annotations

import re

from ..refusals import Refusal

_LOGIN = "refused at login"
_READ_ONLY = "checked before the statement is executed (read_only, super_read_only)"
_ROLLED_BACK = "the transaction is rolled back (InnoDB error handling; with autocommit it is the statement)"
_CONSISTENCY = "group_replication_consistency: checked before the statement begins"
_PARSED = "found while the statement is parsed or resolved"
_RIGHTS = "privileges are checked before the statement is executed"
_ROW = "the row is refused and the statement rolled back (InnoDB error handling)"

ANSWERS: dict[int, Refusal] = {
    1040: Refusal(False, f"ER_CON_COUNT_ERROR: {_LOGIN}"),
    1129: Refusal(False, f"ER_HOST_IS_BLOCKED: {_LOGIN}"),
    1203: Refusal(False, f"ER_TOO_MANY_USER_CONNECTIONS: {_LOGIN}"),
    3032: Refusal(False, f"ER_SERVER_OFFLINE_MODE: {_LOGIN}"),
    1044: Refusal(True, f"ER_DBACCESS_DENIED_ERROR: {_LOGIN}"),
    1045: Refusal(True, f"ER_ACCESS_DENIED_ERROR: {_LOGIN}"),
    1049: Refusal(True, f"ER_BAD_DB_ERROR: {_LOGIN}"),
    1130: Refusal(True, f"ER_HOST_NOT_PRIVILEGED: {_LOGIN}"),
    1698: Refusal(True, f"ER_ACCESS_DENIED_NO_PASSWORD_ERROR: {_LOGIN}"),
    3118: Refusal(True, f"ER_ACCOUNT_HAS_BEEN_LOCKED: {_LOGIN}"),
    4031: Refusal(False, "ER_CLIENT_INTERACTION_TIMEOUT: the connection had been closed before, for inactivity"),
    1205: Refusal(False, f"ER_LOCK_WAIT_TIMEOUT: {_ROLLED_BACK}"),
    1213: Refusal(False, f"ER_LOCK_DEADLOCK: {_ROLLED_BACK}"),
    1290: Refusal(False, f"ER_OPTION_PREVENTS_STATEMENT: {_READ_ONLY}"),
    1792: Refusal(False, f"ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: {_READ_ONLY}"),
    1836: Refusal(False, f"ER_READ_ONLY_MODE: {_READ_ONLY}"),
    3796: Refusal(False, f"ER_GRP_TRX_CONSISTENCY_NOT_ALLOWED: {_CONSISTENCY}"),
    3797: Refusal(False, f"ER_GRP_TRX_CONSISTENCY_BEFORE: {_CONSISTENCY}"),
    3798: Refusal(False, f"ER_GRP_TRX_CONSISTENCY_AFTER_ON_TRX_BEGIN: {_CONSISTENCY}"),
    3799: Refusal(False, f"ER_GRP_TRX_CONSISTENCY_BEGIN_NOT_ALLOWED: {_CONSISTENCY}"),
    3098: Refusal(True, "ER_BEFORE_DML_VALIDATION_ERROR: the group does not take the table; before the statement"),
    1054: Refusal(True, f"ER_BAD_FIELD_ERROR: {_PARSED}"),
    1064: Refusal(True, f"ER_PARSE_ERROR: {_PARSED}"),
    1146: Refusal(True, f"ER_NO_SUCH_TABLE: {_PARSED}"),
    1142: Refusal(True, f"ER_TABLEACCESS_DENIED_ERROR: {_RIGHTS}"),
    1143: Refusal(True, f"ER_COLUMNACCESS_DENIED_ERROR: {_RIGHTS}"),
    1227: Refusal(True, f"ER_SPECIFIC_ACCESS_DENIED_ERROR: {_RIGHTS}"),
    1048: Refusal(True, f"ER_BAD_NULL_ERROR: {_ROW}"),
    1062: Refusal(True, f"ER_DUP_ENTRY: {_ROW}"),
    1366: Refusal(True, f"ER_TRUNCATED_WRONG_VALUE_FOR_FIELD: {_ROW}"),
    1406: Refusal(True, f"ER_DATA_TOO_LONG: {_ROW}"),
}

# Errors of the client's library that it gives only while it connects: CR_CONNECTION_ERROR, CR_CONN_HOST_ERROR,
# CR_UNKNOWN_HOST. Others (2013, connection lost) come then, too, and also while an answer is awaited.
CONNECTING = (2002, 2003, 2005)
# As PyMySQL's errors are written down: "OperationalError 2013: Lost connection", some without a number.
_OF_LIBRARY = re.compile(r"[A-Za-z]*Error(?: (\d+))?: ")


def refused(error: str) -> bool:
    """Say whether an attempt that a history calls failed had no effect, by the error as the client writes it.

    Other words than those of a server or of the library are the client's own, which says why it sent nothing.
    """
    found = _OF_LIBRARY.match(error)
    if found is None:
        return True
    return found[1] is not None and (int(found[1]) in ANSWERS or int(found[1]) in CONNECTING)

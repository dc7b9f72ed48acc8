# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A single MySQL server as the fault agent beside it sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..on_host import Found, Home, OnHost, Probe, Reach
from .connect import SOCKET, MySQLAddress, at_home, connected
from .gtids import count_transactions


class SoleProbe:
    """Role of a server without replicas: it leads as long as its process lives."""

    def __init__(self, is_alive: Callable[[], bool]) -> None:
        self._is_alive = is_alive

    def read(self) -> dict[str, Any]:
        """Return what Probe says; there is no term and no member id."""
        alive = self._is_alive()
        return {
            "role": "leader" if alive else "unknown",
            "member_id": None,
            "leader_id": None,
            "term": None,
            "error": None if alive else "the server is not running",
        }


class TransactionReach(Reach):
    """How far a server's transactions reach, as it counts them itself.

    Whether their rows are there as well it does not know.
    """

    missing_of = "transactions"

    def __init__(self, address: MySQLAddress) -> None:
        self._address = address

    def told(self) -> dict[str, Any]:
        """Return what it has executed."""
        return {"gtid_executed": self._ask("SELECT @@GLOBAL.gtid_executed")[0]}

    def found(self, told: Mapping[str, Any], since_wall_ns: int) -> Found:
        """Return what it has executed by its own binary log and tables: it has talked to nobody yet."""
        before = told.get("gtid_executed")
        executed, lost = self._ask(
            "SELECT @@GLOBAL.gtid_executed, GTID_SUBTRACT(%s, @@GLOBAL.gtid_executed)", before or ""
        )
        had = {"gtid_executed": executed}
        return Found(had) if before is None else Found(had, count_transactions(lost), lost or None)

    def _ask(self, question: str, *values: str) -> list[str]:
        with connected(self._address) as connection, connection.cursor() as cursor:
            cursor.execute(question, values)
            return [str(value).replace("\n", "") for value in cursor.fetchone()]


class MySQLOnHost(OnHost):
    """A server without replicas."""

    def probe(self, home: Home) -> Probe:
        """Return a probe of its process."""
        return SoleProbe(home.is_alive)

    def reach(self, home: Home) -> Reach:
        """Return what asks it as root over its socket."""
        return TransactionReach(at_home(SOCKET))

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a member of Group Replication says of itself and of its group."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ...shapes import LabError
from ..endpoints import join_endpoint, split_endpoint
from ..mysql.connect import MySQLAddress, connected, translated
from ..mysql.gtids import count_transactions

# A member that does not tell its view within this time has none, in s.
VIEW_TIMEOUT_S = 1.0
# Between two looks at the group, in s.
LOOK_INTERVAL_S = 0.2

# Unknown system variable: the plugin is not there.
UNKNOWN_VARIABLE = 1193

# One member's view of its group.
MEMBERS = (
    "SELECT @@server_uuid, MEMBER_ID, MEMBER_HOST, MEMBER_PORT, MEMBER_STATE, MEMBER_ROLE "
    "FROM performance_schema.replication_group_members"
)


class State(StrEnum):
    """MEMBER_STATE of performance_schema.replication_group_members."""

    ONLINE = "ONLINE"
    RECOVERING = "RECOVERING"
    OFFLINE = "OFFLINE"
    ERROR = "ERROR"
    UNREACHABLE = "UNREACHABLE"


@dataclass(frozen=True)
class Seen:
    """One member as another (or it itself) sees it."""

    uuid: str
    address: str  # "host:port" where it serves clients
    state: str
    role: str  # PRIMARY, SECONDARY, or empty


@dataclass(frozen=True)
class View:
    """What a member says of itself and of its group; one that does not answer has ``error`` and nothing else."""

    error: str | None = None
    uuid: str = ""
    state: str = State.OFFLINE
    role: str = ""
    group_name: str = ""
    view_id: str = ""
    gtid_executed: str = ""
    rejoins: bool = False  # it tries by itself to come back (group_replication_autorejoin_tries)
    members: tuple[Seen, ...] = ()

    @property
    def has_quorum(self) -> bool:
        """Whether it takes part in a group of which it reaches more than half."""
        reached = [member for member in self.members if member.state != State.UNREACHABLE]
        return self.state in (State.ONLINE, State.RECOVERING) and 2 * len(reached) > len(self.members)

    @property
    def is_working(self) -> bool:
        """Whether it is a full member of a group that can decide."""
        return self.state == State.ONLINE and self.has_quorum

    @property
    def uuids(self) -> frozenset[str]:
        """Whom it sees in its group."""
        return frozenset(member.uuid for member in self.members)

    @property
    def term(self) -> int | None:
        """The number of its view, which grows with every change of the membership; None outside of a group."""
        number = self.view_id.rpartition(":")[2]
        return int(number) if number.isdecimal() else None

    @property
    def primary(self) -> Seen | None:
        """The primary, as it sees it."""
        return next((m for m in self.members if m.role == "PRIMARY" and m.state == State.ONLINE), None)


def read_view(connection: Any) -> View:
    """Ask one server for its view of the group; whatever PyMySQL raises comes through."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT @@server_uuid, @@group_replication_group_name, @@GLOBAL.gtid_executed, "
            "(SELECT COUNT(*) FROM performance_schema.events_stages_current "
            "WHERE EVENT_NAME LIKE 'stage/group_rpl/%auto-rejoin%')"
        )
        uuid, group_name, gtid_executed, rejoins = cursor.fetchone()
        cursor.execute(
            "SELECT MEMBER_ID, MEMBER_HOST, MEMBER_PORT, MEMBER_STATE, MEMBER_ROLE "
            "FROM performance_schema.replication_group_members"
        )
        members = tuple(Seen(row[0], f"{row[1]}:{row[2]}", row[3], row[4]) for row in cursor.fetchall() if row[0])
        cursor.execute(
            "SELECT VIEW_ID FROM performance_schema.replication_group_member_stats WHERE MEMBER_ID = @@server_uuid"
        )
        view_id = (cursor.fetchone() or ("",))[0]
    own = next((member for member in members if member.uuid == uuid), None)
    return View(
        uuid=uuid,
        state=own.state if own else State.OFFLINE,
        role=own.role if own else "",
        group_name=group_name or "",
        view_id=view_id or "",
        gtid_executed=gtid_executed.replace("\n", ""),
        rejoins=bool(rejoins),
        members=members,
    )


def read_members(connection: Any) -> View:
    """Ask one server whom it sees in its group, in one question, and nothing else; PyMySQL's errors come through."""
    with connection.cursor() as cursor:
        cursor.execute(MEMBERS, ())
        rows = cursor.fetchall()
    # A server that is in no group may still have a row, of nobody.
    members = tuple(Seen(row[1], join_endpoint(row[2], int(row[3])), row[4], row[5]) for row in rows if row[1])
    own = next((member for member in members if member.uuid == rows[0][0]), None)
    if own is None:
        return View(members=members)
    return View(uuid=own.uuid, state=own.state, role=own.role, members=members)


def view_of(address: MySQLAddress) -> View:
    """Return the view of the server at ``address``; one that does not answer has the reason."""
    try:
        with connected(address) as connection:
            return read_view(connection)
    except OSError as error:
        if error.errno == UNKNOWN_VARIABLE:
            raise LabError(f"The server at {address} has no Group Replication: its plugin is not loaded.") from None
        return View(error=error.strerror or str(error))


class GroupMember:
    """One member that is asked again and again, over one connection as long as it lasts."""

    def __init__(self, address: MySQLAddress) -> None:
        self._address = address
        self._stack = ExitStack()
        self._connection: Any = None

    def view(self) -> View:
        """Return its view; one that does not answer has the reason."""
        was_connected = self._connection is not None
        view = self._view()
        if view.error is not None and was_connected and "timed out" not in view.error:
            # Its server was started anew since: that is known from the old connection's end only.
            view = self._view()
        return view

    def _view(self) -> View:
        try:
            if self._connection is None:
                self._connection = self._stack.enter_context(connected(self._address))
            with translated():
                return read_view(self._connection)
        except OSError as error:
            self.close()
            return View(error=error.strerror or str(error))

    def close(self) -> None:
        """Close the connection."""
        self._connection = None
        with suppress(OSError):
            self._stack.close()


def why_not_primary(view: View) -> str | None:
    """Say why a member with this view gets no operations; None where it is the primary of a group that works."""
    if view.state == State.OFFLINE:
        return "it is not in a group"
    if view.state != State.ONLINE:
        return f"its state in the group is {view.state}"
    if not view.has_quorum:
        reached = [member for member in view.members if member.state != State.UNREACHABLE]
        return f"it reaches {len(reached)} of {len(view.members)} members of its group"
    if view.role != "PRIMARY":
        primary = view.primary
        return f"it is a secondary of {primary.address}" if primary else "it is a secondary, and knows no primary"
    return None


def addresses_of(members: Mapping[str, str], user: str, password: str, ca: str = "") -> dict[str, MySQLAddress]:
    """Return where and as whom each member is asked, from "host:port" by name."""
    return {
        name: _patient(MySQLAddress(*split_endpoint(each), user, password, ca=ca)) for name, each in members.items()
    }


def _patient(address: MySQLAddress) -> MySQLAddress:
    """Return it with the time that a view may take; a change may take longer than to connect for it."""
    return replace(address, timeout_s=VIEW_TIMEOUT_S, connect_timeout_s=VIEW_TIMEOUT_S)


def describe(view: View) -> dict[str, Any]:
    """Return a view as the plain facts that observations and samples hold.

    :returns: ``reachable``, ``error`` and, where it answered, ``state``, ``role``, ``id``, ``leader_id``, ``term``,
        ``view_id``, ``group_name``, ``gtid_executed`` and ``revision`` (number of transactions in it)
    """
    if view.error is not None:
        return {"reachable": False, "error": view.error}
    return {
        "reachable": True,
        "error": None,
        "state": str(view.state),
        "role": view.role,
        "id": view.uuid,
        "leader_id": view.primary.uuid if view.primary and view.has_quorum else None,
        "term": view.term,
        "view_id": view.view_id,
        "group_name": view.group_name,
        "gtid_executed": view.gtid_executed,
        "revision": count_transactions(view.gtid_executed),
    }


def is_online(facts: Mapping[str, Any]) -> bool:
    """Whether a described member is a full one of its group; what has no state is no member of one."""
    return bool(facts.get("state", State.ONLINE) == State.ONLINE)

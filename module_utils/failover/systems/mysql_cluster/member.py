# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A member of Group Replication as the fault agent beside it asks it, and brings it back."""

from __future__ import annotations

import threading
from typing import Any

from ...shapes import LabError
from ..mysql.connect import MySQLAddress, at_home
from ..mysql.member import TransactionReach
from ..on_host import Home, Keeper, OnHost, Probe, Reach
from .keeper import GroupConfig, GroupKeeper
from .views import GroupMember


class GroupProbe:
    """Role of a member of Group Replication, as its server says itself."""

    def __init__(self, address: MySQLAddress) -> None:
        self._member = GroupMember(address)
        self._lock = threading.Lock()

    def read(self) -> dict[str, Any]:
        """Return what Probe says; the term is the number of the group's view."""
        with self._lock:
            view = self._member.view()
        if view.error is not None:
            return {"role": "unknown", "member_id": None, "leader_id": None, "term": None, "error": view.error}
        role = {"PRIMARY": "leader", "SECONDARY": "follower"}.get(view.role, "unknown")
        return {
            "role": role if view.is_working else "unknown",
            "member_id": view.uuid,
            "leader_id": view.primary.uuid if view.primary else None,
            "term": view.term,
            "error": None if view.is_working else f"its state in the group is {view.state}",
            "sees": {member.uuid: str(member.state) for member in view.members},
        }


class GroupOnHost(OnHost):
    """A member of a replication group; its member file is a :class:`.keeper.GroupConfig`."""

    def probe(self, home: Home) -> Probe:
        """Return a probe of the own server, asked as root over its socket."""
        return GroupProbe(at_home(_config(home).socket))

    def keeper(self, home: Home) -> Keeper:
        """Return what brings the member back into its group."""
        return GroupKeeper(home.member, _config(home))

    def reach(self, home: Home) -> Reach:
        """Return what asks it as root over its socket, while it is in no group: it joins none when it starts."""
        return TransactionReach(at_home(_config(home).socket))

    def force(self, home: Home) -> None:
        """Make the member a group of its own."""
        GroupKeeper(home.member, _config(home)).force()


def _config(home: Home) -> GroupConfig:
    if not home.member_file:
        raise LabError("member_file is needed for a member of a replication group; provision the host again.")
    return GroupConfig.load(home.member_file)

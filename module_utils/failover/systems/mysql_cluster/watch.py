# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A replication group as it is looked at again and again: each member's state, and who is primary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..mysql.connect import MySQLAddress
from .views import GroupMember, describe


class GroupSampler:
    """A member of Group Replication, by its own view of the group."""

    def __init__(self, address: MySQLAddress) -> None:
        self._member = GroupMember(address)

    def sample(self) -> dict[str, Any]:
        """Return its state, role and term, the primary it follows, and the number of its transactions as revision."""
        return describe(self._member.view())

    def close(self) -> None:
        """Close the connection."""
        self._member.close()


class GroupLeader:
    """Finds the primary with as few questions as possible, over connections of its own."""

    def __init__(self, addresses: Mapping[str, MySQLAddress]) -> None:
        """:param addresses: by member."""
        self._members = {name: GroupMember(address) for name, address in addresses.items()}
        self._names = {str(address): name for name, address in addresses.items()}
        self._last: str | None = None

    def ask(self) -> str | None:
        """Return the primary's name as the first member says that is in a working group; None without one."""
        for name in sorted(self._members, key=lambda name: name != self._last):
            view = self._members[name].view()
            if view.error is None and view.is_working and view.primary is not None:
                self._last = self._names.get(view.primary.address)
                return self._last
        return None

    def close(self) -> None:
        """Close the connections."""
        for member in self._members.values():
            member.close()

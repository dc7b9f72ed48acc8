# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a majority is left without one member, asked of the system itself at the moment of a fault.

A host that holds no fault may still be no member that counts: expelled, recovering, behind, partitioned. So the members
are asked. The one that leads the newest term is the witness; a member counts where it says of itself that it works
under that leader in that term, and the witness, as far as it can tell, says the same of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..fault_names import ROLES

# State in which the witness of a replication group has the members that count (MEMBER_STATE of MySQL).
COUNTED = "ONLINE"

Statuses = Mapping[str, Mapping[str, Any]]


def leader_of(statuses: Statuses) -> str | None:
    """Return the member that says itself that it leads; of several, the one of the highest term.

    A leader that was partitioned may believe for a while that it still leads, in an older term.
    """
    leaders = [(status["term"] or 0, member) for member, status in statuses.items() if status["role"] == "leader"]
    return max(leaders)[1] if leaders else None


class MajorityKept:
    """Looks, as often as it takes, whether one fault would leave a majority.

    It remembers how far the leader was at the first look: an etcd member that has not committed so much by now is
    catching up, and a majority that needs it would stand still. A group of MySQL servers says so by itself.
    """

    def __init__(self, members: Collection[str]) -> None:
        """:param members: of whom the system consists, whatever has become of them."""
        self._members = members
        self._mark: int | None = None
        self.counted: list[str] = []  # who was left at the last look

    def why_not(self, target: str, statuses: Statuses, is_away: Callable[[str, Mapping[str, Any]], bool]) -> str | None:
        """Return why ``target`` must not be struck now, in one clause; None where a majority is left without it.

        :param statuses: what each member's agent answered just now (``agent.agent.Agent.status``)
        :param is_away: whether a fault of the lab takes a member from its peers, though they may not know yet
        """
        self.counted = []
        witness = leader_of(statuses)
        if witness is None:
            return "no member leads now, so nobody can say who counts"
        newest = max(status["term"] or 0 for status in statuses.values())
        if newest > (statuses[witness]["term"] or 0):
            return f"{witness} leads an older term than other members are in"
        committed = statuses[witness].get("committed")
        if self._mark is None and committed is not None:
            self._mark = committed
        others: dict[str, str] = {}
        for member in sorted(self._members):
            if member == target:
                continue
            status = statuses.get(member)
            if status is None:
                reason: str | None = "silent"
            else:
                reason = "held by a fault" if is_away(member, status) else self._why_out(status, statuses[witness])
            if reason is None:
                self.counted.append(member)
            else:
                others[member] = reason
        if 2 * len(self.counted) > len(self._members):
            return None
        told = ", ".join(f"{member} is {reason}" for member, reason in others.items())
        of_all = f"{len(self.counted)} of {len(self._members)} members"
        return f"without {target} only {of_all} that count would be left ({told})"

    def _why_out(self, status: Mapping[str, Any], witness: Mapping[str, Any]) -> str | None:
        """Return what keeps a member from counting, None where nothing does."""
        if status["role"] not in ROLES:
            return "not working" + (f": {status['error']}" if status.get("error") else "")
        if (status["leader_id"], status["term"]) != (witness["leader_id"], witness["term"]):
            return "in another term or group than the leader"
        if not status.get("votes", True):
            return "not a voting member"
        seen: Mapping[str, str] | None = witness.get("sees")
        state = COUNTED if seen is None else seen.get(str(status["member_id"]), "not in the group")
        if state != COUNTED:
            return f"{state.lower()}, as the leader sees it"
        if self._mark is not None and (status.get("committed") or 0) < self._mark:
            return "still catching up"
        return None


def is_settled(statuses: Statuses, members: int, target: str, role: str | None) -> bool:
    """Whether these answers decide the target, though not all members have answered yet.

    They do when a majority follows one leader in one term, that leader says the same itself, and a named target is
    among them: no other leader can have a higher term then. A follower is chosen among all of them.
    """
    leader = leader_of(statuses)
    if leader is None or role == "follower" or (role is None and target not in statuses):
        return False
    word = (statuses[leader]["leader_id"], statuses[leader]["term"])
    agreeing = sum(1 for status in statuses.values() if (status["leader_id"], status["term"]) == word)
    return agreeing * 2 > members

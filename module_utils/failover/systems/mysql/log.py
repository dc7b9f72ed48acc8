# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a MySQL server's own error log says of its group, its start and its end, as Events.

Input are the lines of the error log in its usual form, with times in microseconds and any offset from UTC
(``log_timestamps`` may be SYSTEM). Messages are told apart by their number (MySQL error message reference); the texts
are those of MySQL 8.0 to 9.7 (verified with 9.7: a primary stopped, killed, paused and partitioned, a member that came
back by incremental recovery and by clone).

Events of ``source`` = member: ``server.starting`` (process up), ``server.started`` (serves clients),
``server.stopping`` (signal received), ``server.stopped``, ``server.member_unreachable``, ``server.member_reachable``,
``server.member_removed`` (each with ``members``), ``server.quorum_lost``, ``server.quorum_regained``,
``server.leader_lost``, ``server.election_started``, ``server.leader_elected``, ``server.leader_ready`` (the new primary
takes writes), ``server.expelled``, ``server.rejoin_started``, ``server.recovery`` (``method``: how what was missed is
fetched) and ``server.member_online``. Their data has ``member``, and where it applies ``leader`` (a name where the
address is known, else the address), ``leader_id`` and ``term`` (number of the group's view).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from ...shapes import Event

LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})(Z|[+-]\d\d:\d\d) +\d+ \[\w+\] \[MY-(\d+)\] \[\w+\] (.*)")
ADDRESS = re.compile(r"[\w.:\[\]-]+:\d+")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
VIEW = re.compile(r"on view \d+:(\d+)")

# An election and its view are told in one go. Only a view as near as this belongs to an election whose beginning was
# not told, as in a log that begins in the middle.
ONE_GO_NS = 1_000_000_000

Found = tuple[str, dict[str, Any]]


def parse_logs(logs: Mapping[str, Iterable[str]], addresses: Mapping[str, str]) -> list[Event]:
    """Read the error logs of all members into events in the order of time.

    :param logs: member -> its lines
    :param addresses: "host:port" where a member serves clients -> member
    """
    events = [event for member, log in logs.items() for event in parse_log(log, member, addresses)]
    return sorted(events, key=lambda event: event.wall_ns)


def parse_log(lines: Iterable[str], member: str, addresses: Mapping[str, str]) -> list[Event]:
    """Read one member's log; lines that are cut short or say nothing of interest are passed over."""
    reader = _Reader(member, addresses)
    for line in lines:
        reader.read(line)
    return reader.events


class _Reader:
    """Follows one member through its log."""

    def __init__(self, member: str, addresses: Mapping[str, str]) -> None:
        self.events: list[Event] = []
        self._member = member
        self._addresses = addresses
        self._elected_uuid: str | None = None
        self._elected: dict[str, Any] | None = None  # data of the newest election, until its view is known
        self._elected_wall_ns = 0
        self._view: int | None = None  # the newest view since the server's start
        self._new_view_due = False  # the primary has left, and the view without it is not told yet
        self._wall_ns = 0  # of the line that is being read
        self._acts: dict[str, Callable[[str], list[Found]]] = {
            "010116": self._starting,
            "010931": lambda text: [("server.started", {})],
            "013172": lambda text: [("server.stopping", {})],
            "010910": lambda text: [("server.stopped", {"how": "closed", "status": None})],
            "011493": lambda text: [("server.member_unreachable", self._members(text))],
            "011494": lambda text: [("server.member_reachable", self._members(text))],
            "011499": lambda text: [("server.member_removed", self._members(text))],
            "011495": lambda text: [("server.quorum_lost", {})],
            # The same where group_replication_unreachable_majority_timeout ends the wait.
            "011496": lambda text: [("server.quorum_lost", {})],
            "011498": lambda text: [("server.quorum_regained", {})],
            "011500": self._primary_left,
            "015576": self._chosen,
            "011507": self._new_primary,
            "011503": self._new_view,
            "011510": lambda text: [("server.leader_ready", {"leader": self._member})],
            "011505": lambda text: [("server.expelled", {})],
            "013373": lambda text: [("server.rejoin_started", {})],
            "013471": lambda text: [("server.recovery", {"method": "clone" if "Cloning" in text else "incremental"})],
            "011490": lambda text: [("server.member_online", {})],
        }

    def read(self, line: str) -> None:
        """Take over what one line says."""
        match = LINE.match(line)
        act = self._acts.get(match[4]) if match else None
        if match is None or act is None:
            return
        moment = datetime.fromisoformat(match[1] + match[3])
        self._wall_ns = int(moment.timestamp()) * 1_000_000_000 + int(match[2]) * 1_000
        for name, data in act(match[5]):
            # The election's own data object is kept: its term comes with a later line.
            event = Event(self._wall_ns, self._member, name, data)
            event.data["member"] = self._member
            self.events.append(event)

    def _starting(self, _text: str) -> list[Found]:
        self._view, self._elected, self._new_view_due = None, None, False
        return [("server.starting", {})]

    def _primary_left(self, text: str) -> list[Found]:
        self._new_view_due = True
        cause = "the primary left the group"
        return [("server.leader_lost", {"leader": self._first(text)}), ("server.election_started", {"cause": cause})]

    def _chosen(self, text: str) -> list[Found]:
        uuid = UUID.search(text)
        self._elected_uuid = uuid[0] if uuid else None
        return []

    def _new_primary(self, text: str) -> list[Found]:
        # Where no view is due, the election is one in the view that is there: the group was just made, or its primary
        # was changed by hand.
        term = None if self._new_view_due else self._view
        elected = {"leader": self._first(text), "leader_id": self._elected_uuid, "term": term}
        self._elected, self._elected_wall_ns = (elected if term is None else None), self._wall_ns
        return [("server.leader_elected", elected)]

    def _new_view(self, text: str) -> list[Found]:
        view = VIEW.search(text)
        if view is None:
            return []
        self._view = int(view[1])
        if self._elected is not None and (self._new_view_due or self._wall_ns - self._elected_wall_ns < ONE_GO_NS):
            self._elected["term"] = self._view
        self._elected, self._new_view_due = None, False
        return []

    def _first(self, text: str) -> str | None:
        """Return the first member that a text names: where it names several, the others are those it speaks to."""
        return next(iter(self._members(text)["members"]), None)

    def _members(self, text: str) -> dict[str, Any]:
        # Plugin messages stand between quotation marks, behind a colon of their own.
        found = ADDRESS.findall(text.partition("reported: ")[2] or text)
        return {"members": [self._addresses.get(address, address) for address in found]}

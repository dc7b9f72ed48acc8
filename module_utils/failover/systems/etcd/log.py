# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What etcd's own log says of elections, starts and stops, as Events.

Input are the lines of ``journalctl -u etcd -o short-unix`` (recommended: it also stamps the service manager's lines,
which are the only trace of a killed process) or of ``-o cat``. etcd's JSON lines carry their own time in microseconds,
and that one counts. The texts are those of etcd 3.4 to 3.6 with ``logger: zap`` (verified with 3.4.23 and 3.5.16: a
leader stopped, killed and starved; only "slow fdatasync" was taken from its source). etcd 3.4 names no logger, does not
say "ready to serve client requests", and of a handover it says only that it "received MsgTimeoutNow".

Events of ``source`` = member: ``server.starting`` (process up), ``server.started`` (serves clients),
``server.stopping`` (signal received), ``server.stopped``, ``server.election_started``, ``server.leader_lost``,
``server.leader_elected`` and ``server.overloaded`` (etcd says that its disk or its CPU is too slow). Their data has
``member``, and where it applies ``term``, ``leader`` (a name where the id is known, else the id), ``leader_id``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from ...shapes import Event

SHORT_UNIX = re.compile(r"(\d+)\.(\d{6}) \S+ [^:]+: (.*)")

ELECTION_STARTED = re.compile(r"(\w+) is starting a new election at term (\d+)")
TIMEOUT_NOW = re.compile(r"(\w+) \[term (\d+)\] received MsgTimeoutNow from (\w+) and starts an election")
BECAME_LEADER = re.compile(r"(\w+) became leader at term (\d+)")
ELECTED = re.compile(r"raft\.node: (\w+) elected leader (\w+) at term (\d+)")
CHANGED = re.compile(r"raft\.node: (\w+) changed leader from (\w+) to (\w+) at term (\d+)")
LOST = re.compile(r"raft\.node: (\w+) lost leader (\w+) at term (\d+)")

MAIN_PROCESS_EXITED = re.compile(r"\S+: Main process exited, code=(\w+), status=(\S+)")

# What it found when it started: its database first (not said in 3.4), then its log.
RESTORED = "kvstore restored"
BEGAN = re.compile(r"newRaft \w+ \[.*\blastindex: (\d+),")

# Beginnings of the messages by which etcd says that clients are served, one for each address on which it listens: since
# 3.5 before the first of them opens, in 3.4 only the second (server/embed/serve.go).
SERVING = ("ready to serve client requests", "serving client traffic ")

# Beginnings of the messages by which etcd complains of a slow disk or a starved CPU.
OVERLOAD = ("leader failed to send out heartbeat on time", "slow fdatasync")


def parse_logs(logs: Mapping[str, Iterable[str]], known: Mapping[str, str]) -> list[Event]:
    """Read the logs of all members into events in the order of time.

    :param logs: member -> its lines
    :param known: member id (hexadecimal) -> member, as observed; a member that starts names its id in its log as well
    """
    lines = {member: list(log) for member, log in logs.items()}
    names = dict(known) | {own: member for member, log in lines.items() if (own := own_id(log)) is not None}
    events = [event for member, log in lines.items() for event in parse_log(log, member, names)]
    return sorted(events, key=lambda event: event.wall_ns)


def own_id(lines: Iterable[str]) -> str | None:
    """Return the id of the member whose log this is: the newest one it gives itself."""
    found = None
    for line in lines:
        match = re.search(r'"local-member-id":"([0-9a-f]+)"', line)
        if match:
            found = match[1]
    return found


def parse_log(lines: Iterable[str], member: str, names: Mapping[str, str]) -> Iterator[Event]:
    """Read one member's log; lines that are cut short or say nothing of interest are passed over.

    :param names: member id (hexadecimal) -> member
    """
    reader = _Reader(member, names)
    for line in lines:
        yield from reader.read(line.rstrip("\n"))


def read_start(lines: Iterable[str], since_wall_ns: int) -> dict[str, int]:
    """Return what a member found on its disk at its latest start, as far as its log says so.

    :param since_wall_ns: earlier lines are of earlier starts
    :returns: ``raft_index``, the newest entry of its log, and ``revision`` of its database file
    """
    found: dict[str, int] = {}
    for line in lines:
        try:
            entry = json.loads(line)
            wall_ns, message = _wall_ns(entry["ts"]), str(entry["msg"])
        except (ValueError, KeyError, TypeError):
            continue
        if wall_ns < since_wall_ns:
            continue
        if message == RESTORED and isinstance(entry.get("current-rev"), int):
            found["revision"] = entry["current-rev"]
        elif (began := BEGAN.match(message)) is not None:
            found["raft_index"] = int(began[1])
    return found


class _Reader:
    """Follows one member through its log: the same words mean another thing after a restart."""

    def __init__(self, member: str, names: Mapping[str, str]) -> None:
        self._member = member
        self._names = names
        self._serving = False
        self._running = True
        self._led_in_term: int | None = None
        self._knew_leader = True  # a log that begins in the middle does not show the election before it
        self._handed_over: tuple[int, str] | None = None  # in which term, and by whom
        self._raft: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[str, dict[str, Any]] | None]], ...] = (
            (ELECTION_STARTED, self._election_started),
            (BECAME_LEADER, self._became_leader),
            (ELECTED, self._elected),
            (CHANGED, self._changed),
            (LOST, self._lost),
        )

    def read(self, line: str) -> Iterator[Event]:
        """Return the event of one line, if it has one."""
        stamped = SHORT_UNIX.match(line)
        wall_ns = int(stamped[1]) * 1_000_000_000 + int(stamped[2]) * 1_000 if stamped else None
        text = stamped[3] if stamped else line
        if text.startswith("{"):
            try:
                entry = json.loads(text)
                wall_ns, message = _wall_ns(entry["ts"]), str(entry["msg"])
            except (ValueError, KeyError, TypeError):
                return
            found = self._of_raft(message, entry) or self._of_server(message, entry)
        else:
            found = self._of_manager(text)
        if found is not None and wall_ns is not None:
            yield Event(wall_ns, self._member, found[0], {"member": self._member, **found[1]})

    def _of_manager(self, text: str) -> tuple[str, dict[str, Any]] | None:
        exited = MAIN_PROCESS_EXITED.match(text)
        if exited is None or not self._running:
            return None
        self._running = self._serving = False
        return "server.stopped", {"how": exited[1], "status": exited[2]}

    def _of_server(self, message: str, entry: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
        if message == "starting an etcd server":
            self._running, self._serving, self._knew_leader = True, False, False
            return "server.starting", {"version": entry.get("etcd-version")}
        if message.startswith(SERVING):
            if self._serving:
                return None
            self._serving = True
            return "server.started", {}
        if message.startswith("received signal"):
            return "server.stopping", {"signal": entry.get("signal")}
        if message == "closed etcd server":
            self._running = self._serving = False
            return "server.stopped", {"how": "closed", "status": None}
        if message.startswith(OVERLOAD):
            return "server.overloaded", {"reason": message, "by": entry.get("exceeded-duration") or entry.get("took")}
        return None

    def _of_raft(self, message: str, entry: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
        handover = TIMEOUT_NOW.match(message)
        if handover:
            self._handed_over = int(handover[2]), handover[3]
            # Since 3.5, which names its loggers, a second line says whether an election begins: a member that has a
            # change of the membership before it must not stand.
            return None if "logger" in entry else self._election(int(handover[2]))
        for pattern, act in self._raft:
            match = pattern.match(message)
            if match:
                return act(match)
        return None

    def _election_started(self, match: re.Match[str]) -> tuple[str, dict[str, Any]]:
        return self._election(int(match[2]))

    def _election(self, old_term: int) -> tuple[str, dict[str, Any]]:
        handed_over, self._handed_over = self._handed_over, None
        cause = {"cause": "election timeout"}
        if handed_over is not None and handed_over[0] == old_term:
            cause = {"cause": "leadership transfer", "from": self._name(handed_over[1])}
        return "server.election_started", {"term": old_term + 1, "term_before": old_term, **cause}

    def _became_leader(self, match: re.Match[str]) -> tuple[str, dict[str, Any]]:
        self._led_in_term = int(match[2])
        # Even of a member that has just started this is an election: its own.
        self._knew_leader = True
        return self._new_leader(match[1], int(match[2]))

    def _elected(self, match: re.Match[str]) -> tuple[str, dict[str, Any]] | None:
        if int(match[3]) == self._led_in_term and match[1] == match[2]:
            return None  # said already, by "became leader"
        return self._new_leader(match[2], int(match[3]))

    def _changed(self, match: re.Match[str]) -> tuple[str, dict[str, Any]]:
        return self._new_leader(match[3], int(match[4]))

    def _lost(self, match: re.Match[str]) -> tuple[str, dict[str, Any]]:
        return "server.leader_lost", {"leader": self._name(match[2]), "leader_id": match[2], "term": int(match[3])}

    def _new_leader(self, leader_id: str, term: int) -> tuple[str, dict[str, Any]]:
        data = {"leader": self._name(leader_id), "leader_id": leader_id, "term": term}
        if not self._knew_leader:
            # A member that has just started hears who leads: that is not an election.
            data["joined"] = True
        self._knew_leader = True
        return "server.leader_elected", data

    def _name(self, member_id: str) -> str:
        return self._names.get(member_id, member_id)


def _wall_ns(text: str) -> int:
    """Turn etcd's time (ISO 8601, microseconds, any zone) into wall time in ns, exactly."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000 + moment.microsecond * 1_000

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The moments of an outage, a row each: who stamps it, what it is called, who waits for what until it comes.

Whatever is known of one kind of moment stands in its row. Who divides an outage, lays its waits side by side or
measures its repeats goes by these rows, so another moment is one row more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .shapes import Event

# Who is waited for.
SERVERS, CLIENTS, HEAL = "servers", "clients", "heal"


@dataclass(frozen=True)
class Wait:
    """What was waited for in the phase of an outage that a moment ends."""

    part: str  # SERVERS, CLIENTS or HEAL
    begins: tuple[str, ...]  # of these moments any that was recorded began the wait; without any it needs no beginning
    # What was waited for; by the moment that began it, or by the data of the event that ended it, where that makes a
    # difference.
    text: str | Mapping[str, str] | Callable[[Mapping[str, Any]], str]


# What a fault has to have for a moment to be missed where it was not recorded: one hit the leader of several members,
# it ends the process, its system has several members, there is an outage.
LEADER_OF_SEVERAL, PROCESS_ENDS, SEVERAL, OUTAGE = "leader of several", "process ends", "several", "outage"
ALWAYS: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Moment:
    """One kind of moment."""

    name: str  # a key of report.json
    label: str  # what a reader is told
    event: str | None = None  # that stamps it; None: the history or the watch over the heal tells it
    detail: Callable[[Event], str] | None = None  # what its event says besides
    wait: Wait | None = None  # None: nobody's wait ends with it
    missed: frozenset[str] | None = None  # in which faults its absence is told; None: in none, as not all have it
    own: bool = False  # it counts from the member that was hit alone: others may start and stop for their own reasons
    returns: bool = False  # the heal is followed by it, for as long as the member takes
    # By it somebody says that service can go on: until then a time without an answer may be blamed on the fault. The
    # end of a process is none, as it may live on for a second, busy with closing.
    effect: bool = False
    able: str = ""  # how it is told where it shows that the service could answer again
    measured: str = ""  # how the time until it is called, where not by its label


def _values(*names: str) -> Callable[[Event], str]:
    """Return a description that names those of an event's data that are there."""

    def describe(event: Event) -> str:
        found = [(name, event.data[name]) for name in names if event.data.get(name) not in (None, [])]
        return ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in found)

    return describe


def _plain(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def _elected(event: Event) -> str:
    """Describe an election's result: who leads now, in which term."""
    leader = event.data.get("leader") or event.data.get("member") or event.source
    term = event.data.get("term")
    return f"{leader}, term {term}" if term is not None else str(leader)


def _error(event: Event) -> str:
    return str(event.data.get("error", ""))


def _handshake(event: Event) -> str:
    """Describe what TLS cost a connection."""
    how = "session resumed" if event.data.get("resumed") else "full handshake"
    return f"{event.data.get('endpoint')}, {how} in {event.data.get('handshake_ms') or 0:.1f} ms"


def _by_cause(data: Mapping[str, Any]) -> str:
    """Say what was waited for until an election began."""
    return {
        "election timeout": "an election timeout: the members heard nothing from the leader",
        "leadership transfer": "the leader to hand over leadership",
        "the primary left the group": "the group to agree that the primary is gone",
    }.get(str(data.get("cause")), "the members to begin an election")


def _answer(data: Mapping[str, Any]) -> str:
    """Name the attempt that was waited for until it failed."""
    index, endpoint = data.get("index"), data.get("endpoint")
    operation = f"operation {index:,}" if isinstance(index, int) else "an operation"
    return f"an answer to {operation}{f' from {endpoint}' if endpoint else ''}"


STRUCK = ("signal_sent",)
HEALED = ("healed", "heal_requested")
SILENT = "the group to expel the silent member"

# In the order in which a reader expects them; ties in time keep it.
_ROWS = (
    Moment("requested", "fault requested", "fault.requested", _values("index"), missed=ALWAYS),
    Moment(
        "role_checked",
        "role of the target checked",
        "fault.role_checked",
        _values("role", "term"),
        missed=ALWAYS,
    ),
    Moment("signal_sent", "the fault", "fault.signal_sent", _values("signal", "pid"), missed=ALWAYS),
    Moment(
        "stopping",
        "signal received by the server",
        "server.stopping",
        _values("signal"),
        Wait(SERVERS, STRUCK, "the process to take the signal"),
        own=True,
    ),
    Moment(
        "process_gone",
        "process gone",
        "fault.process_gone",
        _values("pid"),
        Wait(SERVERS, STRUCK, "the process to end"),
        missed=frozenset({PROCESS_ENDS}),
    ),
    Moment(
        "quorum_lost",
        "member without a majority",
        "server.quorum_lost",
        wait=Wait(SERVERS, STRUCK, "the members to notice that they have no majority"),
    ),
    Moment(
        "leader_lost",
        "loss of the leader noticed",
        "server.leader_lost",
        _values("leader", "term"),
        # A group says so when it has expelled the leader; members without a group as soon as they miss it.
        Wait(
            SERVERS,
            ("member_unreachable", "signal_sent"),
            {
                "member_unreachable": SILENT,
                "signal_sent": "the other members to notice that the leader is gone",
            },
        ),
        missed=frozenset({LEADER_OF_SEVERAL}),
    ),
    Moment(
        "member_unreachable",
        "silence of the member noticed",
        "server.member_unreachable",
        _values("members"),
        Wait(SERVERS, STRUCK, "the other members to notice the silence"),
    ),
    Moment(
        "member_removed",
        "member removed from the group",
        "server.member_removed",
        _values("members"),
        Wait(
            SERVERS,
            ("leader_lost", "member_unreachable", "signal_sent"),
            {"leader_lost": SILENT, "member_unreachable": SILENT, "signal_sent": "the member to leave the group"},
        ),
    ),
    Moment(
        "election_started",
        "election started",
        "server.election_started",
        _values("term", "cause"),
        Wait(SERVERS, STRUCK, _by_cause),
        missed=frozenset({LEADER_OF_SEVERAL}),
    ),
    Moment(
        "leader_elected",
        "leader elected",
        "server.leader_elected",
        _elected,
        Wait(SERVERS, ("election_started",), "the members to agree on a leader"),
        missed=frozenset({LEADER_OF_SEVERAL}),
        effect=True,
        able="the new leader was there",
    ),
    Moment(
        "leader_seen",
        "new leader seen by polling",
        "fault.leader_after",
        _values("leader", "term"),
        Wait(SERVERS, STRUCK, "polling to see a new leader; no log tells when it was elected"),
        able="the new leader was seen",
    ),
    Moment(
        "leader_ready",
        "new leader takes writes",
        "server.leader_ready",
        _values("leader"),
        Wait(SERVERS, ("leader_elected",), "the new leader to take writes"),
        able="the new leader took writes",
    ),
    Moment(
        "first_attempt_failed",
        "first error seen by a client",
        "client.attempt_failed",
        _error,
        Wait(CLIENTS, ("attempt_sent",), _answer),
        missed=ALWAYS,
    ),
    Moment(
        "failover_started",
        "client failover started",
        "client.failover_started",
        _values("endpoint"),
        Wait(CLIENTS, ("first_attempt_failed",), "the client to turn to the other members"),
        missed=ALWAYS,
    ),
    Moment(
        "member_passed_over",
        "client passes over a member",
        "client.member_passed_over",
        _values("endpoint", "reason"),
        Wait(CLIENTS, ("failover_started",), "the client to ask the next member"),
    ),
    Moment(
        "secured",
        "client connected over TLS",
        "client.secured",
        _handshake,
        # To open the connection, to shake hands, and to log in; how long the handshake took is told beside it.
        Wait(CLIENTS, ("failover_started",), "the client to connect anew, TLS handshake included"),
    ),
    Moment(
        "heal_requested",
        "heal requested",
        "fault.heal_requested",
        _values("by"),
        Wait(HEAL, STRUCK, "the heal to be due"),
        missed=ALWAYS,
    ),
    Moment(
        "server_starting",
        "process started again",
        "server.starting",
        wait=Wait(
            SERVERS, ("heal_requested", "process_gone", "signal_sent"), "the service manager to start the process"
        ),
        own=True,
    ),
    Moment(
        "server_started",
        "server serves clients again",
        "server.started",
        wait=Wait(SERVERS, ("server_starting",), "the server to read its data and to listen"),
        own=True,
        able="the server was there again",
    ),
    Moment(
        "healed",
        "healed",
        "fault.healed",
        _values("by"),
        Wait(HEAL, ("heal_requested",), "the heal to be done"),
        missed=ALWAYS,
    ),
    Moment("heal_failed", "heal failed", "fault.heal_failed", _values("reason")),
    Moment(
        "member_reachable",
        "member reachable again",
        "server.member_reachable",
        _values("members"),
        Wait(SERVERS, HEALED, "the members to hear each other again"),
    ),
    Moment(
        "quorum_regained",
        "majority in reach again",
        "server.quorum_regained",
        wait=Wait(SERVERS, HEALED, "the members to have a majority again"),
        able="the majority was there again",
    ),
    Moment(
        "recovery",
        "member begins to fetch what it missed",
        "server.recovery",
        _values("method"),
        Wait(SERVERS, ("server_started", *HEALED), "the member to join its group"),
        own=True,
        returns=True,
    ),
    Moment(
        "member_online",
        "member online in its group",
        "server.member_online",
        wait=Wait(SERVERS, ("recovery",), "the member to fetch what it missed"),
        own=True,
        returns=True,
    ),
    Moment(
        "failover_completed",
        "client failover completed",
        "client.failover_completed",
        _values("endpoint"),
        Wait(CLIENTS, ("failover_started",), "attempts, until a member acknowledged one"),
        missed=ALWAYS,
        effect=True,
        measured="client reconnected",
    ),
    # By the history.
    Moment("last_ok", "last ok operation"),
    Moment(
        "attempt_sent",
        "operation sent that fails first",
        wait=Wait(CLIENTS, (), "the client to send its next operation"),
    ),
    Moment("first_ok_write", "first ok write", missed=frozenset({OUTAGE})),
    Moment("first_ok_read", "first ok read", missed=frozenset({OUTAGE})),
    Moment("throughput_back", "throughput back", missed=frozenset({OUTAGE})),
    Moment("latency_back", "latency back in its band", missed=frozenset({OUTAGE})),
    # The steps of a member's return, by the watch over its heal. That the host has the request and that it has done it
    # are left out: the host's own stamps are "heal requested" and "healed".
    Moment("process_started", "process started again", missed=frozenset({SEVERAL, PROCESS_ENDS})),
    Moment("first_answer", "member back (answers)", missed=frozenset({SEVERAL})),
    Moment("leader_known", "member knows the leader", missed=frozenset({SEVERAL})),
    Moment("caught_up", "member caught up", missed=frozenset({SEVERAL})),
    Moment("converged", "all members proven equal", missed=frozenset({SEVERAL}), measured="all members equal"),
)
MOMENTS: dict[str, Moment] = {moment.name: moment for moment in _ROWS}
# What ends an outage: whichever first ok operation comes first. Under this name it is one moment over all repeats.
OUTAGE_END, OUTAGE_END_LABEL = "first_ok", "first ok operation"
# The steps of a member's return, in the order in which they come.
RETURN_STEPS = ("process_started", "first_answer", "leader_known", "caught_up", "converged")

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shapes that more than one part of the lab relies on. Each is written down here and nowhere else.

Clocks. ``*_ns`` of a history row are nanoseconds of one monotonic clock since the experiment's
origin; the origin is placed once on the wall clock (``origin_wall_ns``, Unix epoch). Events carry
``wall_ns`` (Unix epoch, nanoseconds), stamped by whoever acted, at the moment it acted.

A results folder (``results/RUN/``)::

    run.json                     the run: seed, iterations, versions, hosts, settings (RUN_KEYS)
    verdict.json                 all experiments together
    report.pdf report.html report.json
    EXPERIMENT/
        experiment.json          definition, summary of the workload, cluster before and after (EXPERIMENT_KEYS)
        history.parquet          one row an operation (HISTORY_COLUMNS)
        watch.parquet            one row a change that a watch was told (WATCH_COLUMNS), where the system was watched
        events.jsonl             one Event a line, ordered by wall_ns
        nodes/MEMBER.jsonl       every key of one member: a header object, then [key, value, version, mod_revision]
        logs/HOST.log            the server's own log during the experiment
        verdict.json             {"schema_version", "verdict", "checks": [Check, ...], "judged": {path: SHA-256, ...}},
                                 and "limits", where it was judged with any
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from .clock import CLOCK

# Of every JSON file of a results folder; docs/schemas.md says what increases it.
SCHEMA_VERSION = 1


class LabError(Exception):
    """Something the user has to know in one line: what, where, what to try. Never shown as a traceback."""


class LastingError(LabError):
    """One that trying again does not change, however long."""


class Kind(StrEnum):
    """Kind of an operation of the workload."""

    CREATE = "CREATE"  # of a key that is not there
    RETRIEVE = "RETRIEVE"
    DELETE = "DELETE"
    WRITE = "WRITE"  # of a key, whatever it holds
    CAS = "CAS"  # compare and set: a write where the key holds what is expected, else nothing
    APPEND = "APPEND"  # of an element to the list that the key holds
    SCAN = "SCAN"  # of the keys from this one on, so many at most


# The kinds that the notebook knew. Tables of counts always have them, others where there are any.
FIRST_KINDS = (Kind.CREATE, Kind.RETRIEVE, Kind.DELETE)
READ_KINDS = (Kind.RETRIEVE, Kind.SCAN)
WRITE_KINDS = tuple(kind for kind in Kind if kind not in READ_KINDS)
# Between two elements of a list.
LIST_SEPARATOR = ","


class Outcome(StrEnum):
    """What the client knows of an operation: took effect, certainly did not, or cannot be known."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


class RetryPolicy(StrEnum):
    """What a client does about an attempt that was not acknowledged."""

    SAFE = "safe"  # sends it again behind a fence: no attempt takes effect once the operation is over (systems.fence)
    BLIND = "blind"  # sends it again; an attempt whose answer was lost may take effect later
    NONE = "none"  # nothing: one attempt an operation
    NOTEBOOK = "notebook"  # as the notebook did: blindly, after a pause, to another member at random


class ReadConsistency(StrEnum):
    """What a read may return."""

    LINEARIZABLE = "linearizable"  # nothing that was overwritten before it began
    SERIALIZABLE = "serializable"  # what the member that is asked has, be it behind the others


class Arrivals(StrEnum):
    """When the operations of a run with a rate are due."""

    FIXED = "fixed"  # at equal distances
    POISSON = "poisson"  # as of many users who know nothing of each other: distances are exponential, and seeded


class Settled(StrEnum):
    """What a write of unknown outcome turned out to be, once its client could ask again."""

    APPLIED = "applied"
    NOT_APPLIED = "not applied"


class Verdict(StrEnum):
    """What a checker says. ``unknown`` never hides an ``invalid``."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


def worst(verdicts: list[Verdict]) -> Verdict:
    """Combine verdicts: any invalid is invalid, else any unknown (or nothing at all) is unknown."""
    if Verdict.INVALID in verdicts:
        return Verdict.INVALID
    if Verdict.UNKNOWN in verdicts or not verdicts:
        return Verdict.UNKNOWN
    return Verdict.VALID


# The exit status of scripts/lab and of every checker script (docs/architecture.md).
EXIT_STATUS = {Verdict.VALID: 0, Verdict.INVALID: 1, Verdict.UNKNOWN: 2}
EXIT_LAB_FAILED = 3


class HistoryRow(NamedTuple):
    """One operation as the client saw it; the columns of history.parquet, in this order."""

    index: int  # type: ignore[assignment]  # position in the stream, from 0; hides tuple.index, which nobody needs
    client: int  # number of the client (thread) that ran it, from 0
    kind: str  # Kind
    key: str  # the device, without the experiment's key prefix
    # What a write wrote (the ip), the element that an APPEND added, or how many keys a SCAN asked for; else None.
    value: str | None
    intended_ns: int  # when the rate plan wanted it to start; equal to invoke_ns without a rate
    invoke_ns: int  # since the origin, monotonic
    complete_ns: int  # since the origin, monotonic
    outcome: str  # Outcome
    attempts: int  # requests sent, at least 1 unless the budget was gone before the first
    endpoint: str  # "host:port" that answered last (or was tried last)
    # The value that a RETRIEVE returned, or that a CAS found instead of the one it expected, or the last key that a
    # SCAN found; None where the key was absent or the outcome is not ok.
    read: str | None
    affected: int | None  # keys or rows a write says that it changed, or a SCAN found; None where it says nothing
    error: str | None  # short reason of the last failed attempt, also on ok operations that were retried
    # What follows is newer than the histories of earlier versions of the lab, which lack it: None there.
    revision: int | None = None  # of the store, with which the operation was answered, where the system counts it
    # Of an unknown write, a Settled: no attempt of it can take effect any more, and it is known whether one did;
    settled: str | None = None
    settled_ns: int | None = None  # since when that is so, since the origin. It took effect before then, or never.
    expected: str | None = None  # the value that a CAS had to find
    # Of a write that took effect or may have: its transaction in the system's own words, where it has any (a GTID).
    transaction: str | None = None


HISTORY_COLUMNS = HistoryRow._fields
# Those of earlier versions: the first ones.
FORMER_COLUMNS = tuple(
    HISTORY_COLUMNS[: HISTORY_COLUMNS.index(name)] for name in ("revision", "expected", "transaction")
)


class WatchRow(NamedTuple):
    """A change of a key as a watch was told it, in the order of arrival; the columns of watch.parquet."""

    revision: int  # of the store, with which the key was changed
    key: str  # without the experiment's key prefix
    value: str | None  # that it holds from then on; None where it was removed
    arrived_ns: int  # since the origin, monotonic; of the wall clock (Unix epoch) while it is written
    endpoint: str  # "host:port" of the member that told it


WATCH_COLUMNS = WatchRow._fields


@dataclass(frozen=True)
class Event:
    """Something that a fault, a server or a client did.

    ``event`` is a dotted name. Those the report and the checkers rely on:
    ``experiment.started`` ``experiment.finished`` ``repeat.started`` ``repeat.finished``
    ``client.members_discovered`` ``client.connected`` ``client.secured``
    ``client.attempt_failed`` ``client.failover_started`` ``client.member_passed_over`` ``client.failover_completed``
    ``client.write_settled`` ``client.fence_astray``
    ``fault.armed`` ``fault.requested`` ``fault.role_checked`` ``fault.signal_sent`` ``fault.process_gone``
    ``fault.missed`` ``fault.step`` ``fault.steps_ended``
    ``fault.heal_requested`` ``fault.healed`` ``group.step`` ``repeat.stalled``
    ``server.election_started``
    ``server.leader_elected`` ``server.leader_lost`` ``server.started`` ``server.stopped``
    ``cluster.sample`` ``cluster.converged``.
    """

    wall_ns: int
    source: str  # the host or member that stamped it
    event: str
    data: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def now(cls, source: str, event: str, data: dict[str, Any]) -> Event:
        """Return what has just happened here, stamped by this process's clock."""
        return cls(CLOCK.now_ns(), source, event, data)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object of one line of events.jsonl."""
        return asdict(self)


# A client has settled a write in doubt: {"write": its index, "applied", "revision"}; "index" is what it does then, null
# of one that does nothing else, between two repeats.
WRITE_SETTLED = "client.write_settled"

# How what happened is told, stamped by who acted.
Emit = Callable[[Event], None]
# How a client tells it: by name and data alone. The runner knows which client it was, on which host, and stamps it.
ClientEmit = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class RunSettings:
    """What a whole run is run with: the public variables of these names, those of the clients without ``client_``.

    Modules take them as one option (module_options); roles/settings puts them together.
    """

    iterations: int  # of the workload's generator
    seed: int
    # Its name and, beside it, options of its own; empty for the usual one. Nobody between YAML and the workload's file
    # looks into it.
    workload: dict[str, Any] = field(default_factory=dict)
    clients: int = 1
    rate: float = 0.0  # operations per second of all clients together; 0 is a closed loop
    repeats: int | dict[str, int] = 1  # how often faults repeat; by system: 1 for one that is not named
    sole_server_heal: str = "30s"  # how long a server without replicas stays away in the catalog's experiments
    stall_timeout_s: float = 180.0  # a repeat without an acknowledged operation for so long is ended
    attempt_timeout_ms: int = 500
    connect_timeout_ms: int = 300
    operation_budget_ms: int = 10_000  # how long an operation may take in all
    retry_policy: str = RetryPolicy.SAFE.value
    read_consistency: str = ReadConsistency.LINEARIZABLE.value
    arrivals: str = Arrivals.FIXED.value
    tls: bool = False  # whether all connections are encrypted, servers are verified, and etcd has accounts
    watch: bool = True  # whether a watch is kept on the keys, of a system that offers one

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> RunSettings:
        """Read them, also where repeats are text: ValueError where they are no number, LabError for a workload."""
        repeats = given.get("repeats", 1)
        if isinstance(repeats, Mapping):
            repeats = {system: int(number) for system, number in repeats.items()}
        else:
            repeats = int(repeats)
        workload = given.get("workload")
        if workload in (None, ""):
            workload = {}
        if isinstance(workload, str):
            workload = {"name": workload}
        if not isinstance(workload, Mapping):
            raise LabError(f"workload is {workload!r}: give a name, or a mapping with name and options")
        return cls(**{**given, "repeats": repeats, "workload": dict(workload)})

    def only(self, names: Sequence[str]) -> dict[str, Any]:
        """Return some of them, by name."""
        return {name: getattr(self, name) for name in names}


# Of a run's settings, what run.json, experiment.json and the history's header have,
EXPERIMENT_SETTINGS = ("iterations", "seed", "clients", "rate")
# those of them that are newer and that an experiment may have of its own,
OWN_SETTINGS = ("retry_policy", "read_consistency", "arrivals")
# those that the lab was brought up with, the same for all experiments, which stand beside them,
LAB_SETTINGS = ("tls",)
# and what plan.json has: with another value it would be another run.
PLAN_SETTINGS = (*EXPERIMENT_SETTINGS, *OWN_SETTINGS, *LAB_SETTINGS, "workload", "repeats", "sole_server_heal")
# What they were in what versions wrote that did not have them yet: clients resent blindly, over open connections.
FORMER_SETTINGS = {
    "workload": {},
    "retry_policy": RetryPolicy.BLIND.value,
    "read_consistency": ReadConsistency.LINEARIZABLE.value,
    "arrivals": Arrivals.FIXED.value,
    "tls": False,
}


@dataclass(frozen=True)
class Target:
    """A system and how it is reached: the option ``target`` of modules, with the password apart."""

    system: str  # one of systems.registry.SYSTEMS
    members: Mapping[str, Mapping[str, Any]]  # name -> {"client_url"} or {"address": "host:port"}
    endpoints: Sequence[str] = ()  # "host:port"; the first is connected to, the others are where to go from there
    agents: Mapping[str, str] = field(default_factory=dict)  # name -> "host:port" of its fault agent
    client: Mapping[str, Any] = field(default_factory=dict)  # options of the system's own for its clients
    user: str | None = None  # of a system that has accounts, like the two below
    database: str | None = None
    ca: str = ""  # file with the certificate of the authority that signs the servers'; empty: nobody speaks TLS
    password: str | None = field(default=None, repr=False)
    # Of the account that the lab itself needs beside that of the workload, where the system has one.
    root_password: str | None = field(default=None, repr=False)

    @property
    def addresses(self) -> dict[str, str]:
        """Return where each member serves clients: its client URL or "host:port"."""
        return {name: str(given.get("client_url") or given["address"]) for name, given in self.members.items()}

    @property
    def account(self) -> dict[str, str]:
        """Return user, password and database; empty where one is not given."""
        return {"user": self.user or "", "password": self.password or "", "database": self.database or ""}

    @property
    def lacking(self) -> list[str]:
        """Return what is missing of the account."""
        return [name for name, value in self.account.items() if not value]


@dataclass(frozen=True)
class FaultSpec:
    """One fault of an experiment, resolved: what is done to which member, at which operation index."""

    id: str  # unique within the experiment, see fault_names.FaultId
    action: str  # one of actions.registry.ACTIONS
    target: str  # "leader", "follower", "follower 2", ... or a member's name, see fault_names
    at_index: int  # fired just before the operation of this index is invoked
    # "end": after the workload; "index" or "delay": sooner, if the workload lasts so long; "steps": after the last one
    heal: str
    heal_index: int | None = None  # of "index": asked for just before the operation of this index is invoked
    heal_after_ms: float | None = None  # of "delay": after the signal
    isolate: str | None = None  # of a partition: from whom, one of host.packets.FROM
    direction: str | None = None  # of a partition: one of host.packets.DIRECTIONS
    # Numbers that belong to the action alone: write_iops of slow_disk, delay_ms or rate_kbit of slow_network.
    options: dict[str, float] = field(default_factory=dict)
    to: list[str] = field(default_factory=list)  # of a slow_network: peers, clients or members; none for everybody
    steps: list[dict[str, Any]] = field(default_factory=list)  # of a choreography, as actions.steps reads them
    keep_majority: bool = False  # strikes only while a majority of the members is up without its target
    repeat: int = 1  # the repeat that it belongs to, from 1


@dataclass
class Check:
    """One checker's word: its verdict and the evidence that anyone can recompute from the results folder."""

    name: str
    verdict: Verdict
    summary: str  # one sentence with the figures
    evidence: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object that stands in verdict.json."""
        return {"name": self.name, "verdict": self.verdict.value, "summary": self.summary, "evidence": self.evidence}


# How the name of a check begins that holds a figure against a limit of the user's, as "limit outage_ms". It says
# nothing of the data.
LIMIT_CHECK = "limit"

# Top-level keys of run.json. ``hosts`` maps inventory_hostname to its facts (os, kernel, cpu, cores, memory_mb,
# python, system, versions); ``settings`` maps a system to its effective server settings. Since it is recorded,
# ``checkout`` stands there, too: {"commit", "dirty", "origin": address or null}, null where it is no git checkout.
RUN_KEYS = (
    "schema_version",
    "run_id",
    "lab_name",
    "seed",
    "iterations",
    "clients",
    "rate",
    "repeats",  # system -> how many slices its streams were cut into
    "sole_server_heal",  # as given: how long a server without replicas stays away in the catalog's experiments
    "started_at",  # ISO 8601, UTC
    "resumed_at",  # [ISO 8601, UTC], where the run was interrupted and resumed
    "finished_at",
    "experiments",  # names, in the order they ran
    "hosts",
    "settings",
    "versions",  # name -> version of etcd, mysql, python packages, ansible, this project
    "controller",  # os, kernel, cpu, cores, memory_mb, container runtime
)

# Where an experiment was not run, as its system was not whole any more, run.json has ``left_out``, too: name -> why.
# Where the user set limits to figures, it has ``limits``, as they were given.

# Top-level keys of experiment.json. Of another workload than the usual one also ``stream``: its name and options, as
# RunSettings has them. Since there is a choice, OWN_SETTINGS stand at the end (before: FORMER_SETTINGS).
EXPERIMENT_KEYS = (
    "schema_version",
    "name",
    "title",
    "system",
    "iterations",
    "seed",
    "clients",
    "rate",
    "key_prefix",
    "members",  # member name -> {"client_url" or "address"}
    "faults",  # [FaultSpec as dict + "record": what really happened]
    # One object a repeat: {"repeat": from 1, "first_index", "end_index" (exclusive), "began_ns", "ended_ns" (of the
    # history's clock; the end is that of its last operation), "stalled" (null, or of one that was ended as nothing
    # was acknowledged {"what": operation or write, "since_ns", "tried_s", "done", "left_out": operations never sent}),
    # "convergence"}. Between two repeats nobody tries anything.
    "repeats",
    "origin_wall_ns",
    "workload",  # summary of workload_run: duration_s, ops_per_s, outcomes, client_cpu_s, digest
    "before",  # the system as observed before operation 0 (steady-state gate)
    "after",  # the system as observed after the heal
    "convergence",  # of the last repeat: {"converged": bool, "duration_ms": float|null, "samples": [...]} or null
)

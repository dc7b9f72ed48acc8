# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A member of MySQL Group Replication: what it says of its group, and how it comes into the group and back.

Nobody coordinates. Each member looks at what all members say and decides for itself (:func:`decide`), by rules that
give the same answer everywhere:

- a group with a majority exists: join it;
- every member answers and is in no group: the one that has all transactions bootstraps one, the others join;
- everything else: wait, or leave a group that is lost.

Two groups cannot come of it: to bootstrap takes the word of every configured member that it is in none, given while a
lock on each of their servers keeps all others from doing the same. Start, return after a fault and repair after all
were down are the same thing.

Runs on the members' hosts as root over the server's socket, with PyMySQL as the distribution packages it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from .mysql_observe import MySQLAddress, reason_of
from .shapes import LabError

# A member that does not tell its view within this time has none, in s.
VIEW_TIMEOUT_S = 1.0
# Between two looks at the group, in s.
LOOK_INTERVAL_S = 0.2
# How long START or STOP GROUP_REPLICATION may take, in s: a member that finds no group gives up after 60 s.
CHANGE_TIMEOUT_S = 90.0
# How long a member may be without a majority, or in error, before it is taken out of the group to come in again, in s:
# MySQL expels a silent member after 5 + 5 s (detection and member_expel_timeout), and one that hears of the others
# again, or is expelled, goes on by itself.
PATIENCE_S = 15.0
# A member that was expelled goes into error a moment before it begins to come back by itself, in s.
ERROR_PATIENCE_S = 3.0
# How long one that tries to come back by itself is left alone, in s. Its first attempt comes at once, and one that
# finds the group takes a few seconds; after one that fails MySQL pauses 300 s, which no setting shortens
# (https://dev.mysql.com/doc/refman/8.4/en/group-replication-responses-failure-rejoin.html). STOP ends the procedure.
REJOIN_PATIENCE_S = 10.0

# Lock (GET_LOCK) that who bootstraps holds on the servers of all members, from before it looks until it is online.
BOOTSTRAP_LOCK = "failover-lab.bootstrap"

# Unknown system variable: the plugin is not there.
UNKNOWN_VARIABLE = 1193


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


class Act(StrEnum):
    """What a member does next."""

    DONE = "done"
    WAIT = "wait"
    JOIN = "join"
    BOOTSTRAP = "bootstrap"
    LEAVE = "leave"
    RELEASE = "release"


@dataclass(frozen=True)
class Step:
    """One decision, why, and for ``release`` which other member is meant."""

    act: Act
    why: str
    member: str | None = None


def decide(
    me: str,
    views: Mapping[str, View],
    contains: Callable[[str, str], bool],
    lost_for_s: Mapping[str, float],
) -> Step:
    """Return what member ``me`` has to do next.

    :param views: of every configured member, by name
    :param contains: whether the first GTID set has all of the second
    :param lost_for_s: for how long each member has been in error or without a majority
    """
    own = views[me]
    if own.error is not None:
        return Step(Act.WAIT, f"its server does not answer: {own.error}")
    if own.is_working:
        # One that was paused or partitioned believes for a while what was so before: the others know that it is out.
        others = [
            name
            for name, view in views.items()
            if view.is_working and (view.uuid not in own.uuids or own.uuid not in view.uuids)
        ]
        if others:
            return Step(Act.WAIT, f"{others[0]} is in another group than {me}")
        return Step(Act.DONE, f"{me} is {own.role.lower()}")
    if own.state == State.RECOVERING and own.has_quorum:
        return Step(Act.WAIT, "it is recovering what it missed")
    working = sorted(name for name, view in views.items() if view.is_working)
    if own.state == State.OFFLINE and working:
        return Step(Act.JOIN, f"{working[0]} is in a group with a majority")
    if own.state != State.OFFLINE:
        if own.rejoins:
            why, patience_s = "MySQL pauses between its own attempts to rejoin", REJOIN_PATIENCE_S
        elif own.state == State.ERROR:
            why, patience_s = "it is in error", ERROR_PATIENCE_S
        else:
            why, patience_s = "it reaches no majority of its group", PATIENCE_S
        return Step(Act.WAIT if lost_for_s.get(me, 0.0) < patience_s else Act.LEAVE, why)
    silent = {name: view.error for name, view in views.items() if view.error is not None}
    if silent:
        told = "; ".join(f"{name}: {error}" for name, error in silent.items())
        return Step(Act.WAIT, f"there is no group, and none is formed while a member does not answer ({told})")
    return _begin(me, views, contains, lost_for_s)


def _begin(
    me: str,
    views: Mapping[str, View],
    contains: Callable[[str, str], bool],
    lost_for_s: Mapping[str, float],
) -> Step:
    """Decide for a member that is in no group, while every member answers and none is in a working one."""
    # Only one of those that are out takes the others out, so that nobody is released twice.
    out = sorted(name for name, view in views.items() if view.state == State.OFFLINE)
    inside = sorted(name for name, view in views.items() if view.state != State.OFFLINE)
    lost = [name for name in inside if lost_for_s.get(name, 0.0) >= PATIENCE_S]
    if inside:
        if lost and me == out[0]:
            return Step(Act.RELEASE, f"{lost[0]} holds on to a group without a majority", lost[0])
        return Step(Act.WAIT, f"{inside[0]} is {views[inside[0]].state.lower()} in a group without a majority")
    complete = [
        name
        for name in sorted(views)
        if all(contains(views[name].gtid_executed, other.gtid_executed) for other in views.values())
    ]
    if not complete:
        sets = "; ".join(f"{name} has {view.gtid_executed or 'none'}" for name, view in sorted(views.items()))
        return Step(Act.WAIT, f"data have diverged, and no member has every transaction: {sets}")
    if me == complete[0]:
        return Step(Act.BOOTSTRAP, "no member is in a group, and this one has every transaction")
    return Step(Act.WAIT, f"{complete[0]} makes the group")


# ---------------------------------------------------------------- configuration


@dataclass(frozen=True)
class GroupConfig:
    """Who belongs to the group and how they talk to each other."""

    members: Mapping[str, str]  # name -> "host:port" where it serves clients
    user: str  # account of the members among themselves
    password: str = field(repr=False)
    socket: str = "/run/mysqld/mysqld.sock"  # of the own server, where root comes in without a password

    @classmethod
    def load(cls, path: str) -> GroupConfig:
        """Read the JSON object of a file; LabError names what is wrong."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(dict(content["members"]), content["user"], content["password"], content["socket"])
        except OSError as error:
            raise LabError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise LabError(f"{path} does not describe a group: {error!r}. Provision the host again.") from None


@contextmanager
def translated() -> Iterator[None]:
    """Turn what PyMySQL raises into OSError with the server's number and words."""
    try:
        import pymysql
    except ImportError:
        raise LabError("PyMySQL is missing for this Python. Install python3-pymysql.") from None
    try:
        yield
    except (pymysql.MySQLError, RuntimeError) as error:
        # RuntimeError: PyMySQL without the package cryptography meets caching_sha2_password.
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        raise OSError(number, reason_of(error)) from error


@contextmanager
def connected(address: MySQLAddress) -> Iterator[Any]:
    """Open a connection of PyMySQL for a while; OSError where that, or a statement, fails."""
    with translated():
        import pymysql

        connection = pymysql.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            unix_socket=address.unix_socket,
            connect_timeout=max(1, round(min(address.timeout_s, VIEW_TIMEOUT_S))),
            read_timeout=address.timeout_s,
            write_timeout=address.timeout_s,
            autocommit=True,
        )
        with closing(connection):
            yield connection


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


def count_transactions(gtid_set: str) -> int:
    """Return how many transactions a GTID set has, like "uuid:1-5:7, uuid2:1-3"."""
    count = 0
    for part in gtid_set.replace("\n", "").split(","):
        for interval in part.strip().split(":")[1:]:
            first, _, last = interval.partition("-")
            if first.isdecimal():  # and not a tag
                count += int(last or first) - int(first) + 1
    return count


# ---------------------------------------------------------------- observing


def addresses_of(members: Mapping[str, str], user: str, password: str) -> dict[str, MySQLAddress]:
    """Return where and as whom each member is asked, from "host:port" by name."""
    addresses = {}
    for name, address in members.items():
        host, _, port = str(address).rpartition(":")
        if not host or not port.isdecimal():
            raise LabError(f"{address!r} is not an address of a MySQL server. It should look like 10.0.0.21:3306.")
        addresses[name] = MySQLAddress(host, int(port), user, password, timeout_s=VIEW_TIMEOUT_S)
    return addresses


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


def observe_group(addresses: Mapping[str, MySQLAddress]) -> dict[str, Any]:
    """Ask all members at once.

    :returns: ``members`` (name -> :func:`describe`), ``leader`` (name of the primary that says so itself, or None),
        ``leader_id``, ``term`` and ``wall_ns``
    """
    wall_ns = time.time_ns()
    with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
        members = dict(zip(addresses, map(describe, pool.map(view_of, addresses.values())), strict=True))
    leader = next((n for n, m in members.items() if m.get("role") == "PRIMARY" and m["leader_id"] == m["id"]), None)
    return {
        "members": members,
        "leader": leader,
        "leader_id": members[leader]["id"] if leader else None,
        "term": members[leader]["term"] if leader else None,
        "wall_ns": wall_ns,
    }


def why_not_whole(observation: Mapping[str, Any]) -> list[str]:
    """Return what keeps the group from being whole, one sentence each; empty where nothing does."""
    members = observation["members"]
    reasons = [f"{name} does not answer: {m['error']}" for name, m in members.items() if not m["reachable"]]
    answered = {name: m for name, m in members.items() if m["reachable"]}
    reasons += [f"{name} is {m['state'].lower()}" for name, m in answered.items() if m["state"] != State.ONLINE]
    for fact, words in (("view_id", "are in different views"), ("leader_id", "follow different primaries")):
        if len({m[fact] for m in answered.values()}) > 1:
            told = ", ".join(f"{name} {m[fact] or 'none'}" for name, m in answered.items())
            reasons.append(f"the members {words}: {told}")
    if not reasons and observation["leader"] is None:
        reasons.append("no member is primary")
    return reasons


def why_unequal(observation: Mapping[str, Any]) -> list[str]:
    """Return in one sentence how the members' transactions differ; empty where they are the same."""
    sets = {name: member.get("gtid_executed") for name, member in observation["members"].items()}
    if len(set(sets.values())) == 1:
        return []
    return ["the members have different transactions: " + ", ".join(f"{name} {have}" for name, have in sets.items())]


def await_group(addresses: Mapping[str, MySQLAddress], wait_for: str, timeout_s: float) -> dict[str, Any]:
    """Observe the group until it is as wanted or the time is over.

    :param wait_for: ``none`` looks once, ``healthy`` waits until it is whole, ``converged`` until the members have the
        same transactions as well
    :returns: ``observation``, ``healthy``, ``reasons``, ``reached``, ``leader`` and ``elapsed_s``
    """
    started = time.monotonic()
    while True:
        observation = observe_group(addresses)
        reasons = why_not_whole(observation)
        healthy = not reasons
        if wait_for == "converged" and healthy:
            reasons = why_unequal(observation)
        elapsed_s = time.monotonic() - started
        reached = wait_for == "none" or not reasons
        if reached or elapsed_s >= timeout_s:
            return {
                "observation": observation,
                "healthy": healthy,
                "reasons": reasons,
                "reached": reached,
                "leader": observation["leader"],
                "elapsed_s": round(elapsed_s, 3),
            }
        time.sleep(LOOK_INTERVAL_S)


def compare_tables(addresses: Mapping[str, MySQLAddress], table: str, revision: int) -> dict[str, Any]:
    """Have each member compute a checksum over all rows of a table.

    :param table: ``database.table``
    :param revision: number of transactions that all members have, as they said
    :returns: the same as :func:`etcd_http.compare_data`
    """

    def ask(name: str) -> int | str:
        try:
            with connected(addresses[name]) as connection, connection.cursor() as cursor:
                cursor.execute(f"CHECKSUM TABLE {table} EXTENDED")
                checksum = cursor.fetchone()[1]
        except OSError as error:
            return error.strerror or str(error)
        return f"there is no table {table}" if checksum is None else int(checksum)

    with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
        answers = dict(zip(addresses, pool.map(ask, addresses), strict=True))
    hashes = {name: answer for name, answer in answers.items() if isinstance(answer, int)}
    return {
        "equal": len(hashes) == len(addresses) and len(set(hashes.values())) == 1,
        "revision": revision,
        "hashes": {name: hashes.get(name) for name in addresses},
        "errors": {name: answer for name, answer in answers.items() if isinstance(answer, str)},
    }


# ---------------------------------------------------------------- acting


class GroupKeeper:
    """Brings the member of this host into its group, or back into it, whatever state they are in."""

    def __init__(self, member: str, config: GroupConfig) -> None:
        """Name the member of this host."""
        self._member = member
        self._config = config
        self._addresses = addresses_of(config.members, config.user, config.password)
        # At home as root, without a password.
        self._addresses[member] = MySQLAddress(
            "localhost", 0, "root", "", unix_socket=config.socket, timeout_s=VIEW_TIMEOUT_S
        )
        self._lost_since: dict[str, float] = {}
        self._foreign: tuple[str, float] | None = None  # transactions that nobody else has, and since when
        self.steps: list[dict[str, Any]] = []

    @property
    def home(self) -> MySQLAddress:
        """Where the server of this host is asked."""
        return self._addresses[self._member]

    def look(self) -> dict[str, View]:
        """Return the view of every member; all are asked at once."""
        with ThreadPoolExecutor(max_workers=len(self._addresses)) as pool:
            asked = {name: pool.submit(view_of, address) for name, address in self._addresses.items()}
            views = {name: answer.result() for name, answer in asked.items()}
        now = time.monotonic()
        for name, view in views.items():
            if view.error is None and view.state != State.OFFLINE and not view.has_quorum:
                self._lost_since.setdefault(name, now)
            else:
                self._lost_since.pop(name, None)
        return views

    def next_step(self, views: Mapping[str, View]) -> Step:
        """Decide what comes next."""
        now = time.monotonic()
        lost_for_s = {name: now - since for name, since in self._lost_since.items()}
        return decide(self._member, views, self._contains, lost_for_s)

    def ensure(self, timeout_s: float) -> dict[str, View]:
        """Act until the member is a full one of a working group; return all views.

        LabError with each member's state where the time is over before, and where its data keep it out.
        """
        deadline = time.monotonic() + timeout_s
        # What an earlier call saw of the others says nothing about how long they have been lost now.
        self._lost_since, self._foreign = {}, None
        failed = ""
        while True:
            views = self.look()
            try:
                step = self.next_step(views)
            except OSError as error:
                step = Step(Act.WAIT, f"its server does not answer: {error.strerror or error}")
            if step.act == Act.DONE:
                return views
            if time.monotonic() >= deadline:
                states = ", ".join(
                    f"{name} {('does not answer' if view.error else view.state.lower())}"
                    for name, view in views.items()
                )
                raise LabError(
                    f"{self._member} is not in its group after {timeout_s:g} s: {step.why}{failed}. The members: "
                    f"{states}. Look at /var/log/mysql/error.log there."
                )
            if step.act == Act.WAIT:
                time.sleep(LOOK_INTERVAL_S)
                continue
            try:
                if step.act == Act.BOOTSTRAP:
                    self._bootstrap()
                else:
                    self._do(step)
                failed = ""
            except OSError as error:
                if step.act == Act.JOIN:
                    self._check_data(str(error.strerror or error))
                # What stands against it now may be gone at the next look.
                failed = f" (the last try said: {error.strerror or error})"
                time.sleep(LOOK_INTERVAL_S)

    def _check_data(self, refusal: str) -> None:
        """Raise LabError where a join was refused and the member has transactions that nobody in the group has.

        No attempt can succeed then, and the lab throws no data away by itself.
        """
        views = self.look()
        own = views[self._member]
        working = {name: view for name, view in views.items() if view.is_working}
        if own.error is not None or not working:
            return
        try:
            foreign = {name: self._lacks(view.gtid_executed, own.gtid_executed) for name, view in working.items()}
        except OSError:
            return
        if not all(foreign.values()):
            self._foreign = None
            return
        name, transactions = next(iter(foreign.items()))
        # A member that still applies what it has received lacks that for a while.
        if self._foreign is None or self._foreign[0] != transactions:
            self._foreign = (transactions, time.monotonic())
        if time.monotonic() - self._foreign[1] >= PATIENCE_S:
            raise LabError(
                f"{self._member} cannot rejoin its group: its data have diverged. It has transactions that "
                f"{name} lacks: {transactions}; START GROUP_REPLICATION said: {refusal}. To give up its copy, take the "
                "lab down and bring it up again."
            )

    def _bootstrap(self) -> None:
        """Make the group, where that is still right once nobody else can; nothing happens where it is not."""
        with ExitStack() as locks:
            for name in sorted(self._addresses):
                connection = locks.enter_context(connected(self._addresses[name]))
                with connection.cursor() as cursor:
                    cursor.execute("SELECT GET_LOCK(%s, 0)", (BOOTSTRAP_LOCK,))
                    if not cursor.fetchone()[0]:
                        time.sleep(LOOK_INTERVAL_S)
                        return
            step = self.next_step(self.look())
            if step.act != Act.BOOTSTRAP:
                return
            self._do(step)
            until = time.monotonic() + CHANGE_TIMEOUT_S
            while not self.look()[self._member].is_working and time.monotonic() < until:
                time.sleep(LOOK_INTERVAL_S)

    def _do(self, step: Step) -> None:
        self.steps.append({"act": step.act.value, "why": step.why, "wall_ns": time.time_ns()})
        address = replace(self._addresses[step.member or self._member], timeout_s=CHANGE_TIMEOUT_S)
        with connected(address) as connection, connection.cursor() as cursor:
            if step.act in (Act.LEAVE, Act.RELEASE):
                cursor.execute("STOP GROUP_REPLICATION")
            elif step.act == Act.JOIN:
                self._start(cursor)
            else:
                cursor.execute("SET GLOBAL group_replication_bootstrap_group = ON")
                try:
                    self._start(cursor)
                finally:
                    cursor.execute("SET GLOBAL group_replication_bootstrap_group = OFF")

    def _start(self, cursor: Any) -> None:
        # Given here and not with CHANGE REPLICATION SOURCE, the password is kept in memory only.
        cursor.execute("START GROUP_REPLICATION USER = %s, PASSWORD = %s", (self._config.user, self._config.password))

    def _contains(self, whole: str, part: str) -> bool:
        return whole == part or not self._lacks(whole, part)

    def _lacks(self, whole: str, part: str) -> str:
        """Return which transactions of the second GTID set the first one has not."""
        if not part:
            return ""
        with connected(self._addresses[self._member]) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT GTID_SUBTRACT(%s, %s)", (part, whole))
            return str(cursor.fetchone()[0]).replace("\n", "")

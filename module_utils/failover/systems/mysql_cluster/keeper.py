# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings a member of Group Replication into its group, or back into it, as :mod:`.deciding` says.

Two groups cannot come of it: to bootstrap takes the word of every configured member that it is in none, given while a
lock on each of their servers keeps all others from doing the same.

Runs on the members' hosts as root over the server's socket, with PyMySQL as the distribution packages it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...shapes import LabError
from ..mysql.connect import SOCKET, at_home, connected
from .deciding import PATIENCE_S, Act, Step, decide
from .views import LOOK_INTERVAL_S, State, View, addresses_of, view_of

# How long START or STOP GROUP_REPLICATION may take, in s: a member that finds no group gives up after 60 s.
CHANGE_TIMEOUT_S = 90.0

# How long a member that was forced may take until it is a full one, in s: it does not wait for anybody.
FORCED_TIMEOUT_S = 5.0
# Lock (GET_LOCK) that who bootstraps holds on the servers of all members, from before it looks until it is online.
BOOTSTRAP_LOCK = "failover-lab.bootstrap"


@dataclass(frozen=True)
class GroupConfig:
    """Who belongs to the group and how they talk to each other."""

    members: Mapping[str, str]  # name -> "host:port" where it serves clients
    user: str  # account of the members among themselves
    password: str = field(repr=False)
    socket: str = SOCKET  # of the own server, where root comes in without a password
    ca: str = ""  # file with the certificate of the authority that signs the servers'; empty: without TLS

    @classmethod
    def load(cls, path: str) -> GroupConfig:
        """Read the JSON object of a file; LabError names what is wrong."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(
                dict(content["members"]), content["user"], content["password"], content["socket"], content.get("ca", "")
            )
        except OSError as error:
            raise LabError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise LabError(f"{path} does not describe a group: {error!r}. Provision the host again.") from None


class GroupKeeper:
    """Brings the member of this host into its group, or back into it, whatever state they are in."""

    def __init__(self, member: str, config: GroupConfig) -> None:
        """Name the member of this host."""
        self._member = member
        self._config = config
        self._addresses = addresses_of(config.members, config.user, config.password, config.ca)
        # At home as root, without a password.
        self._addresses[member] = at_home(config.socket)
        self._lost_since: dict[str, float] = {}
        self._foreign: tuple[str, float] | None = None  # transactions that nobody else has, and since when
        self.steps: list[dict[str, Any]] = []

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

    def force(self) -> None:
        """Make the member a group of one, whatever the others have; LabError where it does not become that.

        It is how an operator ends the loss of a majority (MySQL's manual, "Handling a Network Partition and Loss of
        Quorum"). What the others acknowledged without this member is not in that group.
        """
        address = replace(self._addresses[self._member], timeout_s=CHANGE_TIMEOUT_S)
        try:
            with connected(address) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT @@group_replication_local_address")
                cursor.execute("SET GLOBAL group_replication_force_members = %s", (cursor.fetchone()[0],))
                # It may not stay: a member that has it set cannot start again.
                cursor.execute("SET GLOBAL group_replication_force_members = ''")
        except OSError as error:
            raise LabError(f"{self._member} could not be forced: {error.strerror or error}") from None
        until = time.monotonic() + FORCED_TIMEOUT_S
        while not (view := view_of(self._addresses[self._member])).is_working:
            if time.monotonic() >= until:
                raise LabError(f"{self._member} was forced, and is {view.error or view.state.lower()} all the same")
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

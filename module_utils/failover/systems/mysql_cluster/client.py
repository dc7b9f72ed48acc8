# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The client of a replication group: what it adds to that of a single server is to find the primary."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from pymysql import err

from ...shapes import ClientEmit, LabError
from ..base import ClientIdentity
from ..endpoints import join_endpoint, split_endpoint
from ..loop import AttemptFailedError, FailoverPolicy, PassOver, discard
from ..mysql.client import MySQLClient, execute_together, failure_of
from ..mysql.deadline import TookTimeError, leave_time, limit
from .views import View, read_members, why_not_primary

# A read that the group must let pass: with BEFORE it waits until a message of its own has come back from the group. A
# primary that was partitioned from the others does not know it for 5 s, and sees a whole group; this read
# is never answered there. The server gives it up after wait_timeout, so that such reads do not pile up.
PASS_BEGIN = "SET SESSION group_replication_consistency = 'BEFORE', wait_timeout = 1"
PASS = "SELECT 1 FROM ips LIMIT 1"
PASS_END = "SET SESSION group_replication_consistency = DEFAULT, wait_timeout = DEFAULT"

# How long a member may take to tell its view of the group, in s, where nothing shows that it, or the way to it, is
# slow. It needs no other member for that.
ASK_TIMEOUT_S = 0.1
# How much longer than its last view a member may take for the next one.
SLOWER = 3


class NotPrimaryError(AttemptFailedError):
    """A member does not take operations now: it said so itself, or does not say anything. Nothing was sent to it.

    :param primary: the member that does, "host:port", where this one knows it
    """

    def __init__(self, reason: str, primary: str | None = None) -> None:
        super().__init__(reason, ambiguous=False)
        self.primary = primary


class GroupClient(MySQLClient):
    """A client of a whole replication group. One thread at a time.

    Only the primary gets operations, reads too. A member is asked for its role whenever a connection was made to it and
    after every failed attempt: it must say itself that it is online, the primary, and with more than half of the
    members, and the group must let a read of it pass (:data:`PASS`). Other members are passed over for as long as it
    takes; where they know the primary, the client goes there next.

    A member that says nothing is left after :data:`ASK_TIMEOUT_S`, and its connection with it. Made anew, that shows
    how slow the member is, if it is no more than that: it gets as much time for its view as it took to log in, which
    are several answers. Where that took an attempt's time, the next one goes on over the same connection. Two answers,
    the view and the read, have to fit into an attempt.

    :param seeds: further members as "host:port", asked in this order where the first one does not answer
    """

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        database: str,
        *,
        seeds: Sequence[str] = (),
        policy: FailoverPolicy = FailoverPolicy(),  # noqa: B008  frozen, so it is safe to share
        emit: ClientEmit = discard,
        identity: ClientIdentity = ClientIdentity("client"),  # noqa: B008  frozen, as the policy
        ca: str = "",
    ) -> None:
        self._seeds = [join_endpoint(*split_endpoint(each)) for each in seeds]
        self._primary: str | None = None  # the member that was found to be it since the last failure
        self._slow_s: dict[str, float] = {}  # how long a member may take for its view, by its last answers
        super().__init__(host, port, user, password, database, policy=policy, emit=emit, identity=identity, ca=ca)

    def _discover(self, endpoint: str) -> list[str]:
        """Ask one member after the other for the group; return all members, those given too, the primary first."""
        given = list(dict.fromkeys([endpoint, *self._seeds]))
        refusals: list[str] = []
        for asked in given:
            try:
                self._connect(asked, self._one_attempt_from_now())
                view = self._view(asked, self._one_attempt_from_now())
                if not view.is_working or view.primary is None:
                    raise NotPrimaryError(why_not_primary(view) or "it knows no primary")
                # A member that is away now is not in the view, and may come back.
                endpoints = list(dict.fromkeys([*given, *(member.address for member in view.members)]))
                primary = view.primary.address
                self._connect(primary, self._one_attempt_from_now())
                self._usable(primary, self._one_attempt_from_now())
            except AttemptFailedError as failed:
                refusals.append(f"{asked} ({failed.reason})")
                continue
            self.members = {endpoint: endpoint for endpoint in endpoints}
            self._emit("client.members_discovered", {"endpoint": asked, "members": self.members})
            first = endpoints.index(primary)
            for endpoint in endpoints:
                # All up front, so that a failover finds the other connections open.
                with contextlib.suppress(AttemptFailedError):
                    self._connect(endpoint, self._one_attempt_from_now())
            # A thousand clients that log in at once are slow, and tell nothing of later.
            self._slow_s.clear()
            return endpoints[first:] + endpoints[:first]
        raise LabError(
            f"no primary of the replication group lets user {self._account['user']} into database "
            f"{self._account['database']}: {', '.join(refusals)}; are the "
            "members running and in their group, and do account and table exist?"
        )

    def _why_pass_over(self, endpoint: str) -> PassOver | None:
        """Pass over whoever is not the primary of a group that works."""
        began_s = time.monotonic()
        try:
            self._usable(endpoint, self._one_attempt_from_now())
        except TookTimeError:
            return None  # it answers: the attempt goes on from here
        except AttemptFailedError as failed:
            primary = failed.primary if isinstance(failed, NotPrimaryError) else None
            return PassOver(failed.reason, primary, silent=time.monotonic() - began_s >= ASK_TIMEOUT_S)
        return None

    def _usable(self, endpoint: str, until: float) -> Any:
        began_s = time.monotonic()
        connection = self._connect(endpoint, until)
        if endpoint == self._primary:
            return connection
        leave_time(began_s, until)
        view = self._view(endpoint, until)
        reason = why_not_primary(view)
        if reason is not None:
            raise NotPrimaryError(reason, view.primary.address if view.is_working and view.primary else None)
        leave_time(began_s, until)
        try:
            execute_together(connection, [(PASS_BEGIN, ()), (PASS, ()), (PASS_END, ())], until)
        except err.MySQLError as error:
            self._drop(endpoint)
            raise NotPrimaryError(f"its group does not let its read pass: {failure_of(error).reason}") from error
        self._primary = endpoint
        return connection

    def _connect(self, endpoint: str, until: float) -> Any:
        is_open, began_s = endpoint in self._connections, time.monotonic()
        connection = super()._connect(endpoint, until)
        if not is_open:
            self._slow_s[endpoint] = time.monotonic() - began_s
        return connection

    def _view(self, endpoint: str, until: float) -> View:
        """Ask a member for its view of the group."""
        connection = self._connect(endpoint, until)
        began_s = time.monotonic()
        try:
            limit(connection, min(until, began_s + max(ASK_TIMEOUT_S, self._slow_s.get(endpoint, 0.0))))
            view = read_members(connection)
        except err.MySQLError as error:
            self._drop(endpoint)
            raise NotPrimaryError(f"it does not report its view of the group: {failure_of(error).reason}") from error
        self._slow_s[endpoint] = SLOWER * (time.monotonic() - began_s)
        return view

    def _not_connected(self, failed: AttemptFailedError) -> AttemptFailedError:
        # Also what would be final at a single server: a member that is just being made anew has no accounts.
        return NotPrimaryError(failed.reason)

    def _drop(self, endpoint: str) -> None:
        # Who the primary is has to be found out again.
        self._primary = None
        super()._drop(endpoint)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The etcd client of the workload: discovers the members, sticks to one, fails over to the next."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar

from ...shapes import ClientEmit, Kind, LabError, ReadConsistency
from ..base import ClientIdentity, FencedClient
from ..endpoints import join_endpoint, split_endpoint
from ..fence import Change, Moved
from ..loop import (
    SILENT_S,
    Answer,
    Attempt,
    AttemptFailedError,
    FailoverLoop,
    FailoverPolicy,
    OperationResult,
    PassOver,
    changed,
    discard,
)
from .access import OPEN, Access
from .driver import EtcdMember, Login, Membership, refused_to_connect
from .keys import FENCES
from .transport.base import DEFAULT_TRANSPORT, Transport

# How long a member may take to say whom it follows, in s. It needs no other member for that.
ASK_TIMEOUT_S = 0.1
# How long an attempt may be silent before its member is asked for the leader, in s: some 50 times what an answer takes.
SILENCE_S = 0.05
# Between two looks at the attempts under way, in s.
LOOK_INTERVAL_S = 0.025

T = TypeVar("T")


class _UnderWay(NamedTuple):
    """A request that is waited for."""

    member: EtcdMember
    since_s: float  # monotonic clock
    term: int  # raft's term in the member's last answer before it


class SilenceWatch:
    """Ends attempts whose answer will not come, on one thread for all clients of this process.

    A member hands a request to the leader that it knows. Where that one goes away with it, the request is lost: the
    member hears of the next leader within milliseconds, and goes on waiting for the answer of the former one. What was
    lost may have been written all the same, so the attempt is ambiguous.
    """

    def __init__(self) -> None:
        self._clients: set[ClientWithFailover] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, client: ClientWithFailover) -> None:
        """Watch the attempts of a client, too."""
        with self._lock:
            self._clients.add(client)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="etcd-silence", daemon=True)
                self._thread.start()

    def remove(self, client: ClientWithFailover) -> None:
        """Watch a client no more; without any the thread ends."""
        with self._lock:
            self._clients.discard(client)

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_INTERVAL_S)
            with self._lock:
                clients = list(self._clients)
                if not clients:
                    self._thread = None
                    return
            silent_since_s = time.monotonic() - SILENCE_S
            silent: dict[str, list[tuple[ClientWithFailover, _UnderWay]]] = {}
            for client in clients:
                request = client.under_way
                if request is not None and request.since_s < silent_since_s:
                    silent.setdefault(request.member.endpoint, []).append((client, request))
            for those in silent.values():
                # One question that cannot be asked ends none of the others: nobody would hear of it, and all requests
                # of this process would wait for their time limits from then on.
                with suppress(Exception):
                    self._end_the_lost(those)

    def _end_the_lost(self, silent: Sequence[tuple[ClientWithFailover, _UnderWay]]) -> None:
        """End those of the silent requests to one member that it sent to the leader of an earlier term."""
        # One speaks for all: many clients at a slow member would else flood it with questions.
        asked = silent[0][1].member
        try:
            leader_id = asked.leader_id(ASK_TIMEOUT_S)
        except AttemptFailedError:
            return
        # While there is no leader yet, the next member would not take the request either.
        if leader_id == 0:
            return
        term = asked.term
        for client, request in silent:
            # It may have been answered meanwhile. Without a term to compare with, nothing is known.
            if 0 < request.term < term and client.under_way is request:
                request.member.give_up(f"no answer; its leader of term {request.term} is gone, it is term {term} now")


_watch = SilenceWatch()


class ClientWithFailover(FencedClient):
    """A client of a whole etcd cluster that needs to be told of one member only. One thread at a time.

    An attempt ends with its time limit, or as soon as its answer cannot come any more (:class:`SilenceWatch`).

    A DELETE that removed nothing says so in ``affected``; after an ambiguous attempt, which may have removed the key,
    it says nothing.

    Events beside those of FailoverLoop and Fence: ``client.members_discovered`` {endpoint, members},
    ``client.connected`` {endpoint, member}.

    :param host: a member to ask for the others, on ``port``
    :param seeds: further members as "host:port", asked in this order where that one does not answer
    :param emit: takes the events
    :param identity: whose fence it moves
    :param transport: what carries the requests to each member
    :param access: how the members let it in
    :raises LabError: where no member answers, or none says how clients reach it
    """

    def __init__(
        self,
        host: str,
        port: int = 2379,
        *,
        seeds: Sequence[str] = (),
        policy: FailoverPolicy = FailoverPolicy(),  # noqa: B008  frozen, so it is safe to share
        emit: ClientEmit = discard,
        identity: ClientIdentity = ClientIdentity("client"),  # noqa: B008  frozen, as the policy
        transport: Transport = DEFAULT_TRANSPORT,
        access: Access = OPEN,
    ) -> None:
        login = Login(access)
        self._connections: dict[str, EtcdMember] = {}
        self._identity = identity
        self._heard_s = -math.inf  # when a member last said whom it follows, by the monotonic clock
        self._serializable = policy.read_consistency is ReadConsistency.SERIALIZABLE
        given = dict.fromkeys([join_endpoint(host, port), *(join_endpoint(*split_endpoint(each)) for each in seeds)])
        asked, membership = _discover(list(given), policy, transport, login)
        emit("client.members_discovered", {"endpoint": asked, "members": membership.clients})
        self.members = membership.clients
        names = list(self.members)
        first = names.index(membership.answered_by) if membership.answered_by in names else 0
        endpoints = [self.members[name] for name in names[first:] + names[:first]]
        for endpoint in endpoints:
            member = EtcdMember(*split_endpoint(endpoint), policy, transport=transport, login=login)
            member.on_next_request = partial(self._begin, member)
            # All at once and up front, so that a failover finds the other connections open.
            member.connect()
            self._connections[endpoint] = member
        self._connection_of_id = {membership.ids[name]: self._connections[self.members[name]] for name in names}
        self._loop = FailoverLoop(
            endpoints,
            policy,
            emit,
            identity.jitter_seed,
            why_pass_over=self._why_pass_over,
            steering=identity.steering,
        )
        emit("client.connected", {"endpoint": self.endpoint, "member": names[first]})
        self.under_way: _UnderWay | None = None
        _watch.add(self)
        self._raise_fence(policy, identity, self._move, emit)

    @property
    def endpoint(self) -> str:
        """The member that the client sticks to, as "host:port"."""
        return self._loop.endpoint

    def get_with_retry(self, key: str) -> OperationResult:
        """Read ``key``, by default linearizably: the answering member asks the leader's quorum first."""

        def attempt(endpoint: str, timeout_s: float, _after_ambiguous: bool) -> Answer:
            value, revision = self._watched(
                endpoint, lambda member: member.get(key, timeout_s, serializable=self._serializable)
            )
            return Answer(read=value, revision=revision)

        return self._read(attempt)

    def scan_with_retry(self, prefix: str, key: str, count: int) -> OperationResult:
        """Read keys of a prefix and their values, as :meth:`get_with_retry` reads one."""

        def attempt(endpoint: str, timeout_s: float, _after_ambiguous: bool) -> Answer:
            keys, revision = self._watched(
                endpoint,
                lambda member: member.scan(prefix, key, count, timeout_s, serializable=self._serializable),
            )
            return Answer(keys[-1].removeprefix(prefix) if keys else None, len(keys), revision)

        return self._read(attempt, Kind.SCAN)

    def _unfenced(self, change: Change) -> Attempt:
        """Return an attempt at a change. A blind retry writes the same again, which only the key's version shows."""

        def attempt(endpoint: str, timeout_s: float, after_ambiguous: bool) -> Answer:
            return self._watched(endpoint, lambda member: _make(member, change, timeout_s, after_ambiguous))

        return attempt

    def _move(self, endpoint: str, timeout_s: float, at: str, to: str, change: Change | None) -> Moved:
        """Move the client's fence; its key stands beside those of all experiments."""
        fence = f"{FENCES}{self._identity.name}"
        return self._watched(endpoint, lambda member: member.move(fence, at, to, change, timeout_s))

    def _watched(self, endpoint: str, request: Callable[[EtcdMember], T]) -> T:
        """Make a request to a member, for no longer than an answer may still come."""
        member = self._connections[endpoint]
        self._begin(member)
        try:
            return request(member)
        finally:
            self.under_way = None

    def _begin(self, member: EtcdMember) -> None:
        """Note that a request is under way from now on."""
        self.under_way = _UnderWay(member, time.monotonic(), member.term)

    def _why_pass_over(self, endpoint: str) -> PassOver | None:
        """Pass over a member that has no leader to hand a request to, that is silent, or whose process is gone.

        A member sends requests to the leader that it knows, and learns of that leader's death only by an election
        timeout: until then each request to it is lost and its outcome unknown. It says at once whom it follows, though.
        The leader counts as gone only where its port refuses connections: one that is merely silent from here may
        well lead.
        """
        try:
            leader_id = self._connections[endpoint].leader_id(ASK_TIMEOUT_S)
        except AttemptFailedError as failed:
            if refused_to_connect(failed):
                return PassOver("nothing listens there")
            # Where nobody answers in that time it may be the network that is slow.
            if self._another_answers(endpoint):
                return PassOver("it says nothing, and others do", silent=True)
            return None
        self._heard_s = time.monotonic()
        if leader_id == 0:
            return PassOver("it knows no leader")
        leader = self._connection_of_id.get(leader_id)
        if leader is None or leader.endpoint == endpoint:
            return None
        try:
            leader.leader_id(ASK_TIMEOUT_S)
        except AttemptFailedError as failed:
            if refused_to_connect(failed):
                return PassOver(f"it still follows {leader.endpoint}, where nothing listens")
        return None

    def _another_answers(self, endpoint: str) -> bool:
        """Say whether a member other than this one says whom it follows, or did so just now."""
        if time.monotonic() - self._heard_s < SILENT_S:
            return True
        for member in self._connections.values():
            if member.endpoint != endpoint:
                with suppress(AttemptFailedError):
                    member.leader_id(ASK_TIMEOUT_S)
                    self._heard_s = time.monotonic()
                    return True
        return False

    def close(self) -> None:
        """Close the connections to all members."""
        _watch.remove(self)
        for member in self._connections.values():
            member.close()


def _make(member: EtcdMember, change: Change, timeout_s: float, after_ambiguous: bool) -> Answer:
    """Make a change at a member, without a fence."""
    if change.value is None:
        count, revision = member.delete(change.key, timeout_s)
        return changed(count, after_ambiguous, revision)
    if change.kind is Kind.CAS:
        done = member.compare_and_set(change, timeout_s)
        return changed(done.affected or 0, after_ambiguous, done.revision, done.read)
    if change.kind is Kind.APPEND:
        return Answer(revision=member.append(change, timeout_s).revision)
    return Answer(revision=member.put(change.key, change.value, timeout_s))


def _discover(
    endpoints: Sequence[str], policy: FailoverPolicy, transport: Transport, login: Login
) -> tuple[str, Membership]:
    """Ask one member after the other who belongs to the cluster; return who answered, and what."""
    refusals: list[str] = []
    for endpoint in endpoints:
        member = EtcdMember(*split_endpoint(endpoint), policy, transport=transport, login=login)
        try:
            membership = member.members()
        except AttemptFailedError as failed:
            refusals.append(f"{endpoint} ({failed.reason})")
            continue
        finally:
            member.close()
        if membership.clients:
            return endpoint, membership
        refusals.append(f"{endpoint} (knows no member that serves clients)")
    raise LabError(f"no etcd member answers: {', '.join(refusals)}; is etcd running there, on that client port?")

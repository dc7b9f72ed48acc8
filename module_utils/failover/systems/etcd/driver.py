# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One etcd member in the words of its API. Of the package etcd3 only the generated messages are used.

etcd3's own methods take no time limit a request and drop the details of an error, which decide whether a write may have
happened; so the requests go over a transport of :mod:`.transport`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar
from urllib.parse import urlsplit

from ...shapes import LIST_SEPARATOR, Kind, LabError, LastingError
from ..endpoints import join_endpoint, split_endpoint
from ..fence import NOWHERE, Change, Moved
from ..loop import AttemptFailedError, FailoverPolicy
from ..refusals import NOT_SENT
from .access import OPEN, RENEWED_AFTER, Access
from .keys import range_end, text_of
from .refusals import NO_SPACE, refusal_of
from .transport.base import DEFAULT_TRANSPORT, AbandonedError, CallError, Channel, Transport
from .txn import TxnAnswer, TxnRequest, delete, get, holds, nested, put

try:
    import etcd3.etcdrpc as rpc

    from .transport.grpcio import GrpcioChannel
    from .transport.lean import LeanChannel
except (ImportError, TypeError) as error:  # TypeError: etcd3's generated code meets protobuf 4 or newer
    _import_problem: str | None = str(error).partition("\n")[0]
else:
    _import_problem = None
    _CHANNELS: dict[Transport, type[Channel]] = {"lean": LeanChannel, "grpcio": GrpcioChannel}

_PUT = "/etcdserverpb.KV/Put"
_RANGE = "/etcdserverpb.KV/Range"
_DELETE_RANGE = "/etcdserverpb.KV/DeleteRange"
_TXN = "/etcdserverpb.KV/Txn"
_MEMBER_LIST = "/etcdserverpb.Cluster/MemberList"
_STATUS = "/etcdserverpb.Maintenance/Status"
_AUTHENTICATE = "/etcdserverpb.Auth/Authenticate"

_REFUSED_CONNECTION = "Connection refused"


class Membership(NamedTuple):
    """What a member says of its cluster."""

    clients: dict[str, str]  # member name -> "host:port" for clients; started members only
    answered_by: str  # name of the member that said it
    ids: dict[str, int]  # member name -> id; started members only


def failure_of(code: str, details: str) -> AttemptFailedError:
    """Classify a failed request by its details; the name of its gRPC status code is only told.

    Whatever is not known to be definite is ambiguous (:mod:`.etcd_refusals`): taking a write for failed that may take
    effect would be a lie, the other way round is only less precise.
    """
    refusal = refusal_of(details)
    return AttemptFailedError(
        f"{code}: {details}",
        ambiguous=refusal is None,
        final=details == NO_SPACE if refusal is None else refusal.final,
    )


def channel_to(endpoint: str, connect_timeout_ms: int, transport: Transport, access: Access) -> Channel:
    """Return a channel to a member, the one place where clients get theirs.

    :param endpoint: "host:port", IPv6 in brackets
    :param access: whom the member's certificate has to be of; who comes says each call's token (:class:`Login`)
    :raises LabError: where a package of the transports, or the authority's certificate, cannot be read
    """
    if _import_problem is not None:
        raise LastingError(
            f"a Python package of the client for etcd cannot be imported ({_import_problem}); "
            "install etcd3==0.12.0 with protobuf==3.20.3, grpcio and hpack"
        )
    return _CHANNELS[transport](endpoint, connect_timeout_ms, ca=access.ca)


class Login:
    """The token of one account, good at every member; fetched when it is first needed, and again when it is over.

    :param access: without a user there is no token, and none is needed
    """

    def __init__(self, access: Access = OPEN) -> None:
        self.access = access
        self.token = ""

    def renew(self, channel: Channel, timeout_s: float) -> None:
        """Fetch a token; CallError says that nothing else was sent yet."""
        asked = rpc.AuthenticateRequest(name=self.access.user, password=self.access.password)
        try:
            answer = channel.call(_AUTHENTICATE, asked, rpc.AuthenticateResponse, timeout_s, require_leader=True)
        except CallError as error:
            raise CallError(error.code, f"{NOT_SENT}no token: {error.details}") from error
        self.token = answer.token


# Who needs no account.
NOBODY = Login()


P = ParamSpec("P")
T = TypeVar("T")


def _readable(request: Callable[P, T]) -> Callable[P, T]:
    """Make an answer to a transaction that is not what was asked for an ambiguous failure."""

    @wraps(request)
    def read(*args: P.args, **options: P.kwargs) -> T:
        try:
            return request(*args, **options)
        except ValueError as error:
            raise AttemptFailedError(f"its answer makes no sense: {error}", ambiguous=True) from error

    return read


class EtcdMember:
    """One etcd member over one channel of its own; the methods raise AttemptFailedError. Values are UTF-8 text.

    :param host: name or address, IPv6 without brackets
    :param transport: what carries the requests
    :param login: as whom they come
    :raises LabError: where a package of the transports cannot be imported
    """

    def __init__(
        self,
        host: str,
        port: int,
        policy: FailoverPolicy,
        *,
        transport: Transport = DEFAULT_TRANSPORT,
        login: Login = NOBODY,
    ) -> None:
        self.endpoint = join_endpoint(host, port)
        # Raft's term in the last answer; 0 before the first one.
        self.term = 0
        # Told before each further request of one attempt, which may go to another leader than the one before.
        self.on_next_request: Callable[[], None] = lambda: None
        self._attempt_timeout_s = policy.attempt_timeout_ms / 1000
        self._login = login
        self._channel = channel_to(self.endpoint, policy.connect_timeout_ms, transport, login.access)

    def put(self, key: str, value: str, timeout_s: float | None = None) -> int:
        """Set ``key``; return the store's revision. etcd reports no number of keys changed."""
        request = rpc.PutRequest(key=key.encode(), value=value.encode())
        return int(self._call(_PUT, request, rpc.PutResponse, timeout_s).header.revision)

    def get(self, key: str, timeout_s: float | None = None, *, serializable: bool = False) -> tuple[str | None, int]:
        """Read ``key``; return its value, None where it is absent, and the store's revision.

        :param serializable: as this member has it, without asking the leader's quorum
        """
        request = rpc.RangeRequest(key=key.encode(), serializable=serializable)
        answer = self._call(_RANGE, request, rpc.RangeResponse, timeout_s)
        return text_of(answer.kvs[0].value) if answer.kvs else None, int(answer.header.revision)

    def scan(
        self, prefix: str, key: str, count: int, timeout_s: float | None = None, *, serializable: bool = False
    ) -> tuple[list[str], int]:
        """Read ``count`` keys of a prefix at most, from one of them on; return those keys and the store's revision.

        :param key: with the prefix
        """
        request = rpc.RangeRequest(
            key=key.encode(), range_end=range_end(prefix.encode()), limit=count, serializable=serializable
        )
        answer = self._call(_RANGE, request, rpc.RangeResponse, timeout_s)
        return [text_of(pair.key) for pair in answer.kvs], int(answer.header.revision)

    def delete(self, key: str, timeout_s: float | None = None) -> tuple[int, int]:
        """Remove ``key``; return how many keys that removed, 0 or 1, and the store's revision."""
        request = rpc.DeleteRangeRequest(key=key.encode())
        answer = self._call(_DELETE_RANGE, request, rpc.DeleteRangeResponse, timeout_s)
        return int(answer.deleted), int(answer.header.revision)

    @_readable
    def move(self, fence: str, at: str, to: str, change: Change | None, timeout_s: float | None = None) -> Moved:
        """Move a fence, a key of its own, and make a change with it (:data:`..fence.Move`).

        One transaction, which goes through raft whatever the fence's value is: it has a write in one branch. An APPEND
        is several, of which one makes the change.
        """
        name = fence.encode()
        stands, moves = holds(name, None if at == NOWHERE else at.encode()), put(name, to.encode())
        if change is not None and change.kind is Kind.APPEND:
            return self._append(change, timeout_s, [stands], [moves], [get(name)])
        answer = self._transact([stands], [*([] if change is None else [_made(change)]), moves], [get(name)], timeout_s)
        if not answer.succeeded:
            return _elsewhere(answer)
        revision = answer.header.revision
        if change is not None and change.kind is Kind.DELETE:
            return Moved(True, affected=answer.deleted(0), revision=revision)
        if change is not None and change.kind is Kind.CAS:
            return _compared(answer.nested(0), revision)
        return Moved(True, revision=revision)

    @_readable
    def compare_and_set(self, change: Change, timeout_s: float | None = None) -> Moved:
        """Make a CAS without a fence; ``moved`` of what is returned means nothing."""
        answer = self._transact(*_comparing(change), timeout_s)
        return _compared(answer, answer.header.revision)

    @_readable
    def append(self, change: Change, timeout_s: float | None = None) -> Moved:
        """Make an APPEND without a fence; ``moved`` of what is returned means nothing."""
        return self._append(change, timeout_s, [], [], [])

    def _append(
        self,
        change: Change,
        timeout_s: float | None,
        stands: Sequence[bytes],
        moves: Sequence[bytes],
        looks: Sequence[bytes],
    ) -> Moved:
        """Read a list and write it with one more element, until nobody else wrote it between the two.

        All tries of one fence exclude each other: one that takes effect moves it.

        :param stands: the fence's Compare, :param moves: its RequestOp, :param looks: what reads it; or nothing at all
        """
        assert change.value is not None
        until = time.monotonic() + (self._attempt_timeout_s if timeout_s is None else timeout_s)
        key, element = change.key.encode(), change.value.encode()
        try:
            held = self.get(change.key, timeout_s)[0]
        except AttemptFailedError as failed:
            raise AttemptFailedError(f"{NOT_SENT}{failed.reason}", ambiguous=False, final=failed.final) from failed
        seen = None if held is None else held.encode()
        while (left_s := until - time.monotonic()) > 0:
            self.on_next_request()
            longer = element if seen is None else seen + LIST_SEPARATOR.encode() + element
            answer = self._transact([*stands, holds(key, seen)], [put(key, longer), *moves], [*looks, get(key)], left_s)
            if answer.succeeded:
                return Moved(True, revision=answer.header.revision)
            now = answer.found(len(looks))
            held_now = None if now is None else now.value
            if held_now == seen:  # so it was the fence that stood elsewhere
                return _elsewhere(answer)
            seen = held_now
        raise AttemptFailedError(f"{NOT_SENT}others write {change.key} again and again", ambiguous=False)

    def _transact(
        self, compare: Sequence[bytes], success: Sequence[bytes], failure: Sequence[bytes], timeout_s: float | None
    ) -> TxnAnswer:
        answer: TxnAnswer = self._call(_TXN, TxnRequest(compare, success, failure), TxnAnswer, timeout_s)
        return answer

    def members(self, timeout_s: float | None = None) -> Membership:
        """Ask for the cluster's members and their client URLs; raises LabError where those cannot be used."""
        answer = self._call(
            _MEMBER_LIST, rpc.MemberListRequest(), rpc.MemberListResponse, timeout_s, require_leader=False
        )
        clients: dict[str, str] = {}
        ids: dict[str, int] = {}
        answered_by = ""
        for member in sorted(answer.members, key=lambda each: each.name):
            if not member.clientURLs:  # added to the cluster, but not started yet
                continue
            clients[member.name] = self._usable(member.name, list(member.clientURLs))
            ids[member.name] = member.ID
            if answer.header.member_id == member.ID:
                answered_by = member.name
        return Membership(clients, answered_by, ids)

    def leader_id(self, timeout_s: float) -> int:
        """Ask whom this member follows, itself where it leads; 0 where it knows no leader."""
        answer = self._call(
            _STATUS, rpc.StatusRequest(), rpc.StatusResponse, timeout_s, require_leader=False, as_user=False
        )
        return int(answer.leader)

    def give_up(self, reason: str) -> None:
        """End the request that another thread waits for, as an ambiguous failure; later ones are as good as ever."""
        self._channel.abandon(reason)

    def connect(self) -> None:
        """Start opening the connection; does not wait for it."""
        self._channel.connect()

    def close(self) -> None:
        """Close the channel; requests under way fail."""
        self._channel.close()

    def _call(
        self,
        method: str,
        request: Any,
        response_type: Any,
        timeout_s: float | None,
        *,
        require_leader: bool = True,
        as_user: bool = True,
    ) -> Any:
        limit_s = self._attempt_timeout_s if timeout_s is None else timeout_s
        until_s = time.monotonic() + limit_s
        login = self._login if as_user else NOBODY

        def call(limit_s: float) -> Any:
            return self._channel.call(
                method, request, response_type, limit_s, require_leader=require_leader, token=login.token
            )

        try:
            if login.access.user and not login.token:
                login.renew(self._channel, limit_s)
            try:
                answer = call(max(0.0, until_s - time.monotonic()))
            except CallError as error:
                if not login.access.user or error.details not in RENEWED_AFTER:
                    raise
                login.renew(self._channel, max(0.0, until_s - time.monotonic()))
                answer = call(max(0.0, until_s - time.monotonic()))
        except AbandonedError as error:
            raise AttemptFailedError(error.details, ambiguous=True) from error
        except CallError as error:
            raise failure_of(error.code, error.details) from error
        self.term = answer.header.raft_term
        return answer

    def _usable(self, name: str, urls: list[str]) -> str:
        """Return the "host:port" of the first advertised client URL that can be reached from here, or LabError."""
        asked_from_outside = not _is_loopback(split_endpoint(self.endpoint)[0])
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme != ("https" if self._login.access.ca else "http"):
                continue
            host, port = split_endpoint(parts.netloc)
            if not (asked_from_outside and _is_loopback(host)):
                return join_endpoint(host, port)
        raise LabError(
            f"etcd member {name}, asked at {self.endpoint}, advertises only {' '.join(urls)}; set its "
            f"advertise-client-urls to an {'https' if self._login.access.ca else 'http'} address that this host reaches"
        )


def _made(change: Change) -> bytes:
    """Return the RequestOp that makes a change."""
    key = change.key.encode()
    if change.value is None:
        return delete(key)
    if change.kind is Kind.CAS:
        return nested(TxnRequest(*_comparing(change)))
    return put(key, change.value.encode())


def _comparing(change: Change) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return what a transaction for a CAS compares, does where that holds, and does where it does not."""
    assert change.value is not None
    assert change.expected is not None
    key = change.key.encode()
    return [holds(key, change.expected.encode())], [put(key, change.value.encode())], [get(key)]


def _compared(answer: TxnAnswer, revision: int) -> Moved:
    """Return what the transaction of a CAS did."""
    if answer.succeeded:
        return Moved(True, affected=1, revision=revision)
    found = answer.found(0)
    return Moved(True, affected=0, revision=revision, read=None if found is None else text_of(found.value))


def _elsewhere(answer: TxnAnswer) -> Moved:
    """Return where the fence stands, as the first ``get`` of a transaction found it."""
    found = answer.found(0)
    return Moved(False) if found is None else Moved(False, text_of(found.value), revision=found.revision)


def refused_to_connect(failed: AttemptFailedError) -> bool:
    """Say whether nothing listens at the member's port: its process is gone. Being silent is not refusing."""
    return _REFUSED_CONNECTION in failed.reason


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")

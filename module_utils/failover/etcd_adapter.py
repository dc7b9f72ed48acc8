# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The only file that knows the package etcd3: one member of etcd over one gRPC channel.

etcd3 sets up the channel and brings the messages. Its high-level methods are not used: they have no deadline of a
single call, and they turn gRPC's errors into empty exceptions, from which nobody can tell whether a write was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .failover_policy import AttemptFailedError, AttemptResult, FailoverPolicy
from .shapes import LabError

_import_error: Exception | None = None
try:
    import etcd3
    import grpc
    from etcd3 import etcdrpc
except Exception as error:  # protobuf from 4 on makes a TypeError of it, not an ImportError
    _import_error = error

# Asks a member that knows no leader to say so at once, instead of holding the request until its time is over.
_REQUIRE_LEADER = (("hasleader", "true"),)

# gRPC's words where no connection came about, so that nothing was sent.
_NOT_SENT = ("failed to connect to all addresses", "errors resolving ")
# etcd's words where it refused a request before proposing it: no leader known; raft took no proposal; too many of them
# waiting already.
_REFUSED = ("etcdserver: no leader", "raft proposal dropped", "etcdserver: too many requests")
# Codes with which a request is refused as it is, by every member.
_FINAL_CODES = (
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "RESOURCE_EXHAUSTED",
)


@dataclass(frozen=True)
class DiscoveredMember:
    """A member as another one knows it."""

    member_id: int
    name: str  # empty where it has not started yet
    endpoints: tuple[str, ...]  # "host:port" of its client URLs


@dataclass(frozen=True)
class Following:
    """Whom a member follows, in its own words."""

    member_id: int
    leader_id: int  # 0 where it knows none


def classify(code: str, details: str) -> AttemptFailedError:
    """Say what a gRPC error means for a write.

    Only what is known to be a refusal counts as one. All else is ambiguous: UNAVAILABLE after the request was sent
    (connection reset, "leader changed", "request timed out", "server stopped"), DEADLINE_EXCEEDED, CANCELLED, INTERNAL,
    UNKNOWN.
    """
    reason = f"{code}: {details}" if details else code
    if code in ("UNAVAILABLE", "UNKNOWN", "RESOURCE_EXHAUSTED") and details.startswith((*_NOT_SENT, *_REFUSED)):
        return AttemptFailedError(AttemptResult.NOT_APPLIED, reason)
    if code in _FINAL_CODES:
        return AttemptFailedError(AttemptResult.NOT_APPLIED, reason, final=True)
    return AttemptFailedError(AttemptResult.AMBIGUOUS, reason)


def channel_options(policy: FailoverPolicy) -> list[tuple[str, int]]:
    """Return the channel's options; the policy says why."""
    return [
        ("grpc.initial_reconnect_backoff_ms", policy.reconnect_backoff_ms),
        ("grpc.max_reconnect_backoff_ms", 2 * policy.reconnect_backoff_ms),
        # gRPC takes its time limit for one connect from here.
        ("grpc.min_reconnect_backoff_ms", policy.connect_timeout_ms),
        ("grpc.keepalive_time_ms", policy.keepalive_time_ms),
        ("grpc.keepalive_timeout_ms", policy.keepalive_timeout_ms),
        ("grpc.keepalive_permit_without_calls", 0),
        # Every attempt is ours, and counted.
        ("grpc.enable_retries", 0),
        # A client has its own connection; gRPC would share one between all clients of the process.
        ("grpc.use_local_subchannel_pool", 1),
    ]


class EtcdMember:
    """One member over its own channel. The channel connects, and connects again, by itself."""

    def __init__(self, endpoint: str, policy: FailoverPolicy, member_id: int = 0, name: str = "") -> None:
        """:param endpoint: "host:port" of a client URL; :param member_id: 0 where it is not known."""
        if _import_error is not None:
            raise LabError(
                f"The package etcd3 cannot be used here ({type(_import_error).__name__}: "
                f"{str(_import_error).splitlines()[0]}). It needs protobuf 3.20.3; install the versions of "
                "roles/load_generator/files/requirements.txt."
            )
        self.endpoint = endpoint
        self.member_id = member_id
        self.name = name
        host, _, port = endpoint.rpartition(":")
        self._client = etcd3.client(host, int(port), grpc_options=channel_options(policy))
        self._timeout_s = policy.attempt_timeout_ms / 1000
        # Bound once: these are on the way of every operation.
        self._put = self._client.kvstub.Put
        self._range = self._client.kvstub.Range
        self._delete = self._client.kvstub.DeleteRange

    def put(self, key: str, value: str, *, doubtful: bool) -> int | None:
        """Write a key. A second write of the same value changes nothing, so ``doubtful`` does not matter."""
        request = etcdrpc.PutRequest(key=key.encode(), value=value.encode())
        try:
            self._put(request, timeout=self._timeout_s, metadata=_REQUIRE_LEADER)
        except grpc.RpcError as error:
            raise _failed(error) from None
        return None

    def get(self, key: str) -> str | None:
        """Return the newest acknowledged value (a linearizable read), None where the key is absent."""
        request = etcdrpc.RangeRequest(key=key.encode())
        try:
            answer = self._range(request, timeout=self._timeout_s, metadata=_REQUIRE_LEADER)
        except grpc.RpcError as error:
            raise _failed(error) from None
        return answer.kvs[0].value.decode() if answer.kvs else None

    def delete(self, key: str) -> int | None:
        """Delete a key; return how many were removed."""
        request = etcdrpc.DeleteRangeRequest(key=key.encode())
        try:
            answer = self._delete(request, timeout=self._timeout_s, metadata=_REQUIRE_LEADER)
        except grpc.RpcError as error:
            raise _failed(error) from None
        return int(answer.deleted)

    def following(self) -> Following:
        """Ask the member whom it follows; it answers without a leader, too."""
        try:
            answer = self._client.maintenancestub.Status(etcdrpc.StatusRequest(), timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise _failed(error) from None
        return Following(int(answer.header.member_id), int(answer.leader))

    def start_connecting(self) -> Any:
        """Begin to connect, and return a future; its ``exception()`` is None when the member has answered."""
        return self._client.maintenancestub.Status.future(etcdrpc.StatusRequest(), timeout=self._timeout_s)

    def member_list(self) -> tuple[int, list[DiscoveredMember]]:
        """Return this member's own id, and all members that it knows."""
        try:
            answer = self._client.clusterstub.MemberList(etcdrpc.MemberListRequest(), timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise _failed(error) from None
        members = [
            DiscoveredMember(int(member.ID), member.name, tuple(endpoint_of(url) for url in member.clientURLs))
            for member in answer.members
        ]
        return int(answer.header.member_id), members

    def close(self) -> None:
        """Close the channel."""
        self._client.close()


def is_refused(reason: str) -> bool:
    """Say whether an attempt failed because nothing listens at the member's port: its process is gone."""
    return "Connection refused" in reason


def endpoint_of(url: str) -> str:
    """Turn a client URL into "host:port"; LabError for anything but plain http, which is all that this lab speaks."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise LabError(f"etcd client URL {url!r} is not plain http; set ETCD_ADVERTISE_CLIENT_URLS to http://ADDRESS:2379.")
    return f"{parts.hostname}:{parts.port or 2379}"


def _failed(error: Any) -> AttemptFailedError:
    return classify(error.code().name, error.details() or "")

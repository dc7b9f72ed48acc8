# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every transport does: unary calls to one member, and errors in gRPC's words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, get_args

Transport = Literal["lean", "grpcio"]
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)
# A call costs the workload's host a fraction of the CPU time that it costs with grpcio.
DEFAULT_TRANSPORT: Transport = "lean"

# Between two attempts to connect to a member that is down. gRPC's own defaults (1 s, growing to 120 s) would leave a
# member that is back unused for seconds, and that would be measured as etcd's unavailability.
RECONNECT_FIRST_MS = 100
RECONNECT_MOST_MS = 200
# How long what was sent may stay without the other host's acknowledgement before the connection counts as dead.
KEEPALIVE_TIMEOUT_MS = 2_000
# gRPC's own limit of an answer. etcd refuses requests above 1.5 MiB (--max-request-bytes), so it keeps no larger value.
ANSWER_MOST_BYTES = 4 * 1024 * 1024

# Makes a member without a leader refuse a request at once. It would hold it until its time is over, and whether a
# leader elected meanwhile still gets it could not be known.
REQUIRE_LEADER = ("hasleader", "true")
# Field of a request that says as whom it comes.
TOKEN = "token"

# Codes of gRPC's statuses by their numbers (grpc/doc/statuscodes.md).
CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip


class CallError(Exception):
    """A call without an answer that says OK.

    :param code: name of the gRPC status code
    :param details: the server's words, or the transport's own; :mod:`..refusals` says which prove that nothing was done
    """

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}: {details}")
        self.code = code
        self.details = details


class AbandonedError(CallError):
    """A call that another thread ended; ``details`` is the reason that it gave."""

    def __init__(self, reason: str) -> None:
        super().__init__("CANCELLED", reason)


class Channel(ABC):
    """Calls to one member over connections that no other channel uses; opened when first needed.

    Calls may be made by several threads at a time. A request is sent once: no transport repeats it by itself.

    :param endpoint: "host:port", IPv6 in brackets
    :param connect_timeout_ms: what setting a connection up may take, until the member has answered on it
    :param ca: file with the certificate of the authority that signs the members'; empty: without TLS
    :param answer_most_bytes: answers longer than that are refused
    """

    @abstractmethod
    def __init__(
        self, endpoint: str, connect_timeout_ms: int, *, ca: str = "", answer_most_bytes: int = ANSWER_MOST_BYTES
    ) -> None: ...

    @abstractmethod
    def call(
        self,
        method: str,
        request: Any,
        response_type: Any,
        timeout_s: float,
        *,
        require_leader: bool,
        token: str = "",
    ) -> Any:
        """Send a request and wait for its answer.

        :param method: its path, as "/etcdserverpb.KV/Put"
        :param request: a protobuf message
        :param response_type: class of the protobuf message that is the answer
        :param token: of the account that asks; empty where that is nobody
        :return: an instance of ``response_type``
        :raises CallError: for everything else that may come of it
        """

    @abstractmethod
    def connect(self) -> None:
        """Start opening a connection; does not wait for it."""

    @abstractmethod
    def abandon(self, reason: str) -> None:
        """End the calls that were sent and are waited for, as AbandonedError; later ones go over a new connection."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections; calls under way fail, and so do later ones."""

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Calls by the package grpcio, and the only file that knows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc

from ....shapes import LabError
from ...refusals import NOT_SENT
from .base import (
    ANSWER_MOST_BYTES,
    KEEPALIVE_TIMEOUT_MS,
    RECONNECT_FIRST_MS,
    RECONNECT_MOST_MS,
    REQUIRE_LEADER,
    TOKEN,
    AbandonedError,
    CallError,
    Channel,
)

# etcd closes connections that ping more often than every 5 s or without a request under way
# (--grpc-keepalive-min-time); the twofold distance leaves room for late timers.
KEEPALIVE_TIME_MS = 10_000
# The cheapest request that needs no leader; it has no fields.
_GREETING = "/etcdserverpb.Cluster/MemberList"


class _Open:
    """One channel of grpcio's with the methods that were used on it: making one costs more than calling it."""

    def __init__(
        self, endpoint: str, options: list[tuple[str, int]], credentials: grpc.ChannelCredentials | None
    ) -> None:
        if credentials is None:
            self.channel = grpc.insecure_channel(endpoint, options=options)
        else:
            self.channel = grpc.secure_channel(endpoint, credentials, options=options)
        self._methods: dict[str, Any] = {}

    def method(self, path: str, response_type: Any) -> Any:
        found = self._methods.get(path)
        if found is None:
            found = self._methods[path] = self.channel.unary_unary(
                path,
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response_type.FromString,
            )
        return found


class GrpcioChannel(Channel):
    """Calls over a channel of grpcio's."""

    def __init__(
        self, endpoint: str, connect_timeout_ms: int, *, ca: str = "", answer_most_bytes: int = ANSWER_MOST_BYTES
    ) -> None:
        self._endpoint = endpoint
        self._connect_timeout_s = connect_timeout_ms / 1000
        self._options = [
            ("grpc.initial_reconnect_backoff_ms", RECONNECT_FIRST_MS),
            ("grpc.max_reconnect_backoff_ms", RECONNECT_MOST_MS),
            # In spite of its name the time that setting a connection up may take.
            ("grpc.min_reconnect_backoff_ms", connect_timeout_ms),
            ("grpc.keepalive_time_ms", KEEPALIVE_TIME_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
            ("grpc.keepalive_permit_without_calls", 0),
            ("grpc.max_receive_message_length", answer_most_bytes),
            # gRPC must not send a request again behind our back.
            ("grpc.enable_retries", 0),
            # Clients in one process would else share one connection a member.
            ("grpc.use_local_subchannel_pool", 1),
            # A proxy of the environment has no place between the lab's hosts.
            ("grpc.enable_http_proxy", 0),
        ]
        self._given_up: str | None = None  # why the calls under way were ended by another thread
        self._credentials = _credentials(ca) if ca else None
        self._open = _Open(endpoint, self._options, self._credentials)

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
        """Send a request and wait for its answer."""
        metadata = [*([REQUIRE_LEADER] if require_leader else []), *([(TOKEN, token)] if token else [])]
        try:
            answer = self._open.method(method, response_type)(request, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            if self._given_up is not None and error.code() == grpc.StatusCode.CANCELLED:
                reason, self._given_up = self._given_up, None
                raise AbandonedError(reason) from error
            # Every error of a call is a grpc.Call as well, which carries these two.
            raise CallError(error.code().name, error.details() or "no details given") from error
        except ValueError as error:
            # The channel was closed between its choice and its use.
            raise CallError("CANCELLED", f"{NOT_SENT}{error}") from error
        if answer is None:
            raise CallError("INTERNAL", "the answer has no message")
        return answer

    def connect(self) -> None:
        """Start opening a connection; does not wait for it."""
        # The answer is of no use, and whether there is one either: the first real request finds out.
        greet = self._open.channel.unary_unary(_GREETING, request_serializer=bytes, response_deserializer=bytes)
        greet.future(b"", timeout=self._connect_timeout_s)

    def abandon(self, reason: str) -> None:
        """End the calls under way by closing the channel under them.

        gRPC has no way to cancel a request that is waited for, and one that can be cancelled (``method.future``) takes
        half as long again, because its answer comes by way of a further thread.
        """
        self._given_up = reason
        former, self._open = self._open, _Open(self._endpoint, self._options, self._credentials)
        self.connect()
        former.channel.close()

    def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        self._open.channel.close()


def _credentials(ca: str) -> grpc.ChannelCredentials:
    """Return what verifies the members by their authority's certificate; LabError where that cannot be read."""
    try:
        return grpc.ssl_channel_credentials(Path(ca).read_bytes())
    except OSError as error:
        raise LabError(
            f"the certificate authority {ca} cannot be read: {(error.strerror or str(error)).lower()}; "
            "provision the hosts with playbooks/up.yml"
        ) from None

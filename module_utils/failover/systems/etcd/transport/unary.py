# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""gRPC's unary calls in terms of HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md): what a request says, what an answer means."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

import hpack

from .base import CODES, REQUIRE_LEADER, TOKEN, CallError
from .http2 import Exchange

# A message begins with a flag, whether it is compressed, and its length in four bytes.
PREFIX_BYTES = 5
# What an HTTP status means where gRPC's own is missing (grpc/doc/http-grpc-status-mapping.md); others UNKNOWN.
CODE_OF_HTTP_STATUS = {
    b"400": "INTERNAL",
    b"401": "UNAUTHENTICATED",
    b"403": "PERMISSION_DENIED",
    b"404": "UNIMPLEMENTED",
    b"429": "UNAVAILABLE",
    b"502": "UNAVAILABLE",
    b"503": "UNAVAILABLE",
    b"504": "UNAVAILABLE",
}


# Most calls of a run have one of few methods and one time limit.
@lru_cache(maxsize=256)
def request_block(
    authority: str, method: str, limit_ms: int | None, require_leader: bool, token: str = "", scheme: str = "http"
) -> bytes:
    """Return the header fields of a request, encoded so that they leave the other side's table as it is.

    :param authority: "host:port"
    :param method: the path, as "/etcdserverpb.KV/Put"
    :param limit_ms: when the server need not answer any more; None of a stream, which has no end
    :param token: of the account that asks; empty where that is nobody
    """
    fields = [
        (":method", "POST"),
        (":scheme", scheme),
        (":path", method),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "failover-lab"),
    ]
    if limit_ms is not None:
        # At most 8 digits; a day has 86,400,000 ms.
        fields.append(("grpc-timeout", f"{min(limit_ms, 99_999_999)}m"))
    if require_leader:
        fields.append(REQUIRE_LEADER)
    if token:
        fields.append((TOKEN, token))
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(name, value) for name, value in fields])


def limit_in_ms(timeout_s: float) -> int:
    """Return a time limit in whole ms, not below what it is: the client's own clock is the one that ends a call."""
    return max(1, math.ceil(timeout_s * 1000))


def with_prefix(message: bytes) -> bytes:
    """Return a message as it is sent, uncompressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def answer_in(exchange: Exchange, response_type: Any, most_bytes: int) -> Any:
    """Return the message of an answer that says OK, as an instance of ``response_type``.

    :param exchange: one that has ended
    :param most_bytes: longest message that is taken; the exchange was cut after it
    :raises CallError: for every other answer
    """
    body = exchange.parts[0] if len(exchange.parts) == 1 else b"".join(exchange.parts)
    length = int.from_bytes(body[1:PREFIX_BYTES], "big")
    if exchange.trailers is None and length > most_bytes:
        raise CallError("RESOURCE_EXHAUSTED", f"Received message larger than max ({length} vs. {most_bytes})")
    trailers = exchange.trailers or {}
    if trailers.get(b"grpc-status") != b"0":
        raise failure_in(exchange.fields or {}, trailers)
    if len(body) < PREFIX_BYTES or len(body) != PREFIX_BYTES + length:
        raise CallError("INTERNAL", f"the answer is not one whole message: {len(body)} bytes came")
    if body[0]:
        raise CallError("INTERNAL", "the answer is compressed, which was not asked for")
    try:
        return response_type.FromString(body[PREFIX_BYTES:])
    except Exception as error:  # protobuf's decoder in Python raises whatever its steps do
        raise CallError("INTERNAL", f"the answer is no {response_type.__name__}: {error}") from error


def failure_in(fields: dict[bytes, bytes], trailers: dict[bytes, bytes]) -> CallError:
    """Return what an answer says that does not say OK."""
    status = trailers.get(b"grpc-status")
    if status is None:
        http_status = fields.get(b":status", b"")
        if http_status == b"200":
            return CallError("UNKNOWN", "the answer has no grpc-status")
        told = http_status.decode("ascii", "replace")
        code = CODE_OF_HTTP_STATUS.get(http_status, "UNKNOWN")
        return CallError(code, f"Received http2 header with status: {told}")
    number = int(status) if status.isdigit() and len(status) < 4 else -1
    code = CODES[number] if 0 < number < len(CODES) else "UNKNOWN"
    # Percent-encoded UTF-8; what it is not is still shown.
    details = unquote_to_bytes(trailers.get(b"grpc-message", b"")).decode("utf-8", "replace")
    return CallError(code, details or "no details given")

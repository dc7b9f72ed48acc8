# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Both transports of etcd's client against the same servers: what one calls definite, the other one does, too."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

import grpc
import pytest
from failover.systems.etcd.driver import failure_of, refused_to_connect
from failover.systems.etcd.transport import frames
from failover.systems.etcd.transport.base import CODES, AbandonedError, CallError
from failover.systems.etcd.transport.unary import CODE_OF_HTTP_STATUS
from http2_doubles import (
    CHANNELS,
    OK_END,
    OK_HEAD,
    Peer,
    Script,
    echo,
    echoing,
    grpc_server,
    holding,
    message,
    opened,
    serving,
    waiting_for,
)

BOTH = pytest.mark.parametrize("kind", CHANNELS)


def failed(kind: str, endpoint: str, timeout_s: float = 30, connect_timeout_ms: int = 30_000) -> CallError:
    """Return how a call fails."""
    with opened(kind, endpoint, connect_timeout_ms) as channel, pytest.raises(CallError) as raised:
        echo(channel, "v", timeout_s)
    return raised.value


def is_ambiguous(error: CallError) -> bool:
    return failure_of(error.code, error.details).ambiguous


def after_request(*answer: Any) -> Script:
    """Answer a request with frames: made of the peer and the stream, where they are functions."""

    def script(peer: Peer) -> None:
        peer.greet()
        stream, _, _ = peer.request()
        peer.send(*(part(peer, stream) if callable(part) else part for part in answer))
        peer.frame()  # the client goes first
        while True:
            peer.frame()

    return script


def head(*fields: tuple[Any, Any], end: bool = False) -> Any:
    return lambda peer, stream: peer.head(stream, list(fields), end=end)


def data(payload: bytes, *, end: bool = False) -> Any:
    return lambda _peer, stream: frames.frame(frames.DATA, frames.END_STREAM if end else 0, stream, payload)


def reset(code: int) -> Any:
    return lambda _peer, stream: frames.number_frame(frames.RST_STREAM, stream, code)


def only_end(status: Any, told: Any = None) -> Any:
    fields = [*OK_HEAD, ("grpc-status", status)]
    return after_request(head(*fields, *([] if told is None else [("grpc-message", told)]), end=True))


def goaway(last: int) -> bytes:
    return frames.frame(frames.GOAWAY, 0, 0, struct.pack(">LL", last, frames.NO_ERROR))


def hang_up(peer: Peer) -> None:
    peer.greet()
    peer.request()


def reset_connection(peer: Peer) -> None:
    hang_up(peer)
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.input.close()
    peer.sock.close()


FULL = [("grpc-status", "8"), ("grpc-message", "full")]

# What a server says in gRPC's own terms: code and details are the same with both transports.
SAID: dict[str, tuple[Script, str, str | None]] = {
    "trailers only": (only_end("14", "etcdserver: no leader"), "UNAVAILABLE", "etcdserver: no leader"),
    "encoded": (only_end("2", "100%25 of %C3%A4"), "UNKNOWN", "100% of ä"),
    "encoded badly": (only_end("2", "5% %zz %4"), "UNKNOWN", "5% %zz %4"),
    "not UTF-8": (only_end("2", b"\xff\xfe%FF"), "UNKNOWN", None),
    "no details": (only_end("13"), "INTERNAL", "no details given"),
    "status of later days": (only_end("99", "x"), "UNKNOWN", None),
    "after data": (
        after_request(head(*OK_HEAD), data(message("v")), head(*FULL, end=True)),
        "RESOURCE_EXHAUSTED",
        "full",
    ),
    "after nothing": (
        after_request(head(*OK_HEAD), head(("grpc-status", "14"), ("grpc-message", "etcdserver: no leader"), end=True)),
        "UNAVAILABLE",
        "etcdserver: no leader",
    ),
    **{
        f"HTTP {status}": (
            after_request(head((":status", status), ("content-type", "text/html"), end=True)),
            CODE_OF_HTTP_STATUS.get(status.encode(), "UNKNOWN"),
            f"Received http2 header with status: {status}",
        )
        for status in ("302", "400", "401", "403", "404", "429", "500", "502", "503", "504")
    },
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_what_a_server_says_is_told_alike(case: str) -> None:
    script, code, details = SAID[case]
    with serving(script) as server:
        theirs, ours = failed("grpcio", server.endpoint), failed("lean", server.endpoint)
    assert ours.code == theirs.code == code
    if details is not None:
        assert ours.details == theirs.details == details
    assert is_ambiguous(ours) is is_ambiguous(theirs) is (details != "etcdserver: no leader")


# What the transports have their own words for: a request that arrived, and no answer that settles what became of it.
UNSETTLED: dict[str, Script] = {
    "hangs up": hang_up,
    "resets the connection": reset_connection,
    **{f"reset with {code}": after_request(reset(code)) for code in (0, 1, 2, 3, 5, 8, 11, 12, 13, 99)},
    "reset after the beginning": after_request(head(*OK_HEAD), data(message("v")), reset(frames.REFUSED_STREAM)),
    "status that is none": only_end("many", "x"),
    "no grpc-status": after_request(head(*OK_HEAD), data(message("v")), head(("x", "y"), end=True)),
    "no trailers": after_request(head(*OK_HEAD), data(message("v"), end=True)),
    "no message": after_request(head(*OK_HEAD), head(*OK_END, end=True)),
    "half a message": after_request(head(*OK_HEAD), data(message("value")[:-2]), head(*OK_END, end=True)),
    "not a message": after_request(head(*OK_HEAD), data(b"\0\0\0\0\2\xff\xff"), head(*OK_END, end=True)),
    "compressed": after_request(head(*OK_HEAD), data(b"\1" + message("v")[1:]), head(*OK_END, end=True)),
    "a long message": after_request(head(*OK_HEAD), data(b"\0\x7f\0\0\0" + bytes(9000)), head(*OK_END, end=True)),
    "header fields that cannot be decoded": after_request(
        lambda _peer, stream: frames.frame(frames.HEADERS, frames.END_HEADERS, stream, b"\xff\xff\xff\xff\xff\xff\xff")
    ),
    "a frame that is too long": after_request(
        lambda _peer, stream: struct.pack(">BHBBL", 0xFF, 0, frames.DATA, 0, stream)
    ),
    "processed, then away": after_request(goaway(1)),
}


@pytest.mark.parametrize("case", UNSETTLED)
def test_what_settles_nothing_is_ambiguous(case: str) -> None:
    with serving(UNSETTLED[case]) as server:
        for kind in CHANNELS:
            # Where the server goes on to say nothing, the time limit ends the call.
            error = failed(kind, server.endpoint, 1.0 if case in ("processed, then away", "a long message") else 30)
            assert is_ambiguous(error), f"{kind}: {error}"


def silent(peer: Peer) -> None:
    peer.read(1 << 20)


def not_http2(peer: Peer) -> None:
    peer.read(20)
    peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


NEVER_CONNECTED: dict[str, Script] = {
    "silent": silent,
    "closes": lambda peer: None,
    "closes later": lambda peer: peer.read(20) and None,
    "another protocol": not_http2,
}


@BOTH
@pytest.mark.parametrize("case", NEVER_CONNECTED)
def test_without_a_connection_nothing_was_sent(kind: str, case: str) -> None:
    with serving(NEVER_CONNECTED[case]) as server:
        error = failed(kind, server.endpoint, connect_timeout_ms=500)
    assert error.code == "UNAVAILABLE"
    assert error.details.startswith("failed to connect to all addresses; last error: ")
    assert not is_ambiguous(error)
    assert not refused_to_connect(failure_of(error.code, error.details))


@BOTH
def test_a_port_where_nobody_listens(kind: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        error = failed(kind, f"127.0.0.1:{probe.getsockname()[1]}")
    assert error.code == "UNAVAILABLE"
    assert error.details.startswith("failed to connect to all addresses; last error: ")
    assert refused_to_connect(failure_of(error.code, error.details))
    assert not is_ambiguous(error)


@pytest.mark.parametrize("answer", [reset(frames.REFUSED_STREAM), goaway(0)])
def test_what_was_not_processed_is_definite(answer: Any) -> None:
    """grpcio's words for it do not tell it from others, so with it the outcome is unknown."""
    with serving(after_request(answer)) as server:
        theirs, ours = failed("grpcio", server.endpoint, 2), failed("lean", server.endpoint)
    assert is_ambiguous(theirs)
    assert ours.code == "UNAVAILABLE"
    assert not is_ambiguous(ours)


@BOTH
def test_no_answer_in_time(kind: str) -> None:
    arrived = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet()
        peer.request()
        arrived.set()
        peer.frame()
        peer.until(frames.RST_STREAM)

    with serving(script) as server, opened(kind, server.endpoint) as channel:
        for _ in range(20):  # a busy machine may need longer than that for the connection
            with pytest.raises(CallError) as raised:
                echo(channel, "v", 0.5)
            if arrived.is_set():
                break
    assert raised.value.code == "DEADLINE_EXCEEDED"
    assert "Deadline Exceeded" in raised.value.details
    assert is_ambiguous(raised.value)


@BOTH
def test_an_answer_above_the_limit(kind: str) -> None:
    with grpc_server(lambda request, _: request) as endpoint, opened(kind, endpoint, answer_most_bytes=1000) as channel:
        with pytest.raises(CallError) as raised:
            echo(channel, "v" * 2000)
        assert raised.value.code == "RESOURCE_EXHAUSTED"
        assert "eceived message larger than max (2003 vs. 1000)" in raised.value.details
        assert is_ambiguous(raised.value)
        assert echo(channel, "w") == "w"


@BOTH
def test_all_codes_of_a_server_of_grpcio(kind: str) -> None:
    told = "etcdserver: ä, 50% and\nmore"
    codes = {code.name: code for code in grpc.StatusCode}

    def behave(request: bytes, context: Any) -> bytes:
        code = request[2:].decode()
        return request if code == "OK" else context.abort(codes[code], told)

    assert set(CODES) == set(codes)
    with grpc_server(behave) as endpoint, opened(kind, endpoint) as channel:
        for code in CODES:
            if code == "OK":
                assert echo(channel, code) == code
                continue
            with pytest.raises(CallError) as raised:
                echo(channel, code)
            assert (raised.value.code, raised.value.details) == (code, told)


@BOTH
def test_values_beyond_every_window(kind: str) -> None:
    seen: dict[str, str] = {}

    def behave(request: bytes, context: Any) -> bytes:
        seen.update(context.invocation_metadata())
        return request

    most = 16 * 1024 * 1024
    windows = {"http2.lookahead_bytes": 1024, "http2.bdp_probe": 0, "http2.max_frame_size": 16_384}
    with (
        grpc_server(behave, max_receive_message_length=most, **windows) as endpoint,
        opened(kind, endpoint, answer_most_bytes=most) as channel,
    ):
        for number in range(2):
            value = f"{number}" * 5_000_000
            assert echo(channel, value, 300, require_leader=True) == value
        assert echo(channel, "small") == "small"
    assert seen["hasleader"] == "true"


@BOTH
def test_a_call_is_abandoned_and_the_next_one_is_not(kind: str) -> None:
    arrived = threading.Event()
    with serving(holding(arrived), echoing) as server, opened(kind, server.endpoint) as channel:
        waiting, errors = waiting_for(channel, "lost")
        assert arrived.wait(30)
        channel.abandon("its leader is gone")
        waiting.join(30)
        assert isinstance(errors[0], AbandonedError)
        assert errors[0].details == "its leader is gone"
        assert echo(channel, "next") == "next"


@BOTH
def test_a_channel_that_is_closed_sends_nothing(kind: str) -> None:
    with serving(echoing) as server:
        channel = CHANNELS[kind](server.endpoint, 30_000)
        assert echo(channel, "v") == "v"
        channel.close()
        with pytest.raises(CallError, match="not sent: ") as raised:
            echo(channel, "v")
    assert not is_ambiguous(raised.value)

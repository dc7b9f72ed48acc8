# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lean transport against a server that goes through HTTP/2, also where grpcio's own servers never go."""

from __future__ import annotations

import socket
import struct
import threading
import time
from typing import Any

import hpack
import pytest
from failover.systems.etcd.driver import failure_of
from failover.systems.etcd.transport import frames, http2
from failover.systems.etcd.transport.base import KEEPALIVE_TIMEOUT_MS, RECONNECT_MOST_MS, AbandonedError, CallError
from failover.systems.etcd.transport.lean import LeanChannel
from failover.systems.etcd.transport.unary import limit_in_ms, request_block
from failover.systems.etcd.transport.wire import OutOfTimeError, Wire, open_wire
from http2_doubles import OK_END, OK_HEAD, Peer, echo, echoing, holding, message, opened, serving, waiting_for


def is_definite(error: CallError) -> bool:
    return not failure_of(error.code, error.details).ambiguous


def test_what_a_request_says() -> None:
    requests: list[dict[str, str]] = []

    def script(peer: Peer) -> None:
        peer.greet()
        while True:
            stream, value, fields = peer.request()
            requests.append(fields)
            peer.send(peer.good(stream, value))
            assert len(peer.decoder.header_table.dynamic_entries) == 0

    with serving(script) as server, opened("lean", server.endpoint) as channel:
        assert echo(channel, "a", 20.0, require_leader=True) == "a"
        assert echo(channel, "b", 30.0) == "b"
    plain = {
        ":method": "POST", ":scheme": "http", ":path": "/test.Echo/Echo", ":authority": server.endpoint,
        "te": "trailers", "content-type": "application/grpc", "user-agent": "failover-lab",
    }  # fmt: skip
    assert requests == [
        {**plain, "grpc-timeout": "20000m", "hasleader": "true"},
        {**plain, "grpc-timeout": "30000m"},
    ]
    assert [limit_in_ms(each) for each in (0.0, 0.0001, 0.5, 0.5004)] == [1, 1, 500, 501]
    assert b"m" in dict(hpack.Decoder().decode(request_block("h:1", "/m", 10**12, False), raw=True))[b"grpc-timeout"]


def padded(kind: int, flags: int, stream: int, payload: bytes, more: bytes = b"") -> bytes:
    return frames.frame(kind, flags | frames.PADDED, stream, b"\x07" + more + payload + bytes(7))


def test_frames_of_every_form_are_understood() -> None:
    def script(peer: Peer) -> None:
        peer.greet((frames.MAX_FRAME_SIZE, 20_000), (99, 1))
        for _ in range(3):
            stream, value, _ = peer.request()
            interim = peer.head(stream, [(":status", "103"), ("link", "x")])
            block = peer.encoder.encode(OK_HEAD)
            body = message(value)
            peer.send(
                interim,
                frames.frame(0xBE, 0xFF, stream, b"a type of later days"),
                frames.frame(frames.PRIORITY, 0, stream, bytes(5)),
                padded(frames.HEADERS, frames.PRIORITISED, stream, block[:1], bytes(5)),
                frames.frame(frames.CONTINUATION, 0, stream),
                frames.frame(frames.CONTINUATION, frames.END_HEADERS, stream, block[1:]),
                padded(frames.DATA, 0, stream, body[:3]),
                frames.frame(frames.PING, 0, 0, b"12345678"),
                frames.frame(frames.DATA, 0, stream),
                frames.frame(frames.DATA, 0, stream, body[3:]),
            )
            assert peer.until(frames.PING, ack=True) == (0, b"12345678")
            peer.send(peer.head(stream, OK_END, end=True))
            peer.send(frames.number_frame(frames.RST_STREAM, stream, frames.NO_ERROR))

    with serving(script) as server, opened("lean", server.endpoint) as channel:
        assert [echo(channel, value) for value in ("a", "b", "c")] == ["a", "b", "c"]


def test_both_sides_settle_their_settings() -> None:
    acknowledged = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet()
        peer.until(frames.SETTINGS, ack=True)
        acknowledged.set()
        own = [payload for kind, flags, _, payload in peer.seen if kind == frames.SETTINGS and not flags]
        assert dict(struct.iter_unpack(">HL", own[0])) == {
            frames.ENABLE_PUSH: 0,
            frames.INITIAL_WINDOW_SIZE: http2.WINDOW,
        }
        peer.echo_on()

    with serving(script) as server, opened("lean", server.endpoint) as channel:
        assert echo(channel, "v") == "v"
        assert acknowledged.is_set()


def test_an_answer_in_single_bytes() -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        stream, value, _ = peer.request()
        for byte in peer.good(stream, value):
            peer.send(bytes([byte]))
        peer.echo_on()

    with serving(script) as server, opened("lean", server.endpoint) as channel:
        assert [echo(channel, "slow"), echo(channel, "next")] == ["slow", "next"]


def test_a_late_answer_belongs_to_no_later_call() -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        late, value, _ = peer.request()
        assert peer.until(frames.RST_STREAM) == (late, struct.pack(">L", frames.CANCEL))
        answer = peer.good(late, value)
        peer.send(answer[:-3])
        stream, value, _ = peer.request()
        peer.send(answer[-3:], peer.good(stream, value))
        peer.echo_on()

    with serving(script) as server, opened("lean", server.endpoint) as channel:
        channel.connect()
        while not server.peers:
            time.sleep(0.01)
        with pytest.raises(CallError, match="DEADLINE_EXCEEDED: Deadline Exceeded"):
            echo(channel, "late", 2.0)
        assert [echo(channel, "second"), echo(channel, "third")] == ["second", "third"]
        assert len(server.peers) == 1


def test_a_small_window_and_one_that_shrinks() -> None:
    sizes: list[int] = []

    def script(peer: Peer) -> None:
        peer.greet((frames.INITIAL_WINDOW_SIZE, 10), (frames.HEADER_TABLE_SIZE, 0))
        peer.decoder.max_allowed_table_size = 0
        stream, payload = peer.until(frames.DATA)
        assert len(payload) == 10
        shrunk = struct.pack(">HL", frames.INITIAL_WINDOW_SIZE, 4)
        peer.send(frames.frame(frames.SETTINGS, 0, 0, shrunk), frames.number_frame(frames.WINDOW_UPDATE, stream, 8))
        body = payload
        peer.sock.settimeout(30)
        while len(body) < len(message("x" * 30)):
            kind, _, _, payload = peer.frame()
            if kind == frames.DATA:
                sizes.append(len(payload))
                body += payload
                peer.send(frames.number_frame(frames.WINDOW_UPDATE, stream, 5))
        peer.send(peer.good(stream, "x" * 30))
        peer.until(frames.HEADERS)
        block = next(payload for kind, _, number, payload in peer.seen if kind == frames.HEADERS and number > stream)
        assert block[0] != 0x20  # said once

    with serving(script) as server, opened("lean", server.endpoint) as channel:
        assert echo(channel, "x" * 30) == "x" * 30
        with pytest.raises(CallError):
            echo(channel, "y")
        first = next(payload for kind, _, _, payload in server.peers[0].seen if kind == frames.HEADERS)
        assert first[0] == 0x20
    assert sizes[0] == 2
    assert max(sizes) <= 5


def test_an_answer_before_the_request_is_whole() -> None:
    def script(peer: Peer) -> None:
        peer.greet((frames.INITIAL_WINDOW_SIZE, 10))
        stream, _ = peer.until(frames.DATA)
        told = [*OK_HEAD, ("grpc-status", "8"), ("grpc-message", "too much")]
        peer.send(peer.head(stream, told, end=True))
        assert peer.until(frames.RST_STREAM)[0] == stream
        stream, _ = peer.until(frames.DATA)
        peer.send(peer.good(stream, "next"))

    with serving(script) as server, opened("lean", server.endpoint) as channel:
        with pytest.raises(CallError, match="RESOURCE_EXHAUSTED: too much"):
            echo(channel, "x" * 100)
        assert echo(channel, "next") == "next"


def farewell(last: int) -> bytes:
    return frames.frame(frames.GOAWAY, 0, 0, struct.pack(">LL", last, frames.NO_ERROR))


def test_a_server_that_goes_away_finishes_what_it_has() -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        stream, value, _ = peer.request()
        peer.send(farewell(frames.MOST_STREAM), farewell(stream), peer.good(stream, value))
        peer.read(1)

    with serving(script, echoing) as server, opened("lean", server.endpoint) as channel:
        assert [echo(channel, "last"), echo(channel, "next")] == ["last", "next"]
        assert len(server.peers) == 2


@pytest.mark.parametrize("ending", ["goaway", "close", "no streams", "nonsense"])
def test_a_connection_that_ended_while_idle_is_not_used(ending: str) -> None:
    ended = threading.Event()
    go_on = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet()
        stream, value, _ = peer.request()
        peer.send(peer.good(stream, value))
        if ending != "close":
            last_words = {
                "goaway": farewell(stream),
                "no streams": frames.frame(frames.SETTINGS, 0, 0, struct.pack(">HL", frames.MAX_CONCURRENT_STREAMS, 0)),
                "nonsense": frames.frame(frames.DATA, 0, 2, b"x"),
            }
            peer.send(last_words[ending])
            ended.set()
            go_on.wait(60)
            return
        peer.sock.shutdown(socket.SHUT_RDWR)
        ended.set()

    with serving(script, echoing) as server, opened("lean", server.endpoint) as channel:
        assert echo(channel, "first") == "first"
        assert ended.wait(60)
        assert echo(channel, "second") == "second"
        assert len(server.peers) == 2
        go_on.set()


def test_questions_go_beside_a_call_that_waits() -> None:
    arrived, answered = threading.Event(), threading.Event()

    def slow(peer: Peer) -> None:
        peer.greet()
        stream, value, _ = peer.request()
        arrived.set()
        assert answered.wait(60)
        peer.send(peer.good(stream, value))
        peer.echo_on()

    values: list[str] = []
    with serving(slow, echoing) as server, opened("lean", server.endpoint) as channel:
        waiting = threading.Thread(target=lambda: values.append(echo(channel, "slow")))
        waiting.start()
        assert arrived.wait(60)
        assert [echo(channel, f"question {number}") for number in range(3)] == [f"question {n}" for n in range(3)]
        answered.set()
        waiting.join(60)
        assert values == ["slow"]
        assert len(server.peers) == 2


def test_closing_ends_a_call_that_waits() -> None:
    arrived = threading.Event()
    with serving(holding(arrived)) as server, opened("lean", server.endpoint) as channel:
        waiting, errors = waiting_for(channel, "v")
        assert arrived.wait(60)
        channel.close()
        waiting.join(60)
    assert isinstance(errors[0], AbandonedError)


def test_closing_ends_a_call_that_waits_for_its_connection() -> None:
    arrived = threading.Event()

    def say_nothing(peer: Peer) -> None:
        arrived.set()
        peer.read(1 << 20)

    with serving(say_nothing) as server, opened("lean", server.endpoint) as channel:
        waiting, errors = waiting_for(channel, "v")
        assert arrived.wait(60)
        channel.abandon("not sent, so this ends nothing")
        assert waiting.is_alive()
        with pytest.raises(CallError, match="not sent: no connection within the time limit") as raised:
            echo(channel, "w", 0.05)
        assert is_definite(raised.value)
        channel.close()
        waiting.join(60)
    assert is_definite(errors[0])


def test_a_member_that_is_down_is_tried_again_soon_but_not_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def refuse(endpoint: str, *_: Any) -> Wire:
        tries.append(endpoint)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("failover.systems.etcd.transport.lean.open_wire", refuse)
    channel = LeanChannel("192.0.2.1:2379", 1000)
    now = [1000.0]
    monkeypatch.setattr("failover.systems.etcd.transport.lean.time.monotonic", lambda: now[0])
    for passed_s, tried in ((0, 1), (0.05, 1), (0.06, 2), (0.15, 2), (0.06, 3), (0.19, 3), (0.02, 4)):
        now[0] += passed_s
        with pytest.raises(CallError) as raised:
            echo(channel, "v")
        assert raised.value.details == (
            "failed to connect to all addresses; last error: 192.0.2.1:2379: Connection refused"
        )
        assert len(tries) == tried, now
    assert RECONNECT_MOST_MS == 200
    channel.close()


def test_a_member_that_closes_each_connection_at_once_is_not_connected_to_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[str] = []

    class ClosedAtOnce:
        usable, unused = False, True

        def __init__(self, *_: Any) -> None:
            tries.append("connection")

        def still_good(self, _: float) -> bool:
            return False

        def close(self) -> None:
            pass

    monkeypatch.setattr("failover.systems.etcd.transport.lean.open_wire", lambda *_: None)
    monkeypatch.setattr(LeanChannel, "_connection", ClosedAtOnce)
    channel = LeanChannel("192.0.2.1:2379", 1000)
    now = [1000.0]
    monkeypatch.setattr("failover.systems.etcd.transport.lean.time.monotonic", lambda: now[0])
    for passed_s, tried in ((0, 1), (0.05, 1), (0.06, 2)):
        now[0] += passed_s
        with pytest.raises(CallError) as raised:
            echo(channel, "v")
        assert raised.value.details.endswith("192.0.2.1:2379 closed the connection at once")
        assert is_definite(raised.value)
        assert len(tries) == tried, now
    channel.close()


def test_an_error_that_nobody_thought_of_ends_an_attempt_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: Any) -> Wire:
        raise ValueError("a session of another context")

    monkeypatch.setattr("failover.systems.etcd.transport.lean.open_wire", break_down)
    channel = LeanChannel("192.0.2.1:2379", 1000)
    with pytest.raises(CallError, match="a session of another context") as raised:
        echo(channel, "v")
    assert is_definite(raised.value)
    channel.close()


def test_without_a_thread_to_connect_a_call_fails_and_the_next_one_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "etcd-connect":
            raise RuntimeError("can't start new thread")
        start(thread)

    with serving(echoing) as server:
        channel = LeanChannel(server.endpoint, 60_000)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            channel.connect()
            with pytest.raises(CallError, match="can't start new thread") as raised:
                echo(channel, "v")
        assert is_definite(raised.value)
        time.sleep(max(0.0, channel._again_at_s - time.monotonic()))
        assert echo(channel, "v") == "v"
        channel.close()


def test_a_name_that_no_host_has() -> None:
    with opened("lean", f"{'a' * 64}.invalid:2379") as channel, pytest.raises(CallError) as raised:
        echo(channel, "v")
    assert is_definite(raised.value)


def test_the_kernel_finds_a_peer_that_is_cut_off() -> None:
    with serving(echoing) as server:
        wire = open_wire(server.endpoint, 30)
        sock = wire._sock
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == KEEPALIVE_TIMEOUT_MS
        wire.close()


@pytest.mark.parametrize("full", [False, True])
def test_a_peer_that_takes_nothing_is_not_waited_for_for_ever(full: bool) -> None:
    ours, theirs = socket.socketpair()
    wire = Wire(ours)
    theirs.sendall(frames.frame(frames.SETTINGS, 0, 0, struct.pack(">HL", frames.INITIAL_WINDOW_SIZE, 2**31 - 1)))
    connection = http2.Connection(wire, time.monotonic() + 60)
    theirs.sendall(frames.number_frame(frames.WINDOW_UPDATE, 0, 2**30))
    assert connection.still_good(time.monotonic() + 60)
    while full and wire.send(bytes(65_536)):
        pass
    with pytest.raises(CallError, match="DEADLINE_EXCEEDED") as raised:
        connection.exchange(b"\x83", bytes(10_000_000), time.monotonic() + 0.2, 100)
    assert is_definite(raised.value) is full
    # A frame is cut, or what had to be said with the request is lost.
    assert not connection.usable
    with pytest.raises(OutOfTimeError):
        wire.receive(time.monotonic() - 1)
    connection.close()
    theirs.close()


BROKEN: dict[str, Any] = {
    "settings for a stream": frames.frame(frames.SETTINGS, 0, 1),
    "half a setting": frames.frame(frames.SETTINGS, 0, 0, bytes(5)),
    "an acknowledgement that says something": frames.frame(frames.SETTINGS, frames.ACK, 0, bytes(6)),
    "a window beyond all": frames.frame(frames.SETTINGS, 0, 0, struct.pack(">HL", frames.INITIAL_WINDOW_SIZE, 2**31)),
    "frames that are too small": frames.frame(frames.SETTINGS, 0, 0, struct.pack(">HL", frames.MAX_FRAME_SIZE, 1)),
    "a short ping": frames.frame(frames.PING, 0, 0, bytes(7)),
    "a short reset": frames.frame(frames.RST_STREAM, 0, 1, bytes(3)),
    "a short goaway": frames.frame(frames.GOAWAY, 0, 0, bytes(7)),
    "a push": frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, bytes(4)),
    "no more window": frames.number_frame(frames.WINDOW_UPDATE, 0, 0),
    "too much window": frames.number_frame(frames.WINDOW_UPDATE, 0, 2**31 - 1),
    "a stream that was not begun": frames.frame(frames.DATA, 0, 3),
    "no stream": frames.frame(frames.DATA, 0, 0),
    "data first": frames.frame(frames.DATA, 0, 1, b"x"),
    "padding alone": frames.frame(frames.DATA, frames.PADDED, 1, b"\x05"),
    "no priority": frames.frame(frames.HEADERS, frames.PRIORITISED | frames.END_HEADERS, 1, bytes(4)),
    "continuation of nothing": frames.frame(frames.CONTINUATION, 0, 1),
    "not continued": frames.frame(frames.HEADERS, 0, 1) + frames.frame(frames.PING, 0, 0, bytes(8)),
    "without end": frames.frame(frames.HEADERS, 0, 1) + frames.frame(frames.CONTINUATION, 0, 1, bytes(16_000)) * 5,
    "trailers without end": frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x88") * 2,
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_breaks_the_protocol_ends_the_connection(case: str) -> None:
    said_goodbye = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet()
        peer.request()
        peer.send(BROKEN[case])
        peer.until(frames.GOAWAY)
        said_goodbye.set()

    with serving(script, echoing) as server, opened("lean", server.endpoint) as channel:
        with pytest.raises(CallError) as raised:
            channel.call("/m", _Empty(), _Empty, 60, require_leader=False)
        assert raised.value.code == "INTERNAL", raised.value
        assert raised.value.details.startswith("the answer breaks HTTP/2: ")
        assert not is_definite(raised.value)
        assert said_goodbye.wait(60)
        assert echo(channel, "next") == "next"


class _Empty:
    """A message without fields."""

    def SerializeToString(self) -> bytes:  # noqa: N802  protobuf's name
        return b""

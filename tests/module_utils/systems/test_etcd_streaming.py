# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from failover.systems.etcd.transport import frames
from failover.systems.etcd.transport.base import CallError
from failover.systems.etcd.transport.http2 import WINDOW
from failover.systems.etcd.transport.streaming import Stream, StreamingChannel
from http2_doubles import OK_END, OK_HEAD, PATIENCE_S, Peer, Script, echo, serving


@contextmanager
def streaming(script: Script) -> Iterator[Stream]:
    with serving(script) as server, closing(StreamingChannel(server.endpoint, 30_000)) as channel:
        yield channel.stream("/test.Stream/Stream", PATIENCE_S, require_leader=False)


def soon() -> float:
    return time.monotonic() + PATIENCE_S


def message(body: bytes, flag: int = 0) -> bytes:
    return bytes((flag,)) + len(body).to_bytes(4, "big") + body


def sending(*data: bytes, end: bool = True) -> Script:
    def script(peer: Peer) -> None:
        peer.greet()
        stream, _ = peer.until(frames.HEADERS)
        peer.send(peer.head(stream, OK_HEAD), *(frames.frame(frames.DATA, 0, stream, each) for each in data))
        if end:
            peer.send(peer.head(stream, OK_END, end=True))
        peer.read(1 << 20)

    return script


def test_messages_come_one_by_one_until_the_server_ends_the_stream() -> None:
    with streaming(sending(message(b"one") + message(b"")[:2], message(b"")[2:] + message(b"three"))) as stream:
        found: list[bytes] = []
        while len(found) < 3:
            found += stream.receive(soon())
        assert found == [b"one", b"", b"three"]
        with pytest.raises(CallError, match="the server has ended the stream"):
            stream.receive(soon())


def test_more_than_the_window_is_read_and_acknowledged() -> None:
    size, count = frames.FRAME_BYTES - 5, 4 * WINDOW // frames.FRAME_BYTES

    def script(peer: Peer) -> None:
        peer.greet()
        stream, _ = peer.until(frames.HEADERS)
        peer.send(peer.head(stream, OK_HEAD))
        left = WINDOW
        for number in range(count):
            while left < frames.FRAME_BYTES:  # as long as nothing of the stream is said to be read
                at, payload = peer.until(frames.WINDOW_UPDATE)
                left += int.from_bytes(payload, "big") if at == stream else 0
            peer.send(frames.frame(frames.DATA, 0, stream, message(bytes([number % 256]) * size)))
            left -= frames.FRAME_BYTES
        peer.read(1 << 20)

    with streaming(script) as stream:
        found: list[bytes] = []
        while len(found) < count:
            found += stream.receive(soon())
    assert [each[0] for each in found] == [number % 256 for number in range(count)]


@pytest.mark.parametrize("wrong", [message(b"x", flag=1), b"\0\x7f\xff\xff\xff"])
def test_a_message_that_cannot_be_etcds_ends_the_stream(wrong: bytes) -> None:
    with streaming(sending(wrong, end=False)) as stream, pytest.raises(CallError, match="compressed, or longer"):
        stream.receive(soon())


def test_without_messages_the_time_is_over() -> None:
    with streaming(sending(end=False)) as stream:
        assert stream.receive(time.monotonic() + 0.05) == []


def test_what_the_client_sends_arrives_and_calls_go_beside_it() -> None:
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.greet()
        stream, _ = peer.until(frames.HEADERS)
        seen.append(peer.until(frames.DATA)[1])
        peer.send(peer.head(stream, OK_HEAD), frames.frame(frames.DATA, 0, stream, message(b"told")))
        peer.read(1 << 20)

    def echoing(peer: Peer) -> None:
        peer.greet()
        peer.echo_on()

    with serving(script, echoing) as server, closing(StreamingChannel(server.endpoint, 30_000)) as channel:
        stream = channel.stream("/test.Stream/Stream", PATIENCE_S, require_leader=False)
        assert echo(channel, "beside") == "beside"
        stream.send(b"ask", soon())
        assert stream.receive(soon()) == [b"told"]
    assert seen == [message(b"ask")]

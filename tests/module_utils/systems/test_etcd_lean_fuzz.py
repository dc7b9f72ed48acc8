# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lean transport against servers that send anything: each call ends, in an answer of its own or as CallError."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

import etcd3.etcdrpc as rpc
import hpack
from failover.systems.etcd.transport import frames
from failover.systems.etcd.transport.base import CallError
from failover.systems.etcd.transport.http2 import Connection
from failover.systems.etcd.transport.unary import PREFIX_BYTES, answer_in, request_block, with_prefix
from failover.systems.etcd.transport.wire import OutOfTimeError
from http2_doubles import OK_END, OK_HEAD, Peer, echo, message, opened, serving
from hypothesis import given, settings
from hypothesis import strategies as st

MOST_BYTES = 100_000
SETTINGS = frames.frame(frames.SETTINGS, 0, 0)


class PlayedWire:
    """Stands for a wire: gives what a test has, in its pieces, and then is silent or at its end."""

    def __init__(self, *, ends: bool, takes: Iterator[int] | None = None) -> None:
        self.pieces: list[bytes] = [SETTINGS]
        self.ends = ends
        self.takes = takes
        self.waits = 0

    def send(self, data: bytes) -> int:
        if self.takes is None:
            return len(data)
        return min(len(data), next(self.takes, len(data)))

    def has_input(self) -> bool:
        return bool(self.pieces)

    def receive(self, _until_s: float) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        if self.ends:
            raise ConnectionError("Socket closed")
        raise OutOfTimeError

    def wait_to_send(self, _until_s: float) -> bool:
        self.waits += 1
        if self.waits > 100:
            raise OutOfTimeError
        return bool(self.pieces)

    def shut_down(self) -> None:
        self.ends = True

    def close(self) -> None:
        self.ends = True


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut data into pieces, none of them empty."""
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(at)]


def call(connection: Connection, value: str) -> str | CallError:
    """Have a value echoed; return it, or how that failed."""
    body = with_prefix(rpc.PutRequest(key=value.encode()).SerializeToString())
    block = request_block("h:1", "/test.Echo/Echo", 1000, False)
    try:
        answer = connection.exchange(block, body, time.monotonic() + 60, MOST_BYTES + PREFIX_BYTES)
        return bytes(answer_in(answer, rpc.PutRequest, MOST_BYTES).key).decode("utf-8", "replace")
    except CallError as error:
        return error


def good(encoder: hpack.Encoder, stream: int, value: str) -> list[bytes]:
    """Return the frames of an answer."""
    return [
        frames.frame(frames.HEADERS, frames.END_HEADERS, stream, encoder.encode(OK_HEAD)),
        frames.frame(frames.DATA, 0, stream, message(value)),
        frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, encoder.encode(OK_END)),
    ]


CUTS = st.lists(st.integers(0, 2000), max_size=12)
TAKES = st.none() | st.lists(st.integers(0, 40), max_size=20).map(iter)
# Frames of every type, with fields that make sense now and then.
FRAMES = st.builds(
    frames.frame,
    st.integers(0, 11),
    st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D, 0xFF]),
    st.sampled_from([0, 1, 1, 1, 2, 3, 5, 2**31 - 1]),
    st.binary(max_size=40)
    | st.sampled_from([b"\x88", b"\x88\x5f\x10application/grpc", bytes(4), bytes(8), b"\0\0\0\0\0", message("x")]),
)


@settings(max_examples=200)
@given(st.lists(FRAMES | st.binary(max_size=60), max_size=12), CUTS, TAKES, st.booleans())
def test_whatever_comes_a_call_ends(
    sent: list[bytes], cuts: list[int], takes: Iterator[int] | None, ends: bool
) -> None:
    wire = PlayedWire(ends=ends)
    connection = Connection(wire, 0.0)  # type: ignore[arg-type]
    wire.takes = takes
    wire.pieces = in_pieces(b"".join(sent), cuts)
    for number in range(3):
        result = call(connection, f"value {number}")
        assert isinstance(result, str | CallError)
        if not connection.usable or not connection.still_good(0.0):
            return


@settings(max_examples=200)
@given(st.binary(max_size=200), CUTS, st.booleans())
def test_whatever_is_greeted_with_opens_or_does_not(greeting: bytes, cuts: list[int], ends: bool) -> None:
    wire = PlayedWire(ends=ends)
    wire.pieces = in_pieces(greeting, cuts)
    with suppress(OSError, OutOfTimeError, frames.ProtocolError):
        assert Connection(wire, 0.0).usable in (True, False)  # type: ignore[arg-type]


MUTATIONS = st.lists(
    st.tuples(st.sampled_from(["flip", "drop", "insert", "repeat"]), st.integers(0, 10_000), st.integers(0, 255)),
    min_size=1,
    max_size=6,
)


def mutated(data: bytes, mutations: list[tuple[str, int, int]]) -> bytes:
    changed = bytearray(data)
    for how, where, what in mutations:
        at = where % len(changed) if changed else 0
        if how == "insert":
            changed.insert(at, what)
        elif how == "repeat":
            changed[at:at] = changed[at : at + what % 30]
        elif how == "drop":
            del changed[at : at + 1 + what % 20]
        elif changed:
            changed[at] ^= what or 1
    return bytes(changed)


@settings(max_examples=200)
@given(MUTATIONS, CUTS, TAKES, st.booleans())
def test_answers_with_errors_end_a_call(
    mutations: list[tuple[str, int, int]], cuts: list[int], takes: Iterator[int] | None, ends: bool
) -> None:
    encoder = hpack.Encoder()
    wire = PlayedWire(ends=ends)
    connection = Connection(wire, 0.0)  # type: ignore[arg-type]
    wire.takes = takes
    values = [f"value {number}" for number in range(3)]
    answers = b"".join(b"".join(good(encoder, 1 + 2 * number, value)) for number, value in enumerate(values))
    wire.pieces = in_pieces(mutated(answers, mutations), cuts)
    for value in values:
        result = call(connection, value)
        assert isinstance(result, str | CallError)
        if not connection.usable:
            return


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=6, max_size=6), CUTS)
def test_no_answer_is_taken_for_that_of_another_call(plan: list[tuple[int, bool]], cuts: list[int]) -> None:
    """Of each answer so many frames come in time, and the rest with those of a later call, or never."""
    encoder = hpack.Encoder()
    wire = PlayedWire(ends=False)
    connection = Connection(wire, 0.0)  # type: ignore[arg-type]
    late: list[bytes] = []
    for number, (in_time, comes_late) in enumerate(plan):
        value = f"value {number}"
        answer = good(encoder, 1 + 2 * number, value)
        # Header fields have to come in their order, or not at all: each changes what the next one means.
        now = [*late, *answer[:in_time]] if comes_late or not late else []
        late = answer[in_time:] if now else [*late, *answer]
        wire.pieces = in_pieces(b"".join(now), cuts)
        result = call(connection, value)
        whole = bool(now) and in_time == 3
        assert result == value if whole else isinstance(result, CallError)
        assert connection.usable


@settings(max_examples=15)
@given(st.lists(FRAMES | st.binary(min_size=1, max_size=60), max_size=8), st.booleans())
def test_over_a_socket_a_call_ends_in_time(sent: list[bytes], greets: bool) -> None:
    def script(peer: Peer) -> None:
        if greets:
            peer.greet()
            peer.request()
        for each in sent:
            peer.send(each)
        peer.read(1 << 20)

    with serving(script) as server, opened("lean", server.endpoint, 500) as channel:
        started = time.monotonic()
        for number in range(2):
            try:
                assert echo(channel, f"value {number}", 0.2) in ("", "x")
            except CallError:
                pass
            except UnicodeDecodeError:  # of the value, in the test's own function
                pass
        assert time.monotonic() - started < 30

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The watch against servers of HTTP/2 that say what etcd's would."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import etcd3.etcdrpc as rpc
import pytest
from failover.shapes import LabError
from failover.systems.etcd.transport import frames
from failover.systems.etcd.watcher import EtcdWatcher, WatchAnswer, create_request
from failover.systems.loop import FailoverPolicy
from http2_doubles import OK_END, OK_HEAD, Peer, Script, Server

PREFIX = "P-"
PATIENT = FailoverPolicy(attempt_timeout_ms=20_000, connect_timeout_ms=20_000)


def answer(
    *events: tuple[int, str, str | None],
    revision: int = 0,
    created: bool = False,
    canceled: str = "",
    compacted: int = 0,
) -> bytes:
    """Return a WatchResponse, as etcd3's generated classes encode it."""
    made = rpc.WatchResponse(
        created=created, canceled=bool(canceled), cancel_reason=canceled, compact_revision=compacted
    )
    made.header.revision = revision
    for at, key, value in events:
        event = made.events.add(type=1 if value is None else 0)
        event.kv.key, event.kv.mod_revision = f"{PREFIX}{key}".encode(), at
        event.kv.value = b"" if value is None else value.encode()
    encoded: bytes = made.SerializeToString()
    return encoded


def framed(stream: int, *messages: bytes) -> bytes:
    body = b"".join(b"\0" + len(each).to_bytes(4, "big") + each for each in messages)
    return frames.frame(frames.DATA, 0, stream, body)


class Member:
    """A member whose watches go as a script says: each is given the peer, its stream, and the revision asked for."""

    def __init__(self, revision: int, *watches: Callable[[Peer, int, int], None]) -> None:
        self.revision = revision
        self.watches = list(watches)
        self.asked_from: list[int] = []
        self.fields: list[dict[str, str]] = []
        self.statuses = 0

    def script(self) -> Script:
        return self._serve

    def _serve(self, peer: Peer) -> None:
        peer.greet()
        while True:
            kind, flags, stream, payload = peer.frame()
            if kind != frames.HEADERS:
                continue
            fields = dict(peer.decoder.decode(payload))
            path = fields[":path"]
            body = b""
            while not body:
                kind, flags, _, payload = peer.frame()
                body = payload if kind == frames.DATA else b""
                if kind == frames.DATA and flags & frames.END_STREAM:
                    break
            if path.endswith("/Watch"):
                asked = rpc.WatchRequest.FromString(body[5:]).create_request
                assert (asked.key, asked.range_end) == (b"P-", b"P.")
                self.asked_from.append(asked.start_revision)
                self.fields.append(fields)
                peer.send(peer.head(stream, OK_HEAD))
                self.watches.pop(0)(peer, stream, asked.start_revision)
                return
            self.statuses += path.endswith("/Status")
            told = rpc.RangeResponse()
            told.header.revision = self.revision
            peer.send(peer.head(stream, OK_HEAD), framed(stream, told.SerializeToString()))
            peer.send(peer.head(stream, OK_END, end=True))


@contextmanager
def watching(*members: Member, leader: int = 0) -> Iterator[EtcdWatcher]:
    servers = [Server(member.script()) for member in members]
    endpoints = [server.endpoint for server in servers]
    try:
        with closing(EtcdWatcher(endpoints, PREFIX, PATIENT, lambda: endpoints[leader])) as watcher:
            yield watcher
    finally:
        for server in servers:
            server.close()


def told(watcher: EtcdWatcher, count: int) -> list[tuple[int, str, str | None]]:
    """Return so many changes, or those that there are up to the end of a member."""
    found: list[tuple[int, str, str | None]] = []
    until_s = time.monotonic() + 60
    while len(found) < count and time.monotonic() < until_s:
        found += [(row.revision, row.key, row.value) for row in watcher.receive(20.0)]
    return found


def stay(peer: Peer) -> None:
    peer.read(1 << 20)


def test_messages_are_those_of_etcd() -> None:
    asked = rpc.WatchRequest.FromString(create_request("P-", 300)).create_request
    assert (asked.key, asked.range_end, asked.start_revision) == (b"P-", b"P.", 300)
    events = [(400, "a", "x" * 300), (401, "b", None), (402, "c", "")]
    read = WatchAnswer.from_bytes(answer(*events, revision=500))
    assert read == (500, False, False, 0, "", tuple((at, f"P-{k}".encode(), v and v.encode() if v is None or v else b"")
                                                    for at, k, v in events))  # fmt: skip
    ended = WatchAnswer.from_bytes(answer(canceled="why", compacted=9, created=True))
    assert (ended.canceled, ended.reason, ended.compact_revision, ended.created) == (True, "why", 9, True)
    for broken in (b"\x0a\x05a", b"\x5a\x02\x12\x09", b"\xff"):
        with pytest.raises(ValueError, match=r"bytes|number|cut"):
            WatchAnswer.from_bytes(broken)


def test_changes_are_told_in_order_also_those_that_come_in_pieces() -> None:
    def watch(peer: Peer, stream: int, _: int) -> None:
        whole = framed(stream, answer((8, "a", "1"), revision=8), answer((9, "a", None), (10, "b", ""), revision=10))
        body = whole[9:]
        peer.send(framed(stream, answer(created=True, revision=7), answer((7, "z", "0"))))
        for byte in range(0, len(body), 7):
            peer.send(frames.frame(frames.DATA, 0, stream, body[byte : byte + 7]))
        stay(peer)

    member = Member(6, watch)
    with watching(member) as watcher:
        watcher.begin(20.0)
        assert told(watcher, 4) == [(7, "z", "0"), (8, "a", "1"), (9, "a", None), (10, "b", "")]
        assert (watcher.seen_to, len(watcher.resumptions)) == (10, 1)
    assert member.asked_from == [7]
    assert member.fields[0]["hasleader"] == "true"
    assert "grpc-timeout" not in member.fields[0]


def ends(*events: tuple[int, str, str | None], how: Callable[[Peer, int], None]) -> Callable[[Peer, int, int], None]:
    def watch(peer: Peer, stream: int, _: int) -> None:
        peer.send(framed(stream, answer(created=True), *([answer(*events)] if events else [])))
        how(peer, stream)

    return watch


def no_leader(peer: Peer, stream: int) -> None:
    status = [("grpc-status", "14"), ("grpc-message", "etcdserver: no leader")]
    peer.send(peer.head(stream, status, end=True))
    stay(peer)


def goes_away(peer: Peer, _: int) -> None:
    peer.send(frames.frame(frames.GOAWAY, 0, 0, struct.pack(">LL", 0, 0)))
    stay(peer)


def resets(peer: Peer, stream: int) -> None:
    peer.send(frames.number_frame(frames.RST_STREAM, stream, frames.CANCEL))
    stay(peer)


def breaks_off(peer: Peer, _stream: int) -> None:
    # Closed with something unread, the kernel there would throw away what was sent.
    peer.sock.shutdown(socket.SHUT_WR)
    stay(peer)


def is_wrong(peer: Peer, _: int) -> None:
    peer.send(frames.frame(frames.DATA, 0, 99, b"x"))
    stay(peer)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (no_leader, "UNAVAILABLE: etcdserver: no leader"),
        (goes_away, "UNAVAILABLE: the server is going away"),
        (resets, "CANCELLED: Received RST_STREAM with error code 8"),
        (breaks_off, "UNAVAILABLE: Socket closed"),
        (is_wrong, "INTERNAL: what came breaks HTTP/2"),
    ],
)
def test_a_watch_that_ends_is_resumed_on_the_next_member_after_what_was_seen(how: Any, why: str) -> None:
    first = Member(4, ends((5, "a", "1"), (6, "a", "2"), how=how))
    second = Member(4, ends((7, "a", "3"), how=lambda peer, _: stay(peer)))
    with watching(second, first, leader=1) as watcher:
        watcher.begin(20.0)
        assert [at for at, _, _ in told(watcher, 3)] == [5, 6, 7]
        assert [resumption.revision for resumption in watcher.resumptions] == [5, 7]
        assert why in watcher.resumptions[1].why
        assert watcher.resumptions[0].why == ""
    assert (first.asked_from, second.asked_from) == ([5], [7])


def test_what_came_with_a_broken_frame_and_before_it_is_told() -> None:
    def watch(peer: Peer, stream: int, _: int) -> None:
        told_before = framed(stream, answer(created=True), answer((5, "a", "1"), (6, "a", "2")))
        peer.send(told_before, frames.frame(frames.DATA, 0, 99, b"x"))
        stay(peer)

    first, second = Member(4, watch), Member(4, ends((7, "a", "3"), how=lambda peer, _: stay(peer)))
    with watching(second, first, leader=1) as watcher:
        watcher.begin(20.0)
        assert [at for at, _, _ in told(watcher, 3)] == [5, 6, 7]
        assert "INTERNAL: what came breaks HTTP/2" in watcher.resumptions[1].why


def test_what_is_compacted_is_a_gap() -> None:
    def compacted(peer: Peer, stream: int, _: int) -> None:
        peer.send(framed(stream, answer(created=True), answer(canceled="compacted", compacted=9)))
        stay(peer)

    member = Member(4, compacted, ends((9, "a", "1"), how=lambda peer, _: stay(peer)))
    with watching(member) as watcher:
        watcher.begin(20.0)
        assert told(watcher, 1) == [(9, "a", "1")]
        assert watcher.gaps == [(5, 8)]
    assert member.asked_from == [5, 9]


def test_how_far_the_watch_is_can_be_asked() -> None:
    def watch(peer: Peer, stream: int, _: int) -> None:
        peer.send(framed(stream, answer(created=True, revision=30)))
        _, payload = peer.until(frames.DATA)
        assert payload[5:] == b"\x1a\x00"  # WatchRequest.progress_request, which the generated classes do not know
        peer.send(framed(stream, answer(revision=20)))
        stay(peer)

    with watching(Member(4, watch)) as watcher:
        watcher.begin(20.0)
        assert watcher.seen_to == 4  # not what the answer to its creation says
        watcher.ask_progress()
        while watcher.seen_to == 4:
            assert watcher.receive(0.2) == []
        assert watcher.seen_to == 20


def test_a_silent_member_is_asked_whether_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("failover.systems.etcd.watcher.SILENCE_S", 0.01)

    def hang(peer: Peer) -> None:
        peer.greet()
        stay(peer)

    there = Member(4, ends(how=lambda peer, _: stay(peer)))
    with watching(there) as watcher:
        watcher.begin(20.0)
        while there.statuses < 2:
            assert watcher.receive(0.05) == []
        assert len(watcher.resumptions) == 1

    frozen = Member(4, ends((5, "a", "1"), how=lambda peer, _: stay(peer)))
    server = Server(frozen.script())
    other = Member(4, ends((6, "a", "2"), how=lambda peer, _: stay(peer)))
    second = Server(other.script())
    hasty = FailoverPolicy(attempt_timeout_ms=2_000, connect_timeout_ms=2_000)
    watcher = EtcdWatcher([server.endpoint, second.endpoint], PREFIX, hasty, lambda: None)
    try:
        watcher.begin(20.0)
        server.scripts = (hang,)  # whoever asks it now waits in vain
        assert [at for at, _, _ in told(watcher, 2)] == [5, 6]
        assert "DEADLINE_EXCEEDED" in watcher.resumptions[1].why
    finally:
        watcher.close()
        server.close()
        second.close()


def test_without_any_member_there_is_no_watch() -> None:
    from fake_gateway import closed_endpoint

    watcher = EtcdWatcher([closed_endpoint()], PREFIX, FailoverPolicy(), lambda: None)
    with closing(watcher), pytest.raises(LabError, match="no member told its revision: "):
        watcher.begin(0.05)

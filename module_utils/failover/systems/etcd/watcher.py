# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A watch of etcd on the keys under a prefix, kept up across failovers ("Watch API", etcd's API guide).

What etcd promises of it: each change once, in the order of revisions, and none left out, also where the watch is
resumed on another member at the revision after the last one that was seen. A member that has known no leader for a
while ends the stream by itself, as the client asks for (``hasleader``); one that is silent is asked for its status, and
left where it does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Self

from ...clock import CLOCK
from ...shapes import LabError, WatchRow
from ..base import Resumption, Watcher
from ..endpoints import split_endpoint
from ..loop import FailoverPolicy
from .access import OPEN, RENEWED_AFTER, Access
from .keys import range_end, text_of
from .protobuf import bytes_of, field, fields, number_field, number_of
from .transport.base import CallError
from .transport.streaming import Stream, StreamingChannel

_WATCH = "/etcdserverpb.Watch/Watch"
_RANGE = "/etcdserverpb.KV/Range"
_STATUS = "/etcdserverpb.Maintenance/Status"
_AUTHENTICATE = "/etcdserverpb.Auth/Authenticate"

# How long a member may be silent before it is asked whether it is there, in s.
SILENCE_S = 1.0
# Between two rounds through members of which none could be watched, in s.
_PAUSE_S = 0.1
# A WatchRequest that asks how far the watch is (WatchProgressRequest, field 3, has no fields).
_PROGRESS = field(3, b"")


class WatchAnswer(NamedTuple):
    """A WatchResponse; field numbers are those of etcd's api/etcdserverpb/rpc.proto and api/mvccpb/kv.proto."""

    revision: int  # of the store; where there are no events, all up to it were sent
    created: bool
    canceled: bool
    compact_revision: int  # where it was cancelled as what it asked for is compacted; else 0
    reason: str  # why it was cancelled
    events: tuple[tuple[int, bytes, bytes | None], ...]  # revision, key, value: None where it was removed

    @classmethod
    def from_bytes(cls, message: bytes) -> Self:
        """Read one; ValueError where it is none."""
        revision = compact_revision = 0
        created = canceled = False
        reason = ""
        events = []
        for number, value in fields(message):
            if number == 1:
                revision = _revision_in(bytes_of(value))
            elif number == 3:
                created = bool(value)
            elif number == 4:
                canceled = bool(value)
            elif number == 5:
                compact_revision = number_of(value)
            elif number == 6:
                reason = bytes_of(value).decode("utf-8", "replace")
            elif number == 11:
                events.append(_event_in(bytes_of(value)))
        return cls(revision, created, canceled, compact_revision, reason, tuple(events))


def _event_in(message: bytes) -> tuple[int, bytes, bytes | None]:
    """Read an Event: type 1 (PUT is 0, and left out), kv 2."""
    event = dict(fields(message))
    pair = dict(fields(bytes_of(event.get(2, b""))))  # KeyValue: key 1, mod_revision 3, value 5
    value = None if event.get(1, 0) else bytes_of(pair.get(5, b""))
    return number_of(pair.get(3, 0)), bytes_of(pair.get(1, b"")), value


def _revision_in(header: bytes) -> int:
    """Return the revision in a ResponseHeader."""
    return number_of(dict(fields(header)).get(3, 0))


def create_request(prefix: str, revision: int) -> bytes:
    """Return a WatchRequest for the keys under a prefix, from a revision on."""
    key = prefix.encode()
    # create_request 1: key 1, range_end 2, start_revision 3.
    return field(1, field(1, key) + field(2, range_end(key)) + number_field(3, revision))


class _Question(NamedTuple):
    """A request of a unary call, encoded, with the method that a transport uses."""

    message: bytes

    def SerializeToString(self) -> bytes:  # noqa: N802  as protobuf's messages have it
        return self.message


class _Told(NamedTuple):
    """Of an answer only the revision in its header."""

    revision: int

    @classmethod
    def FromString(cls, message: bytes) -> Self:  # noqa: N802
        return cls(_revision_in(bytes_of(dict(fields(message)).get(1, b""))))


class _Token(NamedTuple):
    """Of an AuthenticateResponse: header 1, token 2."""

    token: str

    @classmethod
    def FromString(cls, message: bytes) -> Self:  # noqa: N802
        return cls(bytes_of(dict(fields(message)).get(2, b"")).decode())


class EtcdWatcher(Watcher):
    """A watch over one stream at a time."""

    def __init__(
        self,
        endpoints: Sequence[str],
        prefix: str,
        policy: FailoverPolicy,
        find_leader: Callable[[], str | None],
        access: Access = OPEN,
    ) -> None:
        """Say whom to ask, in turn; opens nothing yet.

        :param endpoints: "host:port" of each member
        :param find_leader: returns that of the leader: the watch begins there, where faults strike
        :param access: how the members let it in
        """
        super().__init__()
        for endpoint in endpoints:
            split_endpoint(endpoint)
        self._access, self._token = access, ""
        self._endpoints = list(endpoints)
        self._prefix = prefix
        self._cut = len(prefix.encode())
        self._patience_s = max(policy.attempt_timeout_ms, policy.connect_timeout_ms) / 1000
        self._connect_ms = policy.connect_timeout_ms
        self._find_leader = find_leader
        self._turn = 0  # of the member that is asked next
        self._channel: StreamingChannel | None = None
        self._stream: Stream | None = None
        self._endpoint = ""
        self._heard_s = 0.0  # by the monotonic clock
        self._next = 0  # revision that is watched from
        self._ended = ""  # why the last stream did
        self._waiting: list[bytes] = []  # messages that came with the stream's first one

    def begin(self, timeout_s: float) -> None:
        """Watch from the next change on; LabError where no member can be watched within the time."""
        until_s = time.monotonic() + timeout_s
        newest = self.newest(timeout_s)
        if newest is None:
            raise LabError(f"no member told its revision: {self.last_error}")
        self.seen_to = newest
        self._next = newest + 1
        leader = self._find_leader()
        if leader in self._endpoints:
            self._turn = self._endpoints.index(leader)
        while not self._resume(until_s):
            if time.monotonic() >= until_s:
                raise LabError(f"no member could be watched: {self.last_error}")
            time.sleep(_PAUSE_S)

    def newest(self, timeout_s: float) -> int | None:
        """Return the revision of the store, as a majority knows it; None where no member tells within the time."""
        until_s = time.monotonic() + timeout_s
        question = _Question(field(1, self._prefix.encode()))
        while True:
            for endpoint in self._in_turn():
                channel = self._channel_to(endpoint)
                try:
                    self._log_in(channel)
                    told: _Told = channel.call(
                        _RANGE, question, _Told, self._patience_s, require_leader=True, token=self._token
                    )
                    return told.revision
                except CallError as error:
                    self._refused(error)
                    self.last_error = f"{endpoint}: {error}"
                finally:
                    channel.close()
            if time.monotonic() >= until_s:
                return None
            time.sleep(_PAUSE_S)

    def receive(self, timeout_s: float) -> list[WatchRow]:
        """Return the changes that came, waiting for some; none where the time is over."""
        until_s = time.monotonic() + timeout_s
        while True:
            if self._stream is None and not self._resume(until_s):
                if (left_s := until_s - time.monotonic()) <= 0:
                    return []
                time.sleep(min(_PAUSE_S, left_s))
                continue
            assert self._stream is not None
            rows: list[WatchRow] = []
            try:
                messages, self._waiting = self._waiting, []
                for message in messages or self._stream.receive(min(until_s, self._heard_s + SILENCE_S)):
                    rows += self._take(WatchAnswer.from_bytes(message))
                if time.monotonic() > self._heard_s + SILENCE_S:
                    self._ask_whether_there()
            except (CallError, ValueError) as error:
                self._lose(str(error))
            if rows or time.monotonic() >= until_s:
                return rows

    def ask_progress(self) -> None:
        """Ask how far the watch is; the answer is in :attr:`seen_to` after a while."""
        if self._stream is not None:
            with suppress(CallError):  # what is wrong with the stream is found when it is read
                self._stream.send(_PROGRESS, time.monotonic() + self._patience_s)

    def close(self) -> None:
        """End the watch."""
        if self._channel is not None:
            self._channel.close()
        self._channel = self._stream = None

    def _channel_to(self, endpoint: str) -> StreamingChannel:
        return StreamingChannel(endpoint, self._connect_ms, ca=self._access.ca)

    def _log_in(self, channel: StreamingChannel) -> None:
        """Fetch a token where there are accounts, and none is there; CallError where that is refused."""
        if self._access.user and not self._token:
            # AuthenticateRequest: name 1, password 2.
            asked = field(1, self._access.user.encode()) + field(2, self._access.password.encode())
            told: _Token = channel.call(_AUTHENTICATE, _Question(asked), _Token, self._patience_s, require_leader=True)
            self._token = told.token

    def _refused(self, error: Exception) -> None:
        """Forget a token that is over: the next try fetches another one."""
        told = error.details if isinstance(error, CallError) else str(error)
        if any(told.endswith(refusal) for refusal in RENEWED_AFTER):
            self._token = ""

    def _in_turn(self) -> list[str]:
        """Return the members, the one whose turn it is first."""
        return [*self._endpoints[self._turn :], *self._endpoints[: self._turn]]

    def _resume(self, until_s: float) -> bool:
        """Watch a member, the next one first, from where the last one was left; say whether one could be."""
        for endpoint in self._in_turn():
            self._turn = (self._turn + 1) % len(self._endpoints)
            channel = self._channel_to(endpoint)
            try:
                opened = self._open(channel, min(until_s, time.monotonic() + self._patience_s))
            except (CallError, ValueError) as error:
                self._refused(error)
                self.last_error = f"{endpoint}: {error}"
                channel.close()
                continue
            self._channel, self._stream, self._endpoint = channel, opened, endpoint
            self._heard_s = time.monotonic()
            self.resumptions.append(Resumption(endpoint, self._next, CLOCK.now_ns(), self._ended))
            return True
        return False

    def _open(self, channel: StreamingChannel, until_s: float) -> Stream:
        """Open a stream from the next revision on, and wait until it is made; CallError where it is not."""
        self._log_in(channel)
        opened = channel.stream(_WATCH, until_s - time.monotonic(), require_leader=True, token=self._token)
        opened.send(create_request(self._prefix, self._next), until_s)
        messages = opened.receive(until_s)
        if not messages:
            raise CallError("DEADLINE_EXCEEDED", "no watch was made within the time limit")
        answer = WatchAnswer.from_bytes(messages[0])
        self._note_compaction(answer)
        if answer.canceled or not answer.created:
            raise CallError("CANCELLED", answer.reason or "no watch was made")
        self._waiting = messages[1:]
        return opened

    def _take(self, answer: WatchAnswer) -> list[WatchRow]:
        """Take what the server says; CallError where it ends the watch."""
        self._heard_s = time.monotonic()
        arrived_ns = CLOCK.now_ns()
        rows = [
            WatchRow(
                revision,
                text_of(key[self._cut :]),
                None if value is None else text_of(value),
                arrived_ns,
                self._endpoint,
            )
            for revision, key, value in answer.events
        ]
        if rows:
            # What a broken server sends out of order is the check's to find: the watch goes on after the newest.
            self.seen_to = max(self.seen_to, *(row.revision for row in rows))
            self._next = self.seen_to + 1
        elif answer.canceled:
            self._note_compaction(answer)
            raise CallError("CANCELLED", answer.reason or "the server has cancelled the watch")
        elif not answer.created:
            self.seen_to = max(self.seen_to, answer.revision)
        return rows

    def _note_compaction(self, answer: WatchAnswer) -> None:
        """Go on after what is compacted and cannot be seen any more."""
        if answer.compact_revision > self._next:
            self.gaps.append((self._next, answer.compact_revision - 1))
            self._next = answer.compact_revision

    def _ask_whether_there(self) -> None:
        """Ask a member that is silent for its status; CallError where it does not answer."""
        assert self._channel is not None
        self._channel.call(_STATUS, _Question(b""), _Told, self._patience_s, require_leader=False)
        self._heard_s = time.monotonic()

    def _lose(self, why: str) -> None:
        self.close()
        self._waiting = []
        self._ended = f"{self._endpoint}: {why}"

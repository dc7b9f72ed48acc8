# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP/2 for a client that makes one request at a time (RFC 9113; sections are named by their numbers).

A connection reads only while a call is under way, or the next one looks whether it is still good. Every error of the
other side, also one that concerns a single stream, ends the connection, as 5.4.2 allows.
"""

from __future__ import annotations

from collections.abc import Sequence

import hpack

from ...refusals import NOT_SENT
from ..refusals import NOT_PROCESSED
from .base import AbandonedError, CallError
from .frames import (
    ACK,
    CANCEL,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FIRST_WINDOW,
    FLOW_CONTROL_ERROR,
    FRAME_BYTES,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEAD,
    HEADER_TABLE_SIZE,
    HEADERS,
    INADEQUATE_SECURITY,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MOST_STREAM,
    MOST_WINDOW,
    NUMBER,
    PADDED,
    PING,
    PREFACE,
    PRIORITISED,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTING,
    SETTINGS,
    TABLE_BYTES,
    WINDOW_UPDATE,
    ProtocolError,
    frame,
    number_frame,
    number_in,
    without_padding,
)
from .wire import OutOfTimeError, Wire

# What gRPC makes of HTTP/2's error codes where a stream is reset (grpc/doc/PROTOCOL-HTTP2.md, "Errors"); of the others
# INTERNAL.
CODE_OF_RESET = {
    REFUSED_STREAM: "UNAVAILABLE",
    CANCEL: "CANCELLED",
    ENHANCE_YOUR_CALM: "RESOURCE_EXHAUSTED",
    INADEQUATE_SECURITY: "PERMISSION_DENIED",
}

# What the other side may send before it hears that it was read; for the stream and the connection. It hears after half
# of that; one that sends more nevertheless takes no more memory than an answer may have.
WINDOW = 1024 * 1024
# A header block of an answer; those of etcd have some hundred bytes.
BLOCK_MOST_BYTES = 65_536
# etcd says one thing at the head of its answers, and one at the end of those that are OK.
_KNOWN_MOST = 64
_NOT_IN_TIME = f"{NOT_SENT}the connection took nothing within the time limit"

Fields = dict[bytes, bytes]

_GREETING = (
    PREFACE
    + frame(SETTINGS, 0, 0, SETTING.pack(ENABLE_PUSH, 0) + SETTING.pack(INITIAL_WINDOW_SIZE, WINDOW))
    + number_frame(WINDOW_UPDATE, 0, WINDOW - FIRST_WINDOW)
)


class Exchange:
    """One request and what has come back for it."""

    __slots__ = (
        "ended", "fields", "length", "most_bytes", "number", "parts", "reset", "sent", "trailers",
        "unprocessed", "unread", "whole", "window",
    )  # fmt: skip

    def __init__(self, number: int, window: int, most_bytes: int) -> None:
        self.number = number
        self.window = window  # what may be sent yet
        self.most_bytes = most_bytes
        self.sent = False  # anything of it
        self.whole = False  # all of it was sent
        self.ended = False  # nothing more is wanted
        self.fields: Fields | None = None  # of the answer's head; None before it came
        self.parts: list[bytes] = []  # of the answer's body
        self.length = 0  # of them all; above most_bytes where the rest was not waited for
        self.unread = 0  # bytes that the other side has not been told to be read
        self.trailers: Fields | None = None
        self.reset: int | None = None  # HTTP/2's error code
        self.unprocessed: int | None = None  # last stream that was processed, where it is not this one


class Connection:
    """One HTTP/2 connection with prior knowledge (3.3). For one thread at a time, but for ``abandon``.

    :param wire: connected; belongs to this object from now on
    :param until_s: when the other side must have sent its settings, by the monotonic clock
    :raises OSError, OutOfTimeError, ProtocolError: where it does not become an HTTP/2 connection
    """

    def __init__(self, wire: Wire, until_s: float) -> None:
        self.usable = True  # for another call
        self._wire = wire
        self._abandoned: str | None = None
        self._rest = b""  # the beginning of a frame
        self._out = b""  # frames of ours that answer others
        self._unsent = False  # frames of ours were sent in part, or not at all
        self._decoder = hpack.Decoder()
        self._known: dict[bytes, Fields] = {}  # header blocks of which the decoder's state makes the same again
        self._block: tuple[int, int, bytes] | None = None  # a header block to be continued: stream, flags, beginning
        self._exchange: Exchange | None = None
        self._next_number = 1
        self._greeted = False
        self._window = FIRST_WINDOW  # what may be sent, over all streams
        self._first_window = FIRST_WINDOW  # of a stream
        self._frame_bytes = FRAME_BYTES  # the longest frame that the other side takes
        self._unread = 0
        self._table_update = b""
        try:
            self._send(_GREETING, until_s)
            while not self._greeted:
                self._take_in(until_s)
            self._send_answers(until_s)
        except BaseException:
            wire.close()
            raise

    @property
    def unused(self) -> bool:
        """Whether no call was made over it."""
        return self._next_number == 1

    def still_good(self, until_s: float) -> bool:
        """Read what came while nobody waited for it, and say whether a request can be sent."""
        try:
            while self._wire.has_input():
                self._take_in(until_s)
        except (OSError, OutOfTimeError, ProtocolError):
            self.usable = False
        return self.usable

    def exchange(self, block: bytes, body: bytes, until_s: float, most_bytes: int) -> Exchange:
        """Send a request and wait for the end of its answer, or for the end of its body's first ``most_bytes``.

        :param block: its header fields, encoded without the dynamic table
        :raises CallError: without the answer's end
        """
        current = self._exchange = Exchange(self._next_number, self._first_window, most_bytes)
        self._next_number += 2
        if self._next_number > MOST_STREAM:
            self.usable = False
        try:
            self._request(current, block, body, until_s)
            while not current.ended:
                self._take_in(until_s)
                # After the end they go with the next request: grpc-go sends a PING a call.
                if self._out and not current.ended:
                    self._send_answers(until_s)
        # Each of these may come after the end of the answer, which it does not change then.
        except OutOfTimeError:
            self._cancel(current)
            if not current.ended:
                told = "Deadline Exceeded" if current.sent else _NOT_IN_TIME
                raise CallError("DEADLINE_EXCEEDED", told) from None
        except OSError as error:
            self.usable = False
            if self._abandoned is not None:
                raise AbandonedError(self._abandoned) from error
            if not current.ended:
                before = "" if current.sent else NOT_SENT
                raise CallError("UNAVAILABLE", f"{before}{error.strerror or error}") from error
        except ProtocolError as error:
            self._say_goodbye(error.code)
            if not current.ended:
                raise CallError("INTERNAL", f"the answer breaks HTTP/2: {error}") from error
        except BaseException:
            self.usable = False
            raise
        finally:
            self._exchange = None
        if current.trailers is None or not current.whole:
            self._cancel(current)
        self._tell_what_ended(current)
        return current

    def abandon(self, reason: str) -> None:
        """End the exchange that another thread waits for, as AbandonedError, and the connection with it."""
        self._abandoned = reason
        self._wire.shut_down()

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()

    def _tell_what_ended(self, current: Exchange) -> None:
        """Raise CallError where the exchange ended without an answer."""
        # After the beginning of an answer nothing proves any more that the request was not processed.
        begun = current.fields is not None
        if current.unprocessed is not None:
            told = f"GOAWAY, the last stream is {current.unprocessed}, this one {current.number}"
            raise CallError("UNAVAILABLE", told if begun else f"{NOT_PROCESSED}{told}")
        if current.reset is not None:
            told = f"Received RST_STREAM with error code {current.reset}"
            refused = current.reset == REFUSED_STREAM and not begun
            raise CallError(CODE_OF_RESET.get(current.reset, "INTERNAL"), f"{NOT_PROCESSED}{told}" if refused else told)

    def _request(self, current: Exchange, block: bytes, body: bytes, until_s: float) -> None:
        """Send a request; ends early where the exchange does."""
        if self._table_update:
            block, self._table_update = self._table_update + block, b""
        size, number = len(body), current.number
        out, self._out = self._out, b""
        head = HEAD.pack(0, len(block), HEADERS, END_HEADERS, number)
        if size <= self._window and size <= current.window and size <= self._frame_bytes:
            self._window -= size
            data_head = HEAD.pack(size >> 16, size & 0xFFFF, DATA, END_STREAM, number)
            self._send(b"".join((out, head, block, data_head, body)), until_s, current, len(out))
            current.whole = True
            return
        self._send(b"".join((out, head, block)), until_s, current, len(out))
        done = 0
        while done < size and not current.ended:
            room = min(self._window, current.window, self._frame_bytes)
            if room <= 0 or self._wire.has_input():
                self._take_in(until_s)
                self._send_answers(until_s)
                continue
            part = body[done : done + room]
            done += len(part)
            self._window -= len(part)
            current.window -= len(part)
            self._send(frame(DATA, END_STREAM if done == size else 0, number, part), until_s, current)
        current.whole = done == size

    def _send(self, data: bytes, until_s: float, current: Exchange | None = None, before: int = 0) -> None:
        """Send whole frames; what comes meanwhile is read, as the other side may do nothing else before.

        :param current: whose request they are, after the first ``before`` bytes
        """
        done = self._wire.send(data)
        while True:
            if current is not None and done > before:
                current.sent = True
            self._unsent = done < len(data)
            if not self._unsent:
                return
            if self._wire.wait_to_send(until_s):
                self._take_in(until_s)
            done += self._wire.send(memoryview(data)[done:])

    def _send_answers(self, until_s: float) -> None:
        if self._out:
            out, self._out = self._out, b""
            self._send(out, until_s)

    def _cancel(self, current: Exchange) -> None:
        """Tell the other side that no more is wanted of a stream (5.1); frames that are under way will be ignored."""
        no_more = b"" if current.reset is not None else number_frame(RST_STREAM, current.number, CANCEL)
        if not self._send_at_once(no_more):
            self.usable = False

    def _say_goodbye(self, code: int) -> None:
        self.usable = False
        self._send_at_once(frame(GOAWAY, 0, 0, NUMBER.pack(0) + NUMBER.pack(code)))

    def _send_at_once(self, data: bytes) -> bool:
        """Send frames, where that needs no waiting and they would not be sent within another one."""
        try:
            return not self._unsent and (not data or self._wire.send(data) == len(data))
        except OSError:
            return False

    def _take_in(self, until_s: float) -> None:
        """Wait for input, and handle the frames that are complete with it."""
        chunk = self._wire.receive(until_s)
        data = self._rest + chunk if self._rest else chunk
        at, end = 0, len(data)
        while end - at >= 9:
            high, low, kind, flags, stream = HEAD.unpack_from(data, at)
            length = high << 16 | low
            if length > FRAME_BYTES:
                raise ProtocolError(f"a frame of {length} bytes", FRAME_SIZE_ERROR)
            after = at + 9 + length
            if after > end:
                break
            if self._block is not None and kind != CONTINUATION:
                raise ProtocolError("a header block was not continued")
            handle = _HANDLERS.get(kind)
            if handle is not None:  # frames of unknown types are ignored (5.5)
                handle(self, flags, stream & MOST_STREAM, data[at + 9 : after])
            at = after
        self._rest = data[at:]

    def _current(self, stream: int) -> Exchange | None:
        """Return the exchange of a stream, None where it is over; raises ProtocolError where it never began."""
        current = self._exchange
        if current is not None and current.number == stream:
            return None if current.ended else current
        if stream % 2 == 0 or stream >= self._next_number:
            raise ProtocolError(f"a frame for stream {stream}, which was not begun")
        return None

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        size = len(payload)
        current = self._current(stream)
        self._unread += size
        if self._unread >= WINDOW // 2:
            self._out += number_frame(WINDOW_UPDATE, 0, self._unread)
            self._unread = 0
        if current is None:
            return
        if current.fields is None:
            raise ProtocolError("data before header fields")
        current.unread += size
        if flags & PADDED:
            payload = without_padding(payload)
        current.parts.append(payload)
        current.length += len(payload)
        current.ended = bool(flags & END_STREAM)
        if current.ended:
            current.trailers = {}
        elif current.length > current.most_bytes:
            current.ended = True
        elif current.unread >= WINDOW // 2:
            self._out += number_frame(WINDOW_UPDATE, stream, current.unread)
            current.unread = 0

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & PADDED:
            payload = without_padding(payload)
        if flags & PRIORITISED:
            if len(payload) < 5:
                raise ProtocolError("HEADERS without their priority", FRAME_SIZE_ERROR)
            payload = payload[5:]
        if flags & END_HEADERS:
            self._on_block(flags, stream, payload)
        else:
            self._block = (stream, flags, payload)

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != stream:
            raise ProtocolError("CONTINUATION of nothing")
        block = self._block[2] + payload
        if len(block) > BLOCK_MOST_BYTES:
            raise ProtocolError("a header block without end", ENHANCE_YOUR_CALM)
        if flags & END_HEADERS:
            first_flags, self._block = self._block[1], None
            self._on_block(first_flags, stream, block)
        else:
            self._block = (stream, self._block[1], block)

    def _on_block(self, flags: int, stream: int, block: bytes) -> None:
        # Also of a stream that is over: the fields that follow may refer to these (4.3).
        fields = self._decode(block)
        current = self._current(stream)
        if current is None:
            return
        if flags & END_STREAM:
            current.trailers = fields
            current.ended = True
            if current.fields is None:
                current.fields = fields
        elif current.fields is not None:
            raise ProtocolError("trailers without an end")
        elif not fields.get(b":status", b"").startswith(b"1"):  # an interim answer precedes the other one (8.1)
            current.fields = fields

    def _decode(self, block: bytes) -> Fields:
        """Decode a header block (RFC 7541), or look it up.

        gRPC servers say the same at almost every call. A block that leaves the table as it is means the same until
        another one changes the table.
        """
        known = self._known.get(block)
        if known is not None:
            return known
        before = self._table()
        try:
            fields = dict(self._decoder.decode(block, raw=True))
        except hpack.HPACKError as error:
            raise ProtocolError(f"header fields: {error}", COMPRESSION_ERROR) from error
        if self._table() != before:
            self._known.clear()
        elif len(self._known) < _KNOWN_MOST:
            self._known[block] = fields
        return fields

    def _table(self) -> tuple[int, Sequence[tuple[bytes, bytes]]]:
        """Return what the meaning of a block depends on: how large the decoder's table may be, and what is in it."""
        return self._decoder.header_table_size, tuple(self._decoder.header_table.dynamic_entries)

    def _on_reset(self, _flags: int, stream: int, payload: bytes) -> None:
        code = number_in(payload)
        current = self._current(stream)
        if current is not None:
            current.reset = code
            current.ended = True

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ProtocolError("SETTINGS for a stream")
        if len(payload) % 6 or (flags & ACK and payload):
            raise ProtocolError(f"SETTINGS of {len(payload)} bytes", FRAME_SIZE_ERROR)
        if flags & ACK:
            return
        for name, value in SETTING.iter_unpack(payload):
            self._set(name, value)
        self._greeted = True
        self._out += frame(SETTINGS, ACK, 0)

    def _set(self, name: int, value: int) -> None:
        if name == INITIAL_WINDOW_SIZE:
            if value > MOST_WINDOW:
                raise ProtocolError(f"a window of {value} bytes", FLOW_CONTROL_ERROR)
            if self._exchange is not None:
                self._exchange.window += value - self._first_window
            self._first_window = value
        elif name == MAX_FRAME_SIZE:
            if not FRAME_BYTES <= value < 1 << 24:
                raise ProtocolError(f"frames of {value} bytes")
            self._frame_bytes = value
        elif name == HEADER_TABLE_SIZE and value < TABLE_BYTES:
            # We do not use it, but have to say so where it shrinks (RFC 7541, 4.2): its size is 0 from now on.
            self._table_update = b"\x20"
        elif name == MAX_CONCURRENT_STREAMS and value == 0:
            self.usable = False

    def _on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        if stream or len(payload) != 8:
            raise ProtocolError("a PING of another form", FRAME_SIZE_ERROR)
        if not flags & ACK:
            self._out += frame(PING, ACK, 0, payload)

    def _on_goaway(self, _flags: int, stream: int, payload: bytes) -> None:
        if stream or len(payload) < 8:
            raise ProtocolError("a GOAWAY of another form", FRAME_SIZE_ERROR)
        self.usable = False
        last = NUMBER.unpack_from(payload)[0] & MOST_STREAM
        current = self._exchange
        # Streams above it were not processed and will not be (6.8); the answer of another one may still come.
        if current is not None and current.number > last and not current.ended:
            current.unprocessed = last
            current.ended = True

    def _on_window_update(self, _flags: int, stream: int, payload: bytes) -> None:
        more = number_in(payload) & MOST_WINDOW
        if not more:
            raise ProtocolError("WINDOW_UPDATE by nothing")
        if not stream:
            self._window += more
            window = self._window
        else:
            current = self._current(stream)
            if current is None:
                return
            current.window += more
            window = current.window
        if window > MOST_WINDOW:
            raise ProtocolError(f"a window of {window} bytes", FLOW_CONTROL_ERROR)

    def _on_push(self, _flags: int, _stream: int, _payload: bytes) -> None:
        raise ProtocolError("a PUSH_PROMISE, which the settings rule out")


_HANDLERS = {
    DATA: Connection._on_data,
    HEADERS: Connection._on_headers,
    RST_STREAM: Connection._on_reset,
    SETTINGS: Connection._on_settings,
    PUSH_PROMISE: Connection._on_push,
    PING: Connection._on_ping,
    GOAWAY: Connection._on_goaway,
    WINDOW_UPDATE: Connection._on_window_update,
    CONTINUATION: Connection._on_continuation,
}

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The frames of HTTP/2 (RFC 9113; sections are named by their numbers), and what breaks its rules."""

from __future__ import annotations

import struct

# Types of frames (6) and their flags.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITISED = 0x4, 0x8, 0x20

# Settings (6.5.2).
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)

# Error codes (7).
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR = 0x0, 0x1, 0x3, 0x6
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY = 0x7, 0x8, 0x9, 0xB, 0xC

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # 3.4
FIRST_WINDOW = 65_535  # both sides begin with it (6.9.2)
MOST_WINDOW = MOST_STREAM = 2**31 - 1
TABLE_BYTES = 4_096  # the size of a header table without a setting (6.5.2)
FRAME_BYTES = 16_384  # the longest frame without a setting that allows more (4.2)

HEAD = struct.Struct(">BHBBL")  # length in two parts, type, flags, stream (4.1)
SETTING = struct.Struct(">HL")
NUMBER = struct.Struct(">L")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return HEAD.pack(len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def number_frame(kind: int, stream: int, number: int) -> bytes:
    """Return a frame whose payload is a number: RST_STREAM, WINDOW_UPDATE."""
    return frame(kind, 0, stream, NUMBER.pack(number))


class ProtocolError(Exception):
    """The other side broke the protocol; ``code`` is HTTP/2's for it."""

    def __init__(self, what: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(what)
        self.code = code


def without_padding(payload: bytes) -> bytes:
    """Return what is padded (6.1)."""
    if not payload or payload[0] >= len(payload):
        raise ProtocolError("more padding than payload")
    return payload[1 : len(payload) - payload[0]]


def number_in(payload: bytes) -> int:
    """Return the number that is all of a payload."""
    if len(payload) != 4:
        raise ProtocolError(f"{len(payload)} bytes where 4 make a number", FRAME_SIZE_ERROR)
    return int.from_bytes(payload, "big")

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one transaction of the workload's writes, encoded and decoded by hand.

etcd3's generated messages are protobuf in plain Python: building a transaction of them and reading its answer takes
some 200 us of CPU time, as much as all the rest of a write. The classes here have the two methods that a transport uses
of a message. Field numbers are those of etcd's api/etcdserverpb/rpc.proto; the encoding is protobuf's
(protobuf.dev/programming-guides/encoding). A test holds both against the generated classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Self

from ..fence import NOWHERE, Change

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


class MoveRequest:
    """A TxnRequest: where the fence stands at ``at``, make the change and move it to ``to``; else read it."""

    __slots__ = ("_encoded",)

    def __init__(self, fence: bytes, at: str, to: str, change: Change | None) -> None:
        # Compare: result 1 (EQUAL is 0, and left out), target 2 (VERSION is 0, VALUE 3), key 3, version 4, value 7.
        if at == NOWHERE:
            compare = _field(3, fence) + b"\x20\x00"
        else:
            compare = b"\x10\x03" + _field(3, fence) + _field(7, at.encode())
        # RequestOp: request_range 1, request_put 2, request_delete_range 3; of each of these key 1, of a put value 2.
        moves = _field(2, _field(2, _field(1, fence) + _field(2, to.encode())))
        made = b""
        if change is not None and change.value is not None:
            made = _field(2, _field(2, _field(1, change.key.encode()) + _field(2, change.value.encode())))
        elif change is not None:
            made = _field(2, _field(3, _field(1, change.key.encode())))
        # TxnRequest: compare 1, success 2, failure 3.
        self._encoded = _field(1, compare) + made + moves + _field(3, _field(1, _field(1, fence)))

    def SerializeToString(self) -> bytes:  # noqa: N802  as protobuf's messages have it
        """Return it as it is sent."""
        return self._encoded


class Header(NamedTuple):
    """Of a ResponseHeader what the client uses."""

    revision: int = 0
    raft_term: int = 0


class MoveAnswer(NamedTuple):
    """A TxnResponse to a :class:`MoveRequest`."""

    header: Header
    succeeded: bool
    deleted: int  # keys that the change removed
    found: str | None  # the fence's value where it stood elsewhere; None where there is none
    found_revision: int  # with which it came there

    @classmethod
    def FromString(cls, message: bytes) -> Self:  # noqa: N802  as protobuf's messages have it
        """Read one; ValueError where it is none."""
        header, succeeded, first = Header(), False, None
        # TxnResponse: header 1, succeeded 2, responses 3.
        for number, value in _fields(message):
            if number == 1 and isinstance(value, bytes):
                told = dict(_fields(value))  # ResponseHeader: revision 3, raft_term 4
                header = Header(_number(told.get(3, 0)), _number(told.get(4, 0)))
            elif number == 2:
                succeeded = bool(value)
            elif number == 3 and first is None and isinstance(value, bytes):
                first = value
        deleted, found, found_revision = 0, None, 0
        # ResponseOp: response_range 1, response_put 2, response_delete_range 3.
        for number, value in _fields(first or b""):
            if number == 3 and isinstance(value, bytes):
                deleted = _number(dict(_fields(value)).get(2, 0))  # DeleteRangeResponse: deleted 2
            elif number == 1 and isinstance(value, bytes):
                kvs = dict(_fields(value)).get(2)  # RangeResponse: kvs 2
                if isinstance(kvs, bytes):
                    entry = dict(_fields(kvs))  # KeyValue: mod_revision 3, value 5
                    kept = entry.get(5, b"")
                    found = kept.decode() if isinstance(kept, bytes) else None
                    found_revision = _number(entry.get(3, 0))
        return cls(header, succeeded, deleted, found, found_revision)


def _field(number: int, value: bytes) -> bytes:
    """Return a field of bytes; its number is below 16."""
    size = len(value)
    if size < 0x80:
        return bytes((number << 3 | _BYTES, size)) + value
    return bytes((number << 3 | _BYTES,)) + _varint(size) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield each field's number and value: a number, or bytes; ValueError where the message is cut or none."""
    at, end = 0, len(message)
    while at < end:
        key, at = _read_varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _read_varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > end:
            raise ValueError("a message that is cut short")
        yield number, message[at : at + size]
        at += size


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a number and where the next byte is."""
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("a number that is cut short")


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("bytes in the place of a number")
    return value

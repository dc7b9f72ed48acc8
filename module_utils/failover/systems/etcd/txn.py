# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The transactions of the workload's writes, encoded and decoded by hand.

etcd3's generated messages are protobuf in plain Python: building a transaction of them and reading its answer takes
some 200 us of CPU time, as much as all the rest of a write. The classes here have the two methods that a transport uses
of a message. Field numbers are those of etcd's api/etcdserverpb/rpc.proto; the encoding is protobuf's
(protobuf.dev/programming-guides/encoding). A test holds both against the generated classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
# A ResponseOp's fields.
_RANGE, _PUT, _DELETE, _TXN = 1, 2, 3, 4


def holds(key: bytes, value: bytes | None) -> bytes:
    """Return a Compare: the key holds the value, or for None does not exist."""
    # result 1 (EQUAL is 0, and left out), target 2 (VERSION is 0, VALUE 3), key 3, version 4, value 7.
    if value is None:
        return _field(3, key) + b"\x20\x00"
    return b"\x10\x03" + _field(3, key) + _field(7, value)


# RequestOp: request_range 1, request_put 2, request_delete_range 3, request_txn 4; of the first three key 1, of a put
# value 2.


def put(key: bytes, value: bytes) -> bytes:
    """Return a RequestOp that sets a key."""
    return _field(_PUT, _field(1, key) + _field(2, value))


def get(key: bytes) -> bytes:
    """Return a RequestOp that reads a key."""
    return _field(_RANGE, _field(1, key))


def delete(key: bytes) -> bytes:
    """Return a RequestOp that removes a key."""
    return _field(_DELETE, _field(1, key))


def nested(request: TxnRequest) -> bytes:
    """Return a RequestOp that is a transaction of its own."""
    return _field(_TXN, request.SerializeToString())


class TxnRequest:
    """A TxnRequest: where all of ``compare`` holds, do ``success``, else ``failure``."""

    __slots__ = ("_encoded",)

    def __init__(self, compare: Sequence[bytes], success: Sequence[bytes], failure: Sequence[bytes]) -> None:
        # compare 1, success 2, failure 3.
        self._encoded = b"".join(
            [_field(1, each) for each in compare]
            + [_field(2, each) for each in success]
            + [_field(3, each) for each in failure]
        )

    def SerializeToString(self) -> bytes:  # noqa: N802  as protobuf's messages have it
        """Return it as it is sent."""
        return self._encoded


class Header(NamedTuple):
    """Of a ResponseHeader what the client uses."""

    revision: int = 0
    raft_term: int = 0


class Found(NamedTuple):
    """A key that was read."""

    value: bytes
    revision: int  # with which it came to hold that


class TxnAnswer(NamedTuple):
    """A TxnResponse."""

    header: Header
    succeeded: bool
    responses: tuple[bytes, ...]  # a ResponseOp for each RequestOp that was done

    @classmethod
    def FromString(cls, message: bytes) -> Self:  # noqa: N802  as protobuf's messages have it
        """Read one; ValueError where it is none."""
        header, succeeded, responses = Header(), False, []
        # header 1, succeeded 2, responses 3.
        for number, value in _fields(message):
            if number == 1 and isinstance(value, bytes):
                told = dict(_fields(value))  # ResponseHeader: revision 3, raft_term 4
                header = Header(_number(told.get(3, 0)), _number(told.get(4, 0)))
            elif number == 2:
                succeeded = bool(value)
            elif number == 3 and isinstance(value, bytes):
                responses.append(value)
        return cls(header, succeeded, tuple(responses))

    def found(self, position: int) -> Found | None:
        """Return the key that the ``get`` at a position read; None where it does not exist."""
        kvs = dict(_fields(self._response(position, _RANGE))).get(2)  # RangeResponse: kvs 2
        if not isinstance(kvs, bytes):
            return None
        entry = dict(_fields(kvs))  # KeyValue: mod_revision 3, value 5
        value = entry.get(5, b"")
        return Found(value if isinstance(value, bytes) else b"", _number(entry.get(3, 0)))

    def deleted(self, position: int) -> int:
        """Return how many keys the ``delete`` at a position removed."""
        return _number(dict(_fields(self._response(position, _DELETE))).get(2, 0))  # DeleteRangeResponse: deleted 2

    def nested(self, position: int) -> TxnAnswer:
        """Return the answer of the transaction at a position."""
        return self.FromString(self._response(position, _TXN))

    def _response(self, position: int, number: int) -> bytes:
        """Return what is in a ResponseOp; ValueError where it is missing or another one."""
        if position >= len(self.responses):
            raise ValueError("a response is missing")
        value = dict(_fields(self.responses[position])).get(number)
        if not isinstance(value, bytes):
            raise ValueError("a response of another kind")
        return value


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

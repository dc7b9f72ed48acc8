# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The transactions of the workload's writes, encoded and decoded by hand.

etcd3's generated messages are protobuf in plain Python: building a transaction of them and reading its answer takes
some 200 us of CPU time, as much as all the rest of a write. The classes here have the two methods that a transport uses
of a message. Field numbers are those of etcd's api/etcdserverpb/rpc.proto. A test holds them against the generated
classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from .protobuf import field, fields, number_of

# A ResponseOp's fields.
_RANGE, _PUT, _DELETE, _TXN = 1, 2, 3, 4


def holds(key: bytes, value: bytes | None) -> bytes:
    """Return a Compare: the key holds the value, or for None does not exist."""
    # result 1 (EQUAL is 0, and left out), target 2 (VERSION is 0, VALUE 3), key 3, version 4, value 7.
    if value is None:
        return field(3, key) + b"\x20\x00"
    return b"\x10\x03" + field(3, key) + field(7, value)


# RequestOp: request_range 1, request_put 2, request_delete_range 3, request_txn 4; of the first three key 1, of a put
# value 2.


def put(key: bytes, value: bytes) -> bytes:
    """Return a RequestOp that sets a key."""
    return field(_PUT, field(1, key) + field(2, value))


def get(key: bytes) -> bytes:
    """Return a RequestOp that reads a key."""
    return field(_RANGE, field(1, key))


def delete(key: bytes) -> bytes:
    """Return a RequestOp that removes a key."""
    return field(_DELETE, field(1, key))


def nested(request: TxnRequest) -> bytes:
    """Return a RequestOp that is a transaction of its own."""
    return field(_TXN, request.SerializeToString())


class TxnRequest:
    """A TxnRequest: where all of ``compare`` holds, do ``success``, else ``failure``."""

    __slots__ = ("_encoded",)

    def __init__(self, compare: Sequence[bytes], success: Sequence[bytes], failure: Sequence[bytes]) -> None:
        # compare 1, success 2, failure 3.
        self._encoded = b"".join(
            [field(1, each) for each in compare]
            + [field(2, each) for each in success]
            + [field(3, each) for each in failure]
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
        for number, value in fields(message):
            if number == 1 and isinstance(value, bytes):
                told = dict(fields(value))  # ResponseHeader: revision 3, raft_term 4
                header = Header(number_of(told.get(3, 0)), number_of(told.get(4, 0)))
            elif number == 2:
                succeeded = bool(value)
            elif number == 3 and isinstance(value, bytes):
                responses.append(value)
        return cls(header, succeeded, tuple(responses))

    def found(self, position: int) -> Found | None:
        """Return the key that the ``get`` at a position read; None where it does not exist."""
        kvs = dict(fields(self._response(position, _RANGE))).get(2)  # RangeResponse: kvs 2
        if not isinstance(kvs, bytes):
            return None
        entry = dict(fields(kvs))  # KeyValue: mod_revision 3, value 5
        value = entry.get(5, b"")
        return Found(value if isinstance(value, bytes) else b"", number_of(entry.get(3, 0)))

    def deleted(self, position: int) -> int:
        """Return how many keys the ``delete`` at a position removed."""
        return number_of(dict(fields(self._response(position, _DELETE))).get(2, 0))  # DeleteRangeResponse: deleted 2

    def nested(self, position: int) -> TxnAnswer:
        """Return the answer of the transaction at a position."""
        return self.FromString(self._response(position, _TXN))

    def _response(self, position: int, number: int) -> bytes:
        """Return what is in a ResponseOp; ValueError where it is missing or another one."""
        if position >= len(self.responses):
            raise ValueError("a response is missing")
        value = dict(fields(self.responses[position])).get(number)
        if not isinstance(value, bytes):
            raise ValueError("a response of another kind")
        return value

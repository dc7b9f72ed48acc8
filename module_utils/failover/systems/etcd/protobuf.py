# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Protobuf's encoding (protobuf.dev/programming-guides/encoding), as far as the messages of etcd need it."""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


def field(number: int, value: bytes) -> bytes:
    """Return a field of bytes; its number is below 16."""
    size = len(value)
    if size < 0x80:
        return bytes((number << 3 | _BYTES, size)) + value
    return bytes((number << 3 | _BYTES,)) + varint(size) + value


def number_field(number: int, value: int) -> bytes:
    """Return a field of a number that is not negative."""
    return varint(number << 3 | _VARINT) + varint(value)


def varint(value: int) -> bytes:
    """Return a number that is not negative."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
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


def number_of(value: int | bytes) -> int:
    """Return a field's number; ValueError where it has bytes."""
    if isinstance(value, bytes):
        raise ValueError("bytes in the place of a number")
    return value


def bytes_of(value: int | bytes) -> bytes:
    """Return a field's bytes; ValueError where it has a number."""
    if isinstance(value, int):
        raise ValueError("a number in the place of bytes")
    return value

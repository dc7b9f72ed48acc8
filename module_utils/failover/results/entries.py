# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys of one member in a few buffers: some 60 bytes a key, where a dict takes 400."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any, NamedTuple

from ..texts import Index, Texts

# Stands for None in a column of numbers.
_NONE = -(1 << 63)
# Lines that are taken together, which is quicker than one by one.
_AT_ONCE = 1024
_SORTED_AT_ONCE = 100_000


class Entry(NamedTuple):
    """One key as a member has it; ``version`` and ``mod_revision`` are None where the system counts none."""

    value: str
    version: int | None
    mod_revision: int | None


class RepeatedKeyError(Exception):
    """A key is there twice."""

    def __init__(self, number: int, key: str) -> None:
        super().__init__(key)
        self.number = number
        self.key = key


class Entries(Mapping[str, Entry]):
    """Entries by key, in the order of their file."""

    def __init__(self) -> None:
        self._keys, self._values = Texts(), Texts()
        self._versions: array[int] = array("q")
        self._revisions: array[int] = array("q")
        self._odd: dict[int, Entry] = {}  # of other types than a member's file should have, by number
        self._index = Index(self._keys)
        self._waiting: list[tuple[str, Any, Any, Any]] = []

    def add(self, key: str, value: Any, version: Any, revision: Any) -> None:
        """Add an entry; RepeatedKeyError where its key, or one of those before it, is there already."""
        self._waiting.append((key, value, version, revision))
        if len(self._waiting) >= _AT_ONCE:
            self.finish()

    def finish(self) -> None:
        """Have all that was added; RepeatedKeyError as in :meth:`add`."""
        waiting, self._waiting = self._waiting, []
        for number, (_, *rest) in enumerate(waiting, len(self._keys)):
            if not (isinstance(rest[0], str) and _fits(rest[1]) and _fits(rest[2])):
                self._odd[number] = Entry(*rest)
        begin = len(self._keys)
        plain = [
            Entry("", None, None) if at in self._odd else Entry(*rest) for at, (_, *rest) in enumerate(waiting, begin)
        ]
        self._keys.extend([key for key, *_ in waiting])
        self._values.extend([entry.value for entry in plain])
        self._versions.extend([_NONE if entry.version is None else entry.version for entry in plain])
        self._revisions.extend([_NONE if entry.mod_revision is None else entry.mod_revision for entry in plain])
        repeated = self._index.grow()
        if repeated is not None:
            raise RepeatedKeyError(repeated, self._keys[repeated])

    def share(self, other: Mapping[str, Entry]) -> None:
        """Use the columns of another member as far as they are equal to these."""
        if isinstance(other, Entries):
            if self._keys == other._keys:
                self._keys, self._index = other._keys, other._index
            for name in ("_values", "_versions", "_revisions"):
                if getattr(self, name) == getattr(other, name):
                    setattr(self, name, getattr(other, name))

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._index.find(key) is not None

    def __getitem__(self, key: str) -> Entry:
        number = self._index.find(key)
        if number is None:
            raise KeyError(key)
        return self._at(number)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the entry of a key, or another value: without an exception where it is absent."""
        number = self._index.find(key)
        return default if number is None else self._at(number)

    def items(self) -> ItemsView[str, Entry]:
        """Return keys and entries, which need not be found one by one."""
        return _Items(self)

    def values(self) -> ValuesView[Entry]:
        """Return the entries, likewise."""
        return _Values(self)

    def by_key(self) -> Iterator[tuple[str, Entry]]:
        """Yield keys and entries in the order of the keys, of which only some are in memory at once."""
        key_at = self._keys.__getitem__
        parts = [
            array("I", sorted(range(begin, min(begin + _SORTED_AT_ONCE, len(self))), key=key_at))
            for begin in range(0, len(self), _SORTED_AT_ONCE)
        ]
        return ((key_at(number), self._at(number)) for number in heapq.merge(*parts, key=key_at))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Entries) and (self._keys, self._odd, self._values, self._versions, self._revisions) == (
            other._keys,
            other._odd,
            other._values,
            other._versions,
            other._revisions,
        ):
            return True
        return (
            isinstance(other, Mapping)
            and len(self) == len(other)
            and all(other.get(key) == entry for key, entry in self.items())
        )

    __hash__ = None  # type: ignore[assignment]

    def _at(self, number: int) -> Entry:
        if number in self._odd:
            return self._odd[number]
        version, revision = self._versions[number], self._revisions[number]
        return Entry(
            self._values[number], None if version == _NONE else version, None if revision == _NONE else revision
        )


class _Items(ItemsView[str, Entry]):
    _mapping: Entries

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        return zip(self._mapping, self._mapping.values(), strict=True)


class _Values(ValuesView[Entry]):
    _mapping: Entries

    def __iter__(self) -> Iterator[Entry]:
        return map(self._mapping._at, range(len(self._mapping)))


def _fits(number: Any) -> bool:
    return number is None or (type(number) is int and _NONE < number < 1 << 63)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults in keys with plain values that all clients share: no order of the operations explains them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..results.entries import Entry
from ..shapes import READ_KINDS, HistoryRow, Outcome
from ..workloads.base import CAS, DELETE, RETRIEVE, SCAN
from .base import LIKE_ONE, InMemory, Kind, Site, changed
from .judging import Accusation, Evidence, only

# Overwritten values that one is drawn of: the last ones, as those of long ago are easier to catch.
_RECENT = 3


class _Shared(Kind):
    """A fault in such a key."""

    def fits(self, site: Site) -> bool:
        return site.holds_shared_values


class _OnMembers(_Shared):
    """A fault in what all members hold of a key at the end."""

    def places(self, site: Site) -> Sequence[Any]:
        """Return the keys of which no write may take effect once more."""
        return sorted(key for key in site.touched if key not in site.sent_again)

    def _holds(self, site: Site, key: str, change: Callable[[Entry | None], Entry | None], where: str) -> InMemory:
        dumps = site.case.dumps
        return InMemory(
            where,
            lambda: site.with_dumps(
                {member: changed(dump, key, change(dump.entries.get(key))) for member, dump in dumps.items()}
            ),
            [Accusation("linearizable", _names_key(key))],
        )


class _OfRead(_Shared):
    """A fault in what a read found."""

    def fits(self, site: Site) -> bool:
        """Whether reads had to be of the newest value."""
        return super().fits(site) and not site.case.recorded.reads_may_be_old

    def places(self, site: Site) -> Sequence[int]:
        """Return the reads of keys of which no write may take effect once more."""
        outcomes = site.case.recorded.answers.outcome
        return [
            index
            for index, operation in enumerate(site.operations)
            if operation[0] == RETRIEVE and outcomes[index] == Outcome.OK.value and operation[1] not in site.sent_again
        ]

    def _finds(self, site: Site, index: int, found: str | None) -> InMemory:
        row, key = site.row_of(index), site.operations[index][1]
        where = f"{site.told(index)} found {found!r} instead of {site.case.recorded.answers.read[index]!r}"
        return InMemory(
            where,
            lambda: site.with_rows({row: {"read": found}}),
            [Accusation("linearizable", _names_operation(site, key, index))],
        )


def _names_key(key: str) -> Callable[[Evidence], bool]:
    return lambda evidence: only(evidence, "wrong").get("key") == key


def _names_operation(site: Site, key: str, index: int) -> Callable[[Evidence], bool]:
    """Return whether the key is named, and the operation, or one that ran at its time.

    The search for an order says where it got stuck. That may be just before the operation that cannot be explained, as
    it looks ahead.
    """
    planted = site.case.recorded.row(index)

    def named(evidence: Evidence) -> bool:
        thing = only(evidence, "wrong")
        if thing.get("key") != key or "operation" not in thing:
            return False
        stuck = site.case.recorded.row(thing["operation"]["index"])
        return stuck.invoke_ns <= planted.complete_ns and planted.invoke_ns <= stuck.complete_ns

    return named


def gives(row: HistoryRow) -> bool:
    """Whether an operation certainly gave its key its value."""
    if row.kind in READ_KINDS or row.kind == DELETE or row.outcome != Outcome.OK.value:
        return False
    return row.kind != CAS or bool(row.affected)


def _removes(row: HistoryRow) -> bool:
    return row.kind == DELETE and row.outcome == Outcome.OK.value and bool(row.affected)


def _may_write(row: HistoryRow) -> bool:
    return row.kind not in READ_KINDS and row.kind != DELETE and row.outcome != Outcome.FAIL.value


def _over_before(row: HistoryRow, moment_ns: int) -> bool:
    """Whether an operation took effect before a moment and cannot any more; one of unknown outcome still may."""
    return row.outcome == Outcome.OK.value and row.complete_ns < moment_ns


def overwritten(rows: Iterable[HistoryRow], before_ns: int) -> list[str]:
    """Return the values of a key that were certainly no more there at a time, the last ones at the end.

    Each was given by one operation only, which was acknowledged before another one began that changed the key and was
    acknowledged in time.
    """
    rows = list(rows)
    values = [row.value for row in rows if _may_write(row)]
    done = [row for row in rows if (gives(row) or _removes(row)) and row.complete_ns < before_ns]
    last_change_ns = max((row.invoke_ns for row in done), default=-1)
    gone = [row for row in done if gives(row) and row.complete_ns < last_change_ns and values.count(row.value) == 1]
    return [str(row.value) for row in sorted(gone, key=lambda row: row.complete_ns)]


class Lost(_OnMembers):
    """A key is on no member, though a write of it was acknowledged after everything that may have removed it."""

    of = "lost"

    def plant(self, site: Site, place: str, source: random.Random) -> InMemory | None:
        """Take it away."""
        rows = site.rows_of(place)
        last_ns = max((row.invoke_ns for row in rows if gives(row)), default=-1)
        removals = [row for row in rows if row.kind == DELETE and row.outcome != Outcome.FAIL.value]
        if last_ns < 0 or not all(_over_before(row, last_ns) for row in removals):
            return None
        return self._holds(site, place, lambda _: None, f"key {place!r} on no member")


class Resurrected(_OnMembers):
    """All members hold a key whose removal was acknowledged after everything that may have written it."""

    of = "resurrected"

    def plant(self, site: Site, place: str, source: random.Random) -> InMemory | None:
        """Put it back, with a value that it had."""
        rows = site.rows_of(place)
        removed_ns = max((row.invoke_ns for row in rows if _removes(row)), default=-1)
        writes = [row for row in rows if _may_write(row)]
        if removed_ns < 0 or not writes or not all(_over_before(row, removed_ns) for row in writes):
            return None
        value = source.choice([str(row.value) for row in writes])
        entry = Entry(value, 1, 1) if site.counts else Entry(value, None, None)
        return self._holds(site, place, lambda _: entry, f"deleted key {place!r} with {value!r}")


class WrongOnMembers(_OnMembers):
    """All members hold a value of a key that nobody gave it."""

    of = "wrong-value"

    def places(self, site: Site) -> Sequence[str]:
        """Return the keys that are there."""
        return site.keys_held()

    def plant(self, site: Site, place: str, source: random.Random) -> InMemory:
        """Change the value."""
        held = next(iter(site.case.dumps.values())).entries[place].value
        value = site.unheard(held, source)

        def change(entry: Entry | None) -> Entry | None:
            return entry and entry._replace(value=value)

        return self._holds(site, place, change, f"key {place!r} with {value!r} on all members")


class Phantom(_OnMembers):
    """All members hold a key that nobody ever wrote."""

    of = "phantom"

    def places(self, site: Site) -> Sequence[tuple[str, int]]:
        """Return keys, whose names the new one is like, each a few times."""
        return [(key, number) for number in range(LIKE_ONE) for key in sorted(site.touched)]

    def plant(self, site: Site, place: tuple[str, int], source: random.Random) -> InMemory | None:
        """Put a key there."""
        key = site.unheard(place[0], source)
        if key in site.touched:
            return None
        entry = Entry("0", 1, 1) if site.counts else Entry("0", None, None)
        return self._holds(site, key, lambda _: entry, f"key {key!r}, which nobody wrote")


class AppliedTwice(_OnMembers):
    """A write took effect once more at the very end: all members hold its value, which had been overwritten."""

    of = "applied-twice"

    def plant(self, site: Site, place: str, source: random.Random) -> InMemory | None:
        """Give the members the old value."""
        rows = site.rows_of(place)
        old = overwritten(rows, max(row.complete_ns for row in rows) + 1)
        if not old:
            return None
        value = source.choice(old[-_RECENT:])

        def change(entry: Entry | None) -> Entry:
            if entry is None:
                return Entry(value, 1, 1) if site.counts else Entry(value, None, None)
            return entry._replace(value=value)

        return self._holds(site, place, change, f"key {place!r} with {value!r}, which had been overwritten")


class StaleRead(_OfRead):
    """A read returns a value that was certainly overwritten before it began."""

    of = "stale"

    def plant(self, site: Site, place: int, source: random.Random) -> InMemory | None:
        """Choose one of these values."""
        old = overwritten(site.rows_of(site.operations[place][1]), site.case.recorded.row(place).invoke_ns)
        return self._finds(site, place, source.choice(old[-_RECENT:])) if old else None


class WrongRead(_OfRead):
    """A read returns a value that nobody gave."""

    of = "wrong-value"

    def plant(self, site: Site, place: int, source: random.Random) -> InMemory | None:
        """Change what it found."""
        found = site.case.recorded.answers.read[place]
        return None if found is None else self._finds(site, place, site.unheard(found, source))


class EmptyScan(Kind):
    """A scan finds nothing, though its first key was there."""

    of = "lost"

    def fits(self, site: Site) -> bool:
        """Whether scans are checked."""
        return "scans" in site.checks

    def places(self, site: Site) -> Sequence[int]:
        """Return the scans that found something."""
        answers = site.case.recorded.answers
        return [
            index
            for index, operation in enumerate(site.operations)
            if operation[0] == SCAN and answers.outcome[index] == Outcome.OK.value and answers.affected[index]
        ]

    def plant(self, site: Site, place: int, source: random.Random) -> InMemory | None:
        """Let it find nothing."""
        scan = site.case.recorded.row(place)
        if not any(gives(row) and row.complete_ns <= scan.invoke_ns for row in site.rows_of(scan.key)):
            return None
        row = site.row_of(place)

        def named(evidence: Evidence) -> bool:
            return only(evidence, "wrong").get("index") == place

        return InMemory(
            f"{site.told(place)} found nothing",
            lambda: site.with_rows({row: {"affected": 0, "read": None}}),
            [Accusation("scans", named)],
        )

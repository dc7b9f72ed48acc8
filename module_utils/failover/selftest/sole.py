# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults in keys that belong to one client each, so that it is known exactly what they may hold."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from ..checks.model import FAIL, LOST, OK, PHANTOM, RESURRECTED, STALE, WRONG_VALUE
from ..results.entries import Entry
from ..shapes import RetryPolicy
from ..workloads.base import CREATE, DELETE, RETRIEVE, value_of
from .base import LIKE_ONE, InMemory, Kind, Site, changed
from .judging import Accusation, names_one


class _Sole(Kind):
    """A fault in such a key."""

    def fits(self, site: Site) -> bool:
        return site.case.is_exact


def _everywhere(
    site: Site, key: str, change: Callable[[Entry | None], Entry | None], kind: str, where: str
) -> InMemory:
    """Return a plant on all members alike: what each holds of a key becomes something else."""
    held = {member: dump.entries.get(key) for member, dump in site.case.dumps.items()}
    entries = {member: change(entry) for member, entry in held.items()}

    def accusation(member: str, entry: Entry | None) -> Accusation:
        found = None if entry is None else entry.value
        return Accusation(f"keys on {member}", names_one("wrong", key=key, kind=kind, found=found))

    return InMemory(
        where,
        lambda: site.with_dumps(
            {member: changed(site.case.dumps[member], key, entry) for member, entry in entries.items()}
        ),
        [accusation(member, entry) for member, entry in entries.items()],
    )


def _sure(site: Site, keys: Iterable[str]) -> list[str]:
    return sorted(key for key in keys if key not in site.unsure)


def _new_entry(site: Site, value: str) -> Entry:
    """Return what a member that counts, or does not, would have of a key that was just written."""
    entries = next(iter(site.case.dumps.values())).entries.values()
    newest = max((entry.mod_revision or 0 for entry in entries), default=0)
    return Entry(value, 1, newest + 1) if site.counts else Entry(value, None, None)


class Lost(_Sole):
    """A key that was created, and not deleted later, is on no member."""

    of = "lost"

    def places(self, site: Site) -> Sequence[str]:
        """Return the keys that have to be there."""
        return _sure(site, site.case.expected.certain)

    def plant(self, site: Site, place: str, source: random.Random) -> InMemory:
        """Take the key away."""
        return _everywhere(site, place, lambda _: None, LOST, f"key {place!r} on no member")


class Resurrected(_Sole):
    """A key that was deleted is on all members, with a value that it had."""

    of = "resurrected"

    def places(self, site: Site) -> Sequence[str]:
        """Return the keys whose last operation was an acknowledged DELETE."""
        answers = site.case.recorded.answers
        there = site.case.expected.certain
        return _sure(
            site,
            (
                key
                for key, indexes in site.touched.items()
                if key not in there
                and site.operations[indexes[-1]][0] == DELETE
                and answers.outcome[indexes[-1]] == OK
                and _values(site, indexes)
            ),
        )

    def plant(self, site: Site, place: str, source: random.Random) -> InMemory:
        """Put it back."""
        value = source.choice(_values(site, site.touched[place]))
        entry = _new_entry(site, value)
        return _everywhere(site, place, lambda _: entry, RESURRECTED, f"deleted key {place!r} with {value!r}")


def _values(site: Site, indexes: Iterable[int]) -> list[str]:
    """Return the values that acknowledged operations gave, in their order."""
    outcomes = site.case.recorded.answers.outcome
    return [str(value_of(site.operations[i])) for i in indexes if site.operations[i][0] == CREATE and outcomes[i] == OK]


class WrongOnMembers(_Sole):
    """All members hold a value of a key that nobody gave it."""

    of = "wrong-value"

    def places(self, site: Site) -> Sequence[str]:
        """Return the keys that have to be there."""
        return _sure(site, site.case.expected.certain)

    def plant(self, site: Site, place: str, source: random.Random) -> InMemory:
        """Change the value."""
        value = site.unheard(site.case.expected.certain[place], source)

        def change(entry: Entry | None) -> Entry | None:
            return entry and entry._replace(value=value)

        return _everywhere(site, place, change, WRONG_VALUE, f"key {place!r} with {value!r} on all members")


class Phantom(_Sole):
    """All members hold a key that nobody ever wrote."""

    of = "phantom"

    def places(self, site: Site) -> Sequence[tuple[str, int]]:
        """Return keys, whose names the new one is like, each a few times."""
        return [(key, number) for number in range(LIKE_ONE) for key in sorted(site.touched)]

    def plant(self, site: Site, place: tuple[str, int], source: random.Random) -> InMemory | None:
        """Put a key there, with a value that another one has."""
        key = site.unheard(place[0], source)
        if key in site.touched or not site.given:
            return None
        value = source.choice(_values(site, site.touched[place[0]]) or [site.unheard("1.2.3.4", source)])
        entry = _new_entry(site, value)
        return _everywhere(site, key, lambda _: entry, PHANTOM, f"key {key!r}, which nobody wrote, with {value!r}")


class AppliedTwice(_Sole):
    """Members that count a key's writes count one more than was sent."""

    of = "applied-twice"

    def fits(self, site: Site) -> bool:
        """Whether there are members that count."""
        return super().fits(site) and site.counts

    def places(self, site: Site) -> Sequence[str]:
        """Return the keys that are there, and of which no write was sent again without a fence."""
        fenced = site.case.recorded.retry_policy == RetryPolicy.SAFE
        attempts = site.case.recorded.answers.attempts
        return [
            key
            for key in _sure(site, site.case.expected.certain)
            if fenced or all(attempts[index] <= 1 for index in site.touched[key])
        ]

    def plant(self, site: Site, place: str, source: random.Random) -> InMemory | None:
        """Count one more, as the same value was written again."""
        dumps = site.case.dumps
        allowed = _writes(site, place)
        held = {member: dump.entries[place] for member, dump in dumps.items()}
        if any(entry.version is None for entry in held.values()):
            return None
        version = allowed + 1
        again = {member: entry._replace(version=version) for member, entry in held.items()}
        names = names_one("unexplained", key=place, version=version, members=list(dumps))
        return InMemory(
            f"key {place!r} written {version} times instead of {allowed}",
            lambda: site.with_dumps({member: changed(dumps[member], place, entry) for member, entry in again.items()}),
            [Accusation("applied once", names)],
        )


def _writes(site: Site, key: str) -> int:
    """Return how often a key was written since it was last deleted."""
    outcomes, writes = site.case.recorded.answers.outcome, 0
    for index in site.touched[key]:
        if site.operations[index][0] == CREATE and outcomes[index] != FAIL:
            writes += 1
        elif site.operations[index][0] == DELETE and outcomes[index] == OK:
            writes = 0
    return writes


class _Read(_Sole):
    """A fault in what a RETRIEVE found."""

    def places(self, site: Site) -> Sequence[int]:
        """Return the reads of keys of which everything is known."""
        outcomes = site.case.recorded.answers.outcome
        return [
            index
            for index, operation in enumerate(site.operations)
            if operation[0] == RETRIEVE and outcomes[index] == OK and operation[1] not in site.unsure
        ]

    def _reads(self, site: Site, index: int, found: str | None, kind: str) -> InMemory:
        key, row = site.operations[index][1], site.row_of(index)
        named = names_one("wrong", key=key, index=index, kind=kind, found=found)
        where = f"{site.told(index)} found {found!r} instead of {site.case.recorded.answers.read[index]!r}"
        return InMemory(where, lambda: site.with_rows({row: {"read": found}}), [Accusation("reads", named)])


class StaleRead(_Read):
    """A read returns what a key was before its last change, which was acknowledged before the read began.

    A key that has had one value only was absent before; the check has the word "lost" for that.
    """

    of = "stale"

    def plant(self, site: Site, place: int, source: random.Random) -> InMemory | None:
        """Choose one of the key's earlier states."""
        key, now = site.operations[place][1], site.case.recorded.answers.read[place]
        earlier = [value for value in _values(site, (i for i in site.touched[key] if i < place)) if value != now]
        if earlier:
            return self._reads(site, place, source.choice(earlier), STALE)
        return None if now is None else self._reads(site, place, None, LOST)


class WrongRead(_Read):
    """A read returns a value that nobody gave the key."""

    of = "wrong-value"

    def plant(self, site: Site, place: int, source: random.Random) -> InMemory | None:
        """Change what it found."""
        found = site.case.recorded.answers.read[place]
        return None if found is None else self._reads(site, place, site.unheard(found, source), WRONG_VALUE)


class LostBeforeDelete(_Sole):
    """An acknowledged DELETE says that a key was gone already which has to be there."""

    of = "lost"

    def places(self, site: Site) -> Sequence[int]:
        """Return the deletes that say how many keys they removed."""
        answers = site.case.recorded.answers
        return [
            index
            for index, operation in enumerate(site.operations)
            if operation[0] == DELETE
            and answers.outcome[index] == OK
            and answers.affected[index]
            and operation[1] not in site.unsure
        ]

    def plant(self, site: Site, place: int, source: random.Random) -> InMemory:
        """Let it find nothing."""
        row, key = site.row_of(place), site.operations[place][1]
        named = names_one("wrong", key=key, index=place, kind=LOST, found=None)
        where = f"{site.told(place)} found nothing to remove"
        return InMemory(where, lambda: site.with_rows({row: {"affected": 0}}), [Accusation("reads", named)])

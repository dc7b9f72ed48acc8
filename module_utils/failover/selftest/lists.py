# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults in lists that grow."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from ..checks.model import FORKED, LOST, PHANTOM, REORDERED, STALE, TWICE_LISTED
from ..results.entries import Entry
from ..shapes import LIST_SEPARATOR, Outcome
from ..workloads.base import APPEND, RETRIEVE
from .base import LIKE_ONE, Changes, Dumps, InMemory, Kind, Site, changed
from .judging import Accusation, Evidence, names_one, only

Elements = list[str]


def elements_of(value: str | None) -> Elements:
    """Return the elements of a list as it is recorded."""
    return [] if value is None else value.split(LIST_SEPARATOR)


def _value(elements: Elements) -> str | None:
    return LIST_SEPARATOR.join(elements) or None


class _Lists(Kind):
    """A fault in a list."""

    def fits(self, site: Site) -> bool:
        return site.holds_lists

    def _on_all(self, site: Site, key: str, change: Callable[[Elements], Elements]) -> dict[str, Entry | None]:
        """Return what each member holds of a list once it is changed."""
        entries: dict[str, Entry | None] = {}
        for member, dump in site.case.dumps.items():
            held = dump.entries[key]
            value = _value(change(elements_of(held.value)))
            entries[member] = None if value is None else held._replace(value=value)
        return entries

    def _plant(
        self,
        site: Site,
        where: str,
        key: str,
        change: Callable[[Elements], Elements],
        named: Callable[[Evidence], bool],
        rows: Changes | None = None,
    ) -> InMemory:
        """Return a plant in what all members hold of a list and, where rows are given, in what was read of it."""
        dumps = site.case.dumps
        entries = self._on_all(site, key, change)

        def ends() -> Dumps:
            return {member: changed(dumps[member], key, entry) for member, entry in entries.items()}

        return InMemory(
            where,
            lambda: site.with_rows(rows, ends()) if rows else site.with_dumps(ends()),
            [Accusation("lists", named)],
        )


class _Elements(_Lists):
    """A fault in an element whose APPEND was acknowledged."""

    def places(self, site: Site) -> Sequence[int]:
        """Return these operations, of lists of which none may take effect once more."""
        outcomes = site.case.recorded.answers.outcome
        return [
            index
            for index, operation in enumerate(site.operations)
            if operation[0] == APPEND and outcomes[index] == Outcome.OK.value and operation[1] not in site.sent_again
        ]


class Lost(_Elements):
    """An element that was acknowledged is on no member."""

    of = "lost"

    def plant(self, site: Site, place: int, source: random.Random) -> InMemory:
        """Take it away."""
        key, element = site.operations[place][1:3]  # type: ignore[misc]
        return self._plant(
            site,
            f"element {element} of {key!r} on no member",
            key,
            lambda held: [each for each in held if each != element],
            names_one("wrong", key=key, kind=LOST, index=place),
        )


class AppliedTwice(_Elements):
    """An element is in its list twice, on all members."""

    of = "applied-twice"

    def plant(self, site: Site, place: int, source: random.Random) -> InMemory:
        """Append it once more."""
        key, element = site.operations[place][1:3]  # type: ignore[misc]
        return self._plant(
            site,
            f"element {element} of {key!r} twice on all members",
            key,
            lambda held: [*held, element],
            names_one("wrong", key=key, kind=TWICE_LISTED, index=place),
        )


class Reordered(_Elements):
    """All who saw two elements saw them the other way round than they were acknowledged."""

    of = "reordered"

    def plant(self, site: Site, place: int, source: random.Random) -> InMemory | None:
        """Swap it with the one behind it, where that was sent after it was acknowledged."""
        key, element = site.operations[place][1:3]  # type: ignore[misc]
        held = elements_of(next(iter(site.case.dumps.values())).entries[key].value)
        at = held.index(element)
        behind = next((i for i in self.places_of(site, key) if held[at + 1 : at + 2] == [site.operations[i][2]]), None)  # type: ignore[misc]
        if behind is None or site.case.recorded.row(place).complete_ns >= site.case.recorded.row(behind).invoke_ns:
            return None
        rows: dict[int, dict[str, str | None]] = {}
        for index in site.touched[key]:
            read = elements_of(site.case.recorded.answers.read[index])
            if len(read) == at + 1:
                return None  # it saw one of them only
            if len(read) > at + 1:
                rows[site.row_of(index)] = {"read": _value(_swapped(read, at))}
        later = site.operations[behind][2]  # type: ignore[misc]
        return self._plant(
            site,
            f"elements {element} and {later} of {key!r} the other way round",
            key,
            lambda elements: _swapped(elements, at),
            names_one("wrong", key=key, kind=REORDERED, index=behind),
            rows,
        )

    def places_of(self, site: Site, key: str) -> list[int]:
        """Return the acknowledged APPENDs of a list."""
        outcomes = site.case.recorded.answers.outcome
        return [i for i in site.touched[key] if site.operations[i][0] == APPEND and outcomes[i] == Outcome.OK.value]


def _swapped(elements: Elements, at: int) -> Elements:
    return [*elements[:at], elements[at + 1], elements[at], *elements[at + 2 :]]


class Phantom(_Lists):
    """An element that nobody appended is in a list, on all members."""

    of = "phantom"

    def places(self, site: Site) -> Sequence[tuple[str, int]]:
        """Return the lists, each a few times."""
        return [(key, number) for number in range(LIKE_ONE) for key in site.keys_held()]

    def plant(self, site: Site, place: tuple[str, int], source: random.Random) -> InMemory:
        """Append it."""
        key = place[0]
        element = site.unheard("1000", source)
        return self._plant(
            site,
            f"element {element}, which nobody appended, in {key!r}",
            key,
            lambda held: [*held, element],
            names_one("wrong", key=key, kind=PHANTOM),
        )


class _OfRead(_Lists):
    """A fault in a list as it was read."""

    def fits(self, site: Site) -> bool:
        """Whether reads had to be of all that was there."""
        return super().fits(site) and not site.case.recorded.reads_may_be_old

    def places(self, site: Site) -> Sequence[int]:
        """Return the reads that found something."""
        answers = site.case.recorded.answers
        return [
            index
            for index, operation in enumerate(site.operations)
            if operation[0] == RETRIEVE
            and answers.outcome[index] == Outcome.OK.value
            and answers.read[index] is not None
            and operation[1] not in site.sent_again
        ]

    def _finds(self, site: Site, index: int, read: Elements, kinds: Sequence[str], where: str) -> InMemory:
        key, row = site.operations[index][1], site.row_of(index)

        def named(evidence: Evidence) -> bool:
            thing = only(evidence, "wrong")
            at = thing.get("operation", {}).get("index")
            # Where it is the first one that shows so much of the list, others are held against it.
            accused = at == index or f"the read of operation {index} " in str(thing.get("found")).lower()
            return thing.get("key") == key and thing.get("class") in kinds and accused

        return InMemory(
            f"{site.told(index)} {where}",
            lambda: site.with_rows({row: {"read": _value(read)}}),
            [Accusation("lists", named)],
        )


class StaleRead(_OfRead):
    """A read lacks an element that was acknowledged before it began, and all behind it."""

    of = "stale"

    def plant(self, site: Site, place: int, source: random.Random) -> InMemory | None:
        """End the list before one of the last such elements."""
        read, began_ns = elements_of(site.case.recorded.answers.read[place]), site.case.recorded.row(place).invoke_ns
        appends = {row.value: row for row in site.rows_of(site.operations[place][1]) if row.kind == APPEND}
        old = [
            at
            for at, element in enumerate(read)
            if appends[element].outcome == Outcome.OK.value and appends[element].complete_ns < began_ns
        ]
        if not old:
            return None
        at = source.choice(old[-3:])
        return self._finds(site, place, read[:at], [STALE], f"found {at} elements instead of {len(read)}")


class WrongRead(_OfRead):
    """A read has an element that nobody appended, instead of its last one."""

    of = "wrong-value"

    def plant(self, site: Site, place: int, source: random.Random) -> InMemory | None:
        """Change the last element; where nobody saw more of the list, that is for the check one of its own."""
        read = elements_of(site.case.recorded.answers.read[place])
        element = site.unheard(read[-1], source)
        where = f"found {element} instead of {read[-1]} at the end"
        return self._finds(site, place, [*read[:-1], element], [FORKED, PHANTOM], where)

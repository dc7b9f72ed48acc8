# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults in what a watch was told."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ..checks.watch import DOUBLED, MISSED, OUT_OF_ORDER, UNEXPLAINED, WRONG_VALUE
from ..shapes import LIST_SEPARATOR
from .base import InMemory, Kind, Site, with_changes
from .judging import Accusation, names_one

# By how many places an event may come late, at most.
LATE_BY = 20


class _OfWatch(Kind):
    """Something that befalls one event."""

    def fits(self, site: Site) -> bool:
        """Whether a watch was kept."""
        return "watch" in site.checks

    def places(self, site: Site) -> Sequence[int]:
        """Return the events, by their numbers."""
        return range(site.watched.num_rows)

    def plant(self, site: Site, place: int, source: random.Random) -> InMemory | None:
        """Change what was told at a place, and expect the check to name the event."""
        event: dict[str, Any] = site.watched.slice(place, 1).to_pylist()[0]
        return self.change(site, place, event, source)

    @abstractmethod
    def change(self, site: Site, place: int, event: dict[str, Any], source: random.Random) -> InMemory | None:
        """Do it to the event at a place."""


def _planted(site: Site, where: str, told: pa.Table, wrong: str, revision: int, key: str) -> InMemory:
    named = names_one("wrong_changes", kind=wrong, revision=revision, key=key)
    return InMemory(where, lambda: site.with_watch(told), [Accusation("watch", named)])


def _told(event: dict[str, Any]) -> str:
    return f"revision {event['revision']} ({'removal' if event['value'] is None else 'change'} of {event['key']!r})"


def _moved(told: pa.Table, place: int, to: int, *, keep: bool) -> pa.Table:
    """Return what was told with the event at a place coming later; it is told at its own place, too, with ``keep``."""
    parts = [told.slice(0, place + keep), told.slice(place + 1, to - place), told.slice(place, 1), told.slice(to + 1)]
    return pa.concat_tables(parts)


class Missed(_OfWatch):
    """The change of an acknowledged write was never told."""

    of = "missed-event"

    def change(self, site: Site, place: int, event: dict[str, Any], source: random.Random) -> InMemory | None:
        """Leave it out, where its write is acknowledged."""
        if event["revision"] not in site.acknowledged_at:
            return None
        told = pa.concat_tables([site.watched.slice(0, place), site.watched.slice(place + 1)])
        return _planted(site, f"{_told(event)} was not told", told, MISSED, event["revision"], event["key"])


class Doubled(_OfWatch):
    """A change was told again, at once or later."""

    of = "doubled-event"

    def change(self, site: Site, place: int, event: dict[str, Any], source: random.Random) -> InMemory:
        """Tell it again."""
        to = min(site.watched.num_rows - 1, place + source.randrange(LATE_BY))
        told = _moved(site.watched, place, to, keep=True)
        return _planted(site, f"{_told(event)} was told again", told, DOUBLED, event["revision"], event["key"])


class Reordered(_OfWatch):
    """A change was told after later ones."""

    of = "reordered-event"

    def places(self, site: Site) -> Sequence[int]:
        """Return the events but the last one."""
        return range(site.watched.num_rows - 1)

    def change(self, site: Site, place: int, event: dict[str, Any], source: random.Random) -> InMemory:
        """Tell it some places later."""
        to = min(site.watched.num_rows - 1, place + source.randint(1, LATE_BY))
        told = _moved(site.watched, place, to, keep=False)
        where = f"{_told(event)} was told {to - place} changes too late"
        return _planted(site, where, told, OUT_OF_ORDER, event["revision"], event["key"])


class WrongValue(_OfWatch):
    """A change was told with a value that nobody wrote."""

    of = "wrong-value"

    def change(self, site: Site, place: int, event: dict[str, Any], source: random.Random) -> InMemory | None:
        """Tell another value, of a list another last element."""
        if event["value"] is None or event["revision"] not in site.acknowledged_at:
            return None
        before, separator, last = event["value"].rpartition(LIST_SEPARATOR if site.holds_lists else "\0")
        value = f"{before}{separator}{site.unheard(last, source)}"
        told = with_changes(site.watched, {place: {"value": value}})
        where = f"{_told(event)} was told as {value!r}"
        return _planted(site, where, told, WRONG_VALUE, event["revision"], event["key"])


class Phantom(_OfWatch):
    """A change was told that nobody made."""

    of = "phantom"

    def change(self, site: Site, place: int, event: dict[str, Any], source: random.Random) -> InMemory:
        """Tell one at the end that is like another one."""
        last = site.watched.num_rows - 1
        revision = int(site.watched["revision"][last].as_py()) + 1
        value = site.unheard(event["value"] or "0", source)
        told = with_changes(site.watched.slice(place, 1), {0: {"revision": revision, "value": value}})
        told = pa.concat_tables([site.watched, told])
        where = f"revision {revision} was told, with {value!r} of {event['key']!r}"
        return _planted(site, where, told, UNEXPLAINED, revision, event["key"])

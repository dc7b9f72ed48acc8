# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults in the rows of a history, and in one member alone, whatever the keys hold."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..checks.recorded import shares_of
from ..results.entries import Entry
from ..shapes import READ_KINDS, Outcome
from .base import InMemory, Kind, Site, changed
from .judging import Accusation, Evidence, names_one, only

_TIMES = ("intended_ns", "invoke_ns", "complete_ns")


class Reordered(Kind):
    """Two operations ran in the other order: of one key, where that is one client's, else of one client."""

    of = "reordered"

    def fits(self, site: Site) -> bool:
        """Whether there is an order that is known."""
        return True

    def places(self, site: Site) -> Sequence[tuple[int, int]]:
        """Return the pairs of operations of which one comes right after the other."""
        if site.case.is_exact:
            groups: Sequence[Sequence[int]] = list(site.touched.values())
        else:
            groups = shares_of(site.case.workload, site.operations, site.experiment)
        return [pair for group in groups for pair in pairwise(group) if min(map(site.row_of, pair)) >= 0]

    def plant(self, site: Site, place: tuple[int, int], source: random.Random) -> InMemory:
        """Swap their times."""
        first, second = place
        table, rows = site.experiment.table, (site.row_of(first), site.row_of(second))
        times = [{name: table[name][row].as_py() for name in _TIMES} for row in rows]

        def named(evidence: Evidence) -> bool:
            return [first, second] in [list(pair) for pair in evidence.get("out_of_order", {}).get("listed", ())]

        return InMemory(
            f"{site.told(first)} with the times of {site.told(second)}, and the other way round",
            lambda: site.with_rows({rows[0]: times[1], rows[1]: times[0]}),
            [Accusation("history", named)],
        )


class OldRevision(Kind):
    """An answer is of a revision of the store below one that had been given before its operation began."""

    of = "older-store"

    def fits(self, site: Site) -> bool:
        """Whether answers have revisions."""
        return "revisions" in site.checks

    def places(self, site: Site) -> Sequence[tuple[int, int]]:
        """Return the operations with the highest revision that had been given before each."""
        recorded, table = site.case.recorded, site.experiment.table
        rows = recorded.row_of[recorded.row_of >= 0]
        ok = np.array([outcome == Outcome.OK for outcome in table["outcome"].to_pylist()], dtype=bool)
        rows = rows[(ok & ~np.asarray(table["revision"].is_null()))[rows]]
        complete_ns = table["complete_ns"].to_numpy()
        rows = rows[np.argsort(complete_ns[rows], kind="stable")]
        highest = np.maximum.accumulate(table["revision"].fill_null(0).to_numpy()[rows])
        began_ns = table["invoke_ns"].to_numpy()[rows]
        given = np.concatenate(([0], highest))[np.searchsorted(complete_ns[rows], began_ns, side="left")]
        indexes = table["index"].to_numpy()[rows]
        return [
            (int(index), int(before))
            for index, before in zip(indexes, given, strict=True)
            if before > 1 and not (recorded.reads_may_be_old and site.operations[index][0] in READ_KINDS)
        ]

    def plant(self, site: Site, place: tuple[int, int], source: random.Random) -> InMemory:
        """Take one of the last revisions before it."""
        index, given = place
        revision = given - source.randint(1, min(40, given - 1))
        row = site.row_of(index)
        return InMemory(
            f"{site.told(index)} answered with revision {revision} after {given} had been given",
            lambda: site.with_rows({row: {"revision": revision}}),
            [Accusation("revisions", names_one("wrong", index=index, revision=revision))],
        )


class Diverged(Kind):
    """One member has something else than the others: no such key, another value, or a key of its own."""

    of = "diverged-member"

    def fits(self, site: Site) -> bool:
        """Whether there are others."""
        return len(site.members) > 1

    def places(self, site: Site) -> Sequence[tuple[str, str]]:
        """Return each key of each member."""
        return [(member, key) for member in site.members for key in site.keys_held()]

    def plant(self, site: Site, place: tuple[str, str], source: random.Random) -> InMemory:
        """Draw what becomes of the key, or of one beside it."""
        member, key = place
        dumps = site.case.dumps
        held = dumps[member].entries[key]
        way = source.choice(["lacks", "another value", "own", *(["another revision"] if held.mod_revision else [])])
        entry: Entry | None = None
        where = f"{member} lacks {key!r}"
        if way == "another value":
            entry = held._replace(value=site.unheard(held.value, source))
            where = f"{member} has {entry.value!r} of {key!r}"
        elif way == "another revision":
            entry = held._replace(mod_revision=(held.mod_revision or 0) + 1)
            where = f"{member} has {key!r} with revision {entry.mod_revision}"
        elif way == "own":
            key, entry = f"{key} of {member}", held
            where = f"{member} has {key!r}, and nobody else"

        def named(evidence: Evidence) -> bool:
            thing = only(evidence, "differing")
            told = thing.get("members", {})
            others = [told[other] for other in told if other != member]
            return bool(
                thing.get("key") == key
                and told.get(member) == (entry and entry._asdict())
                and others
                and all(other == others[0] for other in others)
            )

        return InMemory(
            where,
            lambda: site.with_dumps({member: changed(dumps[member], key, entry)}),
            [Accusation("members equal", named)],
        )

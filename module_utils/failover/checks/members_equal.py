# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether all members have the same."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from ..results.read import Dump
from ..sentences import listing
from ..shapes import Check, Verdict
from .base import Case, Checker
from .words import MAX_LISTED, listed, names


class MembersEqual(Checker):
    """All members have the same keys, values, versions and revisions."""

    name = "members equal"
    how = "All members must have the same keys with the same values, versions and revisions."

    def applies(self, case: Case) -> bool:
        """Whether there is another one to be equal to."""
        return len(case.experiment.members) > 1

    def judge(self, case: Case) -> list[Check]:
        """Compare the members whose keys are known."""
        members, dumps = case.experiment.members, case.dumps
        missing = [member for member in members if member not in dumps]
        evidence: dict[str, Any] = {"keys": {member: len(dump.entries) for member, dump in dumps.items()}}
        differing = _differing(dumps)
        if differing:
            touching = case.recorded.touching(differing[:MAX_LISTED])
            evidence["differing"] = listed(
                differing,
                lambda key: {
                    "key": key,
                    "members": {
                        member: dump.entries[key]._asdict() if key in dump.entries else None
                        for member, dump in dumps.items()
                    },
                    "operations": touching[key],
                },
            )
            summary = f"Not the same on {listing(list(dumps))}: {len(differing):,} ({names(differing)})."
            return [Check(self.name, Verdict.INVALID, summary, evidence)]
        if missing:
            evidence["without_a_dump"] = missing
            summary = f"The keys of {listing(missing)} are missing, and not compared."
            return [Check(self.name, Verdict.UNKNOWN, summary, evidence)]
        keys = len(dumps[members[0]].entries)
        summary = f"{listing(members)} have the same {keys:,} keys with the same values and revisions."
        return [Check(self.name, Verdict.VALID, summary, evidence)]


def _differing(dumps: Mapping[str, Dump]) -> list[str]:
    """Return the keys that are not the same everywhere."""
    everything = [dump.entries for dump in dumps.values()]
    return sorted(
        {
            key
            for entries in everything[1:]
            if entries != everything[0]
            for key in chain(entries, everything[0])
            if entries.get(key) != everything[0].get(key)
        }
    )

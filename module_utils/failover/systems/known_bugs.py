# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bugs of released versions that a run may meet, so that a finding is not taken for news."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownBug:
    """One bug, and the releases that have it."""

    name: str  # as its tracker calls it
    says: str  # what it does, as a clause
    mended_in: Mapping[str, int]  # "3.5": 28 where 3.5.28 is the first of its line without it; other lines have none

    def affects(self, version: str) -> bool:
        """Whether a version has it; one that is not understood, like 3.6.0-rc.1, is taken for the release."""
        found = re.match(r"v?(\d+\.\d+)\.(\d+)", version)
        return found is not None and int(found[2]) < self.mended_in.get(found[1], 0)

    def mended(self, version: str) -> str:
        """Return the first release of an affected version's line that does not have it."""
        line = ".".join(version.removeprefix("v").split(".")[:2])
        return f"{line}.{self.mended_in[line]}"


def bugs_of(bugs: Iterable[KnownBug], version: str) -> list[KnownBug]:
    """Return those that a version has."""
    return [bug for bug in bugs if bug.affects(version)]

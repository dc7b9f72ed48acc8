# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether it is known what happened besides the operations; said only where it is not."""

from __future__ import annotations

from ..shapes import Check, Verdict
from .base import Case, Checker


class Events(Checker):
    """The file of the events, and the logs where they have to say something, can be read."""

    name = "events"
    how = "What faults, servers and clients did is in a file of its own, which has to be complete."

    def applies(self, case: Case) -> bool:
        """Whether they could not be read."""
        return case.untold is not None

    def judge(self, case: Case) -> list[Check]:
        """Say why not."""
        summary = f"What happened besides the operations is unknown: {case.untold}"
        return [Check(self.name, Verdict.UNKNOWN, summary)]

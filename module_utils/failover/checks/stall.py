# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a repeat was ended early; said only where one was."""

from __future__ import annotations

from ..shapes import Check, Verdict
from ..stall import describe_stall, stalled_repeats
from .base import Case, Checker


class Stall(Checker):
    """Names the repeats that the stall guard ended.

    What they had acknowledged until then is judged by the other checks, but the experiment shows less than it should.
    """

    name = "stall"
    how = (
        "A repeat in which nothing was acknowledged for longer than any fault may cause is ended and healed; what it "
        "had done until then is judged like everything else."
    )

    def applies(self, case: Case) -> bool:
        """Whether there are such repeats."""
        return bool(stalled_repeats(case.info))

    def judge(self, case: Case) -> list[Check]:
        """Name them."""
        stalled = stalled_repeats(case.info)
        told = [describe_stall(repeat, len(case.info["repeats"])) for repeat in stalled]
        evidence = {"repeats": [{"repeat": repeat["repeat"], **repeat["stalled"]} for repeat in stalled]}
        return [Check(self.name, Verdict.UNKNOWN, " ".join(told), evidence)]

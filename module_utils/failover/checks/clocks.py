# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the wall clocks went evenly; said only where one did not."""

from __future__ import annotations

from collections.abc import Iterator

from ..clock_steps import find_steps, told
from ..shapes import Check, Verdict
from .base import Case, Checker

# Signs listed in the evidence; the full number stands beside them.
MAX_LISTED = 20


class Clocks(Checker):
    """The times of events fit those of the operations, and each other."""

    name = "clocks"
    how = (
        "The times of events are compared with those of the operations, whose clock does not step, and with their "
        "necessary order."
    )

    def applies(self, case: Case) -> bool:
        """Whether what was filed could be read."""
        return case.untold is None

    def judge(self, case: Case) -> Iterator[Check]:
        """Tell the signs of a step; there is no verdict on such times."""
        steps = find_steps(case.info, case.events, case.recorded.span)
        if steps:
            summary = (
                f"The times of what servers, agents and clients did are unreliable: {told(steps)}. The operations' own "
                "times are good, as their clock does not step. Stop what sets the clock, or let it settle, and repeat "
                "the experiment."
            )
            evidence = {"signs": len(steps), "listed": [step.as_dict() for step in steps[:MAX_LISTED]]}
            yield Check(self.name, Verdict.UNKNOWN, summary, evidence)

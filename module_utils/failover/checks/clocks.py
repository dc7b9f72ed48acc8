# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the wall clocks went evenly; said only where one did not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..clock_steps import SpanOf, find_steps, told
from ..shapes import Check, Event, Verdict

NAME = "clocks"
HOW = (
    "The times of events are compared with those of the operations, whose clock does not step, and with their "
    "necessary order."
)

# Signs listed in the evidence; the full number stands beside them.
MAX_LISTED = 20


def check_clocks(info: dict[str, Any], events: Sequence[Event], span_of: SpanOf) -> Check | None:
    """Return a check without a verdict on the times of events, None where all of them fit.

    :param events: in the order of their file
    """
    steps = find_steps(info, events, span_of)
    if not steps:
        return None
    summary = (
        f"The times of what servers, agents and clients did are unreliable: {told(steps)}. The operations' own times "
        "are good, as their clock does not step. Stop what sets the clock, or let it settle, and repeat the "
        "experiment."
    )
    evidence = {"signs": len(steps), "listed": [step.as_dict() for step in steps[:MAX_LISTED]]}
    return Check(NAME, Verdict.UNKNOWN, summary, evidence)

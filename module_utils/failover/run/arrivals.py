# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When operations are due: the plan of an open loop, whose users do not wait for each other."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from random import Random

from ..shapes import Arrivals, RunSettings
from .config import one_of


def plan_arrivals(settings: RunSettings, operations: int) -> Sequence[int] | None:
    """Return when each operation of a stream is due, in ns since the first one; None in a closed loop.

    With ``poisson`` the distances are exponential with a mean of 1 / rate (a Poisson process), drawn from the run's
    seed. LabError where ``arrivals`` is neither that nor ``fixed``.
    """
    arrivals = one_of(Arrivals, "arrivals", settings.arrivals)
    if not settings.rate:
        return None
    interval_ns = 1e9 / settings.rate
    if arrivals is Arrivals.FIXED:
        return array("q", (int(index * interval_ns) for index in range(operations)))
    # Of its own, so that the stream is the same with any arrivals.
    draw = Random(f"{settings.seed}: arrivals").expovariate
    due, due_ns = array("q"), 0.0
    for _ in range(operations):
        due.append(int(due_ns))
        due_ns += draw(1.0) * interval_ns
    return due

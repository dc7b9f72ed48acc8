# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a fault was healed: what was planned, and how long after the fault it really came.

A heal that is due later than the workload lasts comes with the end of the workload, so the plan alone may be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...sentences import plural

# A heal that came earlier than planned by more than this was brought by the end of the workload, not by its own time.
EARLY_MS = 100.0


def healed_after_ms(fault: Mapping[str, Any]) -> float | None:
    """Return how long after a fault its heal was requested; None where that was not recorded."""
    return next((mark["since_fault_ms"] for mark in fault["marks"] if mark["name"] == "heal_requested"), None)


def heals(plan: Mapping[str, Any], struck: Sequence[Mapping[str, Any]], repeats: int) -> dict[str, Any]:
    """Put the heals of one fault's repeats together.

    :param plan: the fault as the experiment defines it
    :param struck: the repeats in which it struck
    :param repeats: how often it was planned
    :returns: ``planned`` and ``told`` in words, ``n`` heals whose time is known, and their ``min_s`` and ``max_s``
        after the fault (None without any)
    """
    known = [after_ms for fault in struck if (after_ms := healed_after_ms(fault)) is not None]
    planned = _planned(plan, repeats)
    found: dict[str, Any] = {"planned": planned, "n": len(known), "min_s": None, "max_s": None}
    if not known:
        return found | {"told": f"{planned} (planned; not recorded)" if struck else f"{planned} (planned)"}
    least, most = min(known) / 1000, max(known) / 1000
    found |= {"min_s": least, "max_s": most}
    when = f"{_seconds(least, most)} s after the fault"
    due_ms = plan.get("heal_after_ms")
    if due_ms is None:
        return found | {"told": f"{planned}, {when}"}
    early = sum(after_ms < due_ms - EARLY_MS for after_ms in known)
    if not early:
        return found | {"told": when}
    end = "the workload" if repeats == 1 else "the repeat"
    which = "" if early == len(known) else f" in {early} of {len(known)}"
    return found | {"told": f"{when}: {end} ended{which} before the {due_ms / 1000:g} s planned"}


def _seconds(least: float, most: float) -> str:
    low, high = f"{least:,.1f}", f"{most:,.1f}"
    return low if low == high else f"{low} to {high}"


def _planned(plan: Mapping[str, Any], repeats: int) -> str:
    """Say when the fault is to be healed."""
    if plan.get("heal_after_ms") is not None:
        return f"after {plan['heal_after_ms'] / 1000:g} s"
    if plan.get("heal_index") is not None:
        return f"{plural(plan['heal_index'] - plan['at_index'], 'operation')} later"
    return "at the end of the workload" if repeats == 1 else "at the end of the repeat"

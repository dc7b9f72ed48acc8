# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes that took effect twice: each key once, however many members and checks tell of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...checks.model import LATE_DUPLICATE
from ...shapes import Verdict

# What a key is counted as, in this order: the first that applies.
LATE, MORE_THAN_SENT, SAME_VALUE = "late", "more_than_sent", "same_value"
TOLD = {
    LATE: "late, after another write to the key",
    MORE_THAN_SENT: "more often than sent",
    SAME_VALUE: "again with the same value",
}


def duplicates(checks: Iterable[Mapping[str, Any]]) -> dict[str, int] | None:
    """Count the keys on which a write took effect twice, by how; None where no check looked for it.

    A system's own count of a key's writes tells it (check "applied once"), and on any system a key whose state only a
    late attempt explains (checks "keys on ..."). A key that several of them name is one key. The checks list the first
    hundred by name; of those beyond, a member's own number of keys is all that is known, and the largest is taken.
    """
    names: dict[str, set[str]] = {how: set() for how in TOLD}
    unnamed = dict.fromkeys(TOLD, 0)
    looked = False
    for check in checks:
        evidence = check["evidence"]
        if check["name"] == "applied once" and check["verdict"] != Verdict.UNKNOWN.value:
            looked = True
            for how, part in ((MORE_THAN_SENT, "unexplained"), (SAME_VALUE, "after_a_retry")):
                found = evidence.get(part) or {"count": 0, "listed": []}
                names[how] |= {item["key"] for item in found["listed"]}
                unnamed[how] += found["count"] - len(found["listed"])
        count = (evidence.get("by_class") or {}).get(LATE_DUPLICATE, 0)
        if check["name"].startswith("keys on ") and count:
            looked = True
            listed = (evidence.get("wrong") or {}).get("listed") or []
            late = {item["key"] for item in listed if item["class"] == LATE_DUPLICATE}
            names[LATE] |= late
            unnamed[LATE] = max(unnamed[LATE], count - len(late))
    if not looked:
        return None
    counted: dict[str, int] = {}
    told: set[str] = set()
    for how in TOLD:
        counted[how] = len(names[how] - told) + unnamed[how]
        told |= names[how]
    return counted


def duplicates_told(counted: Mapping[str, int] | None) -> str:
    """Say how the keys that were written twice came about; empty without any."""
    if counted is None:
        return ""
    return ", ".join(f"{number:,} {TOLD[how]}" for how, number in counted.items() if number)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Forms of words that more than one part of the report needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ABSENT = "not recorded"


def milliseconds(value: float | None) -> str:
    """Print a duration in ms to three or four significant digits."""
    if value is None:
        return ABSENT
    size = abs(value)
    return f"{value:,.2f}" if size < 10 else f"{value:,.1f}" if size < 1000 else f"{value:,.0f}"


def plural(number: int, noun: str) -> str:
    """Return a whole number with its noun: "1 check", "2,000 checks"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def at_least(gap: Mapping[str, Any]) -> str:
    """Return what stands before the length of a gap that had not ended when the run did; else nothing."""
    return "" if gap["ended"] else "at least "

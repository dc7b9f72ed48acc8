# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How checks list, name and weigh what they found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..shapes import Verdict
from .model import LATE_DUPLICATE

# Things listed by name in the evidence of one check; the full number always stands beside the list.
MAX_LISTED = 100


def listed(items: Sequence[Any], describe: Any = None) -> dict[str, Any]:
    """Return the number of ``items`` and the first of them, each through ``describe``."""
    first = list(items[:MAX_LISTED])
    return {"count": len(items), "listed": [describe(item) for item in first] if describe else first}


def states(allowed: Iterable[str | None]) -> list[str | None]:
    """Return the allowed values for JSON, absent (null) first."""
    return sorted(allowed, key=lambda value: (value is not None, value or ""))


def names(keys: Iterable[str], most: int = 3) -> str:
    """Name the first few of ``keys``, each once."""
    distinct = list(dict.fromkeys(keys))
    more = f" and {len(distinct) - most:,} more" if len(distinct) > most else ""
    return ", ".join(repr(key) for key in distinct[:most]) + more


def span_of(least: int, most: int) -> str:
    """Write a number of keys that may not be known exactly."""
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def verdict_of(classes: Collection[str]) -> Verdict:
    """Return the verdict on wrong observations: a late duplicate may be the doing of the client alone."""
    return Verdict.UNKNOWN if set(classes) <= {LATE_DUPLICATE} else Verdict.INVALID


def classes_told(classes: Mapping[str, int]) -> str:
    """Count wrong observations by class, in words."""
    return ", ".join(
        f"{count:,} {'by the late effect of a first attempt' if wrong == LATE_DUPLICATE else wrong}"
        for wrong, count in classes.items()
    )

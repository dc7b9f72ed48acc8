# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How words are joined to sentences and numbers are printed, by whoever writes for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

ABSENT = "not recorded"


def listing(words: Sequence[str]) -> str:
    """Join words as a sentence does: "a", "a and b", "a, b and c"."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def did_you_mean(names: Iterable[str], known: Iterable[str]) -> str:
    """Return the question whether what is most like one of these names was meant; nothing where nothing is."""
    lower = {name.lower(): name for name in known}
    near = [lower[match] for name in names for match in get_close_matches(name.lower(), lower, n=1)]
    return f" Did you mean {listing(list(dict.fromkeys(near)))}?" if near else ""


def milliseconds(value: float | None) -> str:
    """Print a duration in ms to three or four significant digits."""
    if value is None:
        return ABSENT
    size = abs(value)
    return f"{value:,.2f}" if size < 10 else f"{value:,.1f}" if size < 1000 else f"{value:,.0f}"


def to_thousandths(number: float) -> str:
    """Print a number so that it can be told from its limit: of ms, the µs as well."""
    return f"{number:,.3f}".rstrip("0").rstrip(".")


def plural(number: int, noun: str) -> str:
    """Return a whole number with its noun: "1 check", "2,000 checks"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def at_least(gap: Mapping[str, Any]) -> str:
    """Return what stands before the length of a gap that had not ended when the run did; else nothing."""
    return "" if gap["ended"] else "at least "

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How words are joined to sentences, by whoever writes for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def listing(words: Sequence[str]) -> str:
    """Join words as a sentence does: "a", "a and b", "a, b and c"."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def did_you_mean(names: Iterable[str], known: Iterable[str]) -> str:
    """Return the question whether what is most like one of these names was meant; nothing where nothing is."""
    lower = {name.lower(): name for name in known}
    near = [lower[match] for name in names for match in get_close_matches(name.lower(), lower, n=1)]
    return f" Did you mean {listing(list(dict.fromkeys(near)))}?" if near else ""

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands laid out so that a copy from the PDF can be run: no line is so long that print would break it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..limits import Limits

# Characters that stand beside each other in a printed line of commands; a few fewer than have room.
LINE = 96


def command(*words: str) -> str:
    """Return a command of these words, as they are typed; a long one goes on in the next line, as a shell reads it."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word.partition("\n")[0]) + len("  \\") > LINE:
            lines[-1] += " \\"
            lines.append(f"    {word}")
        else:
            lines[-1] += f" {word}"
    return "\n".join(lines)


def experiments_option(names: Sequence[str]) -> str:
    """Return the option that chooses experiments; a long list is broken between names, where JSON has room for it."""
    return _broken('-e \'{"experiments": [', [f'"{name}"' for name in names], "]}'")


def limits_option(limits: Limits) -> str:
    """Return the option that gives limits; many of them are broken between two."""
    # No name has a comma.
    return _broken('-e \'{"limits": {', json.dumps(limits)[1:-1].split(", "), "}}'")


def _broken(begin: str, items: Sequence[str], end: str) -> str:
    """Return a list in JSON, broken between items where a line would be too long."""
    lines = [begin]
    for number, text in enumerate(items, 1):
        item = text + ("," if number < len(items) else end)
        if len(lines[-1]) + len(item) + len("    ") > LINE:
            lines.append(f"    {item}")
        else:
            lines[-1] += item
    return "\n".join(lines)

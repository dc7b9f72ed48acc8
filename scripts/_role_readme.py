# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The README of a role, out of its meta/argument_specs.yml: what ``ansible-doc -t role`` tells, for a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

# Ansible's markup for a name: O(name), RV(ignore:name), C(text).
MARKED = re.compile(r"\b(?:O|V|RV|C|M)\((?:ignore:)?([^()]*(?:\([^()]*\)[^()]*)*)\)")
HEAD = "| option | type | default | what it is |\n|---|---|---|---|\n"


def readme(role: str, specs: Mapping[str, Any]) -> str:
    """Return the README of a role of a collection.

    :param role: its full name
    :param specs: ``argument_specs``, by entry point
    """
    collection = role.rpartition(".")[0]
    about = (
        f"A role of the collection [{collection}](../../README.md). `ansible-doc -t role {role}` tells the same in a "
        "terminal. Options that say what their default is in words compute it."
    )
    parts = [f"# {role}", about]
    for name, spec in specs.items():
        parts += [f"## {name}: {spec['short_description']}"]
        parts += [f"Called with `tasks_from: {name}`."] if name != "main" else []
        parts += paragraphs(spec["description"])
        parts += [f"```yaml\n{spec['examples'].strip()}\n```"] if "examples" in spec else []
        options = spec.get("options", {})
        # Entry points may have the same options.
        same = next((other for other in specs if specs[other].get("options") == options), name)
        if options and same != name:
            parts += [f"Its options are those of `{same}`."]
        elif options:
            parts += [HEAD + "".join(rows(options)).rstrip()]
    return "\n\n".join(parts) + "\n"


def rows(options: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield the rows of the table of options, those of an option's own options below it."""
    for name, option in options.items():
        kind = f"{option['type']} of {option['elements']}" if "elements" in option else option.get("type", "str")
        said = " ".join(paragraphs(option["description"]))
        if "choices" in option:
            said += f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}."
        cells = [f"`{above}{name}`", kind, default_of(option), said]
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"
        yield from rows(option.get("options", {}), f"{above}{name}.")


def default_of(option: Mapping[str, Any]) -> str:
    """Return what an option is where nobody sets it."""
    if option.get("required"):
        return "has to be given"
    value = option.get("default")
    if value in (None, "", [], {}):
        return "none"
    # A text with spaces tells how the default is computed, unless it is Jinja's.
    words = isinstance(value, str) and " " in value and not value.startswith("{{")
    return paragraphs(value)[0] if words else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def paragraphs(description: str | list[str]) -> list[str]:
    """Return a description as Markdown."""
    return [MARKED.sub(r"`\1`", text) for text in ([description] if isinstance(description, str) else description)]

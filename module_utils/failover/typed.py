# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Data that somebody wrote by hand, as the type that it has to be; what does not fit is told in one line.

On the controller only: msgspec is not among the packages of a host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from .shapes import LabError

Kind = TypeVar("Kind", bound=msgspec.Struct)

# msgspec's messages name JSON's types; people write YAML.
_WORDS = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "null": "nothing",
    "object": "a mapping",
    "str": "text",
}
_OF_A_FIELD = re.compile(r"(?P<what>.*) - at `\$\.?(?P<path>.*)`")
_EXPECTED = re.compile(r"Expected `(?P<types>[^`]*)`(, got `[^`]*`)?(?P<bounds>.*)")


def convert(value: Any, kind: type[Kind], what: str) -> Kind:
    """Return ``value`` as a ``kind``; LabError where it is none.

    :param what: what it is to its user, the begin of the line
    """
    try:
        return msgspec.convert(_plain(value), kind)
    except msgspec.ValidationError as error:
        raise LabError(f"{what}{_why_not(value, kind, str(error))}") from error


def _plain(value: Any) -> Any:
    """Return data with keys of Python's own type, and with every item asked for.

    Ansible marks text with where it is from, and resolves a template when Python asks for the item that is one.
    """
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _why_not(value: Any, kind: type[msgspec.Struct], said: str) -> str:
    """Return the rest of the line. msgspec names the first wrong key only; keys are told all at once here."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    if not isinstance(value, Mapping):
        return f" is {value!r}: it must have the keys {', '.join(fields)}."
    unknown = [str(key) for key in value if key not in fields] if kind.__struct_config__.forbid_unknown_fields else []
    missing = [name for name, field in fields.items() if field.required and name not in value]
    if unknown or missing:
        wrong = f"unknown key {', '.join(unknown)}" if unknown else f"no {', '.join(missing)}"
        return f": {wrong}. Its keys are {', '.join(fields)}."
    found = _OF_A_FIELD.fullmatch(said)
    path, told = (found["path"], found["what"]) if found else ("it", said)
    # Of what is deeper inside, the place says more than the whole value.
    shown = f"{path} is {value[path]!r}, and" if path in value else path
    return f": {shown} has to be {_wanted(told)}."


def _wanted(told: str) -> str:
    """Return what a value has to be, in the words of people who write YAML."""
    found = _EXPECTED.fullmatch(told)
    if not found:
        return told
    return f"{' or '.join(_WORDS.get(word, word) for word in found['types'].split(' | '))}{found['bounds']}"

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Data that somebody wrote by hand, as the type that it has to be; what does not fit is told in one line.

On the controller only: msgspec is not among the packages of a host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

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
_NO_KEY = re.compile("Object missing required field `(.*)`")
_EXPECTED = re.compile(r"Expected `(?P<types>[^`]*)`(, got `[^`]*`)?(?P<bounds>.*)")


class Misfit(NamedTuple):
    """Why a mapping is not of a type: its keys, all at once, or else its first value that is of another one."""

    unknown: list[str]
    missing: list[str]
    value: str  # the value, what it is, and what it has to be

    @property
    def of_a_file(self) -> str:
        """Return what follows the path of a file that is not of its type. What it has beside is of no harm there."""
        return f" lacks {', '.join(self.missing)}" if self.missing else f": {self.value}"


def convert(value: Any, kind: type[Kind], what: str) -> Kind:
    """Return ``value`` as a ``kind``; LabError where it is none.

    :param what: what it is to its user, the begin of the line
    """
    value = _plain(value)
    keys = ", ".join(_fields(kind))
    if not isinstance(value, dict):
        raise LabError(f"{what} is {value!r}: it must have the keys {keys}.")
    found = misfit(value, kind)
    if found is None:
        return msgspec.convert(value, kind)
    if found.unknown or found.missing:
        wrong = f"unknown key {', '.join(found.unknown)}" if found.unknown else f"no {', '.join(found.missing)}"
        raise LabError(f"{what}: {wrong}. Its keys are {keys}.")
    raise LabError(f"{what}: {found.value}.")


def misfit(value: Mapping[str, Any], kind: type[msgspec.Struct]) -> Misfit | None:
    """Return why a mapping is not of this type; None where it is."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        fields = _fields(kind)
        # msgspec names the first key only.
        unknown = [key for key in value if key not in fields] if kind.__struct_config__.forbid_unknown_fields else []
        missing = [name for name, field in fields.items() if field.required and name not in value]
        return Misfit(unknown, missing, "" if unknown or missing else _told(value, kind, str(error)))
    return None


def _fields(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _plain(value: Any) -> Any:
    """Return data with keys of Python's own type, and with every item asked for.

    Ansible marks text with where it is from, and resolves a template when Python asks for the item that is one.
    """
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _bounds_of(kind: type[msgspec.Struct], name: str) -> tuple[int, int] | None:
    """Return the least and the most of a whole number that has both: msgspec tells the one that is broken."""
    info = msgspec.inspect.type_info(kind)
    for field in info.fields if isinstance(info, msgspec.inspect.StructType) else ():
        number = field.type
        if field.encode_name == name and isinstance(number, msgspec.inspect.IntType):
            return (number.ge, number.le) if number.ge is not None and number.le is not None else None
    return None


def _told(value: Mapping[str, Any], kind: type[msgspec.Struct], said: str) -> str:
    """Return what msgspec says of a value in the words of people who write YAML."""
    found = _OF_A_FIELD.fullmatch(said)
    path, told = (found["path"], found["what"]) if found else ("it", said)
    types = _EXPECTED.fullmatch(told)
    if types:
        told = f"{' or '.join(_WORDS.get(word, word) for word in types['types'].split(' | '))}{types['bounds']}"
    bounds = _bounds_of(kind, path)
    if bounds:
        told = f"a whole number from {bounds[0]} to {bounds[1]}"
    deeper = _NO_KEY.fullmatch(told)
    if deeper:
        return f"{path} has no {deeper[1]}"
    # Of what is deeper inside, the place says more than the whole value.
    return f"{path} is {value[path]!r}, and has to be {told}" if path in value else f"{path} has to be {told}"

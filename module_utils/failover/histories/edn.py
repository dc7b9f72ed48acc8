# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads EDN (github.com/edn-format/edn), the notation in which Jepsen and Knossos keep histories.

Not a library: edn_format 0.7.5, the one in use, takes four times as long (2.4 s against 0.6 s for 2,000 operations),
needs two more packages, does not say in which line a form stands, and stops at a tag that it does not know. What is
read here is all of EDN; tags are kept, not interpreted.

Keywords and symbols become :class:`Name`, strings str, vectors, lists and sets tuples, maps dicts, nil None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sized
from typing import Any, NamedTuple


class Name(NamedTuple):
    """A keyword, with its colon, a symbol, a character, or true and false, which are no numbers here."""

    text: str


class Tagged(NamedTuple):
    """A value with its tag, without the ``#``."""

    tag: str
    value: Any


class EdnError(ValueError):
    """Text that is no EDN: in which line, and why."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


_TOKEN = re.compile(
    r"""(?P<blank>[\s,]+|;[^\n]*)
    |(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")
    |(?P<open>\#?\{|[\[(])
    |(?P<close>[\])}])
    |(?P<discard>\#_)
    |(?P<tag>\#:?[^\s,;"\[\](){}\\]+)
    |(?P<char>\\(?:\w+|.))
    |(?P<atom>[^\s,;"\[\](){}\\]+)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSES = {"[": "]", "(": ")", "{": "}", "#{": "}"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_NUMBER = re.compile(r"[+-]?\d+N?")
_DECIMAL = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?M?")
_DISCARD = Name("#_")
# Forms in forms, and tags before a form: far more than any history has, and less than Python's own limit.
_DEEPEST = 100


class _Frame:
    """A form that is not closed yet."""

    def __init__(self, kind: str, offset: int) -> None:
        self.kind = kind
        self.offset = offset
        self.items: list[Any] = []
        self.prefixes: list[Name | str] = []  # tags, and _DISCARD, that wait for what they stand before


def read_forms(text: str) -> Iterator[tuple[int, Any]]:
    """Yield the forms of a file, each with its line from 1; of a vector or list that holds them all, its elements.

    Raises :class:`EdnError`.
    """
    top = _Frame("", 0)
    stack = [top]
    outer = [top]  # frames whose elements are yielded: the file, and the vector around everything
    line, counted = 1, 0
    position, end = 0, len(text)
    start = 0
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise EdnError(text.count("\n", 0, position) + 1, "a text or form that has no end")
        kind, token, begin = match.lastgroup, match[0], position
        position = match.end()
        if kind == "blank":
            continue
        frame = stack[-1]
        if kind == "open":
            _check_depth(stack, text, begin)
            stack.append(_Frame(token, begin))
            if frame is top and token in "[(":
                outer.append(stack[-1])
            continue
        if kind == "discard":
            frame.prefixes.append(_DISCARD)
            continue
        if kind == "tag":
            _check_depth(frame.prefixes, text, begin)
            frame.prefixes.append(token[1:])
            continue
        start = begin
        if kind == "close":
            if frame is top or _CLOSES[frame.kind] != token or frame.prefixes:
                raise EdnError(text.count("\n", 0, begin) + 1, f"{token} closes nothing that is open")
            stack.pop()
            if frame is outer[-1]:
                outer.pop()
                top.prefixes.clear()
                continue
            value, start, frame = _closed(frame, text), frame.offset, stack[-1]
        else:
            try:
                value = _atom(kind, token)
            except ValueError as error:  # more digits than Python reads
                raise EdnError(text.count("\n", 0, begin) + 1, f"the number {token[:20]}... is too long") from error
        value, dropped = _with_prefixes(frame, value)
        if dropped:
            continue
        if frame is outer[-1]:
            line += text.count("\n", counted, start)
            counted = start
            yield line, value
        else:
            frame.items.append(value)
    if len(stack) > 1 or top.prefixes:
        begun = stack[len(outer)] if len(stack) > len(outer) else stack[-1]
        raise EdnError(text.count("\n", 0, begun.offset) + 1, "the file ends in the middle of a form")


def _check_depth(around: Sized, text: str, offset: int) -> None:
    if len(around) > _DEEPEST:
        raise EdnError(text.count("\n", 0, offset) + 1, f"forms are nested more than {_DEEPEST} deep")


def read_form(text: str) -> tuple[Any, str]:
    """Return the form with which ``text`` begins, and what stands behind it; :class:`EdnError` where there is none."""
    depth = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        depth += (kind == "open") - (kind == "close")
        if depth <= 0 and kind not in ("blank", "discard", "tag"):
            forms = [value for _, value in read_forms(f"[{text[: match.end()]}]")]
            if forms:
                return forms[0], text[match.end() :]
    raise EdnError(1, "a value is missing or cut short")


def told(value: Any) -> str:
    """Write a value as EDN, for people."""
    if value is None:
        return "nil"
    if isinstance(value, Name):
        return value.text
    if isinstance(value, Tagged):
        return f"#{value.tag} {told(value.value)}"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{told(key)} {told(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple):
        return "[" + " ".join(told(item) for item in value) + "]"
    return str(value)


def _with_prefixes(frame: _Frame, value: Any) -> tuple[Any, bool]:
    """Give a value the tags that wait for it; the second is true where it is to be left out."""
    while frame.prefixes:
        prefix = frame.prefixes.pop()
        if isinstance(prefix, Name):
            return value, True
        value = Tagged(prefix, value)
    return value, False


def _closed(frame: _Frame, text: str) -> Any:
    if frame.kind != "{":
        return tuple(frame.items)
    if len(frame.items) % 2:
        raise EdnError(text.count("\n", 0, frame.offset) + 1, "a map has a key without a value")
    try:
        return dict(zip(frame.items[::2], frame.items[1::2], strict=True))
    except TypeError:  # a map as a key: nothing that is looked up here
        keys = [told(key) if isinstance(key, dict) else key for key in frame.items[::2]]
        return dict(zip(map(told, keys), frame.items[1::2], strict=True))


_NAMES: dict[str, Name] = {}


def _atom(kind: str | None, token: str) -> Any:
    if kind == "text":
        return _ESCAPE.sub(_unescape, token[1:-1]) if "\\" in token else token[1:-1]
    if token == "nil":
        return None
    name = _NAMES.get(token)
    if name is not None:
        return name
    if _NUMBER.fullmatch(token):
        return int(token.rstrip("N"))
    if _DECIMAL.fullmatch(token):
        return float(token.rstrip("M"))
    return _NAMES.setdefault(token, Name(token))


def _unescape(match: re.Match[str]) -> str:
    sign = match[1]
    return chr(int(sign[1:], 16)) if len(sign) == 5 else _ESCAPED.get(sign, sign)

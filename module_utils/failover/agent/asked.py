# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading what a request to a fault agent asks for; RequestError where it is not what it has to be."""

from __future__ import annotations

from typing import Any


class RequestError(Exception):
    """A request that cannot be granted; the text goes back to who asked."""


def text(request: dict[str, Any], field: str) -> str:
    """Return a text."""
    value = request.get(field)
    if not isinstance(value, str) or not value:
        raise RequestError(f"{field} must be a non-empty string")
    return value


def texts(request: dict[str, Any], field: str) -> list[str] | None:
    """Return a list of texts, None where there is none."""
    value = request.get(field)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise RequestError(f"{field} must be a list of strings")
    return value


def mappings(request: dict[str, Any], field: str, key: str) -> list[dict[str, Any]]:
    """Return a list of mappings that have a key."""
    value = request.get(field)
    if not isinstance(value, list) or not all(isinstance(each, dict) and key in each for each in value):
        raise RequestError(f"{field} must be a list of mappings with {key}")
    return value

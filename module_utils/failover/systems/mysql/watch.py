# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A single MySQL server as it is looked at again and again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..endpoints import split_endpoint
from .observe import greeting_version


class MySQLSampler:
    """A MySQL server, by its greeting, which is asked for only until it comes once."""

    def __init__(self, address: str, timeout_s: float) -> None:
        """:param address: "host:port"."""
        self._host, self._port = split_endpoint(address)
        self._timeout_s = timeout_s
        self._last: dict[str, Any] = {"reachable": False, "error": "not asked yet"}

    def sample(self) -> dict[str, Any]:
        """Return whether it accepts connections, and its version."""
        if not self._last["reachable"]:
            try:
                version = greeting_version(self._host, self._port, self._timeout_s)
                self._last = {"reachable": True, "error": None, "version": version}
            except OSError as error:
                self._last = {"reachable": False, "error": (error.strerror or str(error)).lower()}
        return self._last

    def close(self) -> None:
        """Nothing is kept open."""


class OnlyServer:
    """A single server, which has nobody to lose its lead to."""

    def __init__(self, members: Iterable[str]) -> None:
        self._name = next(iter(members), None)

    def ask(self) -> str | None:
        """Return its name."""
        return self._name

    def close(self) -> None:
        """Nothing is open."""

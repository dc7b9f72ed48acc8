# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A single MySQL server as the fault agent beside it sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..on_host import Home, OnHost, Probe


class SoleProbe:
    """Role of a server without replicas: it leads as long as its process lives."""

    def __init__(self, is_alive: Callable[[], bool]) -> None:
        self._is_alive = is_alive

    def read(self) -> dict[str, Any]:
        """Return what Probe says; there is no term and no member id."""
        alive = self._is_alive()
        return {
            "role": "leader" if alive else "unknown",
            "member_id": None,
            "leader_id": None,
            "term": None,
            "error": None if alive else "the server is not running",
        }


class MySQLOnHost(OnHost):
    """A server without replicas."""

    def probe(self, home: Home) -> Probe:
        """Return a probe of its process."""
        return SoleProbe(home.is_alive)

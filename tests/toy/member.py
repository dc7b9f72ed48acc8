# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A toy as the fault agent beside it sees it."""

from __future__ import annotations

from typing import Any

from failover.systems.on_host import Home, OnHost, Probe


class ToyProbe:
    """It leads as long as its process lives."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def read(self) -> dict[str, Any]:
        """Return what Probe says."""
        alive = self._home.is_alive()
        error = None if alive else "it is not running"
        role = "leader" if alive else "unknown"
        return {"role": role, "member_id": None, "leader_id": None, "term": None, "error": error}


class ToyOnHost(OnHost):
    """The member."""

    def probe(self, home: Home) -> Probe:
        """Return a probe of its process."""
        return ToyProbe(home)

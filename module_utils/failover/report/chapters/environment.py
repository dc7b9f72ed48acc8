# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hosts, versions and effective settings of the run."""

from __future__ import annotations

from typing import Any

from .base import Chapter, Told


class Environment(Chapter):
    """What run.json has of the machines and of what ran on them."""

    anchor = "environment"
    title = "Hosts, versions, settings"

    def compute(self, told: Told) -> dict[str, Any]:
        """Return them as they were recorded."""
        return {name: told.run.info[name] for name in ("controller", "hosts", "versions", "settings")}

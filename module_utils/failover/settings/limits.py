# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the limits are limits, and of something that there is."""

from __future__ import annotations

from collections.abc import Mapping

from ..limits import wrong_limits
from .base import Given


def limits(given: Given) -> list[str]:
    """Return what is wrong with the limits that the user sets to figures."""
    catalog = given.values.get("experiment_catalog")
    return wrong_limits(given.values.get("limits"), list(map(str, catalog)) if isinstance(catalog, Mapping) else None)

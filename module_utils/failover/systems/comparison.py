# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What comparing the data of all members says, for every system.

A comparison is ``{"equal", "revision", "hashes": {member: hash or None}, "errors": {member: text}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def why_different(compared: Mapping[str, Any]) -> list[str]:
    """Tell in one sentence what a comparison found; empty where the data are equal."""
    if compared["equal"]:
        return []
    told = [f"{name} {hashed}" for name, hashed in compared["hashes"].items() if hashed is not None]
    told += [f"{name} {error}" for name, error in compared["errors"].items()]
    return [f"the members' data differ at revision {compared['revision']}: {', '.join(told)}"]

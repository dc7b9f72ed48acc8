# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the servers of a group take what their roles promise: a primary is writable, nobody is offline.

A secondary is read-only by its role. A primary that is, takes no write; a member in offline mode (MySQL sets it where a
member left its group and ``group_replication_exit_state_action`` says so) lets no client in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .group_replication import connected
from .mysql_observe import MySQLAddress

MODES = ("read_only", "super_read_only", "offline_mode")
_ASK = f"SELECT {', '.join(f'@@GLOBAL.{mode}' for mode in MODES)}"


def look_at_modes(addresses: Mapping[str, MySQLAddress], observation: Mapping[str, Any]) -> list[str]:
    """Add ``modes`` to each member of an observation that answers; return what contradicts its role, one sentence each.

    :param observation: as of :func:`.group_replication.observe_group`
    """
    reasons = []
    for name, facts in observation["members"].items():
        if not facts["reachable"]:
            continue
        try:
            with connected(addresses[name]) as connection, connection.cursor() as cursor:
                cursor.execute(_ASK)
                modes = {mode: bool(int(value)) for mode, value in zip(MODES, cursor.fetchone(), strict=True)}
        except OSError as error:
            reasons.append(f"{name} does not say whether it is read-only: {error.strerror or error}")
            continue
        facts["modes"] = modes
        if name == observation["leader"] and (modes["read_only"] or modes["super_read_only"]):
            reasons.append(f"{name} is primary, and read-only")
        if modes["offline_mode"]:
            reasons.append(f"{name} is in offline mode")
    return reasons

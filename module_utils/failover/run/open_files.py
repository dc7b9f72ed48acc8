# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Room for many connections: a process may open 1,024 files by default, and may ask for more itself."""

from __future__ import annotations

import resource

from ..shapes import LabError

# Of a client to a member: one, and another while it is made anew.
CONNECTIONS = 2
# Beside them: files of the run, agents, the interpreter's own.
OTHERS = 128


def allow_connections(clients: int, members: int) -> None:
    """Let this process have the connections of so many clients, to each of the members; LabError where it may not."""
    each = members * CONNECTIONS
    needed = clients * each + OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        fit = max(1, (hard - OTHERS) // each)
        raise LabError(
            f"clients is {clients}: they need {needed:,} open files, and the load generator may have {hard:,}; "
            f"raise its limit (nofile in /etc/security/limits.conf), or try -e clients={fit}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""etcd's bugs that this lab could meet: what it checks is what they break. Only what the project itself says."""

from __future__ import annotations

from ..known_bugs import KnownBug

KNOWN_BUGS = (
    KnownBug(
        "etcd-io/etcd#20418",
        "a leader that is deposed may answer linearizable reads with what another leader has made old",
        {"3.4": 42, "3.5": 28, "3.6": 9},
    ),
    # Its changelog: https://github.com/etcd-io/etcd/blob/main/CHANGELOG/CHANGELOG-3.5.md
    KnownBug(
        "etcd-io/etcd#14370",
        "a cluster of one member may acknowledge a write that it has not synced",
        {"3.5": 5},
    ),
    KnownBug(
        "etcd-io/etcd#13766",
        "a member that is killed under load may come back with other data than the others",
        {"3.5": 3},
    ),
)

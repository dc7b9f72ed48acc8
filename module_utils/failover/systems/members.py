# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The members that a fault agent knows, one row a system. What is imported here goes to the hosts of all members."""

from __future__ import annotations

from .etcd.member import EtcdOnHost
from .mysql.member import MySQLOnHost
from .mysql_cluster.member import GroupOnHost
from .on_host import OnHost

MEMBERS: dict[str, OnHost] = {
    "etcd": EtcdOnHost(),
    "mysql": MySQLOnHost(),
    "mysql_cluster": GroupOnHost(),
}

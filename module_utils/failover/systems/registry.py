# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The systems that there are, one row each. Their names are those of the inventory's groups."""

from __future__ import annotations

from .base import System
from .etcd.system import Etcd
from .mysql.system import MySQL
from .mysql_cluster.system import MySQLCluster

SYSTEMS: dict[str, System] = {system.name: system for system in (Etcd(), MySQL(), MySQLCluster())}

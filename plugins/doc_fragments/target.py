# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the options that module_utils/failover/module_options.py makes of a target."""

from __future__ import annotations


class ModuleDocFragment:
    """A system and how it is reached."""

    DOCUMENTATION = r"""
options:
  target:
    description: A system, and how it is reached.
    type: dict
    required: true
    suboptions:
      system:
        description: Which system it is.
        type: str
        choices: [etcd, mysql, mysql_cluster]
        required: true
      members:
        description: Members by name, each with its C(client_url) or its C(address), as C(host:port).
        type: dict
        required: true
      endpoints:
        description:
          - Endpoints as C(host:port). A client connects to the first one; it may go to the others.
          - Of a replication group it asks them in this order who the primary is, and goes there.
        type: list
        elements: str
        default: []
      agents:
        description: Fault agents of the members, C(host:port) by member.
        type: dict
        default: {}
      client:
        description:
          - Options of its clients that are the system's own.
          - For etcd C(transport), C(lean) or C(grpcio), which carries their requests.
        type: dict
        default: {}
      user:
        description: Account of the workload, where the system has accounts.
        type: str
      database:
        description: Database of the workload.
        type: str
      ca:
        description:
          - File with the certificate of the authority that signs those of the servers and fault agents, on the host
            that runs the module. Connections are encrypted then, and who answers is verified.
          - Empty where nobody speaks TLS.
        type: str
        default: ""
  password:
    description: Password of O(target.user).
    type: str
  root_password:
    description: Password of the account C(root), of a system with accounts that the lab has to observe as root (etcd).
    type: str
"""

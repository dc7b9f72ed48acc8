#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_server_info
short_description: Observe a MySQL server, or wait until it can take writes
description:
  - Connects once and reads the server's version, uptime and the settings that decide what an acknowledged write is
    worth.
  - A server that does not answer is a result (RV(reachable), RV(reasons)), not a failure of the module, unless
    O(wait_for) asks for more.
requirements:
  - PyMySQL, with the package cryptography where the connection is not encrypted
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Reads only.
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  host:
    description: Address of the server.
    type: str
    default: localhost
  port:
    description: TCP port of the server.
    type: int
    default: 3306
  unix_socket:
    description: Socket of the server, used instead of O(host) and O(port).
    type: path
  user:
    description: User as whom to connect.
    type: str
    required: true
  password:
    description: That user's password.
    type: str
    default: ""
  database:
    description: Database that must exist and be open to the user.
    type: str
  expected_variables:
    description: Variables the server must have, with their values; another value makes it unhealthy.
    type: dict
    default: {}
  wait_for:
    description:
      - V(none) looks once.
      - V(reachable) waits until the server answers.
      - V(healthy) waits until it can also take writes and has O(expected_variables).
    type: str
    choices: [none, reachable, healthy]
    default: none
  timeout_s:
    description: How long to wait, in seconds; then the module fails and says what is still wrong.
    type: float
    default: 30
  request_timeout_s:
    description: How long the server may take to accept the connection and for each answer, in seconds.
    type: float
    default: 3
"""

EXAMPLES = r"""
- name: Read what the server does before it acknowledges a write
  mysql_server_info:
    host: 10.89.77.21
    user: lab
    password: "{{ mysql_password }}"
    database: failover_lab
    expected_variables:
      innodb_flush_log_at_trx_commit: 1
      sync_binlog: 1
    wait_for: healthy
  register: server
"""

RETURN = r"""
reachable:
  description: Whether the server answered.
  returned: always
  type: bool
  sample: true
error:
  description: Why it did not answer; null where it did.
  returned: always
  type: str
  sample: null
healthy:
  description: Whether it can take writes and has O(expected_variables).
  returned: always
  type: bool
  sample: true
reasons:
  description: What is wrong, one sentence each.
  returned: always
  type: list
  elements: str
  sample: []
version:
  description: Version of the server.
  returned: when it answered
  type: str
  sample: 9.7.4
version_comment:
  description: Who built the server.
  returned: when it answered
  type: str
  sample: (Debian)
hostname:
  description: What the server calls its host.
  returned: when it answered
  type: str
  sample: mysql1
uptime_s:
  description: Seconds since the server was started.
  returned: when it answered
  type: int
  sample: 61
read_only:
  description: Whether it refuses writes.
  returned: when it answered
  type: bool
  sample: false
tls:
  description: Cipher of this connection; null where it is not encrypted.
  returned: when it answered
  type: str
  sample: TLS_AES_256_GCM_SHA384
connect_ms:
  description: Time until this connection was logged in, in milliseconds.
  returned: always
  type: float
  sample: 4.2
variables:
  description: Settings of durability, replication and memory, as the server prints them.
  returned: when it answered
  type: dict
  sample: {innodb_flush_log_at_trx_commit: "1", sync_binlog: "1", log_bin: "ON"}
status:
  description: A few of the server's counters.
  returned: when it answered
  type: dict
  sample: {Uptime: 61, Threads_connected: 2}
elapsed_s:
  description: How long it took, in seconds.
  returned: always
  type: float
  sample: 0.012
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.mysql_observe import MySQLAddress, await_server
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "default": "localhost"},
            "port": {"type": "int", "default": 3306},
            "unix_socket": {"type": "path"},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "default": "", "no_log": True},
            "database": {"type": "str"},
            "expected_variables": {"type": "dict", "default": {}},
            "wait_for": {"type": "str", "choices": ["none", "reachable", "healthy"], "default": "none"},
            "timeout_s": {"type": "float", "default": 30},
            "request_timeout_s": {"type": "float", "default": 3},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    address = MySQLAddress(
        host=wanted["host"],
        port=wanted["port"],
        user=wanted["user"],
        password=wanted["password"],
        database=wanted["database"],
        unix_socket=wanted["unix_socket"],
        timeout_s=wanted["request_timeout_s"],
    )
    try:
        found = await_server(address, wanted["expected_variables"], wanted["wait_for"], wanted["timeout_s"])
    except LabError as error:
        module.fail_json(msg=str(error))
    reached = found.pop("reached")
    result = {"changed": False, **found}
    if not reached:
        module.fail_json(
            msg=f"The MySQL server {address} was not {wanted['wait_for']} within {wanted['timeout_s']:g} s: "
            f"{'; '.join(found['reasons'])}. Look at its log, and at the user's rights.",
            **result,
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()

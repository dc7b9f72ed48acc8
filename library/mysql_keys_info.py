#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_keys_info
short_description: Write every row of one MySQL server's table into a file
description:
  - Reads the table C(ips) in one consistent snapshot.
  - Of a replication group any member can be read. It gives what it has, whatever its state, and waits for nobody.
  - A server that does not answer is a result, not a failure. RV(available) is then false, and there is no file.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Counts the rows, and writes no file.
  diff_mode:
    description: Returns details on what has changed.
    support: none
requirements:
  - PyMySQL
options:
  member:
    description: Name of the member, for the file's header.
    type: str
    required: true
  system:
    description: Whether the server stands alone or is a member of a replication group.
    type: str
    choices: [mysql, mysql_cluster]
    default: mysql
  host:
    description: Address of the server.
    type: str
    required: true
  port:
    description: Port of the server.
    type: int
    default: 3306
  user:
    description: Account that may read the table.
    type: str
    required: true
  password:
    description: Password of O(user).
    type: str
    required: true
  database:
    description: Database with the table C(ips).
    type: str
    required: true
  dest:
    description: JSON-lines file to write. An old one is replaced, or removed where the server does not answer.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Collect the rows of the server
  mysql_keys_info:
    member: mysql1
    host: 10.89.77.21
    user: lab
    password: "{{ mysql_password }}"
    database: failover_lab
    dest: /var/lib/failover-lab/runs/latest/E1-mysql/nodes/mysql1.jsonl
"""

RETURN = r"""
member:
  description: Name of the member.
  returned: success
  type: str
  sample: mysql1
available:
  description: Whether the server gave its rows.
  returned: success
  type: bool
  sample: true
reason:
  description: Why it did not; null where it did.
  returned: success
  type: str
  sample: Can't connect to MySQL server on '10.89.77.21' ([Errno 111] Connection refused)
count:
  description: Number of rows; null where the server is not available.
  returned: success
  type: int
  sample: 23962
revision:
  description: Always null; MySQL counts no revisions of its rows.
  returned: success
  type: int
sha256:
  description: Digest of the file; null where none was written.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
dest:
  description: Path of the file.
  returned: success
  type: str
  sample: /var/lib/failover-lab/runs/latest/E1-mysql/nodes/mysql1.jsonl
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.key_dump import dump_mysql
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "member": {"type": "str", "required": True},
            "system": {"type": "str", "choices": ["mysql", "mysql_cluster"], "default": "mysql"},
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 3306},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "database": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        result = dump_mysql(
            wanted["member"],
            wanted["host"],
            wanted["port"],
            wanted["user"],
            wanted["password"],
            wanted["database"],
            Path(wanted["dest"]),
            system=wanted["system"],
            write=not module.check_mode,
        )
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: system_prepare
short_description: Make a system empty before a workload
description:
  - Removes all keys under O(key_prefix) from etcd, or makes the table C(ips) in MySQL and removes its rows.
  - A replication group of MySQL is emptied through its primary. Having no primary is an error.
  - Nothing else in the system is touched.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Counts what it would remove.
  diff_mode:
    description: Returns details on what has changed.
    support: none
requirements:
  - PyMySQL, for O(system=mysql) and O(system=mysql_cluster)
options:
  system:
    description: The system to empty.
    type: str
    choices: [etcd, mysql, mysql_cluster]
    required: true
  endpoints:
    description:
      - Endpoints as C(host:port). etcd is emptied through the first that answers, MySQL through the first.
      - The primary of a replication group is looked for among them.
    type: list
    elements: str
    required: true
  key_prefix:
    description: Prefix of the keys to remove from etcd. An empty one is refused, as it would remove every key.
    type: str
    default: ""
  mysql_user:
    description: Account that may make and empty the table. Needed for MySQL, like the two below.
    type: str
  mysql_password:
    description: Password of O(mysql_user).
    type: str
  mysql_database:
    description: Database of the table C(ips).
    type: str
"""

EXAMPLES = r"""
- name: Remove what an earlier run left in etcd
  system_prepare:
    system: etcd
    endpoints: ["10.89.77.11:2379", "10.89.77.12:2379"]
    key_prefix: EXP1-

- name: Make an empty table in MySQL
  system_prepare:
    system: mysql
    endpoints: ["10.89.77.21:3306"]
    mysql_user: lab
    mysql_password: "{{ mysql_password }}"
    mysql_database: failover_lab
"""

RETURN = r"""
removed:
  description: Number of keys or rows that were removed.
  returned: success
  type: int
  sample: 23962
created:
  description: Whether the table was missing and was made.
  returned: success
  type: bool
  sample: false
endpoint:
  description: Endpoint through which it was done.
  returned: success
  type: str
  sample: 10.89.77.11:2379
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.prepare import empty_etcd, empty_mysql, empty_mysql_group
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "system": {"type": "str", "choices": ["etcd", "mysql", "mysql_cluster"], "required": True},
            "endpoints": {"type": "list", "elements": "str", "required": True},
            "key_prefix": {"type": "str", "default": "", "no_log": False},
            "mysql_user": {"type": "str"},
            "mysql_password": {"type": "str", "no_log": True},
            "mysql_database": {"type": "str"},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    if not wanted["endpoints"]:
        module.fail_json(msg="endpoints is empty: give at least one host:port of the system")
    # Not required_if, which takes an empty or a null value for one that is there.
    missing = [name for name in ("mysql_user", "mysql_password", "mysql_database") if not wanted[name]]
    if wanted["system"] != "etcd" and missing:
        module.fail_json(
            msg=f"system is {wanted['system']} and {', '.join(missing)} is missing: give the account of the workload"
        )
    try:
        if wanted["system"] == "etcd":
            result = empty_etcd(wanted["endpoints"], wanted["key_prefix"], dry_run=module.check_mode)
        else:
            account = (wanted["mysql_user"], wanted["mysql_password"], wanted["mysql_database"])
            if wanted["system"] == "mysql":
                result = empty_mysql(wanted["endpoints"][0], *account, dry_run=module.check_mode)
            else:
                result = empty_mysql_group(wanted["endpoints"], *account, dry_run=module.check_mode)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=result["created"] or result["removed"] > 0, **result)


if __name__ == "__main__":
    main()

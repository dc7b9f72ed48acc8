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
  - Of O(target.endpoints), etcd is emptied through the first that answers, MySQL through the first.
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
extends_documentation_fragment:
  - run_settings
  - target
requirements:
  - PyMySQL, for O(target.system=mysql) and O(target.system=mysql_cluster)
options:
  key_prefix:
    description: Prefix of the keys to remove from etcd. An empty one is refused, as it would remove every key.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Remove what an earlier run left in etcd
  system_prepare:
    target:
      system: etcd
      members: {etcd1: {client_url: "http://10.89.77.11:2379"}, etcd2: {client_url: "http://10.89.77.12:2379"}}
      endpoints: ["10.89.77.11:2379", "10.89.77.12:2379"]
    settings: {iterations: 100000, seed: 123}
    key_prefix: EXP1-

- name: Make an empty table in MySQL
  system_prepare:
    target:
      system: mysql
      members: {mysql1: {address: "10.89.77.21:3306"}}
      endpoints: ["10.89.77.21:3306"]
      user: lab
      database: failover_lab
    password: "{{ mysql_password }}"
    settings: {iterations: 100000, seed: 123, workload: {name: append}}
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
from ansible.module_utils.failover.module_options import read_settings, read_target, settings_option, target_options
from ansible.module_utils.failover.shapes import LabError
from ansible.module_utils.failover.systems.registry import SYSTEMS
from ansible.module_utils.failover.workloads.registry import workload_of


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            **settings_option(),
            **target_options(),
            "key_prefix": {"type": "str", "default": "", "no_log": False},
        },
        supports_check_mode=True,
    )
    target = read_target(module.params)
    if not target.endpoints:
        module.fail_json(msg="target.endpoints is empty: give at least one host:port of the system")
    try:
        SYSTEMS[target.system].check(target)
        workload, options = workload_of(read_settings(module.params).workload)
        result = SYSTEMS[target.system].empty(
            target,
            module.params["key_prefix"],
            longest_value=workload.longest_value(options),
            dry_run=module.check_mode,
        )
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=result["created"] or result["removed"] > 0, **result)


if __name__ == "__main__":
    main()

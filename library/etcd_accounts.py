#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_accounts
short_description: Switch the accounts of an etcd cluster on
description:
  - Makes C(root) and an account for the workload, and switches authentication on. Where it is on already and knows
    root by O(root_password), nothing is changed.
  - The workload's account may touch no key yet. M(system_prepare) gives it those of each experiment.
  - What an interrupted attempt has made is taken over.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  url:
    description: Client URL of one member.
    type: str
    required: true
  ca:
    description: File with the certificate of the authority that signs the members', on the host that runs the module.
    type: path
    required: true
  root_password:
    description: Password of C(root).
    type: str
    required: true
  user:
    description: Name of the workload's account.
    type: str
    required: true
  password:
    description: Its password.
    type: str
    required: true
  timeout_s:
    description: How long each request may take, in seconds.
    type: float
    default: 10
"""

EXAMPLES = r"""
- name: Switch the accounts on
  etcd_accounts:
    url: https://10.89.77.11:2379
    ca: /etc/etcd/failover-lab-tls/ca.pem
    root_password: "{{ etcd_root_password }}"
    user: lab
    password: "{{ etcd_password }}"
  run_once: true
"""

RETURN = r"""
user:
  description: Name of the workload's account.
  returned: success
  type: str
  sample: lab
"""

from contextlib import closing

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.shapes import LabError
from ansible.module_utils.failover.systems.etcd.access import ROOT, Access
from ansible.module_utils.failover.systems.etcd.accounts import are_on, switch_on
from ansible.module_utils.failover.systems.etcd.http import EtcdHttp, EtcdUnreachableError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "ca": {"type": "path", "required": True},
            "root_password": {"type": "str", "required": True, "no_log": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "timeout_s": {"type": "float", "default": 10},
        },
        supports_check_mode=True,
    )
    given = module.params
    access = Access(given["ca"], ROOT, given["root_password"])
    try:
        with closing(EtcdHttp(given["url"], given["timeout_s"], access)) as member:
            missing = not are_on(member)
            if missing and not module.check_mode:
                switch_on(member, given["root_password"], given["user"], given["password"])
    except (LabError, ValueError, EtcdUnreachableError) as error:
        module.fail_json(msg=f"The accounts of etcd are not on: {error}")
    module.exit_json(changed=missing, user=given["user"])


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: port_reach_info
short_description: Find out which TCP ports of other hosts this one reaches
description:
  - Tries one connection to each port, all at once. What is not reached is a result, not a failure of the module.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  doors:
    description: The ports, each with C(host) (a name), C(address), C(port) and C(purpose) (in words).
    type: list
    elements: dict
    required: true
  timeout_s:
    description: How long a connection may take, in seconds.
    type: float
    default: 3
"""

EXAMPLES = r"""
- name: Try the ports of the members
  port_reach_info:
    doors:
      - {host: etcd1, address: 10.0.0.11, port: 2379, purpose: etcd's clients}
  register: tried
"""

RETURN = r"""
doors:
  description:
    - O(doors), each with C(reached), C(error) (in words, empty where it was reached) and C(source), the address from
      which this host comes there.
  returned: always
  type: list
  elements: dict
  sample:
    - host: etcd1
      address: 10.0.0.11
      port: 2379
      purpose: etcd's clients
      reached: true
      error: ""
      source: 10.0.0.31
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.port_reach import knock_all


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "doors": {"type": "list", "elements": "dict", "required": True},
            "timeout_s": {"type": "float", "default": 3},
        },
        supports_check_mode=True,
    )
    try:
        doors = knock_all(module.params["doors"], module.params["timeout_s"])
    except (KeyError, ValueError) as error:
        module.fail_json(msg=f"A door lacks a key or has a wrong value: {error}. Give host, address, port, purpose.")
    module.exit_json(changed=False, doors=doors)


if __name__ == "__main__":
    main()

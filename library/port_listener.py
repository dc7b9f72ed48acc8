#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: port_listener
short_description: Listen on TCP ports for a while, so that other hosts can try to reach them
description:
  - Leaves a process behind that accepts connections on the ports on which nobody listens yet, and closes them at once.
  - For M(port_reach_info) on other hosts, before the servers run.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  state:
    description: V(present) listens, V(absent) ends what V(present) left behind.
    type: str
    choices: [present, absent]
    default: present
  address:
    description: IPv4 address of this host; needed for V(present).
    type: str
  ports:
    description: TCP ports; needed for V(present).
    type: list
    elements: int
  lifetime_s:
    description: After this time the process ends by itself, in seconds.
    type: float
    default: 120
"""

EXAMPLES = r"""
- name: Listen where the servers will
  port_listener:
    address: 10.0.0.11
    ports: [2379, 2380, 7470]

- name: Listen no more
  port_listener:
    state: absent
"""

RETURN = r"""
ports:
  description: Ports on which the process listens; the others have somebody already.
  returned: when state is present
  type: list
  elements: int
  sample: [2379, 2380, 7470]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.port_reach import Doorman
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "address": {"type": "str"},
            "ports": {"type": "list", "elements": "int"},
            "lifetime_s": {"type": "float", "default": 120},
        },
        required_if=[("state", "present", ("address", "ports"))],
        supports_check_mode=True,
    )
    given = module.params
    doorman = Doorman()
    try:
        if given["state"] == "absent":
            module.exit_json(changed=doorman.is_there() if module.check_mode else doorman.close())
        if module.check_mode:
            ports = doorman.missing(given["address"], given["ports"])
        else:
            ports = doorman.open(given["address"], given["ports"], given["lifetime_s"])
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(ports), ports=ports)


if __name__ == "__main__":
    main()

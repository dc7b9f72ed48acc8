#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_group_member
short_description: Bring a MySQL server into its replication group, or back into it
description:
  - Runs on the hosts of all members at the same time. Each looks at what all members say and decides for itself, by
    rules that give the same answer everywhere.
  - Where a group with a majority exists it joins that one. Where no member is in a group and all of them answer, the
    one that has every transaction bootstraps one. While a member does not answer, no group is formed, so that there
    can never be two.
  - A member that has missed transactions gets them by incremental recovery or by clone, as MySQL chooses.
  - Connects as root over the server's socket, and to the other members as O(user).
requirements:
  - PyMySQL
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: In check mode the members are looked at once, and RV(steps) has what would come first.
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  member:
    description: Name of the member on this host, one of O(members).
    type: str
    required: true
  members:
    description: Where each member serves clients, C(address:port) by name.
    type: dict
    required: true
  user:
    description: Account of the members among themselves, the same on all of them.
    type: str
    required: true
  password:
    description: That account's password.
    type: str
    required: true
  socket:
    description: Socket of the server on this host.
    type: path
    default: /run/mysqld/mysqld.sock
  ca:
    description:
      - File with the certificate of the authority that signs the servers', on this host. Empty where they need no TLS.
    type: str
    default: ""
  timeout_s:
    description: How long the member may take to become a full member of the group, in seconds; then the module fails.
    type: float
    default: 120
"""

EXAMPLES = r"""
- name: Bring the member into its group
  mysql_group_member:
    member: "{{ inventory_hostname }}"
    members: {group1: "10.89.77.41:3306", group2: "10.89.77.42:3306", group3: "10.89.77.43:3306"}
    user: lab_group
    password: "{{ mysql_group_password }}"
  register: membership
"""

RETURN = r"""
state:
  description: State of the member, as performance_schema.replication_group_members has it.
  returned: when its server answered
  type: str
  sample: ONLINE
role:
  description: Its role, PRIMARY or SECONDARY; empty outside of a group.
  returned: when its server answered
  type: str
  sample: SECONDARY
term:
  description: Number of the group's view; null outside of a group.
  returned: when its server answered
  type: int
  sample: 3
steps:
  description: What was done, or in check mode would be done first, each with C(act), C(why) and C(wall_ns).
  returned: always
  type: list
  elements: dict
  sample: [{act: join, why: group1 is in a group with a majority, wall_ns: 1795411280203985917}]
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.shapes import LabError
from ansible.module_utils.failover.systems.mysql_cluster.deciding import Act
from ansible.module_utils.failover.systems.mysql_cluster.keeper import GroupConfig, GroupKeeper


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "member": {"type": "str", "required": True},
            "members": {"type": "dict", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "socket": {"type": "path", "default": "/run/mysqld/mysqld.sock"},
            "ca": {"type": "str", "default": ""},
            "timeout_s": {"type": "float", "default": 120},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    if wanted["member"] not in wanted["members"]:
        module.fail_json(msg=f"{wanted['member']} is not one of members: {', '.join(wanted['members'])}.")
    keeper = GroupKeeper(
        wanted["member"],
        GroupConfig(wanted["members"], wanted["user"], wanted["password"], wanted["socket"], wanted["ca"]),
    )
    try:
        if module.check_mode:
            views = keeper.look()
            step = keeper.next_step(views)
            if step.act not in (Act.DONE, Act.WAIT):
                keeper.steps.append({"act": step.act.value, "why": step.why, "wall_ns": time.time_ns()})
        else:
            views = keeper.ensure(wanted["timeout_s"])
    except OSError as error:
        module.fail_json(msg=f"The server of {wanted['member']} does not answer: {error.strerror or error}.")
    except LabError as error:
        module.fail_json(msg=str(error), steps=keeper.steps)
    own = views[wanted["member"]]
    result = {} if own.error else {"state": str(own.state), "role": own.role, "term": own.term}
    module.exit_json(changed=bool(keeper.steps), steps=keeper.steps, **result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_group_info
short_description: Observe a group of MySQL Group Replication, or wait until it is whole
description:
  - Asks every member for its state, its role, the view it is in and the transactions it has.
  - A group is whole when every member answers, is ONLINE, is in the same view and follows the same primary, which
    says so itself. It is healthy when, besides, its primary can be written to and no member is in offline mode.
  - What is wrong is a result (RV(reasons)), not a failure of the module, unless O(wait_for) asks for more.
requirements:
  - PyMySQL, with the package cryptography
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
  members:
    description: Where each member serves clients, C(address:port) by name.
    type: dict
    required: true
  user:
    description: User as whom to connect; it must be allowed to read performance_schema.
    type: str
    required: true
  password:
    description: That user's password.
    type: str
    required: true
  wait_for:
    description:
      - V(none) looks once.
      - V(healthy) waits until the group is whole.
      - V(converged) waits until its members have the same transactions as well.
    type: str
    choices: [none, healthy, converged]
    default: none
  timeout_s:
    description: How long to wait, in seconds; then the module fails and says what is still wrong.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Wait until the group is whole
  mysql_group_info:
    members: {group1: "10.89.77.41:3306", group2: "10.89.77.42:3306", group3: "10.89.77.43:3306"}
    user: lab
    password: "{{ mysql_password }}"
    wait_for: healthy
  register: group
"""

RETURN = r"""
observation:
  description:
    - What the members say. C(members) maps each name to reachable, error and, where it answered, state, role, id,
      leader_id, term (number of its view), view_id, group_name, gtid_executed, revision (number of transactions) and
      modes (read_only, super_read_only and offline_mode).
    - C(leader), C(leader_id) and C(term) are those of the primary, C(wall_ns) is when they were asked.
  returned: always
  type: dict
  sample:
    leader: group1
    leader_id: 490feda2-e720-11f1-972a-1ed95863606f
    term: 3
    wall_ns: 1795411280203985917
    members: {group1: {reachable: true, state: ONLINE, role: PRIMARY, revision: 58012}}
healthy:
  description: Whether the group is whole and its servers accept what their roles promise.
  returned: always
  type: bool
  sample: true
reasons:
  description: What is wrong, one sentence each.
  returned: always
  type: list
  elements: str
  sample: [group3 is recovering]
leader:
  description: Name of the primary; null where there is none.
  returned: always
  type: str
  sample: group1
elapsed_s:
  description: How long it took, in seconds.
  returned: always
  type: float
  sample: 0.012
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.group_modes import look_at_modes
from ansible.module_utils.failover.group_replication import addresses_of, await_group
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "members": {"type": "dict", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "wait_for": {"type": "str", "choices": ["none", "healthy", "converged"], "default": "none"},
            "timeout_s": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        addresses = addresses_of(wanted["members"], wanted["user"], wanted["password"])
        found = await_group(addresses, wanted["wait_for"], wanted["timeout_s"])
        contradictions = look_at_modes(addresses, found["observation"])
    except LabError as error:
        module.fail_json(msg=str(error))
    found["healthy"] = found["healthy"] and not contradictions
    found["reasons"] += contradictions
    reached = found.pop("reached")
    if not reached:
        module.fail_json(
            msg=f"The MySQL group was not {wanted['wait_for']} within {wanted['timeout_s']:g} s: "
            f"{'; '.join(found['reasons'])}. Look at /var/log/mysql/error.log of these members.",
            **found,
        )
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()

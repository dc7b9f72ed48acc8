#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name; the code is in plugins/action/settings_check.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: settings_check
short_description: Check the lab's variables and its inventory before any host is asked
description:
  - Refuses whatever a run would refuse later for a reason that is known now, with one line that says what is wrong,
    where, and what to try. Groups, hosts and addresses, ports, durations, names, and the Python of localhost.
  - Reads the variables of the play that it stands in, and those of every host of the inventory.
author: The failover lab's authors (@failover-lab)
attributes:
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the
      controller.
    support: full
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Reads only.
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  folders:
    description:
      - Variables that name folders on the controller which a run writes to.
      - With any, the controller is looked at, too, for rights and space in them, and for memory.
    type: list
    elements: str
    default: []
  alone:
    description:
      - Whether the role of a system is applied by itself, to hosts of an inventory that is no lab's. Groups, load
        generators, experiments and localhost are nobody's business then.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Check the variables and the inventory
  settings_check:

- name: Check the controller, too
  settings_check:
    folders: [results_dir, lab_state_dir]
"""

RETURN = r"""
msg:
  description: What is wrong, as one line; empty where nothing is.
  returned: always
  type: str
  sample: "mysql_port is 70000: it must be a port from 1 to 65535 other than ssh's. Try -e mysql_port=3306."
ansible_facts:
  description: That it was checked, for roles that come later in the same playbook.
  returned: when nothing is wrong
  type: dict
  sample: {settings_checked: true}
"""

#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_loan
short_description: Borrow a service of a machine, and give it back as it was found
description:
  - Before a lab changes anything on a machine, O(state=borrowed) writes down there whether the unit was enabled, active
    or masked, which packages and folders were missing, and whether its server had data. A unit that is masked is
    unmasked.
  - O(state=returned) stops the unit, removes the lab's files and the folders that were made for them, and puts the unit
    into the state that was written down. It installs and removes no packages, and touches no data.
  - The note stays on the machine (C(/var/lib/failover-lab-loans/NAME.json)), so that a lab whose folder on the
    controller is lost can still be taken down. Until it is returned, no other lab can borrow the same.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  name:
    description: Name of what is borrowed; one loan of this name on a machine.
    type: str
    required: true
  lab:
    description: Name of the lab that borrows.
    type: str
    required: true
  state:
    description:
      - V(borrowed) does nothing where the lab has the loan already.
      - V(returned) does nothing where there is no loan, or where another lab has it.
    type: str
    choices: [borrowed, returned]
    default: borrowed
  unit:
    description: The systemd unit, where the lab takes one over. V(returned) takes it out of the loan.
    type: str
    default: ""
  packages:
    description: Debian packages that the lab will install where they are missing.
    type: list
    elements: str
    default: []
  files:
    description: Files that the lab will write. Their names are used by the lab only.
    type: list
    elements: path
    default: []
  data_dir:
    description: Data directory of the unit's server.
    type: path
  address:
    description: IPv4 address on which the lab's server will listen, where it listens on any. Needs O(ports).
    type: str
  ports:
    description:
      - TCP ports on which it will listen. Needs O(address).
      - If a program other than O(unit) listens there, the module fails, and nothing is changed.
    type: list
    elements: int
  refuse_running:
    description: Fail where O(unit) is running and nothing was borrowed yet, as its clients would lose their server.
    type: bool
    default: false
  take_over:
    description: Take over the loan of another lab, together with what that lab found.
    type: bool
    default: false
  timeout_s:
    description: How long the unit may take to stop and to start when it is returned, in seconds.
    type: float
    default: 120
"""

EXAMPLES = r"""
- name: Write down how the machine was found
  host_loan:
    name: mysql
    lab: machines
    unit: mysql.service
    packages: [mysql-server, python3-pymysql]
    files: [/etc/mysql/mysql.conf.d/zz-failover-lab.cnf]
    data_dir: /var/lib/mysql
    address: 10.0.0.21
    ports: [3306]

- name: Give the service back as it was found
  host_loan:
    name: mysql
    lab: machines
    state: returned
"""

RETURN = r"""
loan:
  description: What was found before the lab's first change; null where there is no loan.
  returned: always
  type: dict
  sample:
    name: mysql
    lab: machines
    since: "2026-11-25T21:03:00Z"
    unit: mysql.service
    enabled: enabled
    masked: ""
    active: true
    had_data: true
    packages: [python3-pymysql]
    files: [/etc/mysql/mysql.conf.d/zz-failover-lab.cnf]
    folders: []
    schema_version: 1
actions:
  description: What was done, or in check mode would be done, in words.
  returned: always
  type: list
  elements: str
  sample: [stop mysql.service, enable mysql.service, start mysql.service]
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.host_loan import Lender, Wanted
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "lab": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["borrowed", "returned"], "default": "borrowed"},
            "unit": {"type": "str", "default": ""},
            "packages": {"type": "list", "elements": "str", "default": []},
            "files": {"type": "list", "elements": "path", "default": []},
            "data_dir": {"type": "path"},
            "address": {"type": "str"},
            "ports": {"type": "list", "elements": "int"},
            "refuse_running": {"type": "bool", "default": False},
            "take_over": {"type": "bool", "default": False},
            "timeout_s": {"type": "float", "default": 120},
        },
        required_together=[("address", "ports")],
        supports_check_mode=True,
    )
    given = module.params
    lender = Lender()
    try:
        if given["state"] == "returned":
            outcome = lender.give_back(given["name"], given["lab"], given["timeout_s"], pretend=module.check_mode)
        else:
            wanted = Wanted(
                name=given["name"],
                lab=given["lab"],
                unit=given["unit"],
                packages=tuple(given["packages"]),
                files=tuple(given["files"]),
                data_dir=given["data_dir"] or "",
                address=given["address"] or "",
                ports=tuple(given["ports"] or ()),
                refuse_running=given["refuse_running"],
            )
            outcome = lender.borrow(wanted, take_over=given["take_over"], pretend=module.check_mode)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=outcome.changed, loan=asdict(outcome.loan) if outcome.loan else None, actions=outcome.actions
    )


if __name__ == "__main__":
    main()

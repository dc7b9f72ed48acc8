#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_machines
short_description: Make, start and remove the virtual machines of a lab
description:
  - Each machine has a folder below O(folder) with its disk, a copy-on-write overlay of its image, and the id of its
    qemu. A bridge with a tap for each is their network, and a keeper, a program of the lab's, has their power.
  - Those that died are started again, and keep their disks. One that is missing or of another definition is made anew,
    with all of its group, as a member with an empty disk cannot come back into its old cluster.
  - It does not wait until they have booted.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  lab_name:
    description: Name of the lab, by which its bridge and taps are found.
    type: str
    required: true
  subnet:
    description: Network of the machines, IPv4 with prefix length 24. The first address is the controller's.
    type: str
    required: true
  folder:
    description: Folder of the machines.
    type: path
    required: true
  state:
    description:
      - V(present) makes and starts them; V(started) only starts those that were made and do not run; V(absent) ends and
        removes all, with their network.
    type: str
    choices: [present, started, absent]
    default: present
  machines:
    description: The machines, for V(present).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host.
        type: str
        required: true
      address:
        description: Its IPv4 address.
        type: str
        required: true
      image:
        description: Folder of its image.
        type: path
        required: true
      accelerator:
        description: What runs it.
        type: str
        choices: [kvm, tcg]
        required: true
      memory_mb:
        description: Its memory, in MB.
        type: int
        required: true
      cpus:
        description: Its processors.
        type: int
        required: true
      disk_mb:
        description: Size of its disk, in MB; not less than that of the image.
        type: int
        required: true
      sysctls:
        description: Kernel settings by name.
        type: dict
        default: {}
  groups:
    description: Names of the machines that are made anew together, by group.
    type: dict
    default: {}
  authorized_key:
    description: Public key of who may log in.
    type: str
  host_key:
    description: Private key of the machines' own sshd.
    type: str
  keeper:
    description:
      - What the keeper is told, C(listen), C(key_file), C(hold_ttl_s), and C(members) by name, each with the C(port) on
        which its fault agent is spoken for, and where that C(agent) is.
      - With TLS also C(ca), C(certificate) and C(certificate_key), by which it verifies agents and is verified itself.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Start the machines that died
  lab_machines:
    lab_name: failover
    subnet: 10.89.77.0/24
    folder: /srv/lab/.lab/failover/machines
    state: started
"""

RETURN = r"""
made:
  description: Machines that were, or in check mode would be, made.
  returned: always
  type: list
  elements: str
  sample: [etcd1, etcd2, etcd3]
started:
  description: Machines that were there and did not run, and were started.
  returned: always
  type: list
  elements: str
  sample: [client1]
removed:
  description: Machines that were removed.
  returned: always
  type: list
  elements: str
  sample: []
links:
  description: Bridge and taps that were made or removed.
  returned: always
  type: list
  elements: str
  sample: [fl33d39ae7-br]
keeper:
  description: Whether the keeper was started or ended.
  returned: always
  type: bool
  sample: true
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.machines.lab import Keys, MachineLab, Wanted
from ansible.module_utils.failover.machines.machine import MachineSpec
from ansible.module_utils.failover.machines.network import Bridge
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "lab_name": {"type": "str", "required": True},
            "subnet": {"type": "str", "required": True},
            "folder": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "started", "absent"], "default": "present"},
            "machines": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "address": {"type": "str", "required": True},
                    "image": {"type": "path", "required": True},
                    "accelerator": {"type": "str", "choices": ["kvm", "tcg"], "required": True},
                    "memory_mb": {"type": "int", "required": True},
                    "cpus": {"type": "int", "required": True},
                    "disk_mb": {"type": "int", "required": True},
                    "sysctls": {"type": "dict", "default": {}},
                },
            },
            "groups": {"type": "dict", "default": {}},
            "authorized_key": {"type": "str", "no_log": False},
            "host_key": {"type": "str", "no_log": True},
            # Its member key_file is a path.
            "keeper": {"type": "dict", "default": {}, "no_log": False},
        },
        required_if=[("state", "present", ("authorized_key", "host_key"))],
        supports_check_mode=True,
    )
    given = module.params
    bridge = Bridge(given["lab_name"], given["subnet"])
    lab = MachineLab(Path(given["folder"]), bridge)
    try:
        if given["state"] == "absent":
            done = lab.remove(pretend=module.check_mode)
        elif given["state"] == "started":
            done = lab.start_dead(pretend=module.check_mode)
        else:
            specs = [MachineSpec(**row, tap=bridge.tap(row["address"])) for row in given["machines"]]
            keys = Keys(given["authorized_key"], given["host_key"])
            wanted = Wanted(specs, given["groups"], keys, given["keeper"])
            done = lab.bring_up(wanted, pretend=module.check_mode)
    except (LabError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=done.changed, **asdict(done))


if __name__ == "__main__":
    main()

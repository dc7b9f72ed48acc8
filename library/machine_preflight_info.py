#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_preflight_info
short_description: Find out whether this machine can run virtual machines of the lab's own
description:
  - Looks at the programs, free disk and memory, and at networks that clash, and runs a guest of a few instructions to
    see whether KVM works. That C(/dev/kvm) is there does not tell.
  - A shortcoming is a result, not a failure of the module; RV(problems) says what to do about each.
  - Also lists the lab's machines, with those that do not run.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Reads only; the guest is gone when the module ends.
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  lab_name:
    description: Name of the lab.
    type: str
    required: true
  subnet:
    description: Network wanted for the lab, IPv4 with prefix length 24.
    type: str
    required: true
  folder:
    description: Folder of the lab's machines.
    type: path
    required: true
  image_dir:
    description: Folder of the images.
    type: path
    required: true
  disk_mb:
    description: Free disk space needed by folder, in MB.
    type: dict
    default: {}
  memory_mb:
    description: Memory that the machines take together, in MB.
    type: int
    default: 0
  accelerator:
    description: What runs the guests; V(auto) is V(kvm) where it works, and V(tcg), emulation, elsewhere.
    type: str
    choices: [auto, kvm, tcg]
    default: auto
"""

EXAMPLES = r"""
- name: Find out what this machine can do
  machine_preflight_info:
    lab_name: failover
    subnet: 10.89.77.0/24
    folder: /srv/lab/.lab/failover/machines
    image_dir: /var/lib/failover-lab-images
    disk_mb: {/var/lib/failover-lab-images: 4000}
    memory_mb: 2800
  register: preflight
"""

RETURN = r"""
qemu_version:
  description: Version of qemu; null where it is missing.
  returned: always
  type: str
  sample: 7.2.22
accelerator:
  description: V(kvm) or V(tcg).
  returned: always
  type: str
  sample: tcg
why_no_kvm:
  description: Why a guest does not run with KVM; empty where it does, or nobody wanted to know.
  returned: always
  type: str
  sample: /dev/kvm is not there
disk_free_mb:
  description: Free space by folder, in MB.
  returned: always
  type: dict
  sample: {/var/lib/failover-lab-images: 81000}
memory_available_mb:
  description: Available memory, in MB.
  returned: always
  type: int
  sample: 23000
machines:
  description: The lab's machines by name, each with RV(ignore:runs) and what it was made of.
  returned: always
  type: dict
  sample: {etcd1: {runs: true, definition: {memory_mb: 512}}}
links:
  description: The lab's bridge and taps.
  returned: always
  type: list
  elements: str
  sample: [fl33d39ae7-11, fl33d39ae7-br]
images:
  description: Folders of the images that are there.
  returned: always
  type: list
  elements: str
  sample: [/var/lib/failover-lab-images/trixie-0123456789ab]
problems:
  description: What keeps the lab from running here, each with C(what) and C(try).
  returned: always
  type: list
  elements: dict
  sample: [{what: there is no /dev/net/tun, try: modprobe tun}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.machines.preflight import inspect_machine_host


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "lab_name": {"type": "str", "required": True},
            "subnet": {"type": "str", "required": True},
            "folder": {"type": "path", "required": True},
            "image_dir": {"type": "path", "required": True},
            "disk_mb": {"type": "dict", "default": {}},
            "memory_mb": {"type": "int", "default": 0},
            "accelerator": {"type": "str", "choices": ["auto", "kvm", "tcg"], "default": "auto"},
        },
        supports_check_mode=True,
    )
    given = dict(module.params)
    given["disk_mb"] = {path: int(mb) for path, mb in given["disk_mb"].items()}
    module.exit_json(changed=False, **inspect_machine_host(**given))


if __name__ == "__main__":
    main()

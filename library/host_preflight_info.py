#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_preflight_info
short_description: Find out whether this machine can run the lab's containers
description:
  - Looks at the cgroup layout, the container runtime, limits, free disk and memory, and at networks that clash.
  - A shortcoming is a result, not a failure of the module; RV(problems) says what to do about each.
  - Also lists the lab's containers, with those that podman believes running though their process is gone.
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
  lab_name:
    description: Name of the lab, and of its network.
    type: str
    required: true
  subnet:
    description: Network wanted for the lab, IPv4 with prefix length 24.
    type: str
    required: true
  folders:
    description: Folders that need the free space.
    type: list
    elements: path
    default: []
  min_disk_mb:
    description: Free disk space needed in each of O(folders), in MB.
    type: int
    default: 0
  min_memory_mb:
    description: Available memory needed, in MB.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Find out what this machine can do
  host_preflight_info:
    lab_name: failover
    subnet: 10.89.77.0/24
    folders: [/var/lib/containers]
    min_disk_mb: 4000
  register: preflight
"""

RETURN = r"""
cgroup_layout:
  description: C(v2), C(hybrid), C(v1) or C(none).
  returned: always
  type: str
  sample: hybrid
runtime:
  description: OCI runtime that works with that layout; null where there is none.
  returned: always
  type: str
  sample: runc
podman_version:
  description: Version of podman; null where it is missing.
  returned: always
  type: str
  sample: 4.3.1
nofile_limit:
  description: Highest number of open files that may be given to a container.
  returned: always
  type: int
  sample: 20000
disk_free_mb:
  description: Free space by folder, in MB.
  returned: always
  type: dict
  sample: {/var/lib/containers: 81000}
memory_available_mb:
  description: Available memory, in MB.
  returned: always
  type: int
  sample: 23000
containers:
  description: The lab's containers by name; C(healthy) is false where no living process is behind a record.
  returned: always
  type: dict
  sample: {failover-etcd1: {state: running, pid: 4711, healthy: true}}
foreign_containers:
  description: Containers on the lab's network that are not the lab's; while they are there it cannot be removed.
  returned: always
  type: list
  elements: str
  sample: []
networks:
  description: Names of podman's networks.
  returned: always
  type: list
  elements: str
  sample: [podman]
images:
  description: Names of podman's images.
  returned: always
  type: list
  elements: str
  sample: ["localhost/failover-lab/trixie:0123456789ab"]
problems:
  description: What keeps the lab from running here, each with C(what) and C(try).
  returned: always
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.host_preflight import inspect_host


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "lab_name": {"type": "str", "required": True},
            "subnet": {"type": "str", "required": True},
            "folders": {"type": "list", "elements": "path", "default": []},
            "min_disk_mb": {"type": "int", "default": 0},
            "min_memory_mb": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **inspect_host(**module.params))


if __name__ == "__main__":
    main()

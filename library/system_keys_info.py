#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: system_keys_info
short_description: Write every key of one member of a system into a file
description:
  - Reads all keys as one member has them, at one moment, without asking the others.
  - A member that does not answer is a result, not a failure. RV(available) is then false, and there is no file.
  - Of a replication group any member can be read, whatever its state; it gives what it has applied.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Counts the keys, and writes no file.
  diff_mode:
    description: Returns details on what has changed.
    support: none
extends_documentation_fragment: target
requirements:
  - PyMySQL, for systems of MySQL
options:
  member:
    description: Name of the member, one of O(target.members).
    type: str
    required: true
  key_prefix:
    description:
      - Prefix of the keys; it is left out of the file. Empty for all keys.
      - Not used by systems whose keys stand in a table of their own.
    type: str
    default: ""
  dest:
    description: JSON-lines file to write. An old one is replaced, or removed where the member does not answer.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Collect the keys of the member
  system_keys_info:
    target:
      system: etcd
      members: {etcd1: {client_url: "http://10.89.77.11:2379"}}
    member: etcd1
    key_prefix: EXP1-
    dest: /var/lib/failover-lab/runs/latest/E1-etcd/nodes/etcd1.jsonl
"""

RETURN = r"""
member:
  description: Name of the member.
  returned: success
  type: str
  sample: etcd1
available:
  description: Whether the member gave its keys.
  returned: success
  type: bool
  sample: true
reason:
  description: Why it did not; null where it did.
  returned: success
  type: str
  sample: connection refused
count:
  description: Number of keys; null where the member is not available.
  returned: success
  type: int
  sample: 23962
revision:
  description: Revision of the data that was read; null where the member is not available, or its system has none.
  returned: success
  type: int
  sample: 64052
sha256:
  description: Digest of the file; null where none was written.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
dest:
  description: Path of the file.
  returned: success
  type: str
  sample: /var/lib/failover-lab/runs/latest/E1-etcd/nodes/etcd1.jsonl
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.module_options import read_target, target_options
from ansible.module_utils.failover.shapes import LabError
from ansible.module_utils.failover.systems.registry import SYSTEMS


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            **target_options(),
            "member": {"type": "str", "required": True},
            "key_prefix": {"type": "str", "default": "", "no_log": False},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    wanted, target = module.params, read_target(module.params)
    if wanted["member"] not in target.members:
        module.fail_json(msg=f"{wanted['member']} is not one of target.members: {', '.join(target.members)}.")
    try:
        result = SYSTEMS[target.system].dump(
            target, wanted["member"], wanted["key_prefix"], Path(wanted["dest"]), write=not module.check_mode
        )
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

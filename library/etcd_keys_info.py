#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_keys_info
short_description: Write every key of one etcd member into a file
description:
  - Reads all keys under O(key_prefix) as one member has them, without asking the others, at one revision.
  - A member that does not answer is a result, not a failure. RV(available) is then false, and there is no file.
  - Needs nothing but Python's standard library; it can run on any host that reaches the member.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Counts the keys, and writes no file.
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  member:
    description: Name of the member, for the file's header.
    type: str
    required: true
  client_url:
    description: The member's client URL.
    type: str
    required: true
  key_prefix:
    description: Prefix of the keys; it is left out of the file. Empty for all keys.
    type: str
    required: true
  dest:
    description: JSON-lines file to write. An old one is replaced, or removed where the member does not answer.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Collect the keys of the member
  etcd_keys_info:
    member: etcd1
    client_url: http://10.89.77.11:2379
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
  description: Revision of the member's data that was read; null where the member is not available.
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
from ansible.module_utils.failover.key_dump import dump_etcd
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "member": {"type": "str", "required": True},
            "client_url": {"type": "str", "required": True},
            "key_prefix": {"type": "str", "required": True, "no_log": False},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        result = dump_etcd(
            wanted["member"],
            wanted["client_url"],
            wanted["key_prefix"],
            Path(wanted["dest"]),
            write=not module.check_mode,
        )
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

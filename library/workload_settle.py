#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_settle
short_description: Find out what became of the writes that a workload left in doubt
description:
  - Moves the fence of each client that ended with a write in doubt. Where that succeeds, the write never took effect
    and never will; where the fence is found at the write's own id, it did.
  - Belongs after the heal and before the members' keys are read. Only the retry policy C(safe) has fences; under the
    others there is nothing to settle.
  - Writes that cannot be settled (RV(left)) are results, not failures of the module.
  - Runs on a host that reaches the members, with the Python that has their clients' drivers.
requirements:
  - etcd3 and grpcio, for etcd
  - PyMySQL, with the package cryptography, for mysql and mysql_cluster
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: In check mode nothing is sent, and everything is returned in RV(left).
  diff_mode:
    description: Returns details on what has changed.
    support: none
extends_documentation_fragment:
  - target
  - run_settings
options:
  unresolved:
    description:
      - The writes in doubt as M(workload_run) returns them. Each has C(index) and C(client) of the operation and, of
        its fence, C(fence) (the name), C(kind), C(at) and C(to).
    type: list
    elements: dict
    required: true
  timeout_s:
    description:
      - How long all of them may take, in seconds. What cannot be settled at once is tried again until then.
    type: float
    default: 60
  events_path:
    description: File to which an event for each settled write is appended as a JSON line.
    type: path
  source:
    description: Name of this host in the events; left out, its own host name.
    type: str
"""

EXAMPLES = r"""
- name: Settle what the workload left in doubt
  workload_settle:
    settings: {iterations: 2000, seed: 123}
    target:
      system: etcd
      members:
        etcd1: {client_url: "http://10.89.77.11:2379"}
      endpoints: ["10.89.77.11:2379"]
    unresolved: "{{ workload.unresolved }}"
    events_path: /var/lib/failover-lab/runs/r1/E3-etcd/heal.jsonl
"""

RETURN = r"""
settled:
  description: How many writes turned out to be C(applied) and C(not applied).
  returned: always
  type: dict
  sample: {applied: 1, "not applied": 2}
left:
  description: The writes that are still in doubt, each with C(error), why.
  returned: always
  type: list
  elements: dict
  sample: []
"""

import platform

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.module_options import read_settings, read_target, settings_option, target_options
from ansible.module_utils.failover.results.write import append_events
from ansible.module_utils.failover.run.settling import Settling
from ansible.module_utils.failover.shapes import LabError, Settled


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            **settings_option(),
            **target_options(),
            "unresolved": {"type": "list", "elements": "dict", "required": True},
            "timeout_s": {"type": "float", "default": 60},
            "events_path": {"type": "path"},
            "source": {"type": "str"},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    unresolved = wanted["unresolved"]
    if module.check_mode:
        left = [{**write, "error": "check mode"} for write in unresolved]
        module.exit_json(changed=bool(unresolved), settled={word.value: 0 for word in Settled}, left=left)
    try:
        settling = Settling(read_target(wanted), read_settings(wanted), source=wanted["source"] or platform.node())
        result = settling.run(unresolved, timeout_s=wanted["timeout_s"])
        if wanted["events_path"] and settling.events:
            append_events(wanted["events_path"], settling.events)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=any(result["settled"].values()), **result)


if __name__ == "__main__":
    main()

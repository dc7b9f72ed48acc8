#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: experiment_plan_info
short_description: Resolve the experiments of a run before anything is touched
description:
  - Makes the stream of O(settings.iterations) and O(settings.seed), checks each experiment's definition, draws the
    faults of those that want random ones, and places them in the stream.
  - Anything wrong (an unknown experiment, system, action or target, a fault beyond the stream) fails with one line.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Reads only.
  diff_mode:
    description: Returns details on what has changed.
    support: none
extends_documentation_fragment: run_settings
options:
  experiments:
    description: Names of the experiments, in the order in which they run.
    type: list
    elements: str
    required: true
  catalog:
    description: Definitions by name, each with C(title), C(system), C(key_prefix) and C(faults).
    type: dict
    required: true
  members:
    description: Members by inventory group.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Resolve the experiments
  experiment_plan_info:
    experiments: [E2-etcd]
    catalog: "{{ experiment_catalog }}"
    settings: {iterations: 2000, seed: 7}
    members: "{{ groups }}"
  register: plan
"""

RETURN = r"""
experiments:
  description: The experiments, resolved, with C(name), C(title), C(system), C(key_prefix), C(members) and C(faults).
  returned: success
  type: list
  elements: dict
  sample:
    - name: E2-etcd
      system: etcd
      members: [etcd1, etcd2, etcd3]
      faults: [{id: F1, action: stop, target: leader, at_index: 240, heal: end}]
stream:
  description: Counts, expected keys and digest of the stream.
  returned: success
  type: dict
  sample: {CREATE: 421, RETRIEVE: 397, DELETE: 182, expected_keys: 239}
operations:
  description: Length of the stream.
  returned: success
  type: int
  sample: 1000
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.module_options import read_settings, settings_option
from ansible.module_utils.failover.plan.experiments import resolve_experiments
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "experiments": {"type": "list", "elements": "str", "required": True},
            "catalog": {"type": "dict", "required": True},
            **settings_option(),
            "members": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        plan = resolve_experiments(wanted["experiments"], wanted["catalog"], read_settings(wanted), wanted["members"])
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **plan)


if __name__ == "__main__":
    main()

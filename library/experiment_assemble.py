#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: experiment_assemble
short_description: Turn what was collected from the hosts into one experiment's folder
description:
  - Writes C(experiment.json), brings the events of the client, of the heal and of the servers' logs into one file,
    ordered by time, and makes C(history.parquet) of C(history.jsonl).
  - Runs on the controller, after the files of the load generator and the servers' logs were put into O(folder). Needs
    the Python package C(pyarrow).
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Writes nothing in check mode.
  diff_mode:
    description: Returns details on what has changed.
    support: none
extends_documentation_fragment: run_settings
options:
  folder:
    description: The experiment's folder in the results.
    type: path
    required: true
  definition:
    description: The experiment as M(experiment_plan_info) resolved it.
    type: dict
    required: true
  members:
    description: Members of the system, each with its C(client_url) or C(address).
    type: dict
    required: true
  workload:
    description: Result of M(workload_run).
    type: dict
    required: true
  heal:
    description: Result of M(fault_heal).
    type: dict
    required: true
  before:
    description: The system as observed before operation 0.
    type: dict
    required: true
  after:
    description: The system as observed after the heal.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Assemble the experiment's folder
  experiment_assemble:
    folder: results/20261123T045000Z-seed123/E1-etcd
    definition: "{{ plan.experiments[0] }}"
    settings: {iterations: 100000, seed: 123}
    members: {etcd1: {client_url: "http://10.89.77.11:2379"}}
    workload: "{{ workload }}"
    heal: "{{ heal }}"
    before: "{{ before }}"
    after: "{{ after }}"
  delegate_to: localhost
"""

RETURN = r"""
msg:
  description: Where it was written.
  returned: always
  type: str
  sample: E1-etcd assembled in results/20261123T045000Z-seed123/E1-etcd
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.failover.module_options import read_settings, settings_option
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "definition": {"type": "dict", "required": True},
            **settings_option(),
            "members": {"type": "dict", "required": True},
            "workload": {"type": "dict", "required": True},
            "heal": {"type": "dict", "required": True},
            "before": {"type": "dict", "required": True},
            "after": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        from ansible.module_utils.failover.run.assemble import assemble
    except ImportError as error:
        module.fail_json(msg=missing_required_lib(error.name or "pyarrow"))
    wanted = dict(module.params)
    folder, settings = Path(wanted.pop("folder")), read_settings(wanted)
    del wanted["settings"]
    if not module.check_mode:
        try:
            assemble(folder, settings=settings, **wanted)
        except (LabError, OSError) as error:
            module.fail_json(msg=str(error))
    module.exit_json(changed=True, msg=f"{wanted['definition']['name']} assembled in {folder}")


if __name__ == "__main__":
    main()

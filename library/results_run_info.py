#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: results_run_info
short_description: Read what a run was about
description:
  - Reads C(run.json) of a results folder. A file that is missing, cut short, damaged or of another version fails with
    one line that names it and what to try.
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
  results_dir:
    description: Folder of the run.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Read which experiments the run has
  results_run_info:
    results_dir: results/latest
  register: described
"""

RETURN = r"""
experiments:
  description: Names of the experiments, in the order in which they ran.
  returned: success
  type: list
  elements: str
  sample: [E1-etcd, E2-etcd]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.results.read import read_run
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(argument_spec={"results_dir": {"type": "path", "required": True}}, supports_check_mode=True)
    try:
        run = read_run(Path(module.params["results_dir"]))
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, experiments=run["experiments"])


if __name__ == "__main__":
    main()

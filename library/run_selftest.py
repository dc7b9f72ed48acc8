#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_selftest
short_description: Plant faults into the histories of a run, and see whether the checks name them
description:
  - Plants each class of faults into copies of what a valid run recorded, at places that a seed chooses, each alone, and
    has the checks judge it. The run's folder is not changed, and no server is touched.
  - Compares the search for an order with trying every order on small random histories.
  - Writes C(selftest.json) beside the run's folder. Something that was missed is a result, not a failure of the module,
    which fails where there is no valid run to begin from.
  - Runs on the controller. Needs the Python package C(pyarrow).
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Plants and judges everything, and writes nothing.
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  results_dir:
    description: Folder of the run.
    type: path
    required: true
  plants:
    description: How many plants of each class are tried on each system, above 0.
    type: int
    default: 30
  seed:
    description: Seed of the places; the run's where it is not given.
    type: int
  only:
    description: One plant to repeat alone, as C(EXPERIMENT/CLASS/NUMBER).
    type: str
  histories:
    description: For how many small histories the search is compared with trying every order; 0 for none.
    type: int
    default: 100000
"""

EXAMPLES = r"""
- name: See whether the checks catch what is planted
  run_selftest:
    results_dir: results/latest
    plants: 100
  register: selftest

- name: Repeat one that was missed
  run_selftest:
    results_dir: results/latest
    seed: 123
    only: E2-etcd/stale/17
"""

RETURN = r"""
verdict:
  description:
    - C(valid) where everything that was planted was caught and named, C(invalid) where anything was not, C(unknown)
      where nothing could be planted.
  returned: success
  type: str
  sample: valid
sentence:
  description: How it ended, in one sentence.
  returned: success
  type: str
  sample: 660 faults planted, all caught and named.
lines:
  description: The table for people, a line each, and what was missed.
  returned: success
  type: list
  elements: str
file:
  description: Where C(selftest.json) is, or would be in check mode.
  returned: success
  type: str
  sample: /root/failover-lab/results/selftest.json
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "results_dir": {"type": "path", "required": True},
            "plants": {"type": "int", "default": 30},
            "seed": {"type": "int"},
            "only": {"type": "str"},
            "histories": {"type": "int", "default": 100000},
        },
        supports_check_mode=True,
    )
    try:
        from ansible.module_utils.failover.selftest.told import run_selftest
    except ImportError as error:
        module.fail_json(msg=missing_required_lib(error.name or "pyarrow"))
    asked = {name: module.params[name] for name in ("plants", "seed", "only", "histories")}
    try:
        result = run_selftest(Path(module.params["results_dir"]), asked, write=not module.check_mode)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

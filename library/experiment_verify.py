#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: experiment_verify
short_description: Check the results of an experiment
description:
  - Compares the history, the events and every member's keys with the stream of operations, made again from the seed,
    and writes C(verdict.json) of the experiment and, once every experiment of the run has one, of the run, with
    C(junit.xml) beside it.
  - A verdict that is not C(valid) is a result, not a failure. The module fails where a file is missing or damaged.
  - A folder that an earlier version of the lab assembled has its history as C(history.jsonl). It becomes
    C(history.parquet) first.
  - Runs on the controller and reads nothing but the results folder. Needs the Python package C(pyarrow).
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Checks everything, and writes nothing.
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  results_dir:
    description: Folder of the run.
    type: path
    required: true
  experiment:
    description: Name of the experiment, which is its folder in O(results_dir).
    type: str
    required: true
  limits:
    description:
      - Limits of figures to judge with, as the variable C(limits) has them, in place of those that C(run.json) has.
      - Without them those of C(run.json), if any.
    type: raw
"""

EXAMPLES = r"""
- name: Check the experiment
  experiment_verify:
    results_dir: results/20261123T045000Z-seed123
    experiment: E2-etcd
"""

RETURN = r"""
verdict:
  description: The worst verdict of all checks, C(valid), C(invalid) or C(unknown).
  returned: success
  type: str
  sample: valid
summary:
  description: How the experiment ended, in one line.
  returned: success
  type: str
  sample: "E2-etcd: valid, all 11 checks."
checks:
  description: The checks; C(verdict.json) also has their evidence.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check.
      returned: always
      type: str
      sample: keys on etcd1
    verdict:
      description: C(valid), C(invalid) or C(unknown).
      returned: always
      type: str
      sample: valid
    summary:
      description: What was found, in one sentence.
      returned: always
      type: str
      sample: etcd1 has 22,457 keys, the 22,457 that must be there, all values right.
differs:
  description: Names of the checks of which the verdict that was there says something else, as one that was edited does.
  returned: success
  type: list
  elements: str
  sample: [keys on etcd1]
converted:
  description: Whether there was a C(history.jsonl) to convert.
  returned: success
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "results_dir": {"type": "path", "required": True},
            "experiment": {"type": "str", "required": True},
            "limits": {"type": "raw"},
        },
        supports_check_mode=True,
    )
    try:
        from ansible.module_utils.failover.checks.verdict import verify
    except ImportError as error:
        module.fail_json(msg=missing_required_lib(error.name or "pyarrow"))
    try:
        result = verify(
            module.params["results_dir"],
            module.params["experiment"],
            limits=module.params["limits"],
            write=not module.check_mode,
        )
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

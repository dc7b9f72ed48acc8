#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_verdict_info
short_description: Read the verdict on a run, and whether its files are still those that were judged
description:
  - Reads C(verdict.json) of a results folder and compares the digests in it with the files that are there.
  - Files that were changed, removed or added since are a result, not a failure of the module.
  - Runs on the controller and reads nothing but the results folder.
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
  limits:
    description: Limits of figures that the run has to have been judged with; the module fails where it was not.
    type: raw
"""

EXAMPLES = r"""
- name: Read the verdict
  run_verdict_info:
    results_dir: results/latest
  register: judged

- name: Stop where it is of other files
  ansible.builtin.fail:
    msg: "{{ judged.sentence }}"
  when: judged.stale
"""

RETURN = r"""
verdict:
  description: The verdict as it was given, C(valid), C(invalid) or C(unknown).
  returned: success
  type: str
  sample: valid
checks:
  description: The checks of all experiments.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check, with its experiment's.
      returned: always
      type: str
      sample: "E2-etcd: keys on etcd1"
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
recorded:
  description: Whether the verdict says which files it judged; one of an earlier version of the lab does not.
  returned: success
  type: bool
  sample: true
stale:
  description:
    - Whether the verdict is not known to be of these files, because some were changed, removed or added since, because
      it contradicts the verdicts of its experiments, or because it does not say which files it judged.
  returned: success
  type: bool
  sample: false
limits_sentence:
  description:
    - That limits of the user's were missed and what that means for the data, and which of them judged nothing.
    - Empty where neither is so.
  returned: success
  type: str
  sample: The data is right; a limit of yours was missed.
sentence:
  description: What does not match, in words; empty where everything does.
  returned: success
  type: str
  sample: since the verdict, E2-etcd/nodes/etcd1.jsonl changed
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.results.judged import limits_sentence, read_judgement
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={"results_dir": {"type": "path", "required": True}, "limits": {"type": "raw"}},
        supports_check_mode=True,
    )
    try:
        verdict, found = read_judgement(Path(module.params["results_dir"]), module.params["limits"])
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        verdict=verdict["verdict"],
        checks=[{name: check.get(name, "") for name in ("name", "verdict", "summary")} for check in verdict["checks"]],
        limits_sentence=limits_sentence(verdict),
        recorded=found.recorded,
        stale=not found.none,
        sentence=found.sentence,
    )


if __name__ == "__main__":
    main()

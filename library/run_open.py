#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_open
short_description: Open the record of a run, or resume an interrupted one
description:
  - Makes the run's folder and writes its plan into C(plan.json).
  - With O(resume) it compares the plan with the one that the run was begun with, removes what unfinished experiments
    left, and says which experiments are still to be run. A run that was begun with another plan is refused.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Compares the plans, and writes nothing.
  diff_mode:
    description: Returns details on what has changed.
    support: none
extends_documentation_fragment: run_settings
options:
  folder:
    description: The run's folder in the results.
    type: path
    required: true
  resume:
    description: Whether the run was begun before.
    type: bool
    default: false
  checkout:
    description: The lab's own folder. Which commit it is of is recorded where it is a git checkout.
    type: path
    required: true
  experiments:
    description: The experiments as M(experiment_plan_info) resolved them.
    type: list
    elements: dict
    required: true
  limits:
    description:
      - Limits of figures that the run is judged with, as the variable C(limits) has them. Without them, a run that is
        resumed has those that it was begun with.
    type: raw
"""

EXAMPLES = r"""
- name: Resume an interrupted run
  run_open:
    folder: results/20261123T045000Z-seed7
    resume: true
    checkout: "{{ playbook_dir }}/.."
    experiments: "{{ plan.experiments }}"
    settings: {iterations: 3000, seed: 7, repeats: 10}
  register: run
"""

RETURN = r"""
started_at:
  description: When the run began, in ISO 8601, UTC.
  returned: success
  type: str
  sample: "2026-11-23T04:50:00Z"
resumed_at:
  description: When it was resumed.
  returned: success
  type: list
  elements: str
  sample: ["2026-11-23T05:10:00Z"]
pending:
  description: Names of the experiments that are still to be run.
  returned: success
  type: list
  elements: str
  sample: [E3-mysql]
limits:
  description: Limits of figures that the run is judged with; empty where there are none.
  returned: success
  type: dict
  sample: {"outage_ms": 2000}
settings:
  description: Those of O(settings) that the description of a run has, numbers as numbers.
  returned: success
  type: dict
  sample: {"iterations": 3000, "seed": 7, "clients": 1, "rate": 0.0}
checkout:
  description:
    - The C(commit) that the run was begun with, whether files differed from it (C(dirty)), and where it can be cloned
      from (C(origin), none where its address carries credentials).
    - None where the lab is no git checkout.
  returned: success
  type: dict
  sample: {"commit": "8f95194d3b0c5a5b1f0d0c1e2a3b4c5d6e7f8091", "dirty": false, "origin": null}
"""

from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.checkout import describe_checkout
from ansible.module_utils.failover.module_options import read_settings, settings_option
from ansible.module_utils.failover.plan.run_record import open_run
from ansible.module_utils.failover.shapes import (
    EXPERIMENT_SETTINGS,
    LAB_SETTINGS,
    OWN_SETTINGS,
    PLAN_SETTINGS,
    LabError,
)


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "resume": {"type": "bool", "default": False},
            "checkout": {"type": "path", "required": True},
            "experiments": {"type": "list", "elements": "dict", "required": True},
            "limits": {"type": "raw"},
            **settings_option(),
        },
        supports_check_mode=True,
    )
    wanted = module.params
    settings = read_settings(wanted)
    try:
        opened = open_run(
            Path(wanted["folder"]),
            {
                **settings.only(PLAN_SETTINGS),
                "experiments": wanted["experiments"],
                "limits": wanted["limits"],
                "checkout": describe_checkout(Path(wanted["checkout"])),
            },
            now=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            resume=wanted["resume"],
            dry_run=module.check_mode,
        )
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=True, settings=settings.only((*EXPERIMENT_SETTINGS, *OWN_SETTINGS, *LAB_SETTINGS)), **opened
    )


if __name__ == "__main__":
    main()

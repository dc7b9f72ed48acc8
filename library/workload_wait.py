#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name; the code is in plugins/action/workload_wait.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_wait
short_description: Wait for a workload and show how it goes
description:
  - Waits for a job that M(workload_run) was started as with C(async) and C(poll=0), and returns that job's result.
  - Shows percentage, operations per second, errors, the current leader and the faults in force, as one line that is
    redrawn on a terminal, and as a line every five seconds elsewhere.
author: The failover lab's authors (@failover-lab)
attributes:
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the
      controller.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: none
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Skipped, as there is no job.
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  jid:
    description: Id of the asynchronous job, RV(ignore:ansible_job_id) of the task that started it.
    type: str
    required: true
  progress_path:
    description: File on the host in which the workload says how far it is.
    type: path
    required: true
  timeout_s:
    description: Give up when no operation was completed for so many seconds.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Wait for the workload
  workload_wait:
    jid: "{{ job.ansible_job_id }}"
    progress_path: /var/lib/failover-lab/runs/latest/progress.json
  register: workload
"""

RETURN = r"""
msg:
  description: Why there is no result; otherwise the result of M(workload_run) is returned as it is.
  returned: failure
  type: str
  sample: The workload on client1 completed no operation for 120 s, at 11,973 of 100,000 (endpoint 10.89.77.11:2379).
"""

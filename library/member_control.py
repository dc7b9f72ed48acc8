#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: member_control
short_description: Start, stop, kill or restart the server of a member
description:
  - Acts on one systemd unit of the host it runs on, waits until it is done, and stamps when it acted and when the
    process was gone or the unit was up.
  - When a start fails, the message has the unit's state, the likely cause and its last log lines.
  - For faults during a workload use the fault agent, which needs no Ansible task at that moment.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  unit:
    description: The systemd unit.
    type: str
    required: true
  state:
    description:
      - V(started) and V(stopped) do nothing where it is so already; a stop is SIGTERM through the service manager.
      - V(killed) sends SIGKILL to the main process; it does nothing where there is none.
      - V(restarted) always stops and starts.
    type: str
    choices: [started, stopped, killed, restarted]
    required: true
  timeout_s:
    description: How long the server may take, in seconds.
    type: float
    default: 100
  log_lines:
    description: How many of the last log lines a failure shows.
    type: int
    default: 20
"""

EXAMPLES = r"""
- name: Kill the member
  member_control:
    unit: etcd.service
    state: killed

- name: Bring it back
  member_control:
    unit: etcd.service
    state: started
  register: member
"""

RETURN = r"""
unit:
  description: The unit.
  returned: always
  type: str
  sample: etcd.service
active_before:
  description: State of the unit before.
  returned: always
  type: str
  sample: active
active_after:
  description: State of the unit now; in check mode what it would be.
  returned: always
  type: str
  sample: failed
pid_before:
  description: Main process before; 0 where there was none.
  returned: always
  type: int
  sample: 711
pid_after:
  description: Main process now; 0 where there is none, null in check mode where it would be a new one.
  returned: always
  type: int
  sample: 0
acted_wall_ns:
  description: When it acted, wall clock of this host in nanoseconds; null if there was nothing to do.
  returned: always
  type: int
  sample: 1795411280203985917
gone_wall_ns:
  description: When the process from before was gone; null where it was not ended, or ended unseen.
  returned: always
  type: int
  sample: 1795411280219985917
started_wall_ns:
  description: When the main process that runs now was started; null where there is none.
  returned: always
  type: int
  sample: 1795411281203985000
duration_ms:
  description: Time from acting to being done, in milliseconds.
  returned: always
  type: float
  sample: 17.1
commands:
  description: What was run.
  returned: always
  type: list
  elements: str
  sample: ["systemctl start etcd.service"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.host.service import Service, ServiceError, control


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped", "killed", "restarted"], "required": True},
            "timeout_s": {"type": "float", "default": 100},
            "log_lines": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    service = Service(wanted["unit"])
    try:
        result = control(service, wanted["state"], wanted["timeout_s"], pretend=module.check_mode)
    except ServiceError as error:
        module.fail_json(
            msg=service.explain_failure(str(error), wanted["log_lines"]), unit=wanted["unit"], commands=service.commands
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()

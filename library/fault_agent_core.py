#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fault_agent_core
short_description: Write the code that a fault agent runs
description:
  - The agent is a program of the lab's core. Ansible sends a module with the part of the core that it imports, in one
    archive; this module imports the agent, and writes those files to a folder of the host.
  - Files of an earlier version that are no longer needed are removed.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  folder:
    description: The folder of the package; its parent is what PYTHONPATH has to name.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Write the code of the agent
  fault_agent_core:
    folder: /opt/failover-lab/failover
"""

RETURN = r"""
files:
  description: All files of the agent's code, below O(folder).
  returned: always
  type: list
  elements: str
  sample: [__init__.py, agent/server.py, shapes.py]
written:
  description: Those that were, or in check mode would be, written or removed.
  returned: always
  type: list
  elements: str
  sample: [agent/server.py]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.agent import server
from ansible.module_utils.failover.core_files import needed_files, write_files
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={"folder": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    program = "agent.server"
    try:
        files = needed_files(program, server.__name__.removesuffix(f".{program}"))
        written = write_files(files, Path(module.params["folder"]), pretend=module.check_mode)
    except (LabError, OSError) as error:
        module.fail_json(msg=f"The agent's code could not be written: {error}.")
    module.exit_json(changed=bool(written), files=list(files), written=written)


if __name__ == "__main__":
    main()

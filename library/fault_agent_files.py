#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fault_agent_files
short_description: Write the code that a fault agent runs, and the files beside it
description:
  - The agent is a program of the lab's core. Ansible sends a module with the part of the core that it imports, in one
    archive; this module imports the agent, and writes those files to a folder of the host.
  - Code of an earlier version that is no longer needed is removed.
  - One task for all files, as every task costs a second where the hosts of a lab share two cores.
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
  files:
    description:
      - What else the agent needs. Each belongs to root, or to whoever runs this module, and is written whole or not at
        all. A folder that is missing is made for its owner alone.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it stands.
        type: path
        required: true
      content:
        description: What is in it.
        type: str
        required: true
      mode:
        description: Its permissions, in octal digits.
        type: str
        default: "0600"
      validate:
        description: Command that has to accept the new file before it takes its place; C(%s) is its path.
        type: str
"""

EXAMPLES = r"""
- name: Write the code of the agent and its configuration
  fault_agent_files:
    folder: /opt/failover-lab/failover
    files:
      - path: /etc/failover-lab/agent.json
        content: '{"member": "etcd1", "unit": "etcd.service"}'
"""

RETURN = r"""
files:
  description: All files of the agent's code, below O(folder).
  returned: always
  type: list
  elements: str
  sample: [__init__.py, agent/server.py, shapes.py]
written:
  description: What was, or in check mode would be, written or removed. Code is named below O(folder).
  returned: always
  type: list
  elements: str
  sample: [agent/server.py, /etc/failover-lab/agent.json]
"""

from functools import partial
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.agent import server
from ansible.module_utils.failover.core_files import needed_files, write_file, write_files
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    # Keys and passwords are among them.
                    "content": {"type": "str", "required": True, "no_log": True},
                    "mode": {"type": "str", "default": "0600"},
                    "validate": {"type": "str"},
                },
            },
        },
        supports_check_mode=True,
    )

    def accept(command: str, path: Path) -> None:
        status, said, failed = module.run_command(command.replace("%s", str(path)))
        if status != 0:
            raise LabError(f"it was not accepted: {(failed or said).strip()}")

    program, pretend = "agent.server", module.check_mode
    written: list[str] = []
    about = module.params["folder"]
    try:
        code = needed_files(program, server.__name__.removesuffix(f".{program}"))
        written += write_files(code, Path(about), pretend=pretend)
        for given in module.params["files"]:
            about, command = given["path"], given["validate"]
            check = partial(accept, command) if command else None
            mode = int(given["mode"], 8)
            if write_file(Path(about), given["content"], mode=mode, check=check, pretend=pretend):
                written.append(about)
    except (LabError, OSError, ValueError) as error:
        module.fail_json(msg=f"{about} could not be written: {error}.")
    module.exit_json(changed=bool(written), files=list(code), written=written)


if __name__ == "__main__":
    main()

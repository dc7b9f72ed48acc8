# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of the core that a program needs on another host, for YAML: module_utils/failover/core_files.py."""

from __future__ import annotations

DOCUMENTATION = r"""
name: needed_files
short_description: Return the files of the core that a program needs, with their hashes
description: Says what M(fault_agent_core) would write, without asking a host.
author: The failover lab's authors (@failover-lab)
options:
  _input:
    description: A module of the core, such as C(agent.server).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what the fault agent is made of
  ansible.builtin.debug:
    msg: "{{ 'agent.server' | needed_files }}"
"""

RETURN = r"""
_value:
  description: SHA-256 of each file, by its path below the folder of the package.
  type: dict
"""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from ansible.errors import AnsibleFilterError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "module_utils"))

from failover.core_files import needed_files
from failover.shapes import LabError


def needed_files_of(program: str) -> dict[str, str]:
    """Return the hash of each file that a program of the core needs."""
    try:
        files = needed_files(program, "failover")
    except (LabError, ImportError) as error:
        raise AnsibleFilterError(f"{program} is no program of the core: {error}") from error
    return {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items()}


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Callable[[str], dict[str, str]]]:
        """Return them by name."""
        return {"needed_files": needed_files_of}

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of the core that a program needs on another host, for YAML: what module_utils/failover/core_files.py says.

Documented in the file of the filter's name.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from ansible.errors import AnsibleFilterError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "module_utils"))

from failover.core_files import needed_files
from failover.shapes import LabError

# Under which name the core is imported here.
PACKAGE = LabError.__module__.rpartition(".")[0]


# Templates ask for it again and again, and it is found out by reading every file.
@cache
def needed_files_of(program: str) -> dict[str, str]:
    """Return the hash of each file that a program of the core needs."""
    try:
        files = needed_files(program, PACKAGE)
    except (LabError, ImportError) as error:
        raise AnsibleFilterError(f"{program} is no program of the core: {error}") from error
    return {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items()}


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Callable[[str], dict[str, str]]]:
        """Return them by name."""
        return {"needed_files": needed_files_of}

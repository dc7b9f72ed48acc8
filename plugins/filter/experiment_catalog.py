# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters over the catalog of experiments: what module_utils/failover/plan/catalog.py does, for YAML.

Each is documented in a file of its name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "module_utils"))


def of_core(name: str) -> Callable[..., Any]:
    """Return a function of the core as a filter."""

    def filtered(*args: Any, **options: Any) -> Any:
        # Only where it is asked for: each task on each host is a process that loads all filters if it needs any.
        from failover.plan import catalog
        from failover.shapes import LabError

        try:
            return getattr(catalog, name)(*args, **options)
        except LabError as error:
            # Ansible would say the cause once more.
            raise AnsibleFilterError(str(error)) from None

    return filtered


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {
            "chosen_experiments": of_core("chosen_experiments"),
            "experiment_table": of_core("experiment_table"),
            "experiments_of_faults": of_core("experiments_of_faults"),
            "names_given": of_core("names_given"),
        }

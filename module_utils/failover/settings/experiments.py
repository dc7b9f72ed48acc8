# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the experiments are there; what each of them says is :mod:`..plan`'s to judge."""

from __future__ import annotations

import json
from collections.abc import Mapping

from .base import Given


def experiments(given: Given) -> list[str]:
    """Return what is wrong with the names of the experiments."""
    catalog, names = given.values.get("experiment_catalog"), given.experiments
    if not isinstance(catalog, Mapping):
        return [
            f"experiment_catalog is {json.dumps(catalog, default=str)}: it must be a mapping of experiments by name, "
            "as in roles/settings/defaults/main.yml."
        ]
    lines = []
    if not names or len(set(names)) < len(names):
        lines.append(
            f"experiments is {json.dumps(given.values.get('experiments'), default=str)}: it must name at least one "
            "experiment, each once. Try -e experiments=E1-etcd,E2-etcd."
        )
    unknown = [name for name in names if name not in catalog]
    if unknown:
        lines.append(
            f"Unknown experiment {', '.join(unknown)} in the variable experiments: experiment_catalog has "
            f"{', '.join(map(str, catalog))}."
        )
    return lines

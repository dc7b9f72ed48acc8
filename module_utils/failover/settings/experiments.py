# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the experiments are there; what each of them says is :mod:`..plan`'s to judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..plan.catalog import chosen_experiments, names_given
from ..sentences import did_you_mean
from .base import Given


def experiments(given: Given) -> list[str]:
    """Return what is wrong with what was chosen to run."""
    catalog, names = given.values.get("experiment_catalog"), given.experiments
    if not isinstance(catalog, Mapping):
        return [
            f"experiment_catalog is {_shown(catalog)}: it must be a mapping of experiments by name, "
            "as in docs/faults.md."
        ]
    chosen = names_given(given.values.get("systems")) or names_given(given.values.get("faults"))
    lines = _choice(given)
    if lines:
        return lines
    if not names or len(set(names)) < len(names):
        lines.append(
            f"experiments is {_shown(given.values.get('experiments'))}: it must name at least one "
            "experiment, each once. Try -e experiments=E1-etcd,E2-etcd."
        )
    unknown = [name for name in names if name not in catalog]
    if unknown and chosen:
        lines.append(
            f"systems and faults choose {', '.join(unknown)}, which your own experiment_catalog does not have: name "
            "experiments of it with -e experiments=..., or leave it out."
        )
    elif unknown:
        lines.append(
            f"Unknown experiment {', '.join(unknown)} in the variable experiments: experiment_catalog has "
            f"{', '.join(map(str, catalog))}.{did_you_mean(unknown, map(str, catalog))}"
        )
    return lines


def _choice(given: Given) -> list[str]:
    """Return what is wrong with the choice by systems and faults, and with one beside a choice by name."""
    faults, systems = given.values.get("fault_catalog"), given.values.get("lab_systems")
    if not isinstance(faults, Mapping) or not isinstance(systems, Mapping):
        return []  # experiment_catalog cannot be resolved then, unless it is the user's own
    lines = []
    for variable, known, example in (
        ("systems", systems, "etcd,mysql"),
        ("faults", faults, "kill,partition"),
        ("usual_faults", faults, "kill,partition"),
        ("container_hosts_data_systems", systems, "etcd,mysql"),
    ):
        value = given.values.get(variable)
        unknown = [name for name in names_given(value) if name not in known]
        if value and not isinstance(value, str | list | tuple):
            lines.append(
                f"{variable} is {_shown(value)}: it must be names, as a list or with commas. "
                f"Try -e {variable}={example}."
            )
        elif unknown:
            lines.append(
                f"Unknown name {', '.join(unknown)} in the variable {variable}: known are "
                f"{', '.join(known)}.{did_you_mean(unknown, known)}"
            )
    return lines or _both(given, faults, systems)


def _both(given: Given, faults: Mapping[str, Any], systems: Mapping[str, Any]) -> list[str]:
    """Return that experiments are chosen in both ways. What systems and faults choose is the default of experiments."""
    by_system, by_fault = (names_given(given.values.get(name)) for name in ("systems", "faults"))
    if not by_system and not by_fault:
        return []
    present = [system for system in systems if system in given.groups]
    usual = names_given(given.values.get("usual_faults"))
    if given.experiments == chosen_experiments(faults, by_system or present, by_fault or usual):
        return []
    named = " and ".join(
        f"{name} {', '.join(names)}" for name, names in (("systems", by_system), ("faults", by_fault)) if names
    )
    return [
        f"experiments names {', '.join(given.experiments) or 'none'}, and there are {named} beside it: leave out "
        "experiments, or systems and faults."
    ]


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the experiments as data to what will really be run, with everything checked before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .faults import resolve_plan
from .shapes import LabError
from .workload import create_simulation, summarize

# The systems an experiment may name; the inventory's group of each has the same name.
SYSTEMS = ("etcd", "mysql", "mysql_cluster")
DEFINITION_KEYS = ("title", "system", "key_prefix", "faults")


def resolve_experiments(
    names: Sequence[str],
    catalog: Mapping[str, Mapping[str, Any]],
    iterations: int,
    seed: int,
    groups: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Check the experiments of a run and place their faults.

    :param groups: members by inventory group
    :returns: ``{"experiments": [{name, title, system, key_prefix, members: [name], faults: [FaultSpec as dict],
        fault_data: [the faults as given]}], "stream": summary of the stream, "operations": its length}``
    """
    if not names:
        raise LabError('experiments names no experiment. Try -e \'{"experiments": ["E1-etcd"]}\'.')
    repeated = [name for number, name in enumerate(names) if name in names[:number]]
    if repeated:
        raise LabError(
            f"experiments names {repeated[0]} more than once, and each experiment has one folder of results. "
            "Name it once, or copy it under another name in experiment_catalog."
        )
    operations = create_simulation(iterations, seed)
    plan = []
    for name in names:
        if name not in catalog:
            raise LabError(f"Unknown experiment {name}. experiment_catalog has {', '.join(catalog)}.")
        definition = catalog[name]
        if not isinstance(definition, Mapping):
            raise LabError(f"Experiment {name} is {definition!r}: it must have the keys {', '.join(DEFINITION_KEYS)}.")
        unknown = [key for key in definition if key not in DEFINITION_KEYS]
        missing = [key for key in DEFINITION_KEYS if key not in definition]
        if unknown or missing:
            raise LabError(
                f"Experiment {name}: "
                + (f"unknown key {', '.join(unknown)}" if unknown else f"no {', '.join(missing)}")
                + f". Its keys are {', '.join(DEFINITION_KEYS)}."
            )
        system = definition["system"]
        if system not in SYSTEMS:
            raise LabError(f"Experiment {name}: unknown system {system!r}. Known are {', '.join(SYSTEMS)}.")
        members = list(groups.get(system, []))
        if not members:
            raise LabError(
                f"Experiment {name} needs hosts in the inventory's group {system}, which has none. "
                "Add them, or leave the experiment out of the variable experiments."
            )
        if system == "mysql" and len(members) > 1:
            raise LabError(
                f"Experiment {name} is of the system mysql, which is one server, and the inventory's group mysql has "
                f"{', '.join(members)}. Leave one; servers that replicate belong into the group mysql_cluster."
            )
        if system == "etcd" and not definition["key_prefix"]:
            raise LabError(f"Experiment {name}: key_prefix is empty, and the run begins by emptying it. Try EXP9-.")
        if not isinstance(definition["faults"], list | tuple):
            raise LabError(
                f"Experiment {name}: faults is {definition['faults']!r}, and has to be a list. "
                "Try [] for none, or [{action: stop, target: leader, at: 12%}]."
            )
        try:
            faults = resolve_plan(definition["faults"], len(operations), members)
        except LabError as error:
            raise LabError(f"Experiment {name}: {error}") from error
        plan.append(
            {
                "name": name,
                "title": definition["title"],
                "system": system,
                "key_prefix": definition["key_prefix"],
                "members": members,
                "faults": [asdict(fault) for fault in faults],
                "fault_data": list(definition["faults"]),
            }
        )
    return {"experiments": plan, "stream": summarize(operations), "operations": len(operations)}

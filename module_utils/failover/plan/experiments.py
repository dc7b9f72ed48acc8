# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the experiments as data to what will really be run, with everything checked before anything is touched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import msgspec

from ..shapes import Arrivals, LabError, ReadConsistency, RetryPolicy, RunSettings
from ..stall import check_stall_timeout
from ..systems.registry import SYSTEMS
from ..typed import convert
from ..workloads.registry import create_simulation
from ..workloads.stream import summarize
from .drawn import RANDOM, check_draw, draw_faults
from .faults import resolve_repeats


class OwnSettings(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What an experiment may have of its own, in place of the run's settings of the same names."""

    retry_policy: RetryPolicy | None = None
    read_consistency: ReadConsistency | None = None
    arrivals: Arrivals | None = None


class Definition(msgspec.Struct, forbid_unknown_fields=True):
    """An experiment of the catalog."""

    title: str
    system: str  # one of shapes.SYSTEMS
    key_prefix: str  # in front of every key of etcd, empty for the others
    faults: Any  # a list of them, or what drawn.py takes; each is told by its own number
    settings: OwnSettings | None = None  # in place of the run's


# Nobody waits longer for a run, in s: a week.
LONGEST_RUN_S = 7 * 86_400
# A repeat that is shorter has nothing to measure: the fault strikes, and it is over before anything is as before.
SHORTEST_REPEAT = 100


def resolve_experiments(
    names: Sequence[str],
    catalog: Mapping[str, Mapping[str, Any]],
    settings: RunSettings,
    groups: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Check the experiments of a run and place their faults.

    The faults of each experiment strike as often as it has repeats, each time in a slice of the stream of its own; an
    experiment without faults is not cut.

    :param groups: members by inventory group
    :returns: ``{"experiments": [{name, title, system, key_prefix, members: [name], repeats, faults: [FaultSpec as
        dict], and ``settings`` of its own where it has some}], "stream": summary of the stream, "operations": its
        length}``
    """
    if not names:
        raise LabError('experiments names no experiment. Try -e \'{"experiments": ["E1-etcd"]}\'.')
    repeated = [name for number, name in enumerate(names) if name in names[:number]]
    if repeated:
        raise LabError(
            f"experiments names {repeated[0]} more than once, and each experiment has one folder of results. "
            "Name it once, or copy it under another name in experiment_catalog."
        )
    operations = create_simulation(settings.iterations, settings.seed, settings.workload)
    if settings.rate and len(operations) > settings.rate * LONGEST_RUN_S:
        raise LabError(
            f"rate is {settings.rate:g} per second, at which {len(operations):,} operations take more than "
            f"{LONGEST_RUN_S // 86_400} days. Try a higher rate, or fewer iterations."
        )
    plan = [_resolve(name, _defined(name, catalog), len(operations), settings, groups) for name in names]
    return {"experiments": plan, "stream": summarize(operations), "operations": len(operations)}


def _defined(name: str, catalog: Mapping[str, Mapping[str, Any]]) -> Definition:
    """Return an experiment's definition."""
    if name not in catalog:
        raise LabError(f"Unknown experiment {name}. experiment_catalog has {', '.join(catalog)}.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise LabError(
            f"Experiment {name}: its name is also that of its results folder: letters, digits, hyphens, "
            "underscores and dots, beginning with a letter or digit. Try another name, like E12-mine."
        )
    return convert(catalog[name], Definition, f"Experiment {name}")


def _members_of(
    name: str, definition: Definition, settings: RunSettings, groups: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the members of an experiment's system; LabError where it cannot be run on them."""
    system = definition.system
    if system not in SYSTEMS:
        raise LabError(f"Experiment {name}: unknown system {system!r}. Known are {', '.join(SYSTEMS)}.")
    members = list(groups.get(system, []))
    if not members:
        raise LabError(
            f"Experiment {name} needs hosts in the inventory's group {system}, which has none. "
            "Add them, or leave the experiment out of the variable experiments."
        )
    if not SYSTEMS[system].several and len(members) > 1:
        raise LabError(
            f"Experiment {name} is of the system {system}, which is one server, and the inventory's group {system} has "
            f"{', '.join(members)}. Leave one; servers that replicate belong in a group of another system: "
            f"{', '.join(other.name for other in SYSTEMS.values() if other.several)}."
        )
    wanted = _own(definition).get("read_consistency", settings.read_consistency)
    if wanted not in SYSTEMS[system].reads:
        raise LabError(
            f"Experiment {name}: read_consistency is {wanted}, and reads of {system} are "
            f"{' or '.join(SYSTEMS[system].reads)}. Try -e read_consistency={SYSTEMS[system].reads[0]}."
        )
    if SYSTEMS[system].uses_prefix and not definition.key_prefix:
        raise LabError(f"Experiment {name}: key_prefix is empty, and the run begins by emptying it. Try EXP9-.")
    return members


def _resolve(
    name: str,
    definition: Definition,
    operations: int,
    settings: RunSettings,
    groups: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Resolve one experiment.

    :param operations: length of the stream
    """
    members, system, repeats = _members_of(name, definition, settings, groups), definition.system, settings.repeats
    times = repeats.get(system, 1) if isinstance(repeats, Mapping) else repeats
    if not definition.faults:
        times = 1  # it is faults that repeat
    if times > 1 and operations < times * SHORTEST_REPEAT:
        raise LabError(
            f"Experiment {name}: {times} repeats of a stream of {operations:,} operations have fewer than "
            f"{SHORTEST_REPEAT} each. Try -e iterations={times * SHORTEST_REPEAT * 2}, or fewer repeats."
        )
    try:
        if _is_drawn(definition.faults):
            check_draw(definition.faults, operations // times, members, times)
        faults_of = partial(_faults_of, definition.faults, settings.seed, members)
        faults = resolve_repeats(faults_of, operations, members, times)
        check_stall_timeout(faults, settings.stall_timeout_s, settings.operation_budget_ms)
    except LabError as error:
        raise LabError(f"Experiment {name}: {error}") from error
    return {
        "name": name,
        "title": definition.title,
        "system": system,
        "key_prefix": definition.key_prefix,
        "members": members,
        "repeats": times,
        "faults": [asdict(fault) for fault in faults],
        **({"settings": own} if (own := _own(definition)) else {}),
    }


def _own(definition: Definition) -> dict[str, str]:
    """Return the settings that an experiment has of its own."""
    return {} if definition.settings is None else dict(msgspec.to_builtins(definition.settings))


def _is_drawn(faults: Any) -> bool:
    return isinstance(faults, Mapping) or (isinstance(faults, str) and faults == RANDOM)


def _faults_of(given: Any, seed: int, members: Sequence[str], repeat: int) -> Sequence[Mapping[str, Any]]:
    """Return the faults of a repeat as data: as they are written down, or drawn."""
    if _is_drawn(given):
        return draw_faults(given, seed, members, repeat)
    if not isinstance(given, list | tuple):
        raise LabError(
            f"faults is {given!r}, and has to be a list, or {RANDOM}. "
            "Try [] for none, or [{action: stop, target: leader, at: 12%}]."
        )
    return given

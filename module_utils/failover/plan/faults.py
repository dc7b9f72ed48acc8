# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults as data: from ``{action, target, at, heal}`` in an experiment's YAML to the FaultSpecs of each member."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..actions.registry import ACTIONS
from ..fault_names import ROLES, FaultId, rank
from ..shapes import FaultSpec, LabError
from ..workloads.stream import cut_stream

# Targets of several members, which become a fault each.
SEVERAL = ("majority", "all")
# Keys of a fault's data: those of any, and those that belong to one action.
OWN_KEYS = tuple(option.key for action in ACTIONS.values() for option in action.options)
FAULT_KEYS = ("action", "target", "at", "heal", "keep_majority", *OWN_KEYS)


def resolve(fault: Mapping[str, Any], operations: int, members: Sequence[str], index_of_fault: int = 0) -> FaultSpec:
    """Check one fault of an experiment and place it in its stream.

    :param operations: length of the stream
    :param members: names of the system's members
    :param index_of_fault: position in the experiment's list, from 0; it makes the id ("F1")
    """
    name = f"Fault {index_of_fault + 1}"
    if not isinstance(fault, Mapping):
        raise LabError(f"{name} is {fault!r}: it must have the keys {', '.join(FAULT_KEYS)}.")
    unknown = [str(key) for key in fault if key not in FAULT_KEYS]
    if unknown:
        raise LabError(f"{name} has the unknown key {', '.join(unknown)}. Known are {', '.join(FAULT_KEYS)}.")
    missing = [key for key in ("action", "target", "at") if key not in fault]
    if missing:
        raise LabError(f"{name} lacks {', '.join(missing)}. Write it like {{action: stop, target: leader, at: 12%}}.")
    action, target, heal = fault["action"], fault["target"], fault.get("heal", "end")
    if action not in tuple(ACTIONS):  # it may be anything, and a list has no hash
        raise LabError(f"{name} has the unknown action {action!r}. Known are {', '.join(ACTIONS)}.")
    if target not in (*ROLES, *SEVERAL, *members):
        known = ", ".join([*ROLES, *SEVERAL, *members])
        raise LabError(f"{name} has the unknown target {target!r}. Known are {known}.")
    if target in ("follower", "majority") and len(members) < 2:
        raise LabError(f"{name} targets a {target}, and a system of one member has none. Try target: leader.")
    at_index = _resolve_index(name, fault["at"], operations)
    fault_id = str(FaultId(index_of_fault + 1))
    placed = FaultSpec(fault_id, action, target, at_index, **_resolve_heal(name, heal, operations))
    keep_majority = fault.get("keep_majority", False)
    if not isinstance(keep_majority, bool):
        raise LabError(f"{name}: keep_majority is {keep_majority!r}, and has to be true or false.")
    if keep_majority and (len(members) < 3 or target in SEVERAL):
        raise LabError(
            f"{name}: no majority can be left of {len(members)} members without {target}. Leave keep_majority out."
        )
    placed = replace(placed, keep_majority=keep_majority)
    if placed.heal_index is not None and placed.heal_index <= at_index:
        raise LabError(
            f"{name} strikes at operation {at_index:,} and heals at {placed.heal_index:,}, which is not after it. "
            "Try a later heal, a delay like 2s, or end."
        )
    if ACTIONS[action].comes_back and heal != "end":
        raise LabError(f"{name}: a {action} comes back by itself, and heal is {heal!r}. Leave heal out.")
    for other in ACTIONS.values():
        foreign = [option.key for option in other.options if option.key in fault and other.name != action]
        if foreign:
            raise LabError(f"{name}: {', '.join(foreign)} belongs to the action {other.name}, and this is a {action}.")
    return replace(placed, **ACTIONS[action].resolve(name, fault, members))


def _resolve_heal(name: str, heal: Any, operations: int) -> dict[str, Any]:
    """Return the fields of a FaultSpec for ``end``, an index or a share like that of ``at``, or ``500ms`` or ``2s``."""
    if heal == "end":
        return {"heal": "end"}
    delay = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*", heal) if isinstance(heal, str) else None
    if delay is not None:
        after_ms = float(delay[1]) * (1000 if delay[2] == "s" else 1)
        if after_ms <= 0:
            raise LabError(f"{name} heals after {heal}: give a time above 0, like 500ms.")
        return {"heal": "delay", "heal_after_ms": after_ms}
    try:
        return {"heal": "index", "heal_index": _resolve_index(name, heal, operations)}
    except LabError:
        raise LabError(
            f"{name} has the unknown heal {heal!r}. Known are end, an operation index or a share like 40% within the "
            f"stream ({operations:,} operations), and a delay like 500ms or 2s."
        ) from None


def _resolve_index(name: str, at: Any, operations: int) -> int:
    """Return the operation index meant by ``12%`` (rounded down) or by a number."""
    percent = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", at) if isinstance(at, str) else None
    if percent is not None:
        index = int(operations * float(percent[1]) / 100)
    elif isinstance(at, str) and re.fullmatch(r"\d+", at):
        index = int(at)
    elif isinstance(at, int) and not isinstance(at, bool) and at >= 0:
        index = at
    else:
        raise LabError(f"{name} strikes at {at!r}: give an operation index from 0 on, or a percentage like 12%.")
    if index >= operations:
        raise LabError(
            f"{name} strikes at {at}, beyond the stream: its {operations:,} operations have the indexes 0 to "
            f"{operations - 1:,}. Try an earlier one, or more iterations."
        )
    return index


def resolve_repeats(
    faults_of: Callable[[int], Sequence[Mapping[str, Any]]], operations: int, members: Sequence[str], repeats: int
) -> list[FaultSpec]:
    """Resolve the faults of all repeats of an experiment, each within its own slice of the stream.

    :param faults_of: repeat, from 1 -> its faults as data
    :param operations: length of the whole stream
    """
    plan = []
    for repeat, part in enumerate(cut_stream(operations, repeats), 1):
        specs = resolve_plan(faults_of(repeat), len(part), members)
        for spec in specs:
            heal_index = None if spec.heal_index is None else part.start + spec.heal_index
            plan.append(
                replace(
                    spec,
                    id=str(replace(FaultId.parse(spec.id), repeat=repeat)) if repeats > 1 else spec.id,
                    at_index=part.start + spec.at_index,
                    heal_index=heal_index,
                    repeat=repeat,
                )
            )
    return plan


def resolve_plan(faults: Sequence[Mapping[str, Any]], operations: int, members: Sequence[str]) -> list[FaultSpec]:
    """Resolve the faults of one repeat, in the order of the data.

    One on several members becomes one for each, with ids like F1.1: ``all`` names them, a ``majority`` is the leader
    and as many followers as it takes.
    """
    plan = []
    for position, fault in enumerate(faults):
        spec = resolve(fault, operations, members, position)
        targets = {
            "all": list(members),
            "majority": ["leader", *(rank(number) for number in range(1, len(members) // 2 + 1))],
        }.get(spec.target)
        if targets is None:
            plan.append(spec)
        else:
            plan += [
                replace(spec, id=str(FaultId(position + 1, part)), target=target)
                for part, target in enumerate(targets, 1)
            ]
    return plan


def read_plan(faults: Sequence[Mapping[str, Any]], operations: int) -> list[FaultSpec]:
    """Return the faults of a plan that was resolved elsewhere and came here as data; LabError where it did not.

    :param operations: length of the stream
    """
    plan = []
    for number, fault in enumerate(faults, 1):
        try:
            spec = FaultSpec(**fault)
            fits = spec.action in ACTIONS and 0 <= spec.at_index < operations
        except TypeError:
            fits = False
        if not fits:
            raise LabError(
                f"Fault {number} is {dict(fault)!r}, which does not fit a plan for {operations:,} operations. Give the "
                "faults as experiment_plan_info returns them for the same iterations."
            )
        plan.append(spec)
    return plan

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The catalog of experiments: each fault of a table on each system of another, and the choice of some of them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..shapes import LabError
from ..systems.base import System
from ..systems.registry import SYSTEMS
from ..typed import convert
from .drawn import RANDOM

# How wide a line of the table of experiments is, in columns.
TABLE_COLUMNS = 98
TABLE_HEADER = ("runs", "name", "system", "fault", "what happens")
WOULD_RUN = "*"
NO_FAULT = "none"


class FaultRow(msgspec.Struct, forbid_unknown_fields=True):
    """A row of ``fault_catalog``: one experiment on every system."""

    number: int  # experiments are called by it, "E3-etcd", and so is their key prefix, "EXP3-"
    title: str  # what happens; {leader} is what the system calls its leader
    faults: list[dict[str, Any]] | str | dict[str, Any]  # as in an experiment's definition
    takes_away: bool = False  # whether a server without replicas is away until the heal, which is sole_server_heal then
    several: bool = False  # whether it makes sense only of systems that replicate
    settings: dict[str, Any] = {}  # in place of the run's, as in an experiment's definition


def experiments_of_faults(
    faults: Mapping[str, Any], systems: Iterable[str], sole_server_heal: str
) -> dict[str, dict[str, Any]]:
    """Return the experiments of a table of faults on each of these systems, by name."""
    known = [_known(name) for name in systems]
    rows = _rows(faults)
    numbers = [row.number for row in rows.values()]
    for name, row in rows.items():
        if numbers.count(row.number) > 1:
            raise LabError(
                f"fault_catalog: {name} has the number {row.number}, as another fault has. Give each its own."
            )
    catalog = {}
    for row in rows.values():
        for system in known:
            alone = not system.several
            if row.several and alone:
                continue
            catalog[_name(row, system.name)] = {
                "title": f"{system.title}, {row.title.replace('{leader}', system.leader_word)}",
                "system": system.name,
                # The notebook's, so that the keys of its experiments could stand side by side.
                "key_prefix": f"EXP{row.number}-" if system.uses_prefix else "",
                "faults": _placed(row, {"heal": sole_server_heal} if alone and row.takes_away else {}),
                **({"settings": row.settings} if row.settings else {}),
            }
    return catalog


def _known(name: str) -> System:
    if name not in SYSTEMS:
        raise LabError(f"lab_systems has {name}, which is none of {', '.join(SYSTEMS)}.")
    return SYSTEMS[name]


def _placed(row: FaultRow, heal: Mapping[str, str]) -> Any:
    return [{**fault, **heal} for fault in row.faults] if heal and isinstance(row.faults, list) else row.faults


def chosen_experiments(
    faults: Mapping[str, Any], wanted_systems: Sequence[str], wanted_faults: Sequence[str]
) -> list[str]:
    """Return the names of the experiments of these faults on these systems: by fault, then by system, as given.

    Faults that the table does not have are left out: the check of the settings refuses them. So are those that make no
    sense of a system.
    """
    rows = _rows(faults)
    chosen = [rows[name] for name in dict.fromkeys(wanted_faults) if name in rows]
    return [
        _name(row, system)
        for row in chosen
        for system in dict.fromkeys(wanted_systems)
        if not row.several or system not in SYSTEMS or SYSTEMS[system].several
    ]


def names_given(value: Any) -> list[str]:
    """Return names that were given as a list, or as text with commas. What is neither has none."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple):
        return []
    return [name for name in (str(each).strip() for each in value) if name]


def experiment_table(catalog: Mapping[str, Any], would_run: Sequence[str]) -> list[str]:
    """Return the catalog as the lines of a table.

    :param would_run: names of the experiments that get a mark
    """
    rows = [TABLE_HEADER]
    for name, experiment in catalog.items():
        if not isinstance(experiment, Mapping) or {"title", "system", "faults"} - experiment.keys():
            rows.append((WOULD_RUN if name in would_run else "", name, "?", "?", "this definition is not complete"))
            continue
        system = str(experiment["system"])
        # The system has a column of its own.
        title = str(experiment["title"])
        if system in SYSTEMS:
            title = title.removeprefix(f"{SYSTEMS[system].title}, ")
        mark = WOULD_RUN if name in would_run else ""
        rows.append((mark, name, system, _actions(experiment["faults"]), title))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [line for row in rows for line in _lines(row, widths)]


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return a row of the table; where its last cell is long, in lines below each other."""
    start = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + "  "
    room = max(TABLE_COLUMNS - len(start), 20)
    return [
        (start if number == 0 else " " * len(start)) + text
        for number, text in enumerate(textwrap.wrap(row[-1], room) or [""])
    ]


def _actions(faults: Any) -> str:
    """Return what an experiment's faults do, each action once."""
    if isinstance(faults, list | tuple):
        actions: Iterable[Any] = (fault.get("action") if isinstance(fault, Mapping) else fault for fault in faults)
        return "+".join(dict.fromkeys(map(str, actions))) or NO_FAULT
    return RANDOM if faults == RANDOM or isinstance(faults, Mapping) else str(faults)


def _name(row: FaultRow, system: str) -> str:
    return f"E{row.number}-{system}"


def _rows(faults: Any) -> dict[str, FaultRow]:
    if not isinstance(faults, Mapping):
        raise LabError(f"fault_catalog is {faults!r}: it must be a mapping of faults by name.")
    return {str(name): convert(row, FaultRow, f"fault_catalog: {name}") for name, row in faults.items()}

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opens the record of a run: a new one, or one that was interrupted and is resumed.

``plan.json`` in the run's folder says what the run is about. An experiment is finished when its folder has an
``experiment.json``; of others nothing is kept, and they run again from their beginning.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..limits import read_limits
from ..results.files import EXPERIMENT_FILE, PLAN_FILE
from ..results.read import read_json
from ..results.write import write_json_atomic
from ..shapes import FORMER_SETTINGS, PLAN_SETTINGS, SCHEMA_VERSION, LabError
from ..typed import misfit


class _Planned(msgspec.Struct):
    name: str


class _PlanFile(msgspec.Struct):
    """What resuming relies on in a plan.json, beside the settings that it compares."""

    experiments: list[_Planned]
    started_at: str
    resumed_at: list[str]


def open_run(folder: Path, plan: Mapping[str, Any], *, now: str, resume: bool, dry_run: bool = False) -> dict[str, Any]:
    """Make a run's folder with its plan, or take up the one that is there.

    :param plan: PLAN_SETTINGS, ``experiments`` as the plan resolved them, ``checkout``, the lab's own files (see
        checkout.describe_checkout), and ``limits`` of figures. None: those that the run was begun with, if any; they
        do not change what is run, so others may be given when it is resumed
    :param now: ISO 8601, UTC
    :param resume: whether the run was begun before
    :param dry_run: change nothing
    :returns: ``started_at``, ``resumed_at`` (list), ``pending`` (names of the experiments that are still to be run),
        ``checkout`` (None where it is no git checkout), ``limits``

    Raises :class:`LabError` where the run that is there is another one, or the disk does not take the plan.
    """
    names = [experiment["name"] for experiment in plan["experiments"]]
    if resume:
        record = _read(folder, plan)
        record["resumed_at"] = [*record["resumed_at"], now]
        record["limits"] = record.get("limits") if plan.get("limits") is None else plan["limits"]
        record["checkout"] = _same_checkout(record.get("checkout"), plan["checkout"])
        pending = [name for name in names if not (folder / name / EXPERIMENT_FILE).is_file()]
    else:
        record = {"schema_version": SCHEMA_VERSION, **plan, "started_at": now, "resumed_at": []}
        pending = names
    limits = read_limits(record.pop("limits", None))
    if limits:
        record["limits"] = limits
    if not dry_run:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in pending:
                if (folder / name).is_dir():
                    shutil.rmtree(folder / name)
        except OSError as error:
            raise LabError(
                f"results folder {error.filename or folder}: {(error.strerror or str(error)).lower()}; check its "
                "rights and the space, or give another results_dir"
            ) from error
        write_json_atomic(folder / PLAN_FILE, record)
    return {name: record[name] for name in ("started_at", "resumed_at", "checkout")} | {
        "pending": pending,
        "limits": limits,
    }


def _same_checkout(begun: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the checkout that a run was begun with; where it goes on with another, that commit is not all of it."""
    if begun is None:
        return None
    same = now is not None and now["commit"] == begun["commit"]
    return {**begun, "dirty": begun["dirty"] or not same or bool(now and now["dirty"])}


def _option(name: str, value: Any) -> str:
    """Return the option of ansible-playbook that gives a variable this value."""
    return f"-e '{json.dumps({name: value})}'" if isinstance(value, Mapping) else f"-e {name}={value}"


def _read(folder: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan that a run was begun with; LabError where it is not the wanted one."""
    if not (folder / PLAN_FILE).is_file():
        raise LabError(
            f"resume: {folder} cannot be resumed, as it has no {PLAN_FILE}. Give the name of a folder in "
            "results_dir, or leave resume out for a new run."
        )
    record = read_json(folder / PLAN_FILE, "the run's plan")
    found = misfit(record, _PlanFile)
    if found:
        raise LabError(f"resume: {folder / PLAN_FILE}{found.of_a_file}. Leave resume out for a new run.")
    other = [name for name in PLAN_SETTINGS if {**FORMER_SETTINGS, **record}.get(name) != plan[name]]
    if other:
        begun = " ".join(_option(name, {**FORMER_SETTINGS, **record}.get(name)) for name in other)
        raise LabError(
            f"resume: {folder.name} was started with other settings. Resume it with {begun}, or leave resume out."
        )
    begun_with, wanted = ([experiment["name"] for experiment in p["experiments"]] for p in (record, plan))
    if begun_with != wanted:
        raise LabError(
            f"resume: {folder.name} was started with other experiments. Resume it with -e "
            f"experiments={','.join(begun_with)}, or leave resume out."
        )
    changed = [
        new["name"] for old, new in zip(record["experiments"], plan["experiments"], strict=True) if dict(old) != new
    ]
    if changed:
        raise LabError(
            f"resume: {', '.join(changed)} of {folder.name} was defined differently when the run began ({PLAN_FILE} "
            "there). Set experiment_catalog and the inventory as they were, or leave resume out."
        )
    return record

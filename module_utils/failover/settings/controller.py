# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the controller has the room that a run needs, and may write where it has to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..host_preflight import existing_parent, memory_available_mb
from ..shapes import LabError, RunSettings
from ..workloads.base import Sharing
from ..workloads.registry import USUAL, WORKLOADS, workload_of
from .base import Given, whole

# Memory of the programs that check and report, in MB, and what they take beside it per operation, in bytes: 80 when
# measured with 10,000,000 (benchmarks/memory.py), with room for what a history may have that its has not. Where all
# clients share the keys an order is searched, among objects: 1,700 when measured with 40,000, all keys at once.
# Experiments are checked one after the other.
PROGRAMS_MB = 200
MEMORY_BYTES = {Sharing.ONE_CLIENT: 120, Sharing.ALL_CLIENTS: 2500}
# What an experiment leaves in results_dir per iteration, in bytes, while its history is there as text, too.
RESULTS_BYTES = 1000
# How often a value that is longer than the usual workload's is kept: in memory in the stream, in the history's columns
# as what was written and as what was read, and in Python's lists of both; in results_dir in the history, twice.
COPIES_IN_MEMORY, COPIES_IN_RESULTS = 5, 4
MB = 2**20


@dataclass(frozen=True)
class Folder:
    """A folder that has to be written to, or made."""

    name: str  # the variable that names it
    path: str
    problem: str | None  # why nothing can be written there
    free_mb: int


@dataclass(frozen=True)
class Controller:
    """What this machine has."""

    memory_available_mb: int
    folders: tuple[Folder, ...]


def look(paths: Iterable[tuple[str, str]]) -> Controller:
    """Look at this machine: its memory, and folders given as (variable, path). Changes nothing."""
    return Controller(memory_available_mb(), tuple(_folder(name, path) for name, path in paths))


def _folder(name: str, path: str) -> Folder:
    there = existing_parent(Path(path).expanduser())
    if not there.is_dir():
        problem: str | None = f"{there} is not a folder"
    elif os.access(there, os.W_OK | os.X_OK):
        problem = None
    elif os.statvfs(there).f_flag & os.ST_RDONLY:
        problem = "read-only file system"
    else:
        problem = "permission denied"
    return Folder(name, path, problem, shutil.disk_usage(there).free // MB)


def wrong_controller(given: Given, found: Controller) -> list[str]:
    """Return why this machine cannot carry a run of these settings, which have to be right."""
    lines = [
        f"{folder.name}: {folder.path} cannot be written to: {folder.problem}. "
        f"Check its rights, or give another with -e {folder.name}=FOLDER."
        for folder in found.folders
        if folder.problem
    ]
    iterations = whole(given.values.get("iterations")) or 0
    operations, value_bytes, sharing = _size(given, iterations)
    memory_bytes = MEMORY_BYTES[sharing] + COPIES_IN_MEMORY * value_bytes
    results_bytes = RESULTS_BYTES + COPIES_IN_RESULTS * value_bytes
    needed_mb = PROGRAMS_MB + operations * memory_bytes // MB
    if needed_mb > found.memory_available_mb:
        left_mb = max(0, found.memory_available_mb - PROGRAMS_MB)
        fewer = _fewer(iterations, left_mb * MB / memory_bytes / operations)
        lines.append(
            f"iterations is {iterations}: checking so many operations takes about {needed_mb:,} MB of memory, and "
            f"{found.memory_available_mb:,} MB are available here. Try {fewer}, or a machine with more memory."
        )
    count = len(given.experiments)
    results_mb = operations * count * results_bytes // MB
    for folder in found.folders:
        if folder.name == "results_dir" and not folder.problem and results_mb >= folder.free_mb:
            lines.append(
                f"iterations is {iterations}: {count} experiments of that length leave about {results_mb:,} MB in "
                f"{folder.path}, and {folder.free_mb:,} MB are free there. Make room, give another results_dir, or try "
                f"{_fewer(iterations, folder.free_mb * MB / results_bytes / operations / max(count, 1))}."
            )
    return lines


def _size(given: Given, iterations: int) -> tuple[int, int, Sharing]:
    """Return how many operations there will be, by how many bytes values are longer than usual, and whose keys are."""
    try:
        settings = RunSettings.from_dict(
            {"iterations": iterations, "seed": 0, "workload": given.values.get("workload")}
        )
        workload, options = workload_of(settings.workload)
        longer = workload.longest_value(options) - WORKLOADS[USUAL].longest_value({})
        return workload.most_operations(iterations, options), max(0, longer), workload.sharing
    except LabError:
        return iterations, 0, Sharing.ONE_CLIENT  # the plan says what is wrong with it


def _fewer(iterations: int, share: float) -> str:
    """Return what to try where only a share of the operations has room."""
    number = int(iterations * share)
    zeros = int(10 ** (len(str(number)) - 1))
    rounded = max(number // zeros * zeros // 2, 1000)
    if rounded >= iterations:
        return "fewer iterations, or smaller options of the workload"
    return f"-e iterations={rounded}"

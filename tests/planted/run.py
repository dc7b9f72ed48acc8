# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Planting a run."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

from failover.workloads.registry import create_simulation

from .defects import PLANTS
from .files import run_json, write_experiment, write_json
from .parts import DEFAULT_EXPERIMENTS, START_WALL_NS, Planted, S
from .simulation import Simulation


def make_run(
    path: Path,
    *,
    iterations: int = 2000,
    seed: int = 123,
    experiments: Iterable[str] = DEFAULT_EXPERIMENTS,
    plant: str | None = None,
    plant_in: str | None = None,
    clients: int = 1,
    repeats: int = 1,
) -> Planted:
    """Write a run's folder at ``path`` (without verdicts and reports) and return what it is.

    :param plant: a name from PLANTS; its defect goes into the experiment ``plant_in`` (the last by default).
    :param repeats: into so many slices the stream is cut; each of E2's has its own fault, and a heal after it
    """
    names = list(experiments)
    target = (plant_in or names[-1]) if plant else None
    planted = Planted(path, target, plant)
    operations = create_simulation(iterations, seed)
    path.mkdir(parents=True, exist_ok=True)
    started_ns = START_WALL_NS
    for number, name in enumerate(names):
        source = random.Random(f"{seed} {name}")
        defect = PLANTS[plant] if plant and name == target else None
        outcomes = defect.outcomes(operations, planted) if defect and defect.outcomes else {}
        parts = Simulation(name, number, operations, source, started_ns, clients, repeats).run(outcomes)
        started_ns = parts.origin_wall_ns + parts.rows[-1].complete_ns + 20 * S
        if defect and defect.change:
            defect.change(parts, planted)
        write_experiment(path / name, parts, iterations, seed, clients)
    write_json(path / "run.json", run_json(path.name, iterations, seed, clients, repeats, names, started_ns))
    return planted

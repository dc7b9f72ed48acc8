# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything the report says, as one JSON-able object: report.json, and the input of the page's templates.

Whatever is shown stands in here, so every number on a page can be found in report.json and recomputed from the
results folder. What a run did not record is None, and shown as such.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..measured.columns import S
from ..measured.figures import rounded
from ..measured.repeats import ops_per_s
from ..measured.staleness import staleness_of
from ..results.files import EXPERIMENT_FILE, RUN_FILE
from ..results.read import Run
from ..shapes import SCHEMA_VERSION, LabError
from .chapters.base import Told
from .chapters.registry import CHAPTERS, COVER
from .examined import Examined, examine
from .findings.cards import findings_of
from .outage.healthy import healthy_ops_per_s
from .own_delay import own_delay
from .provenance import note_of, provenance, verdict_of

Step = Callable[[str], None]

# What run.json and every experiment.json say alike, unless the folder was put together from two runs.
SAME_IN_A_RUN = ("seed", "iterations", "clients", "rate")
# What the report says of the run itself.
RUN_TOLD = ("run_id", "lab_name", "seed", "iterations", "clients", "rate", "started_at", "finished_at")

# The order in which report.json has always had its keys, of the run and of an experiment. What a chapter adds besides
# stands behind them.
ORDER = (
    "schema_version",
    "run",
    "verdict",
    "findings",
    "judged",
    "controller",
    "hosts",
    "versions",
    "settings",
    "cover_settings",
    "cover_versions",
    "notebook",
    "experiments",
    "caveats",
    "outages",
    "compared",
    "how_checked",
    "threats",
    "reproduce",
)
ORDER_OF_EXPERIMENT = (
    "anchor",
    "name",
    "title",
    "system",
    "clients",
    "rate",
    "key_prefix",
    "verdict",
    "checks",
    "checks_told",
    "notes",
    "stream",
    "digest",
    "operations",
    "not_ok",
    "staleness",
    "start_s",
    "end_s",
    "duration_s",
    "ops_per_s",
    "client_cpu_s",
    "client_cpu_share",
    "load_generators",
    "own_delay",
    "history_cut",
    "outcomes",
    "endpoints",
    "latency",
    "intended_latency",
    "throughput",
    "operations_scale",
    "latency_over_time",
    "not_ok_s",
    "gap",
    "healthy_gap_ms",
    "healthy_ops_per_s",
    "worst",
    "repeats",
    "repeats_s",
    "idle_s",
    "faults",
    "repetition",
    "curve_with",
    "clocks",
    "members",
    "convergence",
    "elections_unexplained",
)


def build(run: Run, step: Step) -> tuple[dict[str, Any], dict[str, str]]:
    """Compute the report of a run.

    :param step: told what is being done, before it is done
    :returns: the content of report.json, and the figures as SVG by name

    Raises :class:`LabError` where an experiment is of another run, or its history cannot be read.
    """
    _refuse_a_mixture(run)
    judged, differences = provenance(run)
    chapters = (COVER, *CHAPTERS)
    drawings: dict[str, str] = {}
    experiments: list[dict[str, Any]] = []
    cards: list[dict[str, Any]] = []
    for number, experiment in enumerate(run.experiments, 1):
        step(f"analyse {experiment.name}")
        examined = examine(experiment, f"e{number}", run.info["settings"])
        told = _of_experiment(examined)
        for chapter in chapters:
            told |= chapter.of_experiment(examined)
            drawings |= chapter.draw_experiment(examined)
        told["notes"] = examined.notes + note_of(experiment.name, told["verdict"], differences)
        told["verdict"] = verdict_of(told["verdict"], stale=differences.of(experiment.name))
        experiments.append(_in_order(told, ORDER_OF_EXPERIMENT))
        cards += findings_of(experiment, examined.table, examined.events or [], examined.anchor, run.info["settings"])
    run_told = Told(run, judged, experiments, cards)
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run": {name: run.info[name] for name in RUN_TOLD},
        "experiments": experiments,
    }
    for chapter in chapters:
        content |= chapter.compute(run_told)
    step("draw the figures")
    for chapter in chapters:
        drawings |= chapter.draw(content)
    return rounded(_in_order(content, ORDER)), drawings


def _of_experiment(examined: Examined) -> dict[str, Any]:
    """Tell what belongs to no single chapter: what ran, how long, how often, and the faults that all mention."""
    info, columns, repeats, outages = examined.info, examined.columns, examined.repeats, examined.outages
    duration_s = (examined.end_ns - examined.start_ns) / S if repeats else None
    cpu_s = info["workload"].get("client_cpu_s")
    assert examined.experiment.verdict is not None
    return {
        "anchor": examined.anchor,
        "name": examined.experiment.name,
        **{name: info[name] for name in ("title", "system", "clients", "rate", "key_prefix")},
        "verdict": examined.experiment.verdict["verdict"],
        "stream": {kind: int(np.count_nonzero(columns.kind == code)) for code, kind in columns.kinds},
        "digest": info["workload"].get("digest"),
        "operations": len(columns),
        "not_ok": columns.not_ok,
        "staleness": None if (stale := staleness_of(examined.experiment)) is None else stale.as_dict(),
        "start_s": examined.start_ns / S,
        "end_s": examined.end_ns / S,
        "duration_s": duration_s,
        "ops_per_s": ops_per_s(columns, repeats),
        "client_cpu_s": cpu_s,
        "client_cpu_share": cpu_s / duration_s if cpu_s is not None and duration_s else None,
        "load_generators": examined.experiment.load_generators,
        "own_delay": own_delay(repeats, open_loop=bool(info["rate"])),
        "healthy_gap_ms": outages.healthy_gap_ms,
        "healthy_ops_per_s": healthy_ops_per_s(repeats, outages.faults),
        "repeats": len(info["repeats"]),
        "repeats_s": [[repeat.worked_s(repeat.start_ns), repeat.worked_s(repeat.end_ns)] for repeat in repeats],
        "idle_s": repeats[-1].idle_ns / S if repeats else 0.0,
        "faults": outages.faults,
        "repetition": outages.repetition,
        "elections_unexplained": examined.elections,
    }


def _in_order(told: Mapping[str, Any], order: Sequence[str]) -> dict[str, Any]:
    return {name: told[name] for name in (*order, *told)}


def _refuse_a_mixture(run: Run) -> None:
    """Raise LabError where an experiment is of another run: its figures would stand beside those of this one."""
    for experiment in run.experiments:
        for name in SAME_IN_A_RUN:
            found, wanted = experiment.info[name], run.info[name]
            if found != wanted:
                raise LabError(
                    f"{experiment.path / EXPERIMENT_FILE} has {name} {found}, {run.path / RUN_FILE} has {wanted}: the "
                    "folder mixes two runs; copy the results folder again, or repeat the run"
                )

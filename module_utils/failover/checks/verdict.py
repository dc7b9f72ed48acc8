# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verdict on an experiment, and on a run: every check of the registry, and the worst of what they say.

Checks read nothing but the results folder. docs/measuring.md explains each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..limits import Limits, read_limits
from ..results.files import JUNIT_FILE, RUN_FILE, VERDICT_FILE
from ..results.judged import combine, judged_of_experiment, judged_of_run, verdicts_on
from ..results.junit import junit
from ..results.parquet import keep_as_parquet
from ..results.read import load_run, read_json
from ..results.write import write_json_atomic, write_text_atomic
from ..shapes import SCHEMA_VERSION, Check, Verdict, worst
from .base import load_case
from .registry import CHECKERS


def verify_experiment(folder: str | Path, limits: Limits | None = None) -> list[Check]:
    """Return every check of one experiment's folder, which is not changed.

    :param limits: that the user set to figures

    Raises :class:`LabError` where the experiment's description or its history cannot be read; what else is
    missing or damaged makes the checks that need it ``unknown``.
    """
    case = load_case(folder, limits)
    return [check for checker in CHECKERS if checker.applies(case) for check in checker.judge(case)]


def verify(run_dir: str | Path, name: str, *, limits: Any = None, write: bool = True) -> dict[str, Any]:
    """Check one experiment of a run and write its verdict and, once all experiments have one, the run's.

    The history of a folder of an earlier version becomes Parquet first. Without ``write`` nothing is changed.

    :param limits: of figures, in place of those that run.json has; None: those
    :returns: ``verdict``, ``summary`` (one line), ``checks`` (name, verdict and summary of each), ``converted`` and
        ``changed`` (whether a file is, or without ``write`` would be, written) and ``differs`` (the names of the checks
        of which the verdict that was there says something else)
    """
    run_dir = Path(run_dir)
    folder = run_dir / name
    run = read_json(run_dir / RUN_FILE, "the run's description")
    wanted = (
        read_limits(limits) if limits is not None else read_limits(run.get("limits"), f"{run_dir / RUN_FILE}: limits")
    )
    converted = keep_as_parquet(folder, write=write)
    judged = judged_of_experiment(folder)  # first: what changes meanwhile is not what was judged
    checks = verify_experiment(folder, wanted)
    verdict = {
        "schema_version": SCHEMA_VERSION,
        "verdict": worst([check.verdict for check in checks]).value,
        "experiment": name,
        "checks": [check.as_dict() for check in checks],
        "judged": judged,
        **({"limits": wanted} if wanted else {}),
    }
    path = folder / VERDICT_FILE
    before = read_json(path, "the verdict") if path.is_file() else None
    changed = converted or before != verdict
    if changed and write:
        write_json_atomic(path, verdict)
    if write and all((run_dir / other / VERDICT_FILE).is_file() for other in run.get("experiments", [])):
        write_run_verdict(run_dir)
    return {
        "verdict": verdict["verdict"],
        "summary": _one_line(name, checks),
        "checks": [{"name": c.name, "verdict": c.verdict.value, "summary": c.summary} for c in checks],
        "converted": converted,
        "changed": changed,
        "differs": _differing(before, checks),
    }


def write_run_verdict(run_dir: str | Path) -> dict[str, Any]:
    """Combine the experiments' verdict.json into the run's and its junit.xml; return what stands in the first."""
    run = load_run(run_dir, need_verdicts=False)
    verdicts = {experiment.name: experiment.read_verdict() for experiment in run.experiments}
    every = verdicts | verdicts_on(run.left_out)
    combined = {"schema_version": SCHEMA_VERSION, **combine(every), "judged": judged_of_run(run.path, verdicts)}
    write_json_atomic(run.path / VERDICT_FILE, combined)
    took_s = {experiment.name: experiment.info["workload"].get("duration_s") for experiment in run.experiments}
    write_text_atomic(run.path / JUNIT_FILE, junit(run.path.resolve().name, every, took_s))
    return combined


def _differing(before: dict[str, Any] | None, checks: list[Check]) -> list[str]:
    """Return the names of the checks of which a verdict says something else, or nothing; and of those it has beside."""
    given = before.get("checks") if before is not None else None
    if not isinstance(given, list):
        return []
    told = {str(check.get("name")): check.get("verdict") for check in given if isinstance(check, dict)}
    found = {check.name: check.verdict.value for check in checks}
    common = {name for name in told.keys() & found.keys() if told[name] == found[name]}
    return [name for name in [*found, *(name for name in told if name not in found)] if name not in common]


def _one_line(name: str, checks: list[Check]) -> str:
    """Say how an experiment ended and, unless it is valid, what is wrong first."""
    verdict = worst([check.verdict for check in checks])
    if verdict is Verdict.VALID:
        return f"{name}: valid, all {len(checks)} checks."
    behind = [check for check in checks if check.verdict is verdict]
    first = behind[0]
    return f"{name}: {verdict.value}, by {len(behind)} of {len(checks)} checks; {first.name}: {first.summary}"

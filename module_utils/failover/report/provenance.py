# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a report was made from: the run's files with their digests, and whether its verdict is of these files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..judged import Differences, compare_judged, digest_of_file, files_of_experiment
from ..plan.run_record import PLAN_FILE
from ..results import RUN_FILE, VERDICT_FILE, Run
from ..shapes import Verdict
from .commands import command


def _verify(run: Run) -> tuple[str, ...]:
    """Return the words of the command that judges the files of a run."""
    return ("./scripts/lab verify", f"-e results_run=results/{run.info['run_id']}")


def provenance(run: Run) -> tuple[dict[str, Any], Differences]:
    """Return what the report says of its files, and how they differ from those that the verdict judged.

    :returns: ``recorded``, ``matches``, ``said`` (the verdict as it is recorded), ``sentence`` (what does not match),
        ``verify`` (the command that judges these files) and ``files``, every file with ``path``, ``bytes``, ``sha256``
        and ``state``: judged, changed, added, missing, or None where the verdict does not judge it
    """
    assert run.verdict is not None
    found = compare_judged(run.path, run.verdict)
    told = {
        "recorded": found.recorded,
        "matches": found.none,
        "said": run.verdict["verdict"],
        "sentence": found.sentence,
        "verify": command(*_verify(run)),
        "files": _files(run, found),
    }
    return told, found


def _files(run: Run, found: Differences) -> list[dict[str, Any]]:
    """Return every file of the run but the reports."""
    assert run.verdict is not None
    names = [name for name in (RUN_FILE, PLAN_FILE, VERDICT_FILE) if (run.path / name).is_file()]
    for experiment in run.experiments:
        names += [f"{experiment.name}/{name}" for name in (*files_of_experiment(experiment.path), VERDICT_FILE)]
    judged = run.verdict.get("judged", {})
    state = dict.fromkeys(judged, "judged") | dict.fromkeys(found.changed, "changed")
    state |= dict.fromkeys(found.added, "added") if found.recorded else {}
    rows = [_file(run.path, name, state.get(name)) for name in names]
    rows += [{"path": name, "bytes": None, "sha256": None, "state": "missing"} for name in found.missing]
    return rows


def _file(folder: Path, name: str, state: str | None) -> dict[str, Any]:
    path = folder / name
    return {"path": name, "bytes": path.stat().st_size, "sha256": digest_of_file(path), "state": state}


def headline(run: Run, told: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """Return the cover's sentence where the verdict is not of these files, in pieces as content's other sentences."""
    verify = " ".join(_verify(run))
    return [
        {"text": "Unknown: ", "href": None},
        {"text": f"{told['sentence']}", "href": "#files"},
        {"text": f"; it said {told['said']}. To check the files as they are now: {verify}", "href": None},
        {"text": ".", "href": None},
    ]


def verdict_of(verdict: str, stale: bool) -> str:
    """Return what a recorded verdict is worth: nothing can be said where it is of other files."""
    return Verdict.UNKNOWN.value if stale else verdict


def note_of(experiment: str, verdict: str, found: Differences) -> list[str]:
    """Return the note beside an experiment whose files are not those that were judged; none where they are."""
    if not found.recorded or not found.of(experiment):
        return []
    paths: Sequence[str] = [
        path for path in (*found.changed, *found.missing, *found.added) if path.startswith(f"{experiment}/")
    ]
    return [f"its verdict ({verdict}) was made from other files: {', '.join(paths)}"]

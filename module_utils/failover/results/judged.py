# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files a verdict judged, by their SHA-256, and whether they are still those.

A verdict is worth as much as the files that it was made of. So verdict.json has their digests under ``judged``, path by
path: of an experiment relative to its folder, of a run relative to the run's, with each experiment's own verdict.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..limits import refuse_other_limits
from ..sentences import listing
from ..shapes import LIMIT_CHECK, Check, LabError, Verdict, worst
from .files import EXPERIMENT_FILE, RUN_FILE, VERDICT_FILE
from .read import read_json, read_verdict

# Files named one by one in a sentence; the report's table has all.
MOST_NAMED = 3


@dataclass(frozen=True)
class Differences:
    """How the files of a run differ from those that its verdict judged; paths relative to the run's folder."""

    recorded: bool  # whether the verdict says what it judged
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    edited: bool = False  # whether the run's verdict.json says something else than those of its experiments together

    @property
    def none(self) -> bool:
        """Whether the verdict is known to be of these files."""
        return self.recorded and not (self.edited or self.changed or self.missing or self.added)

    @property
    def sentence(self) -> str:
        """Say in words what does not match, without a full stop; empty where everything does."""
        if not self.recorded:
            return "the verdict does not say which files it judged"
        told = [
            f"{_named(paths)} {words}"
            for paths, words in (
                (self.changed, "changed"),
                (self.missing, "is missing" if len(self.missing) == 1 else "are missing"),
                (self.added, "was added" if len(self.added) == 1 else "were added"),
            )
            if paths
        ]
        if self.edited:
            told.insert(0, f"the run's {VERDICT_FILE} was edited: it contradicts those of its experiments")
        return f"since the verdict, {'; '.join(told)}" if told else ""

    def of(self, experiment: str) -> bool:
        """Whether a file of this experiment is among them."""
        paths = (*self.changed, *self.missing, *self.added)
        return not self.recorded or any(path.startswith(f"{experiment}/") for path in paths)


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read piece by piece; LabError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LabError(
            f"{path} cannot be read: {error.strerror or error}; check its rights, or copy the results folder again"
        ) from error


def files_of_experiment(folder: Path) -> list[str]:
    """Return every file of an experiment but its verdict, relative to its folder, sorted; no hidden ones."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in found
        if path.as_posix() != VERDICT_FILE and not any(part.startswith(".") for part in path.parts)
    )


def judged_of_experiment(folder: Path) -> dict[str, str]:
    """Return path -> digest of what a verdict on this experiment judges."""
    return {name: digest_of_file(folder / name) for name in files_of_experiment(folder)}


def judged_of_run(folder: Path, verdicts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return path -> digest of what a verdict on a run judges: run.json, and what its experiments' verdicts did.

    :param verdicts: each experiment's verdict.json, by its name
    """
    judged = {RUN_FILE: digest_of_file(folder / RUN_FILE)}
    for name, verdict in verdicts.items():
        judged |= {f"{name}/{path}": digest for path, digest in verdict.get("judged", {}).items()}
        judged[f"{name}/{VERDICT_FILE}"] = digest_of_file(folder / name / VERDICT_FILE)
    return judged


def verdicts_on(left_out: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return what stands in the place of the verdicts on experiments that were not run, by their names.

    :param left_out: why, by name
    """
    checks = {
        name: Check("left out", Verdict.UNKNOWN, f"{name} was left out: {why}.") for name, why in left_out.items()
    }
    return {name: {"verdict": Verdict.UNKNOWN.value, "checks": [check.as_dict()]} for name, check in checks.items()}


def combine(verdicts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a run's verdict.json says of its experiments together: ``verdict``, ``experiments``, ``checks``.

    Where all were judged with the same limits, these stand there as ``limits``.

    :param verdicts: each experiment's verdict.json, by its name
    """
    # What stands in the place of a verdict was judged with none.
    limits = [verdict.get("limits") for verdict in verdicts.values() if "experiment" in verdict]
    same = limits[0] if limits and all(each == limits[0] for each in limits) else None
    return {
        "verdict": worst([Verdict(verdict["verdict"]) for verdict in verdicts.values()]).value,
        "experiments": {name: verdict["verdict"] for name, verdict in verdicts.items()},
        "checks": [
            {**check, "name": f"{name}: {check['name']}"}
            for name, verdict in verdicts.items()
            for check in verdict["checks"]
        ],
        **({"limits": same} if same else {}),
    }


def limits_sentence(verdict: Mapping[str, Any]) -> str:
    """Say that limits of the user's were missed and what that means for the data, and which judged nothing.

    :param verdict: verdict.json, of an experiment or a run
    :returns: empty where neither is so
    """
    checks = [check for check in verdict.get("checks", []) if isinstance(check, Mapping)]
    found = [(is_limit(str(check.get("name"))), check.get("verdict")) for check in checks]
    sentences = []
    if missed := found.count((True, Verdict.INVALID.value)):
        of_data = {verdict for limit, verdict in found if not limit}
        told = next(words for word, words in DATA_TOLD.items() if word.value in of_data or word is Verdict.VALID)
        limits = "a limit of yours was missed" if missed == 1 else f"{missed:,} limits of yours were missed"
        sentences.append(f"{told} {limits}.")
    if idle := idle_limits(verdict.get("limits") or {}, checks):
        sentences.append(f"Nothing in it has a figure for your limit of {listing(idle)}.")
    return " ".join(sentences)


def idle_limits(limits: Iterable[str], checks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the figures whose limits judged nothing, as no experiment has them: they must not pass for kept."""
    judged = {str(check.get("name")).rpartition(": ")[2] for check in checks}
    return [name for name in limits if f"{LIMIT_CHECK} {name}" not in judged]


# What goes before a missed limit: it must not pass for lost data, nor hide it. The worst of its checks comes first.
DATA_TOLD = {
    Verdict.INVALID: "The data is wrong, and",
    Verdict.UNKNOWN: "No check found the data wrong;",
    Verdict.VALID: "The data is right;",
}


def is_limit(name: str) -> bool:
    """Tell whether a check holds a figure against a limit, by its name, also where its experiment's is before it."""
    return name.rpartition(": ")[2].startswith(f"{LIMIT_CHECK} ")


def compare_judged(folder: Path, verdict: Mapping[str, Any]) -> Differences:
    """Compare the files of a run with those that its verdict judged.

    :param verdict: the run's verdict.json
    """
    judged = verdict.get("judged")
    if not judged:
        return Differences(recorded=False)
    there = set(_files_of_run(folder))
    found = Differences(
        recorded=True,
        changed=tuple(
            path for path, digest in sorted(judged.items()) if path in there and digest_of_file(folder / path) != digest
        ),
        missing=tuple(sorted(judged.keys() - there)),
        added=tuple(sorted(there - judged.keys())),
    )
    others = [path for path in judged if path.endswith(f"/{VERDICT_FILE}")]
    if any(path in (*found.changed, *found.missing) for path in others):
        return found
    left_out = read_json(folder / RUN_FILE, "the run's description").get("left_out", {}) if RUN_FILE in there else {}
    together = combine({Path(path).parent.name: read_verdict(folder / path) for path in others} | verdicts_on(left_out))
    return replace(found, edited=any(verdict.get(key) != value for key, value in together.items()))


def read_judgement(folder: Path, limits: Any = None) -> tuple[dict[str, Any], Differences]:
    """Return a run's verdict.json, and how its files differ from those that it judged.

    :param limits: those of figures that it has to have been judged with; None: any
    :raises LabError: where it cannot be read, or was judged with others
    """
    verdict = read_verdict(folder / VERDICT_FILE)
    refuse_other_limits(limits, verdict.get("limits"), folder)
    return verdict, compare_judged(folder, verdict)


def _files_of_run(folder: Path) -> Iterable[str]:
    """Return what of a run's folder a verdict judges, as it is there now."""
    if (folder / RUN_FILE).is_file():
        yield RUN_FILE
    for experiment in sorted(path.parent for path in folder.glob(f"*/{EXPERIMENT_FILE}")):
        yield from (f"{experiment.name}/{name}" for name in files_of_experiment(experiment))
    yield from (path.relative_to(folder).as_posix() for path in sorted(folder.glob(f"*/{VERDICT_FILE}")))


def _named(paths: tuple[str, ...]) -> str:
    """Name the first few paths."""
    named = list(paths[:MOST_NAMED])
    if len(paths) > MOST_NAMED:
        return f"{', '.join(named)} and {len(paths) - MOST_NAMED:,} more"
    return listing(named)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb controls: whether the lab catches what is known to lose data, and calls good what is known to keep it.

Each control of controls.yml is a run like any other, tried until it shows what is known of it. What came of them is
printed, and stands in controls.json and controls.pdf beside the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from failover.report.controls import write_controls
from failover.results.files import CONTROLS_FILE
from failover.results.write import write_json_atomic
from failover.shapes import SCHEMA_VERSION, LabError, Verdict

CONTROLS = Path(__file__).resolve().parent / "controls.yml"


@dataclass(frozen=True)
class Control:
    """A system with settings of which it is known what becomes of its data."""

    name: str
    says: str
    expected: str  # a Verdict
    source: str  # whence it is known
    tries: int  # at most
    variables: dict[str, Any]  # of the run
    by: tuple[str, ...] = ()  # patterns of the names of checks, of which one has to have that verdict


@dataclass
class Result:
    """What came of a control."""

    control: Control
    found: list[str] = field(default_factory=list)  # the verdict of each try
    runs: list[str] = field(default_factory=list)  # names of their folders
    shown: bool = False
    by: str = ""  # the check that showed it, in words

    @property
    def tries(self) -> int:
        """Return how often it was tried."""
        return len(self.found)

    def row(self) -> dict[str, Any]:
        """Return its row of controls.json."""
        about = {name: getattr(self.control, name) for name in ("name", "expected", "says", "source")}
        own = {name: getattr(self, name) for name in ("found", "runs", "tries", "shown", "by")}
        return about | own


def read_controls(names: Sequence[str] = ()) -> list[Control]:
    """Return the controls in their order: those named, or all.

    Raises :class:`LabError` where a name is none of them.
    """
    given = yaml.safe_load(CONTROLS.read_text(encoding="utf-8"))
    unknown = [name for name in names if name not in given]
    if unknown:
        raise LabError(f"There is no control {', '.join(unknown)}. Try one of {', '.join(given)}, or none for all.")
    return [
        Control(name=name, **{**row, "by": tuple(row.get("by", ()))})
        for name, row in given.items()
        if not names or name in names
    ]


def note_try(result: Result, verdict: Mapping[str, Any], run: str) -> None:
    """Note what one try found.

    :param verdict: verdict.json of its run
    :param run: name of the run's folder
    """
    control = result.control
    result.found.append(verdict["verdict"])
    result.runs.append(run)
    showing = [
        check
        for check in verdict["checks"]
        # Named with their experiment before them.
        if any(fnmatchcase(check["name"].partition(": ")[2], pattern) for pattern in control.by)
        and check["verdict"] == control.expected
    ]
    result.shown = verdict["verdict"] == control.expected and bool(showing or not control.by)
    result.by = f"{showing[0]['name']}: {showing[0]['summary']}" if result.shown and showing else ""


def is_over(result: Result) -> bool:
    """Whether no further try can change what came of a control."""
    control = result.control
    wanted_again = result.shown if control.expected == Verdict.VALID else not result.shown
    return result.tries >= control.tries or (result.tries > 0 and not wanted_again)


def told(result: Result) -> str:
    """Say in a line what came of a control."""
    tries = f"{result.tries} {'try' if result.tries == 1 else 'tries'}"
    found = ", ".join(result.found)
    name, expected = result.control.name, result.control.expected
    if result.shown and expected == Verdict.VALID:
        return f"{name}: valid in {tries}, as it has to be"
    if result.shown:
        return f"{name}: shown in {tries}: {result.by or found}"
    return f"{name}: not shown in {tries} ({expected} was expected, found: {found})"


def run_controls(
    controls: Sequence[Control],
    try_once: Callable[[Control], tuple[Path, Mapping[str, Any]] | int],
    say: Callable[[str], None],
) -> int:
    """Try each control until it is over; return 0 where all showed what is known of them, 1 where one did not.

    :param try_once: makes one run and returns its folder and its verdict.json, or the exit status with which all ends
    """
    results: list[Result] = []
    place: Path | None = None
    for control in controls:
        result = Result(control)
        results.append(result)
        while not is_over(result):
            say(f"control {control.name}, try {result.tries + 1} of {control.tries}: {control.says}")
            came = try_once(control)
            if isinstance(came, int):
                if place is not None:
                    # What was found before stays, and the page is no older than it.
                    write_controls(place)
                return came
            folder, verdict = came
            note_try(result, verdict, folder.name)
            # After each try: what was found stays, whatever comes next.
            place = folder.parent / CONTROLS_FILE
            write_json_atomic(place, {"schema_version": SCHEMA_VERSION, "controls": [each.row() for each in results]})
        say(told(result))
    assert place is not None
    [pdf, _] = write_controls(place)
    say(f"{sum(result.shown for result in results)} of {len(results)} controls showed what is known of them: {pdf}")
    return 0 if all(result.shown for result in results) else 1

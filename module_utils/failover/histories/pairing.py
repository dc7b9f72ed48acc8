# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes operations of calls and returns that stand one after the other in a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ..checks.operations import Action, Call, History
from ..shapes import LabError
from .edn import told

STAGES = ("invoke", "ok", "fail", "info")


class Step(NamedTuple):
    """A call or a return, as it stands in a file."""

    line: int
    process: str
    stage: str  # one of STAGES
    action: Action
    key: Any  # None where a return that says nothing more does not name it
    value: Any  # what is written (call), or what was read (return)


class NotAStepError(Exception):
    """What a line has that is no call and no return of its format; says why."""


def not_read(path: Path, line: int, why: str) -> LabError:
    """Return the error for a line that is whole, and of something that is not read."""
    return LabError(f"{path}: line {line} is not read: {why}; give a history of registers, or of a map of strings")


def damaged(path: Path, line: int, what: str, file_format: str) -> LabError:
    """Return the error for a line that is cut short or garbled."""
    return LabError(f"{path}: line {line} is damaged or not in the format {file_format}: {what}; copy the file again")


def pair_up(path: Path, steps: Iterable[Step], initial: Any) -> History:
    """Make operations of calls and returns; their order in the file is the time.

    What failed did not take place; a read that did not end well says nothing; any other call without a good
    return has an unknown outcome.
    """
    calls: dict[str, list[Call]] = {}
    waiting: dict[str, tuple[int, Step]] = {}

    def add(begin: int, called: Step, end: int | None, result: Any = None) -> None:
        is_read = called.action is Action.READ
        if is_read and end is None:
            return
        argument = None if is_read else called.value
        label = (
            f"{called.action.value} {told(result if is_read else argument)} by process {called.process}, "
            f"called in line {called.line}"
        )
        calls.setdefault(called.key, []).append(Call(called.action, argument, result, begin, end, label))

    for number, step in enumerate(steps, 1):
        if step.stage == "invoke":
            if step.process in waiting:
                begin, called = waiting[step.process]
                add(begin, called, None)
            waiting[step.process] = (number, step)
            continue
        if step.process not in waiting:
            raise LabError(
                f"{path}: line {step.line} returns to process {step.process}, which has no call open; copy the file "
                "again, or give the history from its beginning"
            )
        begin, called = waiting.pop(step.process)
        if called.action != step.action or step.key not in (None, called.key):
            raise LabError(
                f"{path}: line {step.line} returns what process {step.process} did not call; copy the file again"
            )
        if step.stage == "ok":
            add(begin, called, number, step.value)
        elif step.stage == "info":
            add(begin, called, None)
    for begin, called in waiting.values():
        add(begin, called, None)
    return History(initial, calls)

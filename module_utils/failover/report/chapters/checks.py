# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was checked, how each check decides, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...actions.record import FaultRecord
from ...checks.faults import outside_bound
from ...checks.registry import CHECKERS
from ...fault_names import FaultId
from ...sentences import plural
from ...shapes import Verdict
from ..examined import Examined
from .base import Chapter, Told


class Checks(Chapter):
    """All checks of all experiments; the passed ones of a fault's repeats as one."""

    anchor = "checks"
    title = "What was checked, and how"

    def of_experiment(self, examined: Examined) -> dict[str, Any]:
        """Return the checks as the verdict has them, and as they are told."""
        return {"checks": examined.checks, "checks_told": _checks_told(examined.checks)}

    def compute(self, told: Told) -> dict[str, Any]:
        """Say how they decide."""
        return {"how_checked": how_checked(told.experiments)}


def how_checked(experiments: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return how the checks of these experiments decide, each kind once, in the order in which they come."""
    names = [check["name"] for experiment in experiments for check in experiment["checks"]]
    used = dict.fromkeys(checker for name in names for checker in CHECKERS if name.startswith(checker.name))
    return [{"check": f"{checker.name} …" if checker.each else checker.name, "how": checker.how} for checker in used]


def _checks_told(checks: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return name, verdict and summary of each check; the passed ones of a fault's repeats as one."""
    told: list[dict[str, str]] = []
    repeats: dict[str, list[Mapping[str, Any]]] = {}
    for check in checks:
        name, repeated = _without_repeat(check["name"])
        if repeated and check["verdict"] == Verdict.VALID.value:
            if name not in repeats:
                told.append({"name": name, "verdict": check["verdict"], "summary": ""})
            repeats.setdefault(name, []).append(check)
        else:
            told.append({key: check[key] for key in ("name", "verdict", "summary")})
    for row in told:
        if row["name"] in repeats:
            every = sum(_without_repeat(check["name"])[0] == row["name"] for check in checks)
            row["summary"] = _passed_told(repeats[row["name"]], every)
    return told


def _without_repeat(name: str) -> tuple[str, bool]:
    """Return the name of a check as all repeats share it, and whether it is one of several."""
    what, _, of = name.partition(" ")
    if what != "fault":
        return name, False
    fault = FaultId.parse(of)
    return f"{what} {fault.in_each_repeat}", fault.repeat is not None


def _passed_told(passed: Sequence[Mapping[str, Any]], every: int) -> str:
    """Say in how many repeats a fault did what it was meant for, and in how many of them later than it should."""
    late = sum(outside_bound(FaultRecord.from_dict({"fault": check["name"], **check["evidence"]})) for check in passed)
    bound = f", {late} of them later than the placement bound" if late else ""
    return (
        f"In {len(passed)} of {plural(every, 'repeat')} it struck its target{bound}. The first: {passed[0]['summary']}"
    )

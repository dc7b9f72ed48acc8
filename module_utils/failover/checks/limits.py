# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the figures keep the limits that the user set; said only where there are any.

They say nothing of the data: a figure beyond its limit makes the verdict invalid, and is told apart from wrong data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..limits import limit_of
from ..measured.figures import FIGURES, Figure, Value
from ..sentences import to_thousandths
from ..shapes import LIMIT_CHECK, Check, Verdict, worst
from .base import Case, Checker
from .words import listed


@dataclass(frozen=True)
class Reading:
    """One figure beside its limit."""

    fault: str | None  # its id; None of a figure of the whole experiment
    limit: float
    value: Value
    verdict: Verdict

    @property
    def apart(self) -> float:
        """Return how far the figure is from its limit."""
        return abs((self.value.number or 0.0) - self.limit)

    def told(self) -> dict[str, Any]:
        """Return the evidence."""
        found: dict[str, Any] = {} if self.fault is None else {"fault": self.fault}
        found |= {"value": self.value.number, "limit": self.limit, "verdict": self.verdict.value}
        return (
            found | ({} if self.value.ended else {"ended": False}) | ({"why": self.value.why} if self.value.why else {})
        )


class Limits(Checker):
    """Holds figures of the report against the limits that the user set: a check for each figure that has one."""

    name = LIMIT_CHECK
    each = True
    how = (
        "A figure of this report has to keep the limit that the user of the lab set to it. One beyond it is invalid, "
        "and says nothing against the data. One that could not be measured is unknown; so is one that is only known to "
        "be at least so much, as long as that keeps the limit."
    )

    def applies(self, case: Case) -> bool:
        """Whether there are any."""
        return bool(case.limits)

    def judge(self, case: Case) -> Iterator[Check]:
        """Judge each figure that has a limit in this experiment."""
        for name, figure in FIGURES.items():
            if name in case.limits:
                readings = list(_readings(figure, case.limits[name], case))
                if readings:
                    yield _judged(name, figure, readings)


def _readings(figure: Figure, limit: float | Mapping[str, float], case: Case) -> Iterator[Reading]:
    info = case.info
    if figure.of_fault is not None:
        for placed, outage in case.measured.outages:
            own = limit_of(figure, limit, ([info["name"]], [placed.fault["action"]], [info["system"]]))
            if own is not None:
                yield _reading(placed.fault["id"], figure, own, figure.of_fault(placed, outage))
    if figure.of_experiment is not None:
        actions = [fault["action"] for fault in info["faults"]]
        own = limit_of(figure, limit, ([info["name"]], actions, [info["system"]]))
        value = None if own is None else figure.of_experiment(case.measured)
        if own is not None and value is not None:
            yield _reading(None, figure, own, value)


def _reading(fault: str | None, figure: Figure, limit: float, value: Value) -> Reading:
    number = value.number
    if number is None:
        verdict = Verdict.UNKNOWN
    elif number < limit if figure.least else number > limit:
        verdict = Verdict.INVALID
    else:
        verdict = Verdict.VALID if value.ended else Verdict.UNKNOWN
    return Reading(fault, limit, value, verdict)


def _judged(name: str, figure: Figure, readings: list[Reading]) -> Check:
    verdict = worst([reading.verdict for reading in readings])
    told = _told(name, figure, verdict, readings)
    evidence: dict[str, Any] = {"figure": figure.says, "bound": figure.bound}
    if figure.of_fault is None:
        evidence |= readings[0].told()
    else:
        # Those that decide the verdict first: what is listed by name may be cut short.
        ordered = sorted(readings, key=lambda reading: reading.verdict is not verdict)
        evidence["faults"] = listed(ordered, Reading.told)
    return Check(f"{LIMIT_CHECK} {name}", verdict, told, evidence)


def _told(name: str, figure: Figure, verdict: Verdict, readings: list[Reading]) -> str:
    """Say in one sentence how a figure stands to its limit; of several faults, of the one that says most."""
    behind = [reading for reading in readings if reading.verdict is verdict]
    share = f"{len(behind):,} of {len(readings):,} faults" if len(readings) > 1 else ""
    if verdict is Verdict.VALID:
        told = _compared(name, figure, min(behind, key=lambda reading: reading.apart))
        return f"All {len(readings):,} faults keep the limit; the closest: {told}." if share else f"{told}."
    if verdict is Verdict.INVALID:
        told = _compared(name, figure, max(behind, key=lambda reading: reading.apart))
        return f"{share} miss{'es' if len(behind) == 1 else ''} the limit; the worst: {told}." if share else f"{told}."
    first = behind[0]
    if first.value.number is None:
        told = f"{_of(name, first)} could not be measured: {first.value.why}"
    else:
        told = f"{_compared(name, figure, first)}, and the service did not come back, so it may be more"
    return f"Of {share} nobody knows; the first: {told}." if share else f"{told}."


def _compared(name: str, figure: Figure, reading: Reading) -> str:
    """Say what a figure is and what was asked for."""
    least = "" if reading.value.ended else "at least "
    number = to_thousandths(reading.value.number or 0.0)
    return (
        f"{_of(name, reading)} is {least}{number}, where {figure.bound} {to_thousandths(reading.limit)} was asked for"
    )


def _of(name: str, reading: Reading) -> str:
    return name if reading.fault is None else f"{name} of {reading.fault}"

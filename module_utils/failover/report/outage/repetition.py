# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fault that was repeated: each measure's points, their median, and an interval that says how sure the median is.

The unit is the repeat. Operations of one repeat depend on each other (they wait for the same election), so they are
never drawn from. The interval is the percentile interval of the bootstrap (Efron and Tibshirani, "An Introduction to
the Bootstrap", 1993, chapter 13): whole repeats are drawn with replacement, as many as there were, RESAMPLES times; the
medians of these draws, from their 2.5th to their 97.5th percentile, are the 95 % interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any

import numpy as np

from ...actions.record import FaultRecord
from ...checks.faults import outside_bound
from ...fault_names import towards
from ...measured.columns import Ints
from ...moments import MOMENTS, OUTAGE_END, OUTAGE_END_LABEL
from .anatomy import UNEXPLAINED
from .disks import disks
from .heals import heals
from .healthy import background_of_repeats

# The same draws in every report, so that the same data give the same interval.
SEED = 1993
RESAMPLES = 10_000
INTERVAL = (0.025, 0.975)
# Of fewer repeats an interval would only be their range under another name: of 5, 5.8 % of the resamples have the least
# value for their median, and of 6, 0.9 %. Nor does the range of 5 hold the median in 95 % of all cases, but in 93.75 %.
LEAST_REPEATS = 6


@dataclass(frozen=True)
class Spread:
    """What the values of one measure say together, in the unit of the values."""

    n: int  # repeats that have a value
    absent: int  # repeats in which it was not seen
    least: float | None
    median: float | None  # of an even number of values the middle of the two in the middle
    most: float | None
    low: float | None  # the interval of the median; None of fewer than LEAST_REPEATS values
    high: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, the lengths in ms."""
        return {
            "n": self.n,
            "absent": self.absent,
            "min_ms": self.least,
            "median_ms": self.median,
            "low_ms": self.low,
            "high_ms": self.high,
            "max_ms": self.most,
        }


@cache
def draws(repeats: int) -> Ints:
    """Return which repeats each resample consists of: RESAMPLES rows of ``repeats`` positions."""
    return np.random.default_rng(SEED).integers(repeats, size=(RESAMPLES, repeats))


def spread(values: Sequence[float | None]) -> Spread:
    """Return median, interval and range of one value a repeat; None stands for a repeat that has none.

    A resample takes repeats as they are, also those without a value; one in which no repeat has a value says nothing.
    """
    found = [value for value in values if value is not None]
    if not found:
        return Spread(0, len(values), None, None, None, None, None)
    low = high = None
    if len(found) >= LEAST_REPEATS:
        numbers = np.asarray([np.nan if value is None else value for value in values], dtype=np.float64)
        low, high = (float(edge) for edge in np.quantile(_medians(numbers), INTERVAL, method="inverted_cdf"))
    return Spread(len(found), len(values) - len(found), min(found), float(median(found)), max(found), low, high)


def _medians(values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the median of each resample, of those that have a value at all."""
    drawn = np.sort(values[draws(len(values))], axis=1)  # what is missing (nan) comes last
    counts = np.count_nonzero(~np.isnan(drawn), axis=1)
    drawn, counts = drawn[counts > 0], counts[counts > 0]
    rows = np.arange(len(drawn))
    return np.asarray((drawn[rows, (counts - 1) // 2] + drawn[rows, counts // 2]) / 2)


def middle(values: Mapping[str, float | None]) -> str | None:
    """Return the name of the value in the middle, of an even number of values the lower one of the two there."""
    ordered = sorted((value, name) for name, value in values.items() if value is not None)
    return ordered[(len(ordered) - 1) // 2][1] if ordered else None


# ---------------------------------------------------------------- what is measured of a fault


@dataclass(frozen=True)
class Measure:
    """One length that each fault has, in ms."""

    name: str
    label: str
    since: str  # from when it counts; empty for a length of its own
    of: Callable[[Mapping[str, Any]], float | None]  # of a fault as the report tells it


def _length(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    """Return the length of a gap; of one that did not end, as long as it was seen to be."""
    return lambda fault: fault[name]["duration_ms"] if fault[name] else None


def _since_fault(name: str) -> Measure:
    """Measure the time of a moment since the fault."""
    return Measure(name, _called(name), FAULT, lambda fault: moment_ms(fault, name))


def _since_heal(name: str) -> Measure:
    """Measure how long after the heal was requested a step of the member's return was, as the heal itself measured it.

    Its zero is the request, not its arrival at the host: the same as in the check of convergence.
    """

    def since(fault: Mapping[str, Any]) -> float | None:
        return next((mark["since_heal_ms"] for mark in fault["marks"] if mark["name"] == name), None)

    return Measure(name, _called(name), HEAL, since)


def _called(name: str) -> str:
    return MOMENTS[name].measured or MOMENTS[name].label


def moment_ms(fault: Mapping[str, Any], name: str) -> float | None:
    """Return when a moment of a fault was, in ms since the fault; None where it was not recorded."""
    return next((mark["since_fault_ms"] for mark in fault["marks"] if mark["name"] == name), None)


FAULT, HEAL, DUE = "the fault", "the heal", "it was due"
MEASURES = (
    Measure("gap", "service gap (no ok operation)", "", _length("gap")),
    Measure("write_gap", "no ok write", "", _length("write_gap")),
    *map(_since_fault, ("process_gone", "first_attempt_failed", "leader_lost", "election_started", "leader_elected")),
    *map(_since_fault, ("failover_completed", "first_ok_read", "first_ok_write", "throughput_back", "latency_back")),
    *map(_since_heal, ("first_answer", "caught_up", "converged")),
    Measure("delay", "placement delay of the fault", DUE, lambda fault: fault["delay_ms"]),
    Measure("worst", "worst single operation", "", lambda fault: (fault["meanwhile"] or {}).get("worst_ms")),
)


# What makes two faults the same. Their heals may differ: when a member returns does not change how it was lost.
SAME_FAULT = ("action", "target", "isolate", "direction", "to")


def sameness(plan: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what two faults have to have in common to be the same, of a fault as it was planned."""
    values = (plan.get(name) for name in SAME_FAULT)
    # A run of before lacks what is an empty list since.
    return tuple(tuple(value) or None if isinstance(value, list) else value for value in values)


def repeated(faults: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Put the repeats of each fault together, in the order of the definition.

    Faults that are drawn at random may be others in each repeat: those are not put together.

    :param faults: of one experiment, as the report tells them
    :returns: for each fault of the definition its measures, phases and sums, and the repeat that is ``shown``
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for fault in faults:
        key = (fault["base"], *sameness(fault["plan"]))
        groups.setdefault(key, []).append(fault)
    return [_group(members) for members in groups.values()]


def _group(faults: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    struck = [fault for fault in faults if fault["fired"]]
    shown = middle({fault["id"]: fault["gap"]["duration_ms"] for fault in struck if fault["gap"]})
    if shown is None:
        shown = (struck or faults)[0]["id"]
    first = faults[0]
    named = str(first["target"]).partition(" ")[0] not in ("leader", "follower")
    return {
        "fault": first["base"],
        "faults": [fault["id"] for fault in faults],
        # A run of before has no "to", and its report stays as it was.
        "plan": {name: first["plan"].get(name) for name in SAME_FAULT if name != "to" or name in first["plan"]},
        "what": f"{first['action'].replace('_', ' ')} of {'' if named else 'the '}{first['target']}"
        f"{towards(first['plan'].get('to'))}",
        "heal": heals(first["plan"], struck, len(faults)),
        "repeats": len(faults),
        "struck": len(struck),
        "untold": sum(bool(fault.get("untold")) for fault in struck),
        "shown": shown,
        "measures": [_measured(measure, struck) for measure in MEASURES],
        "unexplained": spread([_unexplained(fault) for fault in struck]).as_dict(),
        "background": background_of_repeats(struck),
        "phases": _phases(struck),
        "sums": _sums(faults),
        **disks(struck, shown),
    }


def _measured(measure: Measure, struck: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one measure of all repeats that were struck: its points and what they say together."""
    values = [measure.of(fault) for fault in struck]
    endless = [
        measure.name in ("gap", "write_gap") and bool(fault[measure.name]) and not fault[measure.name]["ended"]
        for fault in struck
    ]
    return {
        "name": measure.name,
        "label": measure.label,
        "since": measure.since,
        "points": [
            {"fault": fault["id"], "repeat": fault["repeat"], "ms": value, "ended": not no_end}
            for fault, value, no_end in zip(struck, values, endless, strict=True)
            if value is not None
        ],
        "endless": sum(endless),
        **spread(values).as_dict(),
    }


def _unexplained(fault: Mapping[str, Any]) -> float | None:
    return float(fault["anatomy"]["unexplained_ms"]) if fault["anatomy"] else None


def _phases(struck: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each phase that any repeat has, in the order in which they usually come.

    A repeat without an outage has no phases and is not counted among those in which one was not seen.
    """
    anatomies = [fault["anatomy"] for fault in struck if fault["anatomy"]]
    found: dict[str, list[Mapping[str, Any] | None]] = {}
    for number, anatomy in enumerate(anatomies):
        for phase in anatomy["phases"]:
            found.setdefault(phase["name"], [None] * len(anatomies))[number] = phase
    total_ms = sum(anatomy["duration_ms"] for anatomy in anatomies)
    rows = []
    for name, phases in found.items():
        seen = [phase for phase in phases if phase is not None]
        rows.append(
            {
                "name": name,
                "label": seen[0]["label"] if name != OUTAGE_END else OUTAGE_END_LABEL,
                "unexplained_in": sum(phase["part"] == UNEXPLAINED for phase in seen),
                # Of all outages together: the shares of the phases sum to one, as the phases of each outage sum to it.
                "share": sum(phase["duration_ms"] for phase in seen) / total_ms if total_ms else 0.0,
                "usual_end_ms": median(phase["end_ms"] for phase in seen),
                **spread([phase["duration_ms"] if phase is not None else None for phase in phases]).as_dict(),
            }
        )
    # The first ok operation ends every outage, whenever that is.
    return sorted(rows, key=lambda row: (row["name"] == OUTAGE_END, row["usual_end_ms"]))


def _sums(faults: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Add up over the repeats what is counted, not measured."""
    meanwhile = [fault["meanwhile"] for fault in faults if fault["meanwhile"]]
    struck = [FaultRecord.of(fault) for fault in faults if fault["fired"]]
    return {
        "fail": sum(counted["fail"] for counted in meanwhile),
        "unknown": sum(counted["unknown"] for counted in meanwhile),
        "missed": sum(not fault["fired"] for fault in faults),
        "outside_bound": sum(record is not None and outside_bound(record) for record in struck),
        "endless": sum(bool(fault["gap"]) and not fault["gap"]["ended"] for fault in faults),
    }

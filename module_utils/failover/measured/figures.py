# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The figures of report.json that somebody may set a limit to, each computed as the report computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..results.read import Experiment
from ..shapes import Event
from .columns import Columns
from .gaps import Gap, longest_gap_of
from .outages import Outage, Placed, place_faults
from .percentiles import latency_summary
from .repeats import Repeat, ops_per_s, repeats_of
from .staleness import staleness_of
from .timeline import Timeline, timeline_of


@dataclass(frozen=True)
class Value:
    """What a figure is. None: it could not be measured, and ``why`` says why."""

    number: float | None
    ended: bool = True  # False: it is at least so much, as the run ended first
    why: str = ""


@dataclass(frozen=True)
class Measured:
    """What the figures of one experiment are computed from."""

    experiment: Experiment
    columns: Columns
    timeline: Timeline

    @cached_property
    def repeats(self) -> list[Repeat]:
        """Return the slices of its history."""
        return repeats_of(self.experiment.info, self.columns)

    @cached_property
    def outages(self) -> list[tuple[Placed, Outage | None]]:
        """Return its faults, each with the outage that it caused; None where none could be told."""
        timeline = self.timeline
        placed, _ = place_faults(timeline.definition, self.columns, timeline.events, timeline.clocks)
        return [(fault, fault.outage()) for fault in placed]


def measured(experiment: Experiment, columns: Columns, recorded: Sequence[Event] | None) -> Measured:
    """Prepare an experiment's figures.

    :param columns: its history
    :param recorded: its events in order of time; None where they cannot be read
    """
    return Measured(experiment, columns, timeline_of(experiment, columns, recorded))


# Of an experiment as a whole, and of each of its faults.
OfExperiment = Callable[[Measured], Value | None]  # None: the experiment has no such figure
OfFault = Callable[[Placed, Outage | None], Value]


@dataclass(frozen=True)
class Figure:
    """One figure that can have a limit."""

    says: str  # for people: what it is
    place: str  # where report.json has it, within an experiment
    least: bool = False  # its limit is the least that it may be, not the most
    of_fault: OfFault | None = None
    of_experiment: OfExperiment | None = None

    @property
    def bound(self) -> str:
        """Say on which side of its limit it has to be."""
        return "at least" if self.least else "at most"


def _value_of_gap(gap: Gap | None, why: str) -> Value:
    return Value(None, why=why) if gap is None else Value(rounded(gap.duration_ms), gap.ended)


def _outage(of: Callable[[Outage], Gap | None]) -> OfFault:
    """Measure one of the gaps of a fault's outage."""

    def value(fault: Placed, outage: Outage | None) -> Value:
        if outage is not None:
            return _value_of_gap(of(outage), "it struck when no operation was under way any more")
        if fault.moment_wall_ns is None:
            return Value(None, why="it did not strike")
        return Value(None, why=str(fault.fault.get("untold") or "no operation of its repeat was recorded"))

    return value


def _p99(measured: Measured) -> Value:
    """Measure the latency from the invocation."""
    return _percentile(latency_summary(measured.columns.latency_ns))


def _intended_p99(measured: Measured) -> Value:
    """Measure the latency from the intended start."""
    if not measured.experiment.info["rate"]:
        return Value(None, why="the run had no rate, so nothing says when an operation was due")
    return _percentile(latency_summary(measured.columns.intended_latency_ns))


def _percentile(summary: Mapping[str, Any]) -> Value:
    return _number(summary["p99_ms"])


def _staleness(experiment: Experiment) -> Value | None:
    """Measure reads that may be old."""
    found = staleness_of(experiment)
    return None if found is None else Value(rounded(found.most_ms))


def _number(number: float | None) -> Value:
    return Value(None, why="no operation was recorded") if number is None else Value(rounded(number))


FIGURES: Mapping[str, Figure] = {
    "outage_ms": Figure(
        "the longest time without an acknowledged operation that a fault caused",
        "faults[].gap.duration_ms",
        of_fault=_outage(lambda outage: outage.gap),
    ),
    "write_outage_ms": Figure(
        "the longest time without an acknowledged write that a fault caused",
        "faults[].write_gap.duration_ms",
        of_fault=_outage(lambda outage: outage.write_gap),
    ),
    "longest_gap_ms": Figure(
        "the longest time without an acknowledged operation of the whole experiment",
        "gap.duration_ms",
        of_experiment=lambda measured: _value_of_gap(longest_gap_of(measured.repeats), "no operation was recorded"),
    ),
    "p99_ms": Figure("the 99th percentile of latency", "latency.all.p99_ms", of_experiment=_p99),
    "intended_p99_ms": Figure(
        "the 99th percentile of latency from the intended start",
        "intended_latency.all.p99_ms",
        of_experiment=_intended_p99,
    ),
    "ops_per_s": Figure(
        "operations per second, whatever their outcome",
        "ops_per_s",
        least=True,
        of_experiment=lambda measured: _number(ops_per_s(measured.columns, measured.repeats)),
    ),
    "staleness_ms": Figure(
        "by how much the oldest answer to a serializable read was old",
        "staleness.most_ms",
        of_experiment=lambda measured: _staleness(measured.experiment),
    ),
    "not_ok": Figure(
        "operations that were not acknowledged",
        "not_ok",
        of_experiment=lambda measured: Value(measured.columns.not_ok),
    ),
}


def rounded(value: Any) -> Any:
    """Round floats to six decimals (1 ns where the unit is ms): what follows is an artefact of binary fractions."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value

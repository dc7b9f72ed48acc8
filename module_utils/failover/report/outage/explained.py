# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The faults of one experiment with all that explains their outages, one by one and over their repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...measured.clocks import Clock
from ...measured.columns import Columns
from ...measured.repeats import repeats_of
from ...results.read import Experiment
from ...shapes import Event
from .comparison import lost_writes
from .duplicates import duplicates, duplicates_told
from .faults import describe_faults
from .healthy import background, background_of_repeats_told, background_told, healthy_gap_ms, healthy_gaps_ns
from .lanes import lanes_of, lanes_of_repeats
from .length import length_of_one, length_of_repeats
from .repetition import repeated


@dataclass(frozen=True)
class Explained:
    """The faults of an experiment."""

    faults: list[dict[str, Any]]  # as report.json has them
    zoomed: list[dict[str, Any]]  # of each the operations of its zoomed figure
    repetition: list[dict[str, Any]]  # the repeats of each fault together, as report.json has them
    healthy_gap_ms: dict[str, float | int] | None  # of the time before the faults struck; without faults, of all of it


def explain(
    experiment: Experiment,
    definition: Mapping[str, Any],
    columns: Columns,
    events: Sequence[Event] | None,
    clocks: Sequence[Clock],
    settings: Mapping[str, Mapping[str, Any]],
    anchor: str,
) -> Explained:
    """Tell every fault of an experiment, and hold its outage against what was usual, configured and repeated.

    :param experiment: with its verdict
    :param definition: its experiment.json, of which the faults may have been placed anew
    :param events: in order of time, on one clock; None where they cannot be read
    :param settings: effective settings by system, and the clients' as ``client``
    :param anchor: under which the page has the experiment
    """
    faults, zoomed = describe_faults(definition, columns, events, clocks)
    assert experiment.verdict is not None
    healthy_gaps = healthy_gaps_ns(repeats_of(definition, columns), faults)
    healthy_gap = healthy_gap_ms(healthy_gaps)
    attempt_ms = attempt_timeout_ms(settings)
    for fault in faults:
        fault["background"] = background(fault["gap"], healthy_gaps)
        system = definition["system"]
        fault["lanes"] = lanes_of(system, fault, settings.get(system, {}), settings.get("client", {}))
        fault["background_told"] = background_told(fault["background"], healthy_gap)
        outage = f"{fault['id']} of {experiment.name}"
        fault["length"] = length_of_one(outage, fault, attempt_ms) if fault["gap"] else ""
    repetition = _repetition(faults, experiment.verdict["checks"], anchor)
    for group in repetition:
        own = [fault for fault in faults if fault["id"] in group["faults"]]
        struck = [fault for fault in own if fault["fired"]]
        several = group["repeats"] > 1
        group["length"] = length_of_repeats(struck, attempt_ms) if several else ""
        group["background_told"] = background_of_repeats_told(group["background"], healthy_gap)
        group["lanes"] = lanes_of_repeats(own) if several else None
    return Explained(faults, zoomed, repetition, healthy_gap)


def attempt_timeout_ms(settings: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Return how long the clients waited for one attempt; None where that was not recorded."""
    # A value that came from the command line is text.
    timeout = settings.get("client", {}).get("attempt_timeout_ms")
    return float(timeout) if timeout else None


def _repetition(
    faults: Sequence[dict[str, Any]], checks: Sequence[Mapping[str, Any]], anchor: str
) -> list[dict[str, Any]]:
    """Put the repeats of each fault together, and say which of the faults are shown with all their moments."""
    repetition = repeated(faults)
    # Only a whole experiment's keys tell what was lost: the sum over all of its repeats.
    twice = duplicates(checks)
    whole = {"lost": lost_writes(checks), "duplicated": None if twice is None else sum(twice.values())}
    by_id = {fault["id"]: fault for fault in faults}
    for fault in faults:
        fault["shown"] = False
    for number, group in enumerate(repetition, 1):
        outage = f"{anchor}-outage{number}"
        group["anchor"] = f"{anchor}-repeats{number}" if group["repeats"] > 1 else outage
        group["sums"] |= whole
        group["duplicated"] = duplicates_told(twice)
        by_id[group["shown"]] |= {"shown": True, "anchor": outage}
    return repetition

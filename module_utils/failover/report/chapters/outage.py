# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The outages at millisecond scale: each fault, its repeats, and the same fault on several systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...measured.repeats import Repeat
from ..examined import Examined
from ..figures import lanes, outage, spreads
from ..outage.comparison import compared, outages
from .base import Chapter, Told


class Outage(Chapter):
    """What ``outage/`` explains of each fault."""

    anchor = "outage"
    title = "The outage at millisecond scale"
    optional = True

    def of_experiment(self, examined: Examined) -> dict[str, Any]:
        """Return how sure the moments are, and beside which fault it is shown how the members became equal."""
        return {
            "curve_with": _curve_with(examined.outages.faults, examined.repeats),
            "clocks": [clock.as_dict() for clock in examined.clocks],
        }

    def draw_experiment(self, examined: Examined) -> dict[str, str]:
        """Draw the faults that are shown with their operations (too many to keep) and waits, and their repeats."""
        drawings = {}
        for fault, operations in zip(examined.outages.faults, examined.outages.zoomed, strict=True):
            if fault["shown"] and operations:
                drawings[fault["anchor"]] = outage.draw(fault, operations, fault["anchor"])
            if fault["shown"] and fault["lanes"]:
                name = f"{fault['anchor']}-lanes"
                drawings[name] = lanes.draw(fault["lanes"], fault["id"], name)
        for group in examined.outages.repetition:
            if group["lanes"]:
                name = f"{group['anchor']}-lanes"
                drawings[name] = lanes.draw_repeats(group["lanes"], group["fault"], name)
            if group["repeats"] > 1 and group["struck"]:
                drawings[group["anchor"]] = spreads.draw([(None, group["measures"])], group["anchor"])
        return drawings

    def compute(self, told: Told) -> dict[str, Any]:
        """Put the faults of all experiments side by side."""
        comparisons = compared(told.experiments)
        for number, comparison in enumerate(comparisons, 1):
            comparison["anchor"] = f"compared{number}"
        return {"outages": outages(told.experiments), "compared": comparisons}

    def draw(self, content: Mapping[str, Any]) -> dict[str, str]:
        """Draw the repeats of a fault that met several systems."""
        return {
            comparison["anchor"]: spreads.draw(_series(comparison), comparison["anchor"])
            for comparison in content["compared"]
            if comparison["repeated"]
        }

    def stands(self, content: Mapping[str, Any]) -> bool:
        """Tell whether any fault was planned."""
        return any(experiment["faults"] for experiment in content["experiments"])


def _series(comparison: Mapping[str, Any]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return the measures of each system that is compared."""
    return [
        (f"{system['system']} ({system['experiment']})", [row["cells"][column] for row in comparison["measures"]])
        for column, system in enumerate(comparison["systems"])
    ]


def _curve_with(faults: Sequence[Mapping[str, Any]], repeats: Sequence[Repeat]) -> str | None:
    """Return the id of the fault beside which it is shown how the members became equal: the last one of those shown.

    They are watched after all faults of a repeat. None where no fault is shown with its outage.
    """
    shown = [fault["id"] for fault in faults if fault["shown"] and fault["fired"] and repeats]
    return shown[-1] if shown else None

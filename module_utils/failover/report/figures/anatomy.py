# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The phases of one outage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from .style import BLACK, BLUE, GREEN, LIGHT, ORANGE, as_svg, new_figure

# Whose time a phase of an outage is: (colour, what the legend says). What is not explained is hatched.
PARTS: dict[str, tuple[str, str]] = {
    "before": (LIGHT, "before the fault struck"),
    "servers": (BLUE, "servers"),
    "clients": (ORANGE, "client"),
    "heal": (GREEN, "until the heal"),
    "unexplained": ("white", "unexplained"),
}
# The height of one row of phases.
ROW_IN = 0.155


def draw(fault: Mapping[str, Any], name: str) -> str:
    """Draw the phases of an outage: one bar of all of them, and under it each in a row of its own, at its time.

    The rows make phases readable that are thousands of times shorter than the outage; time is the same in all rows.
    """
    found = fault["anatomy"]
    phases = found["phases"]
    low, high = found["start_ms"], found["end_ms"]
    span = max(high - low, 1e-6)
    with new_figure(0.66 + ROW_IN * (len(phases) + 1)) as figure:
        axes = figure.subplots()
        for row, phase in enumerate(phases, 1):
            start, length = phase["start_ms"], phase["duration_ms"]
            colour = PARTS[phase["part"]][0]
            for at in (0, row):
                _phase_bar(axes, start, length, at, phase["part"])
            # A bar thinner than a line would not be seen.
            edge = BLACK if phase["part"] in ("unexplained", "before") else colour
            axes.plot([start, start], [row - 0.36, row + 0.36], color=edge, linewidth=0.8, solid_capstyle="butt")
            text = f"{length:,.2f} ms · {phase['share'] * 100:.1f} %"
            end = phase["end_ms"]
            left = end > low + 0.8 * span
            inside = left and length > 0.3 * span
            axes.annotate(
                text,
                xy=(end if inside or not left else start, row),
                xytext=(-3 if left else 3, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=6.5,
                color="white" if inside and phase["part"] == "servers" else BLACK,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8}
                if inside and phase["part"] == "unexplained"
                else None,
            )
        labels = [
            "the outage",
            *(f"{phase['label']}" + (f" ({phase['letter']})" if phase["letter"] else "") for phase in phases),
        ]
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(phases) + 0.6, -0.6)
        axes.set_xlim(low, high)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.set_xlabel("time since the fault (ms)")
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        used = [part for part in PARTS if any(phase["part"] == part for phase in phases)]
        handles = [_part_patch(part) for part in used]
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), handlelength=1.6)
        return as_svg(figure, name, f"The phases of the outage of {fault['id']}")


def _phase_bar(axes: Axes, start_ms: float, length_ms: float, row: int, part: str) -> None:
    unexplained = part == "unexplained"
    axes.barh(
        row,
        length_ms,
        left=start_ms,
        height=0.72,
        facecolor=PARTS[part][0],
        edgecolor=BLACK if unexplained else "none",
        linewidth=0.5 if unexplained else 0,
        hatch="/////" if unexplained else None,
    )


def _part_patch(part: str) -> Patch:
    unexplained = part == "unexplained"
    colour, label = PARTS[part]
    return Patch(
        facecolor=colour,
        edgecolor=BLACK if unexplained else "none",
        linewidth=0.5,
        hatch="/////" if unexplained else None,
        label=label,
    )

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All outages of a run on one axis, each beside the gaps of the same experiment while nothing was wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...sentences import milliseconds
from .style import GREY, INK, LIGHT, SERIES, as_svg, log_ms_axis, new_figure

ROW_IN = 0.19
# The share of a row's height within which the points of many repeats are spread.
SPREAD = 0.5


def draw(outages: Sequence[Mapping[str, Any]], name: str) -> str:
    """Draw the length of every outage as a point, by fault and system.

    :param outages: rows as ``comparison.outages`` returns them; those without an outage have no points
    """
    order = {what: number for number, what in enumerate(dict.fromkeys(row["what"] for row in outages))}
    rows = sorted(outages, key=lambda row: order[row["what"]])
    systems = list(dict.fromkeys(row["system"] for row in outages))
    shown = [value for row in rows for value in _values(row)]
    low, high = min(shown, default=1.0) * 0.7, max(shown, default=10.0) * 1.5
    with new_figure(0.62 + ROW_IN * len(rows)) as figure:
        axes = figure.subplots()
        for number, row in enumerate(rows):
            colour, _, marker = SERIES[systems.index(row["system"]) % len(SERIES)]
            _background(axes, number, row["healthy_gap_ms"])
            _points(axes, number, row["gap"]["points"], colour, marker)
            if number and rows[number - 1]["what"] != row["what"]:
                axes.axhline(number - 0.5, color=LIGHT, linewidth=0.6)
            axes.annotate(_told(row), (1.0, number), xycoords=("axes fraction", "data"), xytext=(4, 0),
                          textcoords="offset points", va="center", fontsize=6.5, annotation_clip=False)  # fmt: skip
        axes.set_yticks(range(len(rows)), [_label(row, rows[number - 1] if number else None)
                                           for number, row in enumerate(rows)])  # fmt: skip
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        log_ms_axis(axes.xaxis, low, high, 11)
        axes.set_xlabel("longest time without an acknowledged operation (ms, logarithmic)")
        axes.grid(axis="x")
        _legend(figure, rows, systems)
        return as_svg(figure, name, "How long each fault kept the service from answering", _described(rows))


def _values(row: Mapping[str, Any]) -> list[float]:
    """Return all lengths above zero that a row shows, in ms."""
    healthy = row["healthy_gap_ms"] or {}
    lengths = [point["ms"] for point in row["gap"]["points"]]
    return [value for value in (*lengths, *(healthy.get(at) for at in ("median", "p99", "longest"))) if value]


def _background(axes: Axes, number: int, healthy: Mapping[str, Any] | None) -> None:
    """Draw the healthy gaps: a band from their median to p99, a tick at the longest."""
    if healthy is None or not healthy["median"]:
        return
    axes.barh(number, healthy["p99"] - healthy["median"], left=healthy["median"], height=0.62, facecolor=LIGHT,
              edgecolor=GREY, linewidth=0.4, zorder=2)  # fmt: skip
    axes.plot([healthy["p99"], healthy["longest"]], [number, number], color=GREY, linewidth=0.7, zorder=2)
    axes.plot([healthy["longest"]] * 2, [number - 0.31, number + 0.31], color=GREY, linewidth=1.3, zorder=2)


def _points(axes: Axes, number: int, points: Sequence[Mapping[str, Any]], colour: str, marker: str) -> None:
    """Draw the repeats in their order, from the top of the row to its bottom."""
    for ended, shape in ((True, marker), (False, ">")):
        chosen = [(place, point) for place, point in enumerate(points, 1) if point["ended"] is ended]
        axes.plot(
            [point["ms"] for _, point in chosen],
            [number + (place / (len(points) + 1) - 0.5) * SPREAD for place, _ in chosen],
            linestyle="none",
            marker=shape,
            markersize=4,
            markerfacecolor="white",
            markeredgecolor=colour,
            markeredgewidth=1.0,
            zorder=4,
        )


def _label(row: Mapping[str, Any], above: Mapping[str, Any] | None) -> str:
    """Name the fault once for all the systems that met it."""
    fault = "" if above is not None and above["what"] == row["what"] else f"{row['what']}: "
    return f"{fault}{row['experiment']}"


def _told(row: Mapping[str, Any]) -> str:
    """Say how long the outages of a row were."""
    gap = row["gap"]
    if not gap["n"]:
        return "unknown" if row["untold"] else "none seen"
    least = "≥ " if gap["endless"] else ""
    if gap["n"] == 1:
        return f"{least}{milliseconds(gap['median_ms'])} ms"
    return f"{least}{milliseconds(gap['min_ms'])} to {milliseconds(gap['max_ms'])} ms"


def _legend(figure: Any, rows: Sequence[Mapping[str, Any]], systems: Sequence[str]) -> None:
    handles: list[Any] = [
        Line2D([], [], linestyle="none", marker=SERIES[place % len(SERIES)][2], markersize=4, markerfacecolor="white",
               markeredgecolor=SERIES[place % len(SERIES)][0], label=system)
        for place, system in enumerate(systems)
    ]  # fmt: skip
    if any(row["gap"]["endless"] for row in rows):
        handles.append(Line2D([], [], linestyle="none", marker=">", markersize=4, markerfacecolor="white",
                              markeredgecolor=INK, label="did not end"))  # fmt: skip
    if any(row["healthy_gap_ms"] for row in rows):
        handles.append(Patch(facecolor=LIGHT, edgecolor=GREY, linewidth=0.4,
                             label="healthy gaps: median to p99, tick: longest"))  # fmt: skip
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), handlelength=1.6)


def _described(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say in words what the figure shows."""
    told = []
    for row in rows:
        healthy = row["healthy_gap_ms"]
        beside = (
            f" (healthy gaps: median {milliseconds(healthy['median'])} ms, p99 {milliseconds(healthy['p99'])} ms, "
            f"longest {milliseconds(healthy['longest'])} ms)"
            if healthy
            else ""
        )
        told.append(f"{row['experiment']}, {row['what']}: {_told(row)}{beside}")
    return f"{'. '.join(told)}."

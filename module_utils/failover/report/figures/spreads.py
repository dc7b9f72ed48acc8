# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every repeat's measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from ...sentences import milliseconds
from .style import GREY, INK, LIGHT, SERIES, as_svg, log_ms_axis, new_figure

# The height of one measure's row of points, of one system; and what each row of a figure needs besides.
POINTS_IN, ROW_GAP_IN = 0.13, 0.06


def draw(series: Sequence[tuple[str | None, Sequence[Mapping[str, Any]]]], name: str) -> str:
    """Draw measures that were taken of several repeats: every point, the median and its interval.

    :param series: (label, measures) of each system, the same measures in the same order; without a label where there
        is only one
    """
    rows = [number for number, measure in enumerate(series[0][1]) if any(cells[number]["n"] for _, cells in series)]
    height = len(rows) * (POINTS_IN * len(series) + ROW_GAP_IN)
    with new_figure(0.75 + height) as figure:
        axes = figure.subplots()
        step = 1 / (len(series) + ROW_GAP_IN / POINTS_IN)
        for position, (label, measures) in enumerate(series):
            colour, _, marker = SERIES[position % len(SERIES)]
            for row, number in enumerate(rows):
                centre = row + (position - (len(series) - 1) / 2) * step
                _spread_row(axes, measures[number], centre, step, colour, marker)
            if label is not None:
                axes.plot([], [], linestyle="none", marker=marker, markersize=3.2, markerfacecolor="white",
                          markeredgecolor=colour, label=label)  # fmt: skip
        shown = [measures[number] for _, measures in series for number in rows]
        if any(measure["n"] > 1 for measure in shown):
            axes.plot([], [], color=INK, linewidth=2.2, label="median")
        if any(measure["low_ms"] is not None for measure in shown):
            axes.plot([], [], color=GREY, linewidth=1.0, label="95 % interval of the median")
        found = [point["ms"] for _, measures in series for number in rows for point in measures[number]["points"]]
        if min(found) > 0:
            low, high = min(found) * 0.8, max(found) * 1.25
            axes.set_xscale("log")
            axes.set_xlim(low, high)
            log_ms_axis(axes.xaxis, low, high, 12)
        else:
            # A measure can be 0, or less by a clock's error; a logarithmic axis has no place for those.
            axes.set_xscale("symlog", linthresh=1, linscale=0.4)
            axes.set_xlim(min(found) * 1.3, max(1.0, *found) * 1.25)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.set_yticks(range(len(rows)), [_measure_label(series[0][1][number]) for number in rows])
        for row in range(len(rows) - 1):
            axes.axhline(row + 0.5, color=LIGHT, linewidth=0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.set_xlabel("ms (logarithmic)")
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper right", ncols=5, handlelength=1.6, columnspacing=1.2)
        return as_svg(figure, name, "The measures of every repeat, one point a repeat", _described(series, rows))


def _described(series: Sequence[tuple[str | None, Sequence[Mapping[str, Any]]]], rows: Sequence[int]) -> str:
    """Say in words what the figure shows."""
    told = []
    for label, measures in series:
        for number in rows:
            measure = measures[number]
            if measure["n"] > 1:
                low, mid, high = (milliseconds(measure[name]) for name in ("min_ms", "median_ms", "max_ms"))
                values = f"{low} to {high} ms, median {mid} ms, of {measure['n']} repeats"
            elif measure["n"]:
                values = f"{milliseconds(measure['median_ms'])} ms in one repeat"
            else:
                continue
            told.append(f"{f'{label}: ' if label else ''}{_measure_label(measure)} {values}")
    return f"{'. '.join(told)}."


def _measure_label(measure: Mapping[str, Any]) -> str:
    return f"{measure['label']}, since {measure['since']}" if measure["since"] else str(measure["label"])


def _spread_row(axes: Axes, measure: Mapping[str, Any], centre: float, height: float, colour: str, marker: str) -> None:
    """Draw one measure of one system, its points side by side in the order of the repeats."""
    points = measure["points"]
    most = max((point["repeat"] for point in points), default=1)
    for ended, shape in ((True, marker), (False, ">")):
        chosen = [point for point in points if point["ended"] is ended]
        axes.plot(
            [point["ms"] for point in chosen],
            [centre + (point["repeat"] / (most + 1) - 0.5) * height * 0.75 for point in chosen],
            linestyle="none",
            marker=shape,
            markersize=2.6,
            markerfacecolor="white",
            markeredgecolor=colour,
            markeredgewidth=0.6,
            zorder=5,
        )
    if measure["low_ms"] is not None:
        axes.plot([measure["low_ms"], measure["high_ms"]], [centre, centre], color=GREY, linewidth=1.0, zorder=3.5)
    if len(points) > 1:
        edge = height * 0.42
        axes.plot([measure["median_ms"]] * 2, [centre - edge, centre + edge], color=INK, linewidth=1.6, zorder=4)

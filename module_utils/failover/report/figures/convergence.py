# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far the members are behind after the heal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, NullLocator

from ...sentences import milliseconds
from .style import GREEN, GREY, LIGHT, SERIES, as_count, as_svg, new_figure


def _silences(series: Mapping[str, Any], end_ms: float | None) -> list[tuple[float, float]]:
    """Return the spans of time, in ms, in which a member did not answer: from such a sample to the next other one."""
    spans: list[tuple[float, float]] = []
    times = [*series["t_ms"], end_ms if end_ms is not None else series["t_ms"][-1]]
    for number, lag in enumerate(series["lag"]):
        if lag is None:
            start = spans.pop()[0] if spans and spans[-1][1] == times[number] else times[number]
            spans.append((start, times[number + 1]))
    return spans


def draw(data: Mapping[str, Any], name: str) -> str:
    """Draw how far each member is behind the most advanced one, from the heal until they are equal."""
    with new_figure(1.75) as figure:
        axes = figure.subplots()
        for position, (member, series) in enumerate(data["members"].items()):
            colour, style, marker = SERIES[position % len(SERIES)]
            lag = [np.nan if value is None else value for value in series["lag"]]
            times = list(series["t_ms"])
            if data["on_this_axis"] and data["duration_ms"] is not None:
                # Samples are kept where something changed: the last one holds until the comparison ended.
                times.append(max(data["duration_ms"], times[-1]))
                lag.append(lag[-1])
            axes.step(
                times,
                lag,
                where="post",
                color=colour,
                linestyle=style,
                marker=marker,
                markersize=2.2,
                linewidth=1.0,
                label=member,
            )
        axes.set_yscale("symlog", linthresh=1)
        most = max((lag for series in data["members"].values() for lag in series["lag"] if lag), default=1)
        axes.set_ylim(0, most * 1.5)
        axes.yaxis.set_major_formatter(FuncFormatter(as_count))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(as_count))
        if data["on_this_axis"] and data["duration_ms"] is not None:
            axes.axvline(data["duration_ms"], color=GREEN, linestyle=(0, (1, 1)), linewidth=0.9)
        axes.set_xlabel(f"time since {data['since']} (ms)")
        for member, series in data["members"].items():
            for start, end in _silences(series, data["duration_ms"]):
                axes.axvspan(start, end, facecolor=LIGHT, alpha=0.6, linewidth=0)
                axes.annotate(f"{member} does not answer", ((start + end) / 2, 0.5), xycoords=("data", "axes fraction"),
                              ha="center", fontsize=6.5, color=GREY)  # fmt: skip
        axes.set_ylabel("revisions behind")
        axes.grid(axis="y")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=6, handlelength=3.2)
        title = f"How far each member is behind the most advanced one, since {data['since']}"
        return as_svg(figure, name, title, _described(data))


def _described(data: Mapping[str, Any]) -> str:
    """Say in words what the figure shows."""
    told = []
    for member, series in data["members"].items():
        behind = max((lag for lag in series["lag"] if lag is not None), default=0)
        silent = sum(end - start for start, end in _silences(series, data["duration_ms"]))
        answer = f", without an answer for {milliseconds(silent)} ms" if silent else ""
        told.append(f"{member} at most {behind:,} revisions behind{answer}")
    equal = data["duration_ms"]
    ended = f" All are equal after {milliseconds(equal)} ms." if data["on_this_axis"] and equal is not None else ""
    return f"{'; '.join(told)}.{ended}"

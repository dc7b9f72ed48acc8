# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The distribution of latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ...measured.percentiles import LEAST_DECIDING, QUANTILES, decided_by
from ...sentences import milliseconds
from .style import INK, SERIES, as_svg, legend_of, log_ms_axis, new_figure

# Percentiles marked on the latency curves, with the share of operations that took longer.
CURVE_TICKS = ((0.5, "50"), (0.1, "90"), (0.01, "99"), (0.001, "99.9"), (0.0001, "99.99"), (0.00001, "99.999"))
# How a curve goes on where fewer than LEAST_DECIDING operations decide; no series has this style or so thin a line.
SPARSE: tuple[Any, float] = ((0, (1, 2.5)), 0.7)
# The line around a mark that few operations decide.
SMALL_EDGE = 0.55
# Of more experiments the list of the longest latencies would cover the curves: it is left to the table.
MOST_LISTED = 10


def _percentile(longer: float, _position: int | None = None) -> str:
    """Print the percentile above which this share of the operations lies, where it has a tick."""
    return dict(CURVE_TICKS).get(longer, "")


def draw(experiments: Sequence[Mapping[str, Any]], kinds: Sequence[str], which: str, name: str) -> str:
    """Draw for each kind of operation the share of operations that took longer, one curve an experiment.

    Both axes are logarithmic, so that p50 and p99.9 take the same room; p50, p90, p99 and p99.9 are marked. Where fewer
    than LEAST_DECIDING operations decide the curve is dotted and a mark small; the maximum stands beside in words.

    :param which: ``latency`` or ``intended_latency``, the key of the experiments' summaries and curves.
    """
    curves = {
        (experiment["name"], kind): experiment[which]["curves"][kind]
        for experiment in experiments
        for kind in kinds
        if kind in experiment[which]["curves"] and experiment[which]["curves"][kind]["latency_ms"]
    }
    low = min((data["latency_ms"][0] for data in curves.values()), default=0.1) * 0.9
    high = max((data["latency_ms"][-1] for data in curves.values()), default=10.0) * 1.25
    smallest = min((data["longer"][-1] for data in curves.values()), default=0.001)
    with new_figure(2.75) as figure:
        panels: list[Axes] = list(np.atleast_1d(figure.subplots(1, len(kinds), sharex=True, sharey=True)))
        for axes, kind in zip(panels, kinds, strict=True):
            longest: list[Line2D] = []
            for position, experiment in enumerate(experiments):
                data = curves.get((experiment["name"], kind))
                if data is not None:
                    summary = experiment[which]["by_kind"][kind] | {"label": experiment["name"]}
                    longest += _curve(axes, data, summary, SERIES[position % len(SERIES)])
            if longest and len(longest) <= MOST_LISTED:
                axes.legend(handles=longest, loc="upper right", title="longest (ms)", title_fontsize=6, fontsize=6,
                            borderaxespad=0, handletextpad=0.2, labelspacing=0.25, alignment="right")  # fmt: skip
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_title(kind, loc="left", fontweight="bold")
            axes.set_xlim(low, high)
            log_ms_axis(axes.xaxis, low, high, 5)
            axes.yaxis.set_major_locator(FixedLocator([share for share, _ in CURVE_TICKS if share >= smallest]))
            axes.yaxis.set_major_formatter(FuncFormatter(_percentile))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.set_ylim(smallest * 0.7, 1.0)
            axes.grid(which="major")
            axes.set_xlabel("latency (ms)")
        panels[0].set_ylabel("percentile")
        handles, labels = legend_of(panels)
        if handles:
            handles.append(Line2D([], [], color=INK, linestyle=SPARSE[0], linewidth=SPARSE[1]))
            labels.append(f"fewer than {LEAST_DECIDING} operations decide")
            figure.legend(handles, labels, loc="outside upper right", ncols=min(len(labels), 5), handlelength=3.2)
        start = "the intended start" if which == "intended_latency" else "the invocation"
        title = f"Distribution of latency from {start}, by kind of operation"
        return as_svg(figure, name, title, _described(experiments, kinds, which))


def _curve(
    axes: Axes, data: Mapping[str, Any], summary: Mapping[str, Any], series: tuple[str, Any, str]
) -> list[Line2D]:
    """Draw one curve with its marks; return what the list of the longest latencies has of it."""
    colour, style, marker = series
    x, y = np.asarray(data["latency_ms"]), np.asarray(data["longer"])
    sparse = decided_by(summary["count"], y) < LEAST_DECIDING
    # Both parts share the point between them, so that the line has no hole.
    edge = int(np.argmax(sparse)) if sparse.any() else len(x)
    line: Any = {"color": colour, "drawstyle": "steps-post"}
    axes.plot(x[: edge + 1], y[: edge + 1], linestyle=style, linewidth=1.1, label=summary["label"], **line)
    axes.plot(x[edge:], y[edge:], linestyle=SPARSE[0], linewidth=SPARSE[1], **line)
    marks: Any = {"linestyle": "none", "marker": marker, "markerfacecolor": "white", "markeredgecolor": colour}
    for few in (False, True):
        points = [
            (summary[f"{label}_ms"], 1 - thousandths / 1000)
            for label, thousandths in QUANTILES
            if bool(decided_by(summary["count"], 1 - thousandths / 1000) < LEAST_DECIDING) is few
        ]
        if few:
            points.append((summary["max_ms"], 0.5 / summary["count"]))
        axes.plot([at for at, _ in points], [share for _, share in points], markersize=2 if few else 3.2,
                  markeredgewidth=SMALL_EDGE if few else 0.8, **marks)  # fmt: skip
    return [Line2D([], [], markersize=2.5, markeredgewidth=0.7, label=milliseconds(summary["max_ms"]), **marks)]


def _described(experiments: Sequence[Mapping[str, Any]], kinds: Sequence[str], which: str) -> str:
    """Say in words what the figure shows."""
    told = []
    for experiment in experiments:
        for kind in kinds:
            summary = experiment[which]["by_kind"].get(kind)
            if summary is not None and summary["count"]:
                values = ", ".join(f"{label} {milliseconds(summary[f'{label}_ms'])} ms" for label, _ in QUANTILES)
                values += f", longest {milliseconds(summary['max_ms'])} ms"
                told.append(f"{experiment['name']} {kind}, {summary['count']:,} operations: {values}")
    return f"{'. '.join(told)}."

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The distribution of latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ..analysis import QUANTILES
from .style import SERIES, as_svg, legend_of, log_ms_axis, new_figure

# Percentiles marked on the latency curves, with the share of operations that took longer.
CURVE_TICKS = ((0.5, "50"), (0.1, "90"), (0.01, "99"), (0.001, "99.9"), (0.0001, "99.99"), (0.00001, "99.999"))


def _percentile(longer: float, _position: int | None = None) -> str:
    """Print the percentile above which this share of the operations lies, where it has a tick."""
    return dict(CURVE_TICKS).get(longer, "")


def draw(experiments: Sequence[Mapping[str, Any]], kinds: Sequence[str], which: str, name: str) -> str:
    """Draw for each kind of operation the share of operations that took longer, one curve an experiment.

    Both axes are logarithmic, so that p50 and p99.9 take the same room; p50, p90, p99, p99.9 and max are marked.

    :param which: ``latency`` or ``intended_latency``, the key of the experiments' summaries and curves.
    """
    curves = {
        (experiment["name"], kind): experiment[which]["curves"][kind]
        for experiment in experiments
        for kind in kinds
        if experiment[which]["curves"][kind]["latency_ms"]
    }
    low = min((data["latency_ms"][0] for data in curves.values()), default=0.1) * 0.9
    high = max((data["latency_ms"][-1] for data in curves.values()), default=10.0) * 1.25
    smallest = min((data["longer"][-1] for data in curves.values()), default=0.001)
    with new_figure(2.75) as figure:
        panels: list[Axes] = list(np.atleast_1d(figure.subplots(1, len(kinds), sharex=True, sharey=True)))
        for axes, kind in zip(panels, kinds, strict=True):
            for position, experiment in enumerate(experiments):
                data = curves.get((experiment["name"], kind))
                if data is None:
                    continue
                colour, style, marker = SERIES[position % len(SERIES)]
                axes.plot(
                    data["latency_ms"],
                    data["longer"],
                    color=colour,
                    linestyle=style,
                    linewidth=1.1,
                    drawstyle="steps-post",
                    label=experiment["name"],
                )
                summary = experiment[which]["by_kind"][kind]
                points = [(summary[f"{label}_ms"], 1 - thousandths / 1000) for label, thousandths in QUANTILES]
                points.append((summary["max_ms"], 0.5 / summary["count"]))
                axes.plot(
                    [x for x, _ in points],
                    [y for _, y in points],
                    linestyle="none",
                    marker=marker,
                    markersize=3,
                    markerfacecolor="white",
                    markeredgecolor=colour,
                    markeredgewidth=0.8,
                )
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
            figure.legend(handles, labels, loc="outside upper right", ncols=min(len(labels), 4), handlelength=3.2)
        start = "the intended start" if which == "intended_latency" else "the invocation"
        return as_svg(figure, name, f"Distribution of latency from {start}, by kind of operation")

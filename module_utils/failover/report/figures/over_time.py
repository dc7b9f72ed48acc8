# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Throughput and latency over a whole experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from ...moments import MOMENTS
from ...sentences import milliseconds
from .style import BLUE, GREY, INK, MARK_STYLES, PURPLE, SKY, VERMILLION, as_count, as_svg, log_ms_axis, new_figure

# More numbers of repeats than this would not be told apart above a figure.
MOST_REPEATS_NUMBERED = 15
# A line that is none of those of moments that were stamped.
UNTOLD: Any = (0, (0.5, 3))
# The share of a figure's width that a label of five or six digits takes.
LABEL_SHARE = 0.06


def draw(experiment: Mapping[str, Any], limits: Mapping[str, float], name: str) -> str:
    """Draw throughput and latency over the whole experiment, with the faults, elections and recoveries marked.

    :param limits: ``ops_per_s``, ``latency_low_ms``, ``latency_high_ms``: the same for all experiments of a run,
        so that their figures can be laid side by side.
    """
    with new_figure(2.5) as figure:
        rate_axes, latency_axes = figure.subplots(2, 1, sharex=True, height_ratios=(1.15, 1))
        _rates(rate_axes, experiment, limits)
        _latencies(latency_axes, experiment, limits)
        if any(fault.get("untold") for fault in experiment["faults"]):
            note = "loosely dotted: a fault, placed by its operation; the length of its outage is unknown"
            rate_axes.set_title(note, loc="right", fontsize=6)
        not_ok = experiment["not_ok_s"]
        if not_ok:
            rate_axes.plot(
                not_ok,
                [limits["ops_per_s"] * 0.02] * len(not_ok),
                linestyle="none",
                marker="x",
                markersize=3,
                color=VERMILLION,
            )
        _mark_faults(rate_axes, latency_axes, experiment)
        if experiment["repeats"] > 1:
            _mark_repeats(rate_axes, latency_axes, experiment["repeats_s"])
        for election in experiment["elections_unexplained"] or []:
            rate_axes.axvline(election["at_s"], color=PURPLE, linestyle=(0, (1, 1)), linewidth=0.9, zorder=2.5)

        operations = _apart(experiment["operations_scale"], experiment["end_s"] - experiment["start_s"])
        if operations:
            top = rate_axes.secondary_xaxis("top")
            top.set_xticks([at for _, at in operations], [f"{count:,}" for count, _ in operations])
            top.set_xlabel("operations completed so far", fontsize=6.5, color=GREY)
            top.tick_params(labelsize=6, length=2)
        return as_svg(figure, name, f"Throughput and latency over time of {experiment['name']}", _described(experiment))


def _rates(axes: Axes, experiment: Mapping[str, Any], limits: Mapping[str, float]) -> None:
    """Draw the throughput, window by window."""
    series = experiment["throughput"]
    edges = [*series["start_s"], *series["end_s"][-1:]]
    axes.stairs(series["ops_per_s"], edges, color=BLUE, linewidth=0.8, fill=False, baseline=None)
    axes.set_ylim(0, limits["ops_per_s"] * 1.3)
    axes.set_ylabel("ok operations per s")
    axes.yaxis.set_major_formatter(FuncFormatter(as_count))
    axes.grid(axis="y")


def _latencies(axes: Axes, experiment: Mapping[str, Any], limits: Mapping[str, float]) -> None:
    """Draw the latency: its range, p99 and p50 in each column of the picture."""
    spread = experiment["latency_over_time"]
    bars = np.full((3, len(spread["t_s"])), np.nan)
    bars[0], bars[1] = spread["min_ms"], spread["max_ms"]
    columns = np.repeat(spread["t_s"], 3)
    axes.plot(columns, bars.T.ravel(), color=SKY, linewidth=0.9, solid_capstyle="butt", label="min to max")
    times, p99, p50 = _broken_where_empty(spread)
    axes.plot(times, p99, color=VERMILLION, linewidth=0.6, label="p99")
    axes.plot(times, p50, color=INK, linewidth=0.8, label="p50")
    axes.set_yscale("log")
    axes.set_ylim(limits["latency_low_ms"], limits["latency_high_ms"])
    log_ms_axis(axes.yaxis, limits["latency_low_ms"], limits["latency_high_ms"], 5)
    axes.set_ylabel("latency (ms)")
    cut = ", without the idle time between repeats" if experiment["repeats"] > 1 else ""
    axes.set_xlabel(f"time since the first operation{cut} (s)")
    axes.grid(axis="y")
    axes.legend(loc="upper right", ncols=4, borderaxespad=0.1, handlelength=1.4, columnspacing=1.0)
    axes.set_xlim(min(experiment["start_s"], 0), experiment["end_s"])


def _described(experiment: Mapping[str, Any]) -> str:
    """Say in words what the figure shows."""
    text = f"{experiment['operations']:,} operations in {experiment['duration_s']:,.1f} s"
    if experiment["ops_per_s"]:
        text += f", {experiment['ops_per_s']:,.0f} a second"
    latency = experiment["latency"]["all"]
    text += f"; latency p50 {milliseconds(latency['p50_ms'])} ms, p99 {milliseconds(latency['p99_ms'])} ms"
    text += f", longest {milliseconds(latency['max_ms'])} ms; {experiment['not_ok']:,} operations not ok."
    for fault in experiment["faults"]:
        if fault["fired"] and fault["gap"]:
            length = milliseconds(fault["gap"]["duration_ms"])
            text += f" At {fault['at_s']:.1f} s {fault['headline']}: {length} ms without an ok operation."
        elif fault.get("untold"):
            text += f" {fault['headline']}: the length of the outage is unknown."
    return text


def _apart(ticks: Sequence[tuple[int, float]], span_s: float) -> list[tuple[int, float]]:
    """Leave out ticks whose labels would run into the one before: an outage crowds the operations at its ends."""
    kept: list[tuple[int, float]] = []
    for count, at in ticks:
        if not kept or at - kept[-1][1] >= LABEL_SHARE * span_s:
            kept.append((count, at))
    return kept


def _broken_where_empty(spread: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return times, p99 and p50 with a break wherever buckets were empty: nothing was measured between the two."""
    times = np.asarray(spread["t_s"])
    p99, p50 = np.asarray(spread["p99_ms"]), np.asarray(spread["p50_ms"])
    if len(times) < 2:
        return times, p99, p50
    steps = np.diff(times)
    breaks = np.flatnonzero(steps > 1.5 * steps.min()) + 1
    return tuple(np.insert(values, breaks, np.nan) for values in (times, p99, p50))  # type: ignore[return-value]


def _mark_repeats(rate_axes: Axes, latency_axes: Axes, repeats_s: Sequence[Sequence[float]]) -> None:
    """Draw where one repeat ends and the next begins; the idle time in between is cut out. Some have their number."""
    step = max(1, -(-len(repeats_s) // MOST_REPEATS_NUMBERED))
    for number, (start, end) in enumerate(repeats_s, 1):
        for axes in (rate_axes, latency_axes):
            axes.axvline(start, color=GREY, linestyle=(0, (4, 3)), linewidth=0.5)
        if (number - 1) % step == 0:
            rate_axes.annotate(
                str(number),
                xy=((start + end) / 2, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, -2),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=6.5,
                color=GREY,
            )


def _mark_away(axes: Axes, fault: Mapping[str, Any], experiment: Mapping[str, Any]) -> None:
    """Mark the time that a member was away as a band, the moment it was struck as a line."""
    healed = experiment["end_s"] if fault["healed_s"] is None else min(fault["healed_s"], experiment["end_s"])
    axes.axvspan(fault["at_s"], healed, facecolor=VERMILLION, alpha=0.05, linewidth=0)
    # On top: where a whole run is a page wide, election and recovery lie within this line's width.
    axes.axvline(fault["at_s"], color=VERMILLION, linewidth=1.0, zorder=3)


def _mark_untold(axes: Axes, fault: Mapping[str, Any]) -> None:
    """Mark about where a fault struck whose times cannot be told: no band, and no line as of one that was stamped."""
    if fault["at_s"] is not None:
        axes.axvline(fault["at_s"], color=GREY, linestyle=UNTOLD, linewidth=1.6, alpha=0.7, zorder=2.5)


def _mark_faults(rate_axes: Axes, latency_axes: Axes, experiment: Mapping[str, Any]) -> None:
    """Mark every fault that struck: in words where there is one, else by its time alone."""
    for fault in experiment["faults"]:
        if fault.get("untold"):
            for axes in (rate_axes, latency_axes):
                _mark_untold(axes, fault)
        elif fault["fired"] and experiment["repeats"] == 1:
            _mark_fault(rate_axes, latency_axes, fault, experiment)
        elif fault["fired"]:
            for axes in (rate_axes, latency_axes):
                _mark_away(axes, fault, experiment)


def _mark_fault(rate_axes: Axes, latency_axes: Axes, fault: Mapping[str, Any], experiment: Mapping[str, Any]) -> None:
    """Mark one fault on the whole run: the time the member was away, and its moments as lines, in words."""
    struck = fault["at_s"]
    marks = {mark["name"]: mark for mark in fault["marks"]}
    lines = [(fault["headline"], VERMILLION)]
    for axes in (rate_axes, latency_axes):
        _mark_away(axes, fault, experiment)
    for mark_name in ("leader_elected", "first_ok_write"):
        mark = marks.get(mark_name)
        if mark is None:
            continue
        colour, style = MARK_STYLES[mark_name]
        for axes in (rate_axes, latency_axes):
            axes.axvline(mark["since_start_s"], color=colour, linestyle=style, linewidth=0.9, zorder=2.5)
        detail = f": {mark['detail']}" if mark["detail"] and mark_name == "leader_elected" else ""
        lines.append((f"{mark['since_fault_ms']:+,.1f} ms  {MOMENTS[mark_name].label}{detail}", colour))
    right_half = struck > (experiment["start_s"] + experiment["end_s"]) / 2
    for number, (text, colour) in enumerate(lines):
        rate_axes.annotate(
            text,
            xy=(struck, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if right_half else 4, -4 - 8.5 * number),
            textcoords="offset points",
            ha="right" if right_half else "left",
            va="top",
            fontsize=6.5,
            color=colour,
            bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.6},
        )

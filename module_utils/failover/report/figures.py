# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The figures, as SVG for a page 170 mm wide. They draw what ``content`` computed and compute nothing themselves.

Every distinction is made twice: by a colour of Okabe and Ito's palette (told apart by colour-blind readers)
and by line style or marker (told apart in a grey print). The same input gives the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from .analysis import QUANTILES

# Okabe & Ito, "Color Universal Design" (2008).
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
GREY, LIGHT = "#5f6b76", "#dfe3e6"

# (colour, line style, marker), in the order in which the things to tell apart appear.
SERIES: tuple[tuple[str, Any, str], ...] = (
    (BLUE, "solid", "o"),
    (ORANGE, (0, (5, 1.5)), "s"),
    (VERMILLION, (0, (5, 1.2, 1, 1.2)), "^"),
    (GREEN, (0, (1, 1)), "D"),
    (PURPLE, (0, (8, 2)), "v"),
    (BLACK, (0, (3, 1, 1, 1, 1, 1)), "P"),
    (SKY, (0, (2, 2)), "X"),
)
KIND_STYLES: dict[str, tuple[str, float]] = {"CREATE": (BLUE, 2.4), "RETRIEVE": (ORANGE, 1.5), "DELETE": (GREEN, 2.4)}
# Moments of a failover: (colour, line style).
MARK_STYLES: dict[str, tuple[str, Any]] = {
    "signal_sent": (VERMILLION, "solid"),
    "leader_elected": (BLUE, (0, (4, 1.5))),
    "first_ok_write": (GREEN, (0, (1, 1))),
    "first_ok_read": (GREEN, (0, (1, 1))),
}

# More numbers of repeats than this would not be told apart above a figure.
MOST_REPEATS_NUMBERED = 15
# The share of a figure's width that a label of five or six digits takes.
LABEL_SHARE = 0.06

WIDTH_IN = 170 / 25.4
# Typed as Any: matplotlib's own type is the list of its 300 settings.
RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "axes.labelcolor": "#222222",
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LIGHT,
    "grid.linewidth": 0.5,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "#222222",
    "ytick.labelcolor": "#222222",
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "failover-lab",
    "path.simplify": True,
    "hatch.linewidth": 0.5,
}
# Percentiles marked on the latency curves, with the share of operations that took longer.
CURVE_TICKS = ((0.5, "50"), (0.1, "90"), (0.01, "99"), (0.001, "99.9"), (0.0001, "99.99"), (0.00001, "99.999"))


@contextmanager
def _figure(height_in: float) -> Iterator[Figure]:
    with matplotlib.rc_context(RC):
        yield Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


def _svg(figure: Figure, name: str, description: str) -> str:
    """Return the figure as an ``<svg>`` element that can stand in a page beside others.

    Its ids are made unique by ``name``; its size comes from the page.
    """
    with matplotlib.rc_context(RC):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r"(\.\d{2})\d+", r"\1", text)
    # The page has the same font, under a name that no installed font has.
    text = text.replace("'DejaVu Sans'", "'Lab Sans'")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    label = description.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).strip()


def _count(value: float, _position: int | None = None) -> str:
    return f"{value:,.0f}"


def _milliseconds(value: float, _position: int | None = None) -> str:
    """Print a latency in ms on a logarithmic axis: 0.5, 1, 20, 1,000."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _percentile(longer: float, _position: int | None = None) -> str:
    """Print the percentile above which this share of the operations lies, where it has a tick."""
    return dict(CURVE_TICKS).get(longer, "")


def _log_ms_axis(axis: Any, low_ms: float, high_ms: float, most_ticks: int) -> None:
    """Put ticks at 1, 2, 5 of each decade where so many have room, else at powers of ten."""
    decades = range(int(np.floor(np.log10(low_ms))), int(np.ceil(np.log10(high_ms))) + 1)

    def ticks(factors: Sequence[int]) -> list[float]:
        found = [factor * 10.0**decade for decade in decades for factor in factors]
        return [tick for tick in found if low_ms <= tick <= high_ms]

    fine = ticks((1, 2, 5))
    axis.set_major_locator(FixedLocator(fine if len(fine) <= most_ticks else ticks((1,))))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_milliseconds))


def _spread(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Move sorted positions apart until neighbours are ``least`` apart, staying near where each is wanted."""
    if not wanted:
        return []
    least = min(least, (high - low) / max(len(wanted) - 1, 1))
    placed = list(wanted)
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + least)
    overflow = placed[-1] - high
    if overflow > 0:
        placed[-1] = high
        for i in range(len(placed) - 2, -1, -1):
            placed[i] = min(placed[i], placed[i + 1] - least)
    shift = low - placed[0]
    return [position + shift for position in placed] if shift > 0 else placed


def over_time(experiment: Mapping[str, Any], limits: Mapping[str, float], name: str) -> str:
    """Draw throughput and latency over the whole experiment, with the faults, elections and recoveries marked.

    :param limits: ``ops_per_s``, ``latency_low_ms``, ``latency_high_ms``: the same for all experiments of a run,
        so that their figures can be laid side by side.
    """
    with _figure(2.5) as figure:
        rate_axes, latency_axes = figure.subplots(2, 1, sharex=True, height_ratios=(1.15, 1))
        series = experiment["throughput"]
        edges = [*series["start_s"], *series["end_s"][-1:]]
        rate_axes.stairs(series["ops_per_s"], edges, color=BLUE, linewidth=0.8, fill=False, baseline=None)
        rate_axes.set_ylim(0, limits["ops_per_s"] * 1.3)
        rate_axes.set_ylabel("ok operations per s")
        rate_axes.yaxis.set_major_formatter(FuncFormatter(_count))
        rate_axes.grid(axis="y")

        spread = experiment["latency_over_time"]
        bars = np.full((3, len(spread["t_s"])), np.nan)
        bars[0], bars[1] = spread["min_ms"], spread["max_ms"]
        columns = np.repeat(spread["t_s"], 3)
        latency_axes.plot(columns, bars.T.ravel(), color=SKY, linewidth=0.9, solid_capstyle="butt", label="min to max")
        times, p99, p50 = _broken_where_empty(spread)
        latency_axes.plot(times, p99, color=VERMILLION, linewidth=0.6, label="p99")
        latency_axes.plot(times, p50, color=BLACK, linewidth=0.8, label="p50")
        latency_axes.set_yscale("log")
        latency_axes.set_ylim(limits["latency_low_ms"], limits["latency_high_ms"])
        _log_ms_axis(latency_axes.yaxis, limits["latency_low_ms"], limits["latency_high_ms"], 5)
        latency_axes.set_ylabel("latency (ms)")
        cut = ", without the idle time between repeats" if experiment["repeats"] > 1 else ""
        latency_axes.set_xlabel(f"time since the first operation{cut} (s)")
        latency_axes.grid(axis="y")
        latency_axes.legend(loc="upper right", ncols=4, borderaxespad=0.1, handlelength=1.4, columnspacing=1.0)
        latency_axes.set_xlim(min(experiment["start_s"], 0), experiment["end_s"])

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
        for fault in experiment["faults"]:
            if fault["fired"] and experiment["repeats"] == 1:
                _mark_fault(rate_axes, latency_axes, fault, experiment)
            elif fault["fired"]:
                for axes in (rate_axes, latency_axes):
                    _mark_away(axes, fault, experiment)
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
        return _svg(figure, name, f"Throughput and latency over time of {experiment['name']}")


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


def _mark_fault(rate_axes: Axes, latency_axes: Axes, fault: Mapping[str, Any], experiment: Mapping[str, Any]) -> None:
    """Mark one fault on the whole run: the time the member was away, and its moments as lines, in words."""
    struck = fault["at_s"]
    marks = {mark["name"]: mark for mark in fault["marks"]}
    lines = [(fault["headline"], VERMILLION)]
    for axes in (rate_axes, latency_axes):
        _mark_away(axes, fault, experiment)
    for mark_name, wording in (("leader_elected", "leader elected"), ("first_ok_write", "first ok write")):
        mark = marks.get(mark_name)
        if mark is None:
            continue
        colour, style = MARK_STYLES[mark_name]
        for axes in (rate_axes, latency_axes):
            axes.axvline(mark["since_start_s"], color=colour, linestyle=style, linewidth=0.9, zorder=2.5)
        detail = f": {mark['detail']}" if mark["detail"] and mark_name == "leader_elected" else ""
        lines.append((f"{mark['since_fault_ms']:+,.1f} ms  {wording}{detail}", colour))
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


def latency_distribution(experiments: Sequence[Mapping[str, Any]], kinds: Sequence[str], which: str, name: str) -> str:
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
    with _figure(2.75) as figure:
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
            _log_ms_axis(axes.xaxis, low, high, 5)
            axes.yaxis.set_major_locator(FixedLocator([share for share, _ in CURVE_TICKS if share >= smallest]))
            axes.yaxis.set_major_formatter(FuncFormatter(_percentile))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.set_ylim(smallest * 0.7, 1.0)
            axes.grid(which="major")
            axes.set_xlabel("latency (ms)")
        panels[0].set_ylabel("percentile")
        handles, labels = _legend_of(panels)
        if handles:
            figure.legend(handles, labels, loc="outside upper right", ncols=min(len(labels), 4), handlelength=3.2)
        start = "the intended start" if which == "intended_latency" else "the invocation"
        return _svg(figure, name, f"Distribution of latency from {start}, by kind of operation")


def _legend_of(panels: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    """Collect each label once over all panels."""
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(str(label), handle)
    return list(found.values()), list(found)


def outage(fault: Mapping[str, Any], operations: Mapping[str, Any], name: str) -> str:
    """Draw every operation around a fault as a line from invocation to completion, with the lettered moments.

    :param operations: ``row`` (position in the order of invocation), ``invoke_ms``, ``complete_ms`` (since the
        fault), ``kind``, ``outcome``, ``attempts``: lists of one length.
    """
    low, high = fault["window_ms"]
    marks = [mark for mark in fault["marks"] if mark["in_window"]]
    with _figure(2.6) as figure:
        axes = figure.subplots()
        gap = fault["gap"]
        if gap is not None:
            axes.axvspan(
                gap["since_fault_start_ms"],
                gap["since_fault_end_ms"],
                facecolor=VERMILLION,
                alpha=0.08,
                linewidth=0,
            )
        rows = operations["row"]
        # As thick as the room between two rows allows, so that one kind does not cover the others.
        scale = min(1.0, max(60 / (max(rows, default=0) + 1), 0.2))
        for kind, (colour, width) in KIND_STYLES.items():
            chosen = [i for i, value in enumerate(operations["kind"]) if value == kind]
            if chosen:
                x, y = _segments(operations, chosen)
                axes.plot(x, y, color=colour, linewidth=width * scale, solid_capstyle="butt", label=kind)
        outcomes = operations["outcome"]
        retried = [i for i, value in enumerate(operations["attempts"]) if value > 1 and outcomes[i] == "ok"]
        if retried:
            axes.plot(
                [operations["complete_ms"][i] for i in retried],
                [operations["row"][i] for i in retried],
                linestyle="none",
                marker="o",
                markersize=3.5,
                markerfacecolor="white",
                markeredgecolor=BLACK,
                markeredgewidth=0.8,
                label="ok after more than one attempt",
            )
        failed = [i for i, value in enumerate(outcomes) if value != "ok"]
        if failed:
            axes.plot(
                [operations["complete_ms"][i] for i in failed],
                [operations["row"][i] for i in failed],
                linestyle="none",
                marker="x",
                markersize=4,
                color=VERMILLION,
                label="fail or unknown",
            )
        axes.set_xlim(low, high)
        axes.set_ylim(max(rows, default=1) + 1, min(rows, default=0) - 1)
        axes.yaxis.set_major_formatter(FuncFormatter(_count))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.set_xlabel("time since the fault (ms)")
        axes.set_ylabel("operations, in the order of invocation")
        axes.grid(axis="x")
        _letter_marks(axes, marks, low, high)
        figure.legend(loc="outside lower center", ncols=5, handlelength=1.6)
        return _svg(figure, name, f"Every operation around the fault {fault['id']}")


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


def anatomy(fault: Mapping[str, Any], name: str) -> str:
    """Draw the phases of an outage: one bar of all of them, and under it each in a row of its own, at its time.

    The rows make phases readable that are thousands of times shorter than the outage; time is the same in all rows.
    """
    found = fault["anatomy"]
    phases = found["phases"]
    low, high = found["start_ms"], found["end_ms"]
    span = max(high - low, 1e-6)
    with _figure(0.66 + ROW_IN * (len(phases) + 1)) as figure:
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
        return _svg(figure, name, f"The phases of the outage of {fault['id']}")


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


def _segments(operations: Mapping[str, Any], chosen: Sequence[int]) -> tuple[Any, Any]:
    """Join many horizontal lines into one path with breaks: far smaller as SVG than one path each."""
    x = np.full(3 * len(chosen), np.nan)
    y = np.full(3 * len(chosen), np.nan)
    x[0::3] = [operations["invoke_ms"][i] for i in chosen]
    x[1::3] = [operations["complete_ms"][i] for i in chosen]
    y[0::3] = y[1::3] = [operations["row"][i] for i in chosen]
    return x, y


def _letter_marks(axes: Axes, marks: Sequence[Mapping[str, Any]], low: float, high: float) -> None:
    """Draw the moments as vertical lines, their letters above the picture, spread so that none covers another."""
    places = _spread([mark["since_fault_ms"] for mark in marks], (high - low) * 0.022, low, high)
    for mark, place in zip(marks, places, strict=True):
        colour, style = MARK_STYLES.get(mark["name"], (GREY, (0, (2, 1.5))))
        at = mark["since_fault_ms"]
        axes.axvline(at, color=colour, linestyle=style, linewidth=0.9)
        axes.plot(
            [at, place],
            [1.0, 1.035],
            transform=axes.get_xaxis_transform(),
            color=colour,
            linewidth=0.6,
            clip_on=False,
        )
        axes.text(
            place,
            1.045,
            mark["letter"],
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=7,
            fontweight="bold",
            color=colour,
        )


def _silences(series: Mapping[str, Any], end_ms: float | None) -> list[tuple[float, float]]:
    """Return the spans of time, in ms, in which a member did not answer: from such a sample to the next other one."""
    spans: list[tuple[float, float]] = []
    times = [*series["t_ms"], end_ms if end_ms is not None else series["t_ms"][-1]]
    for number, lag in enumerate(series["lag"]):
        if lag is None:
            start = spans.pop()[0] if spans and spans[-1][1] == times[number] else times[number]
            spans.append((start, times[number + 1]))
    return spans


# The height of one measure's row of points, of one system; and what each row of a figure needs besides.
POINTS_IN, ROW_GAP_IN = 0.13, 0.06


def spreads(series: Sequence[tuple[str | None, Sequence[Mapping[str, Any]]]], name: str) -> str:
    """Draw measures that were taken of several repeats: every point, the median and its interval.

    :param series: (label, measures) of each system, the same measures in the same order; without a label where there
        is only one
    """
    rows = [number for number, measure in enumerate(series[0][1]) if any(cells[number]["n"] for _, cells in series)]
    height = len(rows) * (POINTS_IN * len(series) + ROW_GAP_IN)
    with _figure(0.75 + height) as figure:
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
        axes.plot([], [], color=BLACK, linewidth=2.2, label="median")
        axes.plot([], [], color=GREY, linewidth=1.0, label="95 % interval of the median")
        found = [point["ms"] for _, measures in series for number in rows for point in measures[number]["points"]]
        if min(found) > 0:
            low, high = min(found) * 0.8, max(found) * 1.25
            axes.set_xscale("log")
            axes.set_xlim(low, high)
            _log_ms_axis(axes.xaxis, low, high, 12)
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
        figure.legend(loc="outside upper right", ncols=5, handlelength=1.6, columnspacing=1.2)
        return _svg(figure, name, "Every repeat's measures, their medians and the intervals of these")


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
        axes.plot([measure["median_ms"]] * 2, [centre - edge, centre + edge], color=BLACK, linewidth=1.6, zorder=4)


def convergence(data: Mapping[str, Any], name: str) -> str:
    """Draw how far each member is behind the most advanced one, from the heal until they are equal."""
    with _figure(1.75) as figure:
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
        axes.yaxis.set_major_formatter(FuncFormatter(_count))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(_count))
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
        return _svg(figure, name, "Revisions behind the most advanced member, by member")

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every operation around one fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend_handler import HandlerTuple
from matplotlib.ticker import FuncFormatter

from ...sentences import milliseconds
from .style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MARK_STYLES,
    ORANGE,
    PURPLE,
    VERMILLION,
    as_count,
    as_svg,
    moved_apart,
    new_figure,
)

KIND_STYLES: dict[str, tuple[str, float]] = {
    "CREATE": (BLUE, 2.4),
    "RETRIEVE": (ORANGE, 1.5),
    "DELETE": (GREEN, 2.4),
    # No workload has these beside CREATE, or SCAN beside RETRIEVE.
    "WRITE": (BLUE, 2.4),
    "CAS": (PURPLE, 2.4),
    "APPEND": (BLUE, 2.4),
    "SCAN": (ORANGE, 1.5),
}
# In a grey print as dark as CREATE, so it has a white core: where lines are so thick (in points) that it can be seen.
HOLLOW, THICK, CORE = "DELETE", 1.2, 0.4


def draw(fault: Mapping[str, Any], operations: Mapping[str, Any], name: str) -> str:
    """Draw every operation around a fault as a line from invocation to completion, with the lettered moments.

    :param operations: ``row`` (position in the order of invocation), ``invoke_ms``, ``complete_ms`` (since the
        fault), ``kind``, ``outcome``, ``attempts``: lists of one length.
    """
    low, high = fault["window_ms"]
    marks = [mark for mark in fault["marks"] if mark["in_window"]]
    with new_figure(2.6) as figure:
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
        handles = _operation_lines(axes, operations)
        _outcome_marks(axes, operations)
        axes.set_xlim(low, high)
        axes.set_ylim(max(rows, default=1) + 1, min(rows, default=0) - 1)
        axes.yaxis.set_major_formatter(FuncFormatter(as_count))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.set_xlabel("time since the fault (ms)")
        axes.set_ylabel("operations, in the order of invocation")
        axes.grid(axis="x")
        _letter_marks(axes, marks, low, high)
        others = zip(*axes.get_legend_handles_labels(), strict=True)
        handles += [((handle,), str(label)) for handle, label in others]
        figure.legend(
            [handle for handle, _ in handles],
            [label for _, label in handles],
            handler_map={tuple: HandlerTuple()},
            loc="outside lower center",
            ncols=5,
            handlelength=1.6,
        )
        return as_svg(figure, name, f"Every operation around the fault {fault['id']}", _described(fault))


def _operation_lines(axes: Axes, operations: Mapping[str, Any]) -> list[tuple[Any, str]]:
    """Draw the operations, kind by kind; return the handles and labels of the legend."""
    # As thick as the room between two rows allows, so that one kind does not cover the others.
    scale = min(1.0, max(60 / (max(operations["row"], default=0) + 1), 0.2))
    handles: list[tuple[Any, str]] = []
    for kind, (colour, width) in KIND_STYLES.items():
        chosen = [i for i, value in enumerate(operations["kind"]) if value == kind]
        if not chosen:
            continue
        x, y = _segments(operations, chosen)
        (line,) = axes.plot(x, y, color=colour, linewidth=width * scale, solid_capstyle="butt")
        handles.append(((line,), kind))
        if kind == HOLLOW and width * scale >= THICK:
            (core,) = axes.plot(x, y, color="white", linewidth=width * scale * CORE, solid_capstyle="butt")
            handles[-1] = ((line, core), kind)
    return handles


def _outcome_marks(axes: Axes, operations: Mapping[str, Any]) -> None:
    """Mark the ends of the operations that were retried, and of those that were not ok."""
    outcomes = operations["outcome"]
    retried = [i for i, value in enumerate(operations["attempts"]) if value > 1 and outcomes[i] == "ok"]
    failed = [i for i, value in enumerate(outcomes) if value != "ok"]
    ring: Any = {"marker": "o", "markersize": 3.5, "markerfacecolor": "white", "markeredgecolor": INK,
                 "markeredgewidth": 0.8, "label": "ok after more than one attempt"}  # fmt: skip
    cross: Any = {"marker": "x", "markersize": 4, "color": VERMILLION, "label": "fail or unknown"}
    for chosen, style in ((retried, ring), (failed, cross)):
        if chosen:
            ends = [operations["complete_ms"][i] for i in chosen]
            axes.plot(ends, [operations["row"][i] for i in chosen], linestyle="none", **style)


def _described(fault: Mapping[str, Any]) -> str:
    """Say in words what the figure shows."""
    gap = fault["gap"]
    text = f"{fault['in_window']:,} operations around “{fault['headline']}”."
    if gap is not None:
        start, end = milliseconds(gap["since_fault_start_ms"]), milliseconds(gap["since_fault_end_ms"])
        text += f" None was acknowledged from {start} to {end} ms since the fault."
    moments = [
        f"{mark['letter']} {mark['label']} at {milliseconds(mark['since_fault_ms'])} ms"
        for mark in fault["marks"]
        if mark["in_window"]
    ]
    return f"{text} Moments: {'; '.join(moments)}."


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
    places = moved_apart([mark["since_fault_ms"] for mark in marks], (high - low) * 0.022, low, high)
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

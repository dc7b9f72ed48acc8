# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The few operations of a key that no order explains, a line each, with the faults that were held meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...checks.counterexample import letter_of, told_of
from ...checks.operations import Action, Call
from .distances import log_distances, since, ticks_apart
from .style import BLUE, GREY, LIGHT, ORANGE, as_svg, new_figure

# Height of a line, and of the axis with the names of faults.
LINE_IN, AXIS_IN = 0.3, 0.55
# More lines than that would be a picture of their own.
MOST_LINES = 20


class Bar(NamedTuple):
    """One operation."""

    letter: str
    label: str
    begin: float
    end: float | None  # None: nobody knows
    reads: bool


def bar_of(call: Call, number: int) -> Bar:
    """Return the bar of an operation whose times are not known to be times: only their order counts."""
    return Bar(letter_of(number), told_of(call), call.begin, call.end, call.action is Action.READ)


def draw(bars: Sequence[Bar], faults: Sequence[Mapping[str, Any]], name: str, key: str, *, in_ms: bool = False) -> str:
    """Draw operations as bars from begin to end.

    :param faults: ``id``, ``action``, ``member``, ``struck_ms``, ``healed_ms``
    :param name: of the figure, unique in its page
    :param in_ms: whether times are ms, and are printed, from the first operation's begin on
    """
    shown = bars[:MOST_LINES]
    moments = {moment for bar in shown for moment in (bar.begin, bar.end) if moment is not None}
    first, last = min(moments), max(moments)
    near = [f for f in faults if f["struck_ms"] <= last and (f["healed_ms"] is None or f["healed_ms"] >= first)][-2:]
    moments |= {f[at] for f in near for at in ("struck_ms", "healed_ms") if f[at] is not None}
    place, ordered = log_distances(moments)
    width = max(place(ordered[-1]), 1.0)
    with new_figure(LINE_IN * len(shown) + AXIS_IN) as figure:
        axes = figure.subplots()
        for number, fault in enumerate(near):
            start, end = place(fault["struck_ms"]), width if fault["healed_ms"] is None else place(fault["healed_ms"])
            axes.axvspan(start, end, facecolor=LIGHT, alpha=0.7, linewidth=0)
            label = f"{fault['id']}: {fault['action']} of {fault['member']}"
            axes.annotate(label, (start, 1), (2, 1 + 8 * number), textcoords="offset points",
                          xycoords=("data", "axes fraction"), va="bottom", fontsize=6, color=GREY)  # fmt: skip
        for number, bar in enumerate(shown):
            start, end = place(bar.begin), width if bar.end is None else place(bar.end)
            axes.barh(-number, max(end - start, 0.03), left=start, height=0.34, facecolor=BLUE if bar.reads else ORANGE,
                      edgecolor=GREY, hatch="" if bar.end is not None else "////", linewidth=0.5)  # fmt: skip
            # Where there is no room behind a bar, its name stands before its end.
            late = start > 0.45 * width
            axes.annotate(bar.label, (end if late else start, -number + 0.2), (0, 1), textcoords="offset points",
                          ha="right" if late else "left", va="bottom", fontsize=6)  # fmt: skip
        axes.set_yticks([-number for number in range(len(shown))], [bar.letter for bar in shown])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(-len(shown) + 0.5, 0.75)
        axes.set_xlim(-0.02 * width, 1.02 * width)
        ticks = ticks_apart(ordered, place, 0.07 * width)
        # Of times that are none, only the order counts.
        axes.set_xticks([place(at) for at in ticks], [since(at - first) if in_ms else "" for at in ticks])
        left = f"; {len(bars) - MOST_LINES} more are not shown" if len(bars) > MOST_LINES else ""
        told = "; ".join(f"{bar.letter}: {bar.label}" for bar in shown)
        return as_svg(figure, name, f"Operations of {key} that no order explains", f"{told}{left}.")

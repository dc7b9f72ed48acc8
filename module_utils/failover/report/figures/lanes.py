# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The waits of an outage as parallel lanes, of one fault or of all its repeats, with the critical path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from ...moments import CLIENTS, SERVERS
from ...sentences import milliseconds
from ..outage.lanes import LAB, critical_spans
from .style import BLUE, GREEN, GREY, INK, ORANGE, as_svg, new_figure

# Whose wait a lane is: (colour, what the legend says).
SIDES: dict[str, tuple[str, str]] = {
    SERVERS: (BLUE, "servers"),
    LAB: (GREEN, "heal"),
    CLIENTS: (ORANGE, "clients"),
}
# What ran beside the critical path is hatched and not filled.
BESIDE = "//////"
# The height of a lane of one fault, and of repeats: of many each has a thinner bar, and the row grows with them until
# there are so many that they would take a page.
LANE_IN, REPEATED_IN, REPEAT_IN = 0.26, 0.27, 0.035
MOST_FULL = 15


def draw(told: Mapping[str, Any], fault: str, name: str) -> str:
    """Draw the lanes of one fault.

    :param told: as ``lanes.lanes_of`` returns them
    """
    rows = [
        {**lane, "spans": [{**lane, "repeat": 1, "critical": critical_spans(told, lane["name"])}],
         "told": f"{milliseconds(lane['duration_ms'])} ms{' (goes on)' if lane['cut'] else ''}"}
        for lane in told["lanes"]
    ]  # fmt: skip
    outages = [{"repeat": 1, "start_ms": told["start_ms"], "end_ms": told["end_ms"],
                "able_ms": told["able"]["ms"] if told["able"] else None}]  # fmt: skip
    length = f"{'' if told['ended'] else 'at least '}{milliseconds(told['end_ms'] - told['start_ms'])} ms"
    after = told["after_able_ms"]
    headline = f"{milliseconds(after)} ms of it after {told['able']['label']}" if after is not None else ""
    lacking = [[piece["start_ms"], piece["end_ms"]] for piece in told["critical"] if piece["lane"] is None]
    with new_figure(_height(len(rows), 1)) as figure:
        _lanes(figure, rows, outages, length, headline, lacking)
        title = f"The waits of the outage of {fault} as parallel lanes"
        return as_svg(figure, name, title, _described(rows, length, headline))


def draw_repeats(told: Mapping[str, Any], fault: str, name: str) -> str:
    """Draw the lanes of all repeats of a fault, each repeat as one thin bar in every lane.

    :param told: as ``lanes.lanes_of_repeats`` returns them
    """
    rows = [{**lane, "told": _spread_told(lane).replace(" ms (", " ms\n(")} for lane in told["lanes"]]
    outages = told["outages"]
    lengths = sorted(outage["end_ms"] - outage["start_ms"] for outage in outages)
    length = f"{milliseconds(lengths[0])} to {milliseconds(lengths[-1])} ms"
    after = told["after_able"]
    headline = f"{_spread_told(after)} of it after {told['able']}" if after["n"] else ""
    with new_figure(_height(len(rows), len(outages))) as figure:
        _lanes(figure, rows, outages, length, headline, [])
        title = f"The waits of the outages of {fault} in {len(outages)} repeats as parallel lanes"
        return as_svg(figure, name, title, _described(rows, length, headline))


def _spread_told(values: Mapping[str, Any]) -> str:
    if values["n"] == 1:
        return f"{milliseconds(values['median_ms'])} ms"
    range_told = f"{milliseconds(values['min_ms'])} to {milliseconds(values['max_ms'])}"
    return f"median {milliseconds(values['median_ms'])} ms ({range_told})"


def _described(rows: Sequence[Mapping[str, Any]], length: str, headline: str) -> str:
    """Say in words what the figure shows."""
    lanes = []
    for row in rows:
        bound = f", {row['bound']}" if row["bound"] else ""
        critical = "on the critical path" if any(span["critical"] for span in row["spans"]) else "beside it"
        lanes.append(f"{SIDES[row['side']][1]}: {row['label']} {' '.join(row['told'].split())}{bound}, {critical}")
    return f"The outage: {length}{f', {headline}' if headline else ''}. {'. '.join(lanes)}."


def _height(lanes: int, repeats: int) -> float:
    return 0.8 + _row_in(repeats) * (lanes + 1)


def _row_in(repeats: int) -> float:
    return LANE_IN if repeats == 1 else max(REPEATED_IN, REPEAT_IN * min(repeats, MOST_FULL))


def _lanes(
    figure: Figure,
    rows: Sequence[Mapping[str, Any]],
    outages: Sequence[Mapping[str, Any]],
    length: str,
    headline: str,
    lacking: Sequence[Sequence[float]],
) -> None:
    axes = figure.subplots()
    low, high = min(outage["start_ms"] for outage in outages), max(outage["end_ms"] for outage in outages)
    places = {outage["repeat"]: number for number, outage in enumerate(outages)}
    thick = 0.76 / len(outages)

    def at(row: int, repeat: int) -> float:
        return row - 0.38 + (places[repeat] + 0.5) * thick

    for outage in outages:
        axes.barh(at(0, outage["repeat"]), outage["end_ms"] - outage["start_ms"], left=outage["start_ms"],
                  height=thick * 0.85, color=GREY, linewidth=0)  # fmt: skip
        if outage["able_ms"] is not None:
            for place in range(len(rows) + 1):
                y = at(place, outage["repeat"])
                axes.plot([outage["able_ms"]] * 2, [y - thick / 2, y + thick / 2], color=INK, linewidth=0.9,
                          linestyle=(0, (1, 1)), zorder=4)  # fmt: skip
    for start, end in lacking:
        axes.barh(0, end - start, left=start, height=thick * 0.85, facecolor="white", edgecolor=INK,
                  hatch="xxxx", linewidth=0.5)  # fmt: skip
    for number, row in enumerate(rows, 1):
        for piece in row["spans"]:
            _lane(axes, piece, at(number, piece["repeat"]), thick, SIDES[row["side"]][0])
    for number, text in enumerate((length, *(row["told"] for row in rows))):
        axes.annotate(text, (1.0, number), xycoords=("axes fraction", "data"), xytext=(4, 0), fontsize=6,
                      textcoords="offset points", va="center", linespacing=1.1, annotation_clip=False)  # fmt: skip
    for number in range(1, len(rows)):
        if rows[number]["side"] != rows[number - 1]["side"]:
            axes.axhline(number + 0.5, color=GREY, linewidth=0.5)
    labels = [f"{SIDES[row['side']][1]}: {row['label']}{_below(row['bound'])}" for row in rows]
    axes.set_yticks(range(len(rows) + 1), ["the outage", *labels], linespacing=1.1)
    axes.tick_params(axis="y", length=0, labelsize=6)
    axes.set_ylim(len(rows) + 0.55, -0.55)
    axes.set_xlim(low, max(high, low + 1e-6))
    axes.axvline(0, color=GREY, linewidth=0.6, zorder=0.5)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_xlabel("time since the fault (ms)" + (f"; dotted: {headline.partition(' after ')[2]}" if headline else ""))
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    if headline:
        axes.set_title(headline, loc="left", fontweight="bold")
    _legend(figure, rows, bool(lacking))


def _below(bound: str | None) -> str:
    return f"\n{bound}" if bound else ""


def _lane(axes: Axes, piece: Mapping[str, Any], y: float, thick: float, colour: str) -> None:
    """Draw one wait: hatched as a whole, filled where it is on the critical path."""
    width = piece["end_ms"] - piece["start_ms"]
    axes.barh(y, width, left=piece["start_ms"], height=thick * 0.85, facecolor="none", edgecolor=colour,
              hatch=BESIDE, linewidth=0.5)  # fmt: skip
    for start, end in piece["critical"]:
        # The line keeps a wait visible that is thinner than itself.
        axes.barh(y, end - start, left=start, height=thick * 0.85, facecolor=colour, edgecolor=colour, linewidth=0.8)


def _legend(figure: Figure, rows: Sequence[Mapping[str, Any]], lacking: bool) -> None:
    used = [side for side in SIDES if any(row["side"] == side for row in rows)]
    handles = [Patch(facecolor=SIDES[side][0], label=f"{SIDES[side][1]}, on the critical path") for side in used]
    handles.append(Patch(facecolor="none", edgecolor=INK, hatch=BESIDE, linewidth=0.5, label="ran beside it"))
    if lacking:
        handles.append(Patch(facecolor="white", edgecolor=INK, hatch="xxxx", linewidth=0.5, label="unexplained"))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), handlelength=1.6)

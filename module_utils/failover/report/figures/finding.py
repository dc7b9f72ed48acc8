# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happened to the keys of a finding: one time line a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from ..findings.timeline import ACKNOWLEDGED, NO_ANSWER
from .distances import log_distances, since, ticks_apart
from .style import BLUE, GREY, LIGHT, ORANGE, VERMILLION, as_svg, new_figure

# Height of one key's panel, and of the legend.
PANEL_IN, LEGEND_IN = 0.95, 0.3
# (colour, hatch) by how an attempt ended.
ENDED = {ACKNOWLEDGED: (BLUE, ""), NO_ANSWER: (ORANGE, "////"), "refused": ("none", "")}
LANE, DATA = 1.0, 0.0


def draw(card: Mapping[str, Any], name: str) -> str:
    """Draw the attempts, the faults and heals, and the stray revision of the first keys of a card.

    The moments of a key keep their order, but not their distances: those are logarithmic, since milliseconds of an
    operation stand beside half a minute of a fault. Times are printed.
    """
    keys = card["keys"][: card["drawn"]]
    with new_figure(PANEL_IN * len(keys) + LEGEND_IN) as figure:
        panels = figure.subplots(len(keys), 1, squeeze=False)[:, 0]
        for axes, key in zip(panels, keys, strict=True):
            _panel(axes, key, card["faults"])
        handles, labels = [], []
        for axes in panels:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                if label not in labels:
                    handles.append(handle)
                    labels.append(label)
        figure.legend(handles, labels, loc="outside lower center", ncols=5, handlelength=2.4)
        title = f"{card['title']}: the attempts, the fault and the stray revision of each key"
        return as_svg(figure, name, title, _described(keys))


def _described(keys: Sequence[Mapping[str, Any]]) -> str:
    """Say in words what the figure shows."""
    told = []
    for key in keys:
        steps = [
            f"{operation['kind']} at {attempt['member']} {attempt['ended']} after "
            f"{attempt['end_ms'] - attempt['start_ms']:,.1f} ms"
            for operation in key["operations"]
            for attempt in operation["attempts"]
        ]
        stray = key["stray"] or {}
        if stray.get("after_ms") is not None and stray.get("before_ms") is not None:
            steps.append(
                f"revision {stray['revision']:,} assigned between {stray['after_ms'] / 1000:,.3f} s and "
                f"{stray['before_ms'] / 1000:,.3f} s of the experiment"
            )
        told.append(f"{key['key']}: {', '.join(steps) or 'no operation of the stream'}")
    return f"{'; '.join(told)}."


def _panel(axes: Axes, key: Mapping[str, Any], faults: Sequence[Mapping[str, Any]]) -> None:
    """Draw one key."""
    near = _near(key, faults)
    place, moments = _axis(key, near)
    for fault in near:
        _fault(axes, fault, place, moments[-1])
    for operation in key["operations"]:
        for number, attempt in enumerate(operation["attempts"], 1):
            _attempt(axes, operation, number, attempt, place)
    stray = key["stray"]
    if stray is not None and stray["after_ms"] is not None and stray["before_ms"] is not None:
        start, end = place(stray["after_ms"]), place(stray["before_ms"])
        axes.plot(
            [start, end], [DATA, DATA], color=VERMILLION, linewidth=2.2, marker="|", label="revision assigned here"
        )
        axes.annotate(f"revision {stray['revision']:,}", ((start + end) / 2, DATA), (0, 4), textcoords="offset points",
                      ha="center", fontsize=6, color=VERMILLION)  # fmt: skip
    _ticks(axes, key, moments, place)
    axes.set_ylim(-0.55, 1.75)
    axes.set_yticks([DATA, LANE], ["data", "client"])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(key["key"], loc="left", pad=2)


def _near(key: Mapping[str, Any], faults: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the last fault that struck before the key's last operation ended; of many, the one that matters."""
    end_ms = max((operation["end_ms"] for operation in key["operations"]), default=0.0)
    return [fault for fault in faults if fault["struck_ms"] <= end_ms][-1:]


def _axis(key: Mapping[str, Any], faults: Sequence[Mapping[str, Any]]) -> tuple[Callable[[float], float], list[float]]:
    """Return what places a time, and the moments in order; between two of them it has its share of their distance."""
    moments = {moment for o in key["operations"] for a in o["attempts"] for moment in (a["start_ms"], a["end_ms"])}
    moments |= {fault[name] for fault in faults for name in ("struck_ms", "healed_ms") if fault[name] is not None}
    stray = key["stray"] or {}
    moments |= {stray[name] for name in ("after_ms", "before_ms") if stray.get(name) is not None}
    return log_distances(moments)


def _fault(axes: Axes, fault: Mapping[str, Any], place: Callable[[float], float], last_ms: float) -> None:
    start = place(fault["struck_ms"])
    end = place(fault["healed_ms"] if fault["healed_ms"] is not None else last_ms)
    axes.axvspan(start, end, facecolor=LIGHT, alpha=0.7, linewidth=0, label="a member is away")
    label = f"{fault['id']}: {fault['action']} of {fault['member']}"
    axes.annotate(label, (start, 1), (2, -2), textcoords="offset points", xycoords=("data", "axes fraction"), va="top",
                  fontsize=6, color=GREY)  # fmt: skip
    if fault["healed_ms"] is not None:
        axes.axvline(end, color=GREY, linewidth=0.8, linestyle=(0, (4, 1.5)), label="healed")


def _attempt(
    axes: Axes, operation: Mapping[str, Any], number: int, attempt: Mapping[str, Any], place: Callable[[float], float]
) -> None:
    start, end = place(attempt["start_ms"]), place(attempt["end_ms"])
    colour, hatch = ENDED[attempt["ended"]]
    axes.barh(LANE, max(end - start, 0.05), left=start, height=0.42, facecolor=colour, edgecolor=GREY, hatch=hatch,
              linewidth=0.5, label=f"attempt: {attempt['ended']}")  # fmt: skip
    # Attempts stand close to each other: the name of the operation is printed below the first.
    what = operation["kind"] if number == 1 else f"({number})"
    axes.annotate(f"{what}\n{attempt['member']}", ((start + end) / 2, LANE - 0.25), (0, -1),
                  textcoords="offset points", ha="center", va="top", fontsize=5.6)  # fmt: skip


def _ticks(axes: Axes, key: Mapping[str, Any], moments: Sequence[float], place: Callable[[float], float]) -> None:
    """Print times since the key's first operation, where they do not touch."""
    zero = min((operation["start_ms"] for operation in key["operations"]), default=moments[0])
    width = max(place(moments[-1]), 1.0)
    axes.set_xlim(-0.02 * width, 1.02 * width)
    ticks = ticks_apart(moments, place, 0.06 * width)
    axes.set_xticks([place(at) for at in ticks], [since(at - zero) for at in ticks])

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all figures share: colours, line styles and markers, axes, and how a figure becomes SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

# Okabe & Ito, "Color Universal Design" (2008); their black is the ink, which a dark page turns light.
INK, ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#1b1f23",
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
    (INK, (0, (3, 1, 1, 1, 1, 1)), "P"),
    (SKY, (0, (2, 2)), "X"),
)
# Moments of a failover: (colour, line style).
MARK_STYLES: dict[str, tuple[str, Any]] = {
    "signal_sent": (VERMILLION, "solid"),
    "leader_elected": (BLUE, (0, (4, 1.5))),
    "first_ok_write": (GREEN, (0, (1, 1))),
    "first_ok_read": (GREEN, (0, (1, 1))),
}


WIDTH_IN = 170 / 25.4
# Typed as Any: matplotlib's own type is the list of its 300 settings.
RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "text.color": INK,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LIGHT,
    "grid.linewidth": 0.5,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
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


@contextmanager
def new_figure(height_in: float) -> Iterator[Figure]:
    """Give an empty figure as wide as the page."""
    with matplotlib.rc_context(RC):
        yield Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


# The page's style says what these are on a dark screen; on paper they are what stands here.
VARIABLES = {
    INK: "ink",
    "#ffffff": "paper",
    GREY: "grey",
    LIGHT: "light",
    BLUE: "blue",
    ORANGE: "orange",
    SKY: "sky",
    GREEN: "green",
    VERMILLION: "vermillion",
    PURPLE: "purple",
}


def as_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Return the figure as an ``<svg>`` element that can stand in a page beside others.

    Its ids are made unique by ``name``; its size comes from the page, its colours from the page's variables
    (``--figure-ink`` and so on), each with the colour that it has without them.

    :param description: what the figure shows, with its numbers, for those who do not see it
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
    # Rounded, not cut: processors differ in the last digits, and most coordinates are round numbers but for these.
    text = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", text)
    for colour, variable in VARIABLES.items():
        text = re.sub(rf": {colour}\b", f": var(--figure-{variable}, {colour})", text, flags=re.IGNORECASE)
    # The page has the same font, under a name that no installed font has.
    text = text.replace("'DejaVu Sans'", "'Lab Sans'")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    labelled = f'role="img" aria-labelledby="{name}-title {name}-desc"'
    head, rest = text.replace("<svg", f"<svg {labelled}", 1).split(">", 1)
    told = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    return f"{head}>{told}{rest}".strip()


def without_variables(page: str) -> str:
    """Return a page whose figures have their own colours: what makes the PDF does not know variables in SVG."""
    return re.sub(r"var\(--figure-\w+, (#\w+)\)", r"\1", page)


def as_count(value: float, _position: int | None = None) -> str:
    """Print a whole number on an axis."""
    return f"{value:,.0f}"


def as_milliseconds(value: float, _position: int | None = None) -> str:
    """Print a latency in ms on a logarithmic axis: 0.5, 1, 20, 1,000."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def log_ms_axis(axis: Any, low_ms: float, high_ms: float, most_ticks: int) -> None:
    """Put ticks at 1, 2, 5 of each decade where so many have room, else at powers of ten."""
    decades = range(int(np.floor(np.log10(low_ms))), int(np.ceil(np.log10(high_ms))) + 1)

    def ticks(factors: Sequence[int]) -> list[float]:
        found = [factor * 10.0**decade for decade in decades for factor in factors]
        return [tick for tick in found if low_ms <= tick <= high_ms]

    fine = ticks((1, 2, 5))
    axis.set_major_locator(FixedLocator(fine if len(fine) <= most_ticks else ticks((1,))))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(as_milliseconds))


def moved_apart(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
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


def legend_of(panels: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    """Collect each label once over all panels."""
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(str(label), handle)
    return list(found.values()), list(found)

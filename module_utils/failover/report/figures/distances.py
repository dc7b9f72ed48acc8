# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A time axis on which milliseconds can stand beside half a minute: moments keep their order, not their distances."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise


def log_distances(moments: Collection[float]) -> tuple[Callable[[float], float], list[float]]:
    """Return what places a time, and the moments in order; between two of them it has its share of their distance.

    :param moments: in ms
    """
    ordered = sorted(moments) or [0.0]
    places = [0.0]
    for before, after in pairwise(ordered):
        places.append(places[-1] + 0.35 + math.log10(1 + after - before))

    def place(at_ms: float) -> float:
        for number, (before, after) in enumerate(pairwise(ordered)):
            if at_ms <= after:
                share = (at_ms - before) / (after - before) if after > before else 0.0
                return places[number] + share * (places[number + 1] - places[number])
        return places[-1]

    return place, ordered


def ticks_apart(ordered: Sequence[float], place: Callable[[float], float], least: float) -> list[float]:
    """Return the moments, in order, whose labels do not touch: the first, and each that is far enough from the last."""
    ticks: list[float] = []
    for moment in ordered:
        if not ticks or place(moment) - place(ticks[-1]) > least:
            ticks.append(moment)
    return ticks


def since(ms: float) -> str:
    """Print a time in s from a second on, else in ms."""
    return f"{ms / 1000:+,.2f} s" if abs(ms) >= 1000 else f"{ms:+,.1f} ms" if ms else "0"

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bounds that the lab's clients are held to, and the tables of what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from .turns import Figures


class Bound(NamedTuple):
    """What share of another contender's throughput one has to make; by number of clients, where something is asked."""

    one: str
    other: str
    least: Mapping[int, float]
    at_each: float | None = None  # asked with every other number of clients

    def asked(self, clients: int) -> float | None:
        """Return what is asked with so many clients."""
        return self.least.get(clients, self.at_each)


BOUNDS = {
    "etcd": (
        Bound("blind", "clientv3", {1: 1.2, 8: 1.0, 32: 0.9}),
        Bound("blind", "etcd3", {1: 1.3}),
        Bound("safe", "blind", {}, at_each=0.9),
        Bound("blind", "grpcio", {}),
        Bound("blind", "clientv3-all", {}),
    ),
    "mysql": (
        Bound("blind", "PyMySQL", {1: 0.97}),
        Bound("safe", "blind", {}),
        Bound("blind", "sysbench", {}),
    ),
}

Row = tuple[str, ...]
BOUNDS_HEAD: Row = ("system", "clients", "throughput of", "asked", "measured", "quartiles", "turns", "")
FIGURES_HEAD: Row = ("contender", "op/s", "CPU us/op")


def ratios(one: Figures, other: Figures) -> list[float]:
    """Return how much throughput one contender made of the other's, turn by turn."""
    return [theirs / ours for ours, theirs in zip(one.wall_s, other.wall_s, strict=True)]


def judged(asked: float | None, measured: Sequence[float]) -> Row:
    """Return the cells of a bound from what is asked on: the median decides."""
    low, middle, high = statistics.quantiles(measured, n=4)
    verdict = "" if asked is None else "held" if middle >= asked else "missed"
    return (_asked(asked), f"{middle:.2f}", f"{low:.2f} to {high:.2f}", str(len(measured)), verdict)


def _asked(asked: float | None) -> str:
    return "-" if asked is None else f">= {asked:.2f}"


def bound_rows(system: str, clients: int, figures: Mapping[str, Figures], missing: Mapping[str, str]) -> Iterator[Row]:
    """Yield the rows of a system's bounds for one number of clients.

    :param missing: why a contender could not be measured
    """
    for bound in BOUNDS[system]:
        cells = (system, str(clients), f"{bound.one} : {bound.other}")
        asked = bound.asked(clients)
        why = next((missing[name] for name in (bound.one, bound.other) if name in missing), None)
        if why is not None:
            yield (*cells, _asked(asked), f"not measured: {why}")
        else:
            yield (*cells, *judged(asked, ratios(figures[bound.one], figures[bound.other])))


def figure_rows(figures: Mapping[str, Figures]) -> Iterator[Row]:
    """Yield the medians of the contenders."""
    for name, turns in figures.items():
        wall_s, cpu_s = statistics.median(turns.wall_s), statistics.median(turns.cpu_s)
        yield (name, f"{1 / wall_s:.0f}", f"{cpu_s * 1e6:.0f}")


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return rows as a table of text; a last cell of a short row may be as long as it likes."""
    widths = [
        max(len(row[column]) for row in (head, *rows) if len(row) > column and not _runs_on(row, column, head))
        for column in range(len(head))
    ]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in (head, rule, *rows)
    )


def _runs_on(row: Row, column: int, head: Row) -> bool:
    return len(row) < len(head) and column == len(row) - 1

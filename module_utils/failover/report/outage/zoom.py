# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The operations around one fault that its zoomed figure draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...measured.columns import KINDS, MS, OUTCOMES, Columns, Ints, operations_overlapping
from ...measured.gaps import Gap
from ...measured.marks import Mark

# Around the moments of a fault the zoomed figure shows this share of their span, within these bounds.
MARGIN_SHARE = 0.25
MARGIN_MS = (15.0, 120.0)

# Lines of the zoomed figure. Beyond it, operations that nothing happened to are thinned evenly.
MOST_OPERATIONS_DRAWN = 5_000


def zoomed(
    columns: Columns, moment: int, marks: Sequence[Mark], gap: Gap | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Choose what the zoomed figure of one fault shows.

    :returns: ``window_ms`` (since the fault), ``in_window`` and ``drawn`` (numbers of operations), ``first_index`` and
        ``last_index`` (where there is any operation); and the operations to draw, as lists of one length
    """
    window = _window(moment, marks, gap)
    chosen = operations_overlapping(columns, *window)
    drawn = _thin(columns, chosen, gap)
    told: dict[str, Any] = {
        "window_ms": [(window[0] - moment) / MS, (window[1] - moment) / MS],
        "in_window": len(chosen),
        "drawn": len(drawn),
    }
    if len(chosen):
        told["first_index"] = int(columns.index[chosen].min())
        told["last_index"] = int(columns.index[chosen].max())
    return told, _operations(columns, chosen, drawn, moment)


def _window(moment: int, marks: Sequence[Mark], gap: Gap | None) -> tuple[int, int]:
    """Choose what the zoomed figure shows: the fault, the gap and all moments, with a margin."""
    # A read or write that the stream asked for long after the recovery would stretch the picture for nothing.
    limit = (gap.end_ns if gap else moment) + 2 * max((gap.end_ns - gap.start_ns) if gap else 0, 100 * MS)
    times = [moment, *(mark.at_ns for mark in marks if mark.at_ns <= limit)]
    if gap is not None:
        times += [gap.start_ns, gap.end_ns]
    low, high = min(times), max(times)
    margin = min(max((high - low) / MS * MARGIN_SHARE, MARGIN_MS[0]), MARGIN_MS[1]) * MS
    return int(low - margin), int(high + margin)


def _thin(columns: Columns, chosen: Ints, gap: Gap | None) -> Ints:
    """Keep at most MOST_OPERATIONS_DRAWN positions: all that something happened to, and every k-th of the rest."""
    if len(chosen) <= MOST_OPERATIONS_DRAWN:
        return chosen
    notable = (columns.attempts[chosen] > 1) | ~columns.ok[chosen]
    if gap is not None:
        notable |= (columns.invoke_ns[chosen] < gap.end_ns) & (columns.complete_ns[chosen] > gap.start_ns)
    # The slowest of the notable ones come first where even they are too many.
    special, rest = chosen[notable], chosen[~notable]
    if len(special) > MOST_OPERATIONS_DRAWN // 2:
        slowest = np.argsort(-columns.latency_ns[special], kind="stable")[: MOST_OPERATIONS_DRAWN // 2]
        special = special[slowest]
    step = -(-len(rest) // (MOST_OPERATIONS_DRAWN - len(special)))
    return np.sort(np.concatenate((special, rest[::step])))


def _operations(columns: Columns, chosen: Ints, drawn: Ints, moment: int) -> dict[str, Any]:
    """Return what the zoomed figure draws; rows count all operations of the window in the order of invocation."""
    order = chosen[np.argsort(columns.invoke_ns[chosen], kind="stable")]
    rows = {int(position): row for row, position in enumerate(order)}
    drawn = order[np.isin(order, drawn)]
    return {
        "row": [rows[int(position)] for position in drawn],
        "invoke_ms": ((columns.invoke_ns[drawn] - moment) / MS).tolist(),
        "complete_ms": ((columns.complete_ns[drawn] - moment) / MS).tolist(),
        "kind": [KINDS[code] for code in columns.kind[drawn]],
        "outcome": [OUTCOMES[code] for code in columns.outcome[drawn]],
        "attempts": columns.attempts[drawn].tolist(),
    }

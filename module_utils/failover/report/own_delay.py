# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How late the load generator itself was: what it took between a client's operations, and no server did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..measured.columns import MS, Columns, Ints
from ..measured.percentiles import rank
from ..measured.repeats import Repeat


def own_delay(repeats: Sequence[Repeat], *, open_loop: bool) -> dict[str, Any] | None:
    """Return the delays of a load generator; None where no client has two operations in a row.

    A delay is the time from when an operation could have been sent, as its client was free and it was due, to when it
    was. In it the generator writes down the operation before, or waits for its interpreter or a core.

    :param open_loop: operations have a time at which they are due
    :returns: ``p50_ms``, ``p99_ms``, ``max_ms``, and ``share`` of the clients' time in repeats that they make
    """
    delays: list[Ints] = []
    clients_ns = 0
    for repeat in repeats:
        clients = _by_client(repeat.columns)
        delays += [_delays(repeat.columns, rows, open_loop=open_loop) for rows in clients]
        clients_ns += len(clients) * (repeat.end_ns - repeat.start_ns)
    found = np.concatenate(delays) if delays else np.empty(0, dtype=np.int64)
    delays.clear()
    np.maximum(found, 0, out=found)
    found.sort()
    if not len(found) or not clients_ns:
        return None
    return {
        "p50_ms": int(found[rank(len(found), 500)]) / MS,
        "p99_ms": int(found[rank(len(found), 990)]) / MS,
        "max_ms": int(found[-1]) / MS,
        "share": float(found.sum() / clients_ns),
    }


def _by_client(columns: Columns) -> list[Ints]:
    """Return the rows of each client, in their order."""
    order = np.argsort(columns.client, kind="stable")
    bounds = np.flatnonzero(np.diff(columns.client[order])) + 1
    return [rows for rows in np.split(order, bounds) if len(rows)]


def _delays(columns: Columns, rows: Ints, *, open_loop: bool) -> Ints:
    """Return the delays of one client."""
    rows = rows[np.argsort(columns.invoke_ns[rows], kind="stable")]
    could_ns = columns.complete_ns[rows][:-1]
    if open_loop:
        could_ns = np.maximum(could_ns, columns.intended_ns[rows][1:])
    delays: Ints = columns.invoke_ns[rows][1:] - could_ns
    return delays

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How late the load generator itself was: what it took between a client's operations, and no server did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..measured.columns import MS, Ints
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
        own = repeat.columns
        order = np.lexsort((own.invoke_ns, own.client))
        client, invoke_ns = own.client[order], own.invoke_ns[order]
        could_ns = own.complete_ns[order][:-1]
        if open_loop:
            could_ns = np.maximum(could_ns, own.intended_ns[order][1:])
        delays.append((invoke_ns[1:] - could_ns)[client[1:] == client[:-1]])
        clients_ns += len(np.unique(client)) * (repeat.end_ns - repeat.start_ns)
    found = np.sort(np.maximum(np.concatenate(delays), 0)) if delays else np.empty(0)
    if not len(found) or not clients_ns:
        return None
    return {
        "p50_ms": int(found[rank(len(found), 500)]) / MS,
        "p99_ms": int(found[rank(len(found), 990)]) / MS,
        "max_ms": int(found[-1]) / MS,
        "share": float(found.sum() / clients_ns),
    }

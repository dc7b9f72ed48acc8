# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Histories as columns, of operations given in ms."""

from __future__ import annotations

from typing import Any

import numpy as np
from failover.measured.columns import KINDS, MS, OUTCOMES, Columns, Ints


def columns(rows: list[dict[str, Any]]) -> Columns:
    """Make columns of operations given in ms: invoke, complete, and optionally kind, outcome, attempts."""

    def numbers(values: list[int]) -> Ints:
        return np.asarray(values, dtype=np.int64)

    return Columns(
        index=numbers(list(range(len(rows)))),
        client=numbers([row.get("client", 0) for row in rows]),
        kind=np.asarray([KINDS.index(row.get("kind", "CREATE")) for row in rows], dtype=np.int8),
        outcome=np.asarray([OUTCOMES.index(row.get("outcome", "ok")) for row in rows], dtype=np.int8),
        intended_ns=numbers([int(row.get("intended", row["invoke"]) * MS) for row in rows]),
        invoke_ns=numbers([int(row["invoke"] * MS) for row in rows]),
        complete_ns=numbers([int(row["complete"] * MS) for row in rows]),
        attempts=numbers([row.get("attempts", 1) for row in rows]),
    )

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tables of answers that prove that nothing was done have in common: one table a system.

A failed request is *definite* only where its answer stands in the table of its system (:mod:`.etcd_refusals`,
:mod:`.mysql_refusals`): it is known, with its source, to come before anything is proposed or executed, or with the
rollback. Everything else is ambiguous, whatever its status code. The clients classify by these tables, and the checkers
judge by them what a history calls failed.
"""

from __future__ import annotations

from typing import NamedTuple

# Begins the reason of an attempt that never left the client.
NOT_SENT = "not sent: "
# Begins the reason of an attempt that found its client's fence somewhere else, and so changed nothing.
FENCE_ELSEWHERE = "the fence is at "


class Refusal(NamedTuple):
    """One answer after which nothing was done."""

    final: bool  # every member would answer the same to every retry
    source: str  # where it is documented, or in whose code it is decided

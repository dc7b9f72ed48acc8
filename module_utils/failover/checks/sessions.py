# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether each client saw a store that only goes forward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..shapes import READ_KINDS, Check, Verdict
from .base import Case, Checker
from .columns import Ints, narrow
from .words import listed

# What an answer behind another one of the same client breaks, by whether the other and this one are reads. The names
# are those of Terry et al., "Session guarantees for weakly consistent replicated data", 1994.
GUARANTEES = {
    (True, True): "monotonic reads",
    (False, True): "read your writes",
    (True, False): "writes follow reads",
    (False, False): "monotonic writes",
}


# What is told of the newer answer: name -> column.
NEWER = {"operation": "index", "revision": "revision", "endpoint": "endpoint"}


class Sessions(Checker):
    """No answer is from a state of the store before one that the same client had been given.

    It needs no clock, as a client does one thing after the other. Reads that were not asked to be linearizable promise
    none of it: how often is counted.
    """

    name = "sessions"
    how = (
        "A client's answers may not go back in the store's revisions: not its reads behind its reads or its own "
        "writes, and not its writes behind either."
    )

    def applies(self, case: Case) -> bool:
        """Whether answers have revisions."""
        return case.recorded.is_numbered

    def judge(self, case: Case) -> list[Check]:
        """Follow each client through its answers."""
        recorded = case.recorded
        table = recorded.table
        client, revision = narrow(table["client"]), narrow(table["revision"])
        rows = recorded.numbered_rows()
        rows = rows[np.lexsort((narrow(table["invoke_ns"])[rows], client[rows]))]
        behind = _behind(rows, client, revision)
        kind = {row: table.row(row)["kind"] for row in {*behind, *behind.values()}}
        reads = {row: told in READ_KINDS for row, told in kind.items()}

        def described(row: int) -> dict[str, Any]:
            before = behind[row]
            older, newer = table.row(row), table.row(before)
            return {
                **{name: older[name] for name in ("index", "client", "kind", "endpoint", "revision")},
                "guarantee": GUARANTEES[reads[before], reads[row]],
                **{f"newer_{name}": newer[of] for name, of in NEWER.items()},
            }

        def counted(rows: Iterable[int]) -> Counter[str]:
            return Counter(GUARANTEES[reads[behind[row]], reads[row]] for row in rows)

        broken = counted(behind)
        wrong = [row for row in behind if not (recorded.reads_may_be_old and reads[row])]
        # What may be so is no part of what is wrong.
        told = ", ".join(f"{name} ({count:,})" for name, count in counted(wrong or behind).most_common())
        clients = len(np.unique(client[rows]))
        evidence: dict[str, Any] = {"answers": len(rows), "clients": clients, "broken": dict(broken)}
        if behind:
            evidence["behind"] = listed(sorted(behind), described)
        if wrong:
            summary = f"Clients were given older states than they had seen: {told}."
            return [Check(self.name, Verdict.INVALID, summary, evidence)]
        if behind:
            summary = f"Serializable reads went back behind what their client had seen, as they may: {told}."
            return [Check(self.name, Verdict.VALID, summary, evidence)]
        summary = f"Each of {clients:,} clients was given states of the store that never went back."
        return [Check(self.name, Verdict.VALID, summary, evidence)]


def _behind(rows: Ints, client: Ints, revision: Ints) -> dict[int, int]:
    """Return the rows that are behind what their client had been given, each with the row of the newest of that.

    :param rows: answers by client, and of each in the order in which it asked
    """
    behind: dict[int, int] = {}
    bounds = np.flatnonzero(np.diff(client[rows])) + 1
    for own in np.split(rows, bounds):
        highest = np.maximum.accumulate(revision[own])
        for at in np.flatnonzero(revision[own] < highest):
            behind[int(own[at])] = int(own[np.searchsorted(highest, highest[at])])
    return behind

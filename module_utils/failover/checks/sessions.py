# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether each client saw a store that only goes forward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..shapes import READ_KINDS, Check, Outcome, Verdict
from .base import Case, Checker
from .words import listed

# What an answer behind another one of the same client breaks, by whether the other and this one are reads. The names
# are those of Terry et al., "Session guarantees for weakly consistent replicated data", 1994.
GUARANTEES = {
    (True, True): "monotonic reads",
    (False, True): "read your writes",
    (True, False): "writes follow reads",
    (False, False): "monotonic writes",
}


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
        return bool(case.recorded.table["revision"].null_count < case.recorded.table.num_rows)

    def judge(self, case: Case) -> list[Check]:
        """Follow each client through its answers."""
        recorded = case.recorded
        table = recorded.table
        rows = np.sort(recorded.row_of[recorded.row_of >= 0])
        ok = np.array([outcome == Outcome.OK for outcome in table["outcome"].to_pylist()], dtype=bool)
        rows = rows[(ok & ~np.asarray(table["revision"].is_null()))[rows]]
        client, invoke_ns = table["client"].to_numpy(), table["invoke_ns"].to_numpy()
        reads = np.array([kind in READ_KINDS for kind in table["kind"].to_pylist()], dtype=bool)
        revision = table["revision"].fill_null(0).to_numpy()
        newest: dict[int, int] = {}  # client -> row of the newest state that it was given
        behind: dict[int, int] = {}  # row -> row of the newer state that its client had been given
        for row in rows[np.lexsort((invoke_ns[rows], client[rows]))].tolist():
            before = newest.get(int(client[row]))
            if before is None or revision[row] >= revision[before]:
                newest[int(client[row])] = row
            else:
                behind[row] = before

        def described(row: int) -> dict[str, Any]:
            before = behind[row]
            return {
                **{name: table[name][row].as_py() for name in ("index", "client", "kind", "endpoint", "revision")},
                "guarantee": GUARANTEES[bool(reads[before]), bool(reads[row])],
                "newer_operation": table["index"][before].as_py(),
                "newer_revision": int(revision[before]),
                "newer_endpoint": table["endpoint"][before].as_py(),
            }

        def counted(rows: Iterable[int]) -> Counter[str]:
            return Counter(GUARANTEES[bool(reads[behind[row]]), bool(reads[row])] for row in rows)

        broken = counted(behind)
        wrong = [row for row in behind if not (recorded.reads_may_be_old and reads[row])]
        # What may be so is no part of what is wrong.
        told = ", ".join(f"{name} {count:,} times" for name, count in counted(wrong or behind).most_common())
        evidence: dict[str, Any] = {"answers": len(rows), "clients": len(newest), "broken": dict(broken)}
        if behind:
            evidence["behind"] = listed(sorted(behind), described)
        if wrong:
            summary = f"Clients were given older states than they had seen: {told}."
            return [Check(self.name, Verdict.INVALID, summary, evidence)]
        if behind:
            summary = f"Serializable reads went back behind what their client had seen, as they may: {told}."
            return [Check(self.name, Verdict.VALID, summary, evidence)]
        summary = f"Each of {len(newest):,} clients was given states of the store that never went back."
        return [Check(self.name, Verdict.VALID, summary, evidence)]

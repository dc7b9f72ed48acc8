# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether each client saw a store that only goes forward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from ..shapes import READ_KINDS, Check, Verdict
from .base import Case, Checker
from .recorded import Recorded
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
        answers = _Answers(recorded)
        behind = answers.behind
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
        clients = answers.clients
        evidence: dict[str, Any] = {"answers": answers.count, "clients": clients, "broken": dict(broken)}
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


class _Answers:
    """The answers of each client, in the order in which it asked."""

    def __init__(self, recorded: Recorded) -> None:
        self.count = 0
        newest: dict[int, tuple[int, int]] = {}  # client -> highest revision that it was given, and the row of it
        behind: list[tuple[int, int, int]] = []
        for some in recorded.numbered("invoke_ns"):
            self.count += len(some.row)
            clients = some.chosen(np.argsort(some.client, kind="stable"))
            bounds = np.flatnonzero(np.diff(clients.client)) + 1
            for begin, end in pairwise((0, *bounds.tolist(), len(clients.row))):
                own = clients.chosen(slice(begin, end))
                if not len(own.row):
                    continue
                client = int(own.client[0])
                revision, row = newest.get(client, (np.iinfo(np.int64).min, -1))
                highest = np.maximum.accumulate(np.concatenate(([revision], own.revision)))
                rows = np.concatenate(([row], own.row))
                for at in np.flatnonzero(own.revision < highest[1:]).tolist():
                    behind.append((client, int(own.row[at]), int(rows[np.searchsorted(highest, highest[at + 1])])))
                newest[client] = int(highest[-1]), int(rows[np.searchsorted(highest, highest[-1])])
        self.clients = len(newest)
        # Rows that are behind what their client had been given, by client, each with the row of the newest of that.
        self.behind = {row: newer for _, row, newer in sorted(behind, key=lambda each: each[0])}

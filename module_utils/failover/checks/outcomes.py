# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the operations ended."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..shapes import Check, Outcome, Verdict
from ..workloads.packed import KINDS
from ..workloads.stream import counted, kinds_told
from .base import Case, Checker
from .columns import Words
from .model import FAIL, OK
from .recorded import Recorded
from .words import listed, names, span_of

_OUTCOMES = tuple(outcome.value for outcome in Outcome)


class Outcomes(Checker):
    """Counts. Failed and unknown operations are no fault; none acknowledged at all proves nothing."""

    name = "outcomes"
    how = (
        "Operations are counted by outcome. Failed and unknown ones do not make the data wrong; they bound how many "
        "keys have to remain."
    )

    def judge(self, case: Case) -> list[Check]:
        """Count operations by kind and outcome, as the history has them."""
        recorded = case.recorded
        # As the history has them: what was judged otherwise, or found out later, is told beside.
        outcomes = recorded.answers.outcome.copy()
        as_seen = {**dict.fromkeys(recorded.doubtful, FAIL), **dict.fromkeys(recorded.settled, Outcome.UNKNOWN.value)}
        for index, outcome in as_seen.items():
            outcomes[index] = outcome
        by_kind = _by_kind(recorded, outcomes)
        totals = {outcome: sum(counts[outcome] for counts in by_kind.values()) for outcome in _OUTCOMES}
        not_ok = [
            index
            for index, outcome in enumerate(outcomes)
            if outcome is not None and outcome != OK and index not in recorded.left_out
        ]
        retried = sum(attempts > 1 for attempts in recorded.answers.attempts)
        evidence: dict[str, Any] = {"totals": totals, "by_kind": by_kind, "retried": retried}
        if not_ok:
            evidence["not_ok"] = listed(not_ok, recorded.describe)
        ended = ", ".join(f"{count:,} {outcome}" for outcome, count in totals.items())
        summary = f"{ended}; {retried:,} needed more than one attempt"
        if case.is_exact:
            least, most = case.expected.key_count()
            evidence["expected_keys"] = {"least": least, "most": most}
            summary += f"; {span_of(least, most)} keys have to remain"
        summary += "."
        if recorded.settled:
            evidence["settled"] = dict(Counter(recorded.settled.values()))
            told = " and ".join(f"{count:,} {word}" for word, count in sorted(evidence["settled"].items()))
            unresolved = totals[Outcome.UNKNOWN.value] - len(recorded.settled)
            summary += f" Of the unknown ones the clients found out later: {told}; {unresolved:,} stay unresolved."
        if recorded.doubtful:
            evidence["failures_taken_as_unknown"] = dict(Counter(recorded.doubtful.values()))
            summary += (
                f" {len(recorded.doubtful):,} of the failed writes may have taken effect and are taken as unknown, "
                f"since their error proves nothing: {names(recorded.doubtful.values())}."
            )
        if totals[OK] == 0:
            return [Check(self.name, Verdict.UNKNOWN, f"No operation was acknowledged: {summary}", evidence)]
        return [Check(self.name, Verdict.VALID, summary, evidence)]


def _by_kind(recorded: Recorded, outcomes: Words) -> dict[str, dict[str, int]]:
    """Return kind -> outcome -> operations, without those that were never sent."""
    kinds = recorded.operations.kinds
    by_kind = {kind: dict.fromkeys(_OUTCOMES, 0) for kind in kinds_told(counted(kinds))}
    for (code, outcome), count in Counter(
        pair for index, pair in enumerate(zip(kinds, outcomes, strict=True)) if index not in recorded.left_out
    ).items():
        if outcome in _OUTCOMES:
            by_kind[KINDS[code]][outcome] = count
    return by_kind

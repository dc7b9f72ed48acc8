# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which writes of unknown outcome took effect; told where there are any."""

from __future__ import annotations

from ..shapes import Check, Verdict
from ..workloads.base import RETRIEVE
from .base import Case, Checker
from .model import APPLIED, FAIL, NOT_APPLIED, OK, UNDETERMINED
from .words import listed


class UnknownWrites(Checker):
    """Tells which writes with an unknown outcome took effect, by the later answers and the members' data.

    Never a reason for ``invalid`` by itself: the other checks already allow both.
    """

    name = "unknown writes"
    how = "For each write with an unknown outcome, later reads and the members' data show whether it took effect."

    def applies(self, case: Case) -> bool:
        """Whether there are any."""
        return case.is_exact and bool(case.expected.doubtful)

    def judge(self, case: Case) -> list[Check]:
        """Resolve each."""
        recorded, members = case.recorded, list(case.dumps.values())
        by_word: dict[str, list[int]] = {APPLIED: [], NOT_APPLIED: [], UNDETERMINED: []}
        word_of: dict[int, str] = {}
        for index, outcome in enumerate(recorded.answers.outcome):
            if outcome in (OK, FAIL) or recorded.operations[index][0] == RETRIEVE:
                continue
            key = recorded.operations[index][1]
            observed = {dump.entries[key].value if key in dump.entries else None for dump in members}
            word_of[index] = case.expected.resolve(key, index, observed)
            by_word[word_of[index]].append(index)
        told = ", ".join(f"{len(indices):,} {word}" for word, indices in by_word.items())
        evidence = {
            "counts": {word: len(indices) for word, indices in by_word.items()},
            "writes": listed(
                list(word_of),
                lambda index: {
                    "key": recorded.operations[index][1],
                    "resolved": word_of[index],
                    "operation": recorded.describe(index),
                },
            ),
        }
        summary = f"Writes whose outcome the client did not learn: {len(word_of):,}; according to the data, {told}."
        return [Check(self.name, Verdict.VALID, summary, evidence)]

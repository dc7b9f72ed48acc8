# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the answers of the clients fit the stream."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

from ..shapes import Check, Verdict
from ..workloads.base import CREATE, DELETE, RETRIEVE
from .base import Case, Checker
from .model import FAIL, LATE_DUPLICATE, OK, PHANTOM, WRONG_VALUE, Contradiction
from .recorded import Recorded
from .words import MAX_LISTED, classes_told, listed, names, states, verdict_of


class Reads(Checker):
    """Every RETRIEVE returns, and every DELETE finds, what the stream and the outcomes so far allow.

    Answers that only the late effect of a write explains which was sent again make the check ``unknown``. Reads that
    were not asked to be linearizable may return what the key held at any time before, or nothing.
    """

    name = "reads"
    how = (
        "Every value that a RETRIEVE returned, and every removal that a DELETE reported, is compared with what the "
        "stream and all outcomes before it allow."
    )

    def applies(self, case: Case) -> bool:
        """Whether it is known exactly what they have to find."""
        return case.is_exact

    def judge(self, case: Case) -> list[Check]:
        """Name the answers that contradict."""
        recorded, answers = case.recorded, case.recorded.answers
        reads = deletes = 0
        for operation, outcome, affected in zip(recorded.operations, answers.outcome, answers.affected, strict=True):
            if outcome == OK:
                reads += operation[0] == RETRIEVE
                deletes += operation[0] == DELETE and affected is not None
        evidence: dict[str, Any] = {"reads": reads, "deletes": deletes}
        compared = f"{reads:,} values read and {deletes:,} removals reported"
        unexplained = {found.index for found in case.lenient.contradictions}
        contradictions = [
            found if found.index in unexplained else replace(found, wrong=LATE_DUPLICATE)
            for found in case.expected.contradictions
        ]
        if recorded.reads_may_be_old:
            contradictions = sorted([*contradictions, *_never_written(recorded)], key=lambda found: found.index)
            compared += " (reads may be old)"
        if contradictions:
            evidence["by_class"] = dict(Counter(found.wrong for found in contradictions))
            evidence["wrong"] = _told(contradictions, recorded)
            summary = (
                f"Of {compared}, the stream contradicts {classes_told(evidence['by_class'])}: "
                f"{names(found.key for found in contradictions)}."
            )
            return [Check(self.name, verdict_of(evidence["by_class"]), summary, evidence)]
        if reads == 0 and any(operation[0] == RETRIEVE for operation in recorded.operations):
            summary = "No read was acknowledged, so no value could be compared."
            return [Check(self.name, Verdict.UNKNOWN, summary, evidence)]
        return [Check(self.name, Verdict.VALID, f"All {compared} are what the stream says they must be.", evidence)]


def _never_written(recorded: Recorded) -> list[Contradiction]:
    """Return the reads whose value no write before them, acknowledged or unknown, can have given."""
    answers, given = recorded.answers, defaultdict[str, set[str]](set)
    wrong = []
    for index, operation in enumerate(recorded.operations):
        kind, key, outcome = operation[0], operation[1], answers.outcome[index]
        if kind == CREATE and outcome != FAIL:
            given[key].add(operation[-1])
        elif kind == RETRIEVE and outcome == OK and (found := answers.read[index]) not in {None, *given[key]}:
            allowed = frozenset([None, *given[key]])
            wrong.append(Contradiction(index, key, WRONG_VALUE if given[key] else PHANTOM, allowed, found))
    return wrong


def _told(contradictions: list[Contradiction], recorded: Recorded) -> dict[str, Any]:
    touching = recorded.touching({found.key for found in contradictions[:MAX_LISTED]})
    return listed(
        contradictions,
        lambda found: {
            "key": found.key,
            "class": found.wrong,
            "expected": states(found.allowed),
            "found": found.found,
            "operation": recorded.describe(found.index),
            "operations": touching[found.key],
        },
    )

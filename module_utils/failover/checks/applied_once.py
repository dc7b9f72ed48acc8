# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a write took effect twice; told where the members count a key's writes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from ..results.read import Dump
from ..shapes import Check, RetryPolicy, Verdict
from ..workloads.base import CREATE, DELETE
from ..workloads.packed import CODE_OF
from .base import Case, Checker
from .model import FAIL, OK
from .recorded import Recorded
from .words import MAX_LISTED, listed, names


class AppliedOnce(Checker):
    """No CREATE took effect twice. etcd counts the writes of a key since it was created."""

    name = "applied once"
    how = "etcd counts the writes of each key; more than the acknowledged ones means that one took effect twice."

    def applies(self, case: Case) -> bool:
        """Whether a member counts, and the operations of a key have one order."""
        return case.is_exact and any(
            entry.version is not None for dump in case.dumps.values() for entry in dump.entries.values()
        )

    def judge(self, case: Case) -> list[Check]:
        """Compare the counts with the writes that were sent."""
        return [check_applied_once(case.dumps.values(), case.recorded)]


def check_applied_once(dumps: Iterable[Dump], recorded: Recorded) -> Check:
    """Check that no CREATE took effect twice.

    A write that was sent again after its answer got lost may rightly be there twice: it is named, and the data
    are the same. Twice without a second attempt is wrong. After a DELETE etcd counts anew, but a CREATE of unknown
    outcome before it, or an attempt whose answer was lost, may take effect after it.
    """
    number_of = recorded.operations.number_of
    limit, resent = _limits(recorded)
    explained: dict[str, list[Any]] = {}
    unexplained: dict[str, list[Any]] = {}
    for dump in dumps:
        for key, entry in dump.entries.items():
            number = number_of.find(key)
            # A key that nothing may have written is a phantom or resurrected; the keys' own check names it.
            if entry.version is None or number is None or limit[number] == 0 or entry.version <= limit[number]:
                continue
            within = entry.version <= limit[number] + resent[number]
            (explained if within else unexplained).setdefault(key, [entry.version, []])[1].append(dump.member)
    evidence: dict[str, Any] = {}
    for name, keys in (("after_a_retry", explained), ("unexplained", unexplained)):
        if keys:
            touching = recorded.touching(list(keys)[:MAX_LISTED])
            evidence[name] = listed(
                list(keys.items()),
                lambda item, touching=touching: {
                    "key": item[0],
                    "version": item[1][0],
                    "members": item[1][1],
                    "operations": touching[item[0]],
                },
            )
    if unexplained:
        summary = f"Written more often than sent: {len(unexplained):,} ({names(unexplained)})."
        return Check(AppliedOnce.name, Verdict.INVALID, summary, evidence)
    if explained:
        summary = (
            "Written twice, by an operation that was sent again after its answer was lost, with the same value: "
            f"{len(explained):,} ({names(explained)})."
        )
    else:
        summary = "No write took effect twice."
    return Check(AppliedOnce.name, Verdict.VALID, summary, evidence)


def _limits(recorded: Recorded) -> tuple[Sequence[int], Sequence[int]]:
    """Return, for each key, the writes since etcd last began to count, and the further attempts of all its writes."""
    operations, answers = recorded.operations, recorded.answers
    # Writes that may have taken effect since etcd last began to count; those among them that may take effect at any
    # time; and further attempts.
    limit, unknown, resent = (array("I", bytes(4 * len(operations.keys))) for _ in range(3))
    fenced = recorded.retry_policy == RetryPolicy.SAFE  # one of a write's attempts takes effect at most
    create, delete = CODE_OF[CREATE], CODE_OF[DELETE]
    for code, key, outcome, attempts in zip(
        operations.kinds, operations.key_numbers, answers.outcome, answers.attempts, strict=True
    ):
        if code == create and outcome != FAIL:
            limit[key] += 1
            unknown[key] += outcome != OK
            resent[key] += 0 if fenced else max(0, attempts - 1)
        elif code == delete and outcome == OK:
            limit[key] = unknown[key]
    return limit, resent

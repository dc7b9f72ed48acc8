# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the experiment shows anything: a kind of operation that was never acknowledged proves nothing of it.

Nor does a system that was itself not well, before operation 0 or after the heal: etcd with an alarm refuses or half
does what it is asked, a MySQL server that is read-only takes no write, and a group without a member keeps less than the
experiment says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..shapes import Check, Outcome, Verdict
from ..systems.registry import SYSTEMS
from ..workloads.packed import KINDS
from .base import Case, Checker
from .columns import Words

WHEN = {"before": "before the workload", "after": "after the heal"}


class Evidence(Checker):
    """Each kind of operation was acknowledged at least once, and the system reported itself healthy."""

    name = "evidence"
    how = (
        "Each kind of operation has to be acknowledged at least once, and the system has to report itself healthy "
        "before the workload and after the heal: no alarm, no member missing, no server read-only that should take "
        "writes."
    )

    def judge(self, case: Case) -> list[Check]:
        """Look for kinds without an acknowledged operation, and at what the system reported."""
        recorded = case.recorded
        return [check_evidence(Words(recorded.operations.kinds, KINDS), recorded.answers.outcome, case.info)]


def check_evidence(kinds: Sequence[str | None], outcomes: Sequence[str | None], info: Mapping[str, Any]) -> Check:
    """Check that each kind of operation was acknowledged at least once, and that the system reported itself healthy.

    :param kinds: of the stream's operations, in its order; ``outcomes``: theirs
    :param info: experiment.json, with what was observed ``before`` and ``after``
    """
    total = Counter(kinds)
    acknowledged = Counter(kind for kind, outcome in zip(kinds, outcomes, strict=True) if outcome == Outcome.OK)
    never = [kind for kind in total if not acknowledged[kind]]
    doubts = [f"none of {total[kind]:,} {kind} operations was acknowledged" for kind in never]
    reports = {name: reported(info["system"], info[name]) for name in WHEN}
    doubts += [f"{WHEN[name]}, {'; '.join(told)}" for name, told in reports.items() if told]
    evidence = {
        "acknowledged": {kind: {"operations": total[kind], "ok": acknowledged[kind]} for kind in total},
        "reported": reports,
    }
    if doubts:
        return Check(
            Evidence.name, Verdict.UNKNOWN, f"The run proves less than it seems to: {'. '.join(doubts)}.", evidence
        )
    summary = "Operations of every kind were acknowledged, and the system reported itself healthy before and after."
    return Check(Evidence.name, Verdict.VALID, summary, evidence)


def reported(system: str, observed: Mapping[str, Any]) -> list[str]:
    """Return what a system said was wrong with itself, one sentence each, as an observing module recorded it."""
    if "healthy" not in observed:
        return ["nobody looked at the system"]
    members = observed.get("observation", {}).get("members", {})
    alarms = SYSTEMS[system].alarms(members)
    told = [f"{by} has raised the alarm {alarm}" for alarm, by in alarms]
    # An alarm is the cluster's: each member reports it.
    told += [reason for reason in observed.get("reasons", []) if not (alarms and "alarm:" in reason)]
    if not told and not observed["healthy"]:
        told = ["the system was not healthy, and no reason was recorded"]
    return told

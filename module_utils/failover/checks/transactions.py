# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether members know the transactions of the writes that were acknowledged."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from ..sentences import listing
from ..shapes import Check, LabError, Outcome, Verdict
from ..systems.registry import SYSTEMS
from .base import Case, Checker
from .words import listed


def _executed(case: Case) -> dict[str, Container[str]]:
    return SYSTEMS[case.info["system"]].executed(case.info["after"], case.experiment.members)


class Transactions(Checker):
    """Every member executed the transaction of every acknowledged write, and can pass it on, as it says.

    It is another question than whether the rows are there: a server that did not sync its binary log before its power
    went may have a row, and know its transaction, that no replica and no restore from that log will ever get.
    """

    name = "transactions"
    how = (
        "Writes behind a fence are transactions of which the client knows the identifier (a GTID); that of every "
        "acknowledged one has to be among those that each member says it executed, and that a single server still has "
        "in its binary log."
    )

    def applies(self, case: Case) -> bool:
        """Whether clients knew their transactions, and any member says which it executed."""
        if not case.recorded.table.has_any("transaction"):
            return False
        try:
            return bool(_executed(case))
        except LabError:
            return True  # what they say cannot be read, which is a finding

    def judge(self, case: Case) -> list[Check]:
        """Look each one up."""
        try:
            return [self._look_up(case, _executed(case))]
        except LabError as error:
            return [Check(self.name, Verdict.UNKNOWN, str(error), {})]

    def _look_up(self, case: Case, executed: Mapping[str, Container[str]]) -> Check:
        recorded, members = case.recorded, case.experiment.members
        lost: dict[int, list[str]] = {}
        transactions: dict[int, str] = {}  # of those
        looked_up = 0
        for part in recorded.table.parts(["index", "transaction"]):
            for index, transaction in zip(part["index"].to_pylist(), part["transaction"].to_pylist(), strict=True):
                if transaction is None or not 0 <= index < len(recorded.answers.outcome):
                    continue
                if recorded.answers.outcome[index] != Outcome.OK:
                    continue
                looked_up += 1
                try:
                    without = [member for member, known in executed.items() if transaction not in known]
                except ValueError as error:
                    raise LabError(f"{transaction!r} of operation {index} is no transaction ({error})") from None
                if without:
                    lost[index], transactions[index] = without, transaction
        silent = [member for member in members if member not in executed]
        evidence: dict[str, Any] = {"transactions": looked_up, "members": list(executed)}
        if lost:
            by = {member: sum(member in without for without in lost.values()) for member in executed}
            evidence["lost_by_member"] = by
            evidence["lost"] = listed(
                sorted(lost),
                lambda index: {
                    **recorded.describe(index),
                    "transaction": transactions[index],
                    "without": lost[index],
                },
            )
            told = listing([f"{count:,} on {member}" for member, count in by.items() if count])
            summary = (
                f"Of {looked_up:,} acknowledged writes, transactions that members had not executed, or not in their "
                f"binary log, at the end: {told}. Where the rows are there, replicas and a restore will lack them."
            )
            return Check(self.name, Verdict.INVALID, summary, evidence)
        if silent:
            evidence["silent"] = silent
            summary = f"{listing(silent)} did not say which transactions it executed."
            return Check(self.name, Verdict.UNKNOWN, summary, evidence)
        summary = f"{listing(members)} executed the transactions of all {looked_up:,} acknowledged writes."
        return Check(self.name, Verdict.VALID, summary, evidence)

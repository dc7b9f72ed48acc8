# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a store that numbers its changes ever went back, as its clients saw it."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping
from math import inf
from typing import Any

import numpy as np

from ..actions.record import FaultRecord
from ..shapes import READ_KINDS, Check, Verdict
from .base import Case, Checker
from .recorded import Recorded
from .words import listed


class Revisions(Checker):
    """No answer has a revision below one that somebody had been given before it was asked for.

    etcd gives every answer the revision of the whole store ("Response header", etcd's API guide). That finds a stale
    read, or a store that lost its last changes, on any key and without a search for an order. Reads that were not asked
    to be linearizable may be old: they are counted.
    """

    name = "revisions"
    how = (
        "Each answer of etcd has the revision of the store; none may be below one that any client had been given "
        "before the operation began."
    )

    def applies(self, case: Case) -> bool:
        """Whether answers have revisions."""
        return case.recorded.is_numbered

    def judge(self, case: Case) -> list[Check]:
        """Hold each answer against the newest one that was complete before its operation began."""
        recorded = case.recorded
        answers = _Answers(recorded, case.experiment.info)
        may_be_old = set()
        if recorded.reads_may_be_old:
            rows = np.sort(np.array(list(answers.behind), dtype=np.int64))
            kinds = recorded.table.taken(["kind"], rows)["kind"].to_pylist()
            may_be_old = {row for row, kind in zip(rows.tolist(), kinds, strict=True) if kind in READ_KINDS}
        wrong = [row for row in answers.behind if row not in may_be_old]
        evidence: dict[str, Any] = {"answers": answers.count}
        if may_be_old:
            evidence["old_reads"] = listed(sorted(may_be_old), answers.describe)
        if wrong:
            evidence["wrong"] = listed(wrong, answers.describe)
            first = answers.describe(wrong[0])
            under = f", under {first['fault']}" if first["fault"] else ""
            told = (
                f"{len(wrong):,} of {answers.count:,} answers had a revision below one that had been given before: "
                f"operation {first['index']:,} got {first['revision']:,} and began {first['later_ms']:,.1f} ms after "
                f"operation {first['newer_operation']:,} had got {first['newer_revision']:,}{under}."
            )
            return [Check(self.name, Verdict.INVALID, told, evidence)]
        told = f"{answers.count:,} answers, none with a revision below one that had been given before."
        if may_be_old:
            most = max(answers.behind[row] for row in may_be_old)
            told = (
                f"Serializable reads that were old, as they may be: {len(may_be_old):,}, by up to {most:,} revisions. "
                f"No other of {answers.count:,} answers was."
            )
        return [Check(self.name, Verdict.VALID, told, evidence)]


def _held(info: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return from when to when each fault was held, in ns since the origin: to the end of all, where it was not healed.

    As good as the hosts' clocks are; it only says where to look.
    """
    held = {}
    for fault in info["faults"]:
        record = FaultRecord.of(fault)
        if record is None or record.signal_sent_wall_ns is None:
            continue
        ahead_ns = info["origin_wall_ns"] + (record.clock_offset_ns or 0)
        healed_ns = inf if record.healed_wall_ns is None else record.healed_wall_ns - ahead_ns
        held[f"{fault['id']} ({fault['action']} of {record.member})"] = (
            record.signal_sent_wall_ns - ahead_ns,
            healed_ns,
        )
    return held


class _Answers:
    """The answers that have a revision."""

    def __init__(self, recorded: Recorded, info: Mapping[str, Any]) -> None:
        self._recorded = recorded
        self._held = _held(info)
        self.count = 0
        # Where the highest revision that had been given rose, in the order in which the answers came: when, to what,
        # and the row of the answer that had it.
        self._risen_ns, self._risen_to, self._risen_at = (array("q") for _ in range(3))
        self._find_rises()
        # Row of the table -> by how many revisions its answer is below what had been given, the earliest first.
        self.behind: dict[int, int] = {}
        risen_ns, risen_to = (np.frombuffer(risen, dtype=np.int64) for risen in (self._risen_ns, self._risen_to))
        for some in recorded.numbered("complete_ns"):
            # How often it had risen when each of these operations began, and to what.
            before = np.searchsorted(risen_ns, some.invoke_ns - recorded.clock_margin_ns, side="left")
            given = np.where(before > 0, risen_to[before - 1], 0) if len(risen_to) else np.zeros_like(before)
            late = np.flatnonzero(some.revision < given)
            self.behind |= {int(some.row[at]): int(given[at]) - int(some.revision[at]) for at in late}

    def _find_rises(self) -> None:
        highest = np.iinfo(np.int64).min
        for some in self._recorded.numbered("complete_ns"):
            self.count += len(some.row)
            given = np.maximum.accumulate(np.concatenate(([highest], some.revision)))
            rises = np.flatnonzero(np.diff(given) != 0)
            for risen, column in (
                (self._risen_ns, some.complete_ns),
                (self._risen_to, some.revision),
                (self._risen_at, some.row),
            ):
                risen.frombytes(column[rises].astype(np.int64, copy=False).tobytes())
            highest = given[-1]

    def describe(self, row: int) -> dict[str, Any]:
        """Tell of an answer that is too old, and of the first one that shows it: a row of a table."""
        told = self._recorded.table.row(row)
        risen = bisect_right(self._risen_to, told["revision"])
        first = self._recorded.table.row(self._risen_at[risen])
        given_ns, began_ns, ended_ns = first["complete_ns"], told["invoke_ns"], told["complete_ns"]
        under = [fault for fault, held in self._held.items() if held[0] <= ended_ns and began_ns <= held[1]]
        return {
            **{name: told[name] for name in ("index", "kind", "endpoint", "revision")},
            "began_ms": began_ns / 1e6,
            "newer_revision": first["revision"],
            "revisions_behind": self.behind[row],
            "newer_operation": first["index"],
            "newer_endpoint": first["endpoint"],
            "later_ms": (began_ns - given_ns) / 1e6,
            "fault": ", ".join(under) or None,
        }

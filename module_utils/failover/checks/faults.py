# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the faults struck."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..actions.record import FaultRecord
from ..actions.registry import ACTIONS
from ..fault_names import role_of, struck_together, towards
from ..shapes import Check, Verdict
from .base import Case, Checker
from .words import MAX_LISTED

# A fault is meant to land within so many operations of its index or so many ms, whichever is longer.
FAULT_WITHIN_OPERATIONS = 20
FAULT_WITHIN_MS = 20

# What of a fault's record is evidence; experiment.json has all of it.
_FAULT_FACTS = (
    "fired",
    "reason",
    "index_asked",
    "index_hit",
    "member",
    "member_id",
    "role",
    "leader_before",
    "term_before",
    "signal",
    "delay_ms",
    "gone_ms",
    "leader_after",
    "term_after",
)


class Faults(Checker):
    """A fault hit what it was meant for and had the effect that it is there for.

    A fault that missed, or did nothing, makes the experiment say less than it seems to: ``unknown``, never silent.
    The record is the director's; that the signal was sent has to be in the events, too, as the member stamped it.
    """

    name = "fault"
    each = True
    how = "The events have to show that the fault struck the member it was meant for, in its role, at its operation."

    def judge(self, case: Case) -> Iterator[Check]:
        """Judge each fault."""
        for fault in case.info["faults"]:
            yield _judge(f"{self.name} {fault['id']}", fault, case)


def _judge(name: str, fault: dict[str, Any], case: Case) -> Check:
    record = FaultRecord.of(fault)
    to = towards(fault.get("to"))
    told = f"{fault['action']} of the {fault['target']}{to} at operation {fault['at_index']:,}"
    if record is None:
        return Check(name, Verdict.UNKNOWN, f"Nothing was recorded of the {told}.")
    evidence: dict[str, Any] = {fact: getattr(record, fact) for fact in _FAULT_FACTS}
    if not record.fired:
        missed = f"The {told} missed: {record.reason}."
        if fault.get("keep_majority"):
            missed += " More iterations or fewer faults leave members more time to return between two of them."
        return Check(name, Verdict.UNKNOWN, missed, evidence)
    if case.without_events:
        return Check(name, Verdict.UNKNOWN, f"The {told} cannot be proven: {case.without_events}", evidence)
    events = sorted(
        (event for event in case.events if event.data.get("fault") == fault["id"]), key=lambda event: event.wall_ns
    )
    evidence["events"] = [
        {"event": event.event, "source": event.source, "wall_ns": event.wall_ns} for event in events[:MAX_LISTED]
    ]
    doubts = _doubts(fault, record, case)
    if not any(event.event == "fault.signal_sent" and event.source == record.member for event in events):
        doubts.append(f"the events do not have {record.member}'s stamp of the fault")
    if doubts:
        return Check(name, Verdict.UNKNOWN, f"The {told} proves nothing: {'; '.join(doubts)}.", evidence)
    led = f", the leader of term {record.term_before}," if record.term_before is not None else ""
    then = f"; {record.leader_after} led in term {record.term_after}" if record.leader_after else ""
    who = f"{record.member}{led if record.role == 'leader' else ''}"
    done = ACTIONS[fault["action"]].told(who, record)
    return Check(
        name,
        Verdict.VALID,
        f"{done} at operation {record.index_hit:,}, asked for at {record.index_asked:,}{_late(record)}{then}.",
        evidence,
    )


def outside_bound(record: FaultRecord) -> bool:
    """Tell whether a fault that struck did not land as close to its index as the lab promises."""
    hit, asked, delay_ms = record.index_hit, record.index_asked, record.delay_ms
    if hit is None or asked is None or delay_ms is None:
        return False
    return hit - asked > FAULT_WITHIN_OPERATIONS and delay_ms > FAULT_WITHIN_MS


def _late(record: FaultRecord) -> str:
    """Say so where a fault did not land as close to its index as the lab promises."""
    if not outside_bound(record):
        return ""
    operations = (record.index_hit or 0) - (record.index_asked or 0)
    return (
        f" ({operations:,} operations and {record.delay_ms:,.1f} ms late, where {FAULT_WITHIN_OPERATIONS} or "
        f"{FAULT_WITHIN_MS} ms are the aim)"
    )


def _doubts(fault: dict[str, Any], record: FaultRecord, case: Case) -> list[str]:
    """Say what speaks against the fault having struck as it was meant to."""
    struck = struck_together(fault["id"], (other["id"] for other in case.info["faults"]))
    return _doubts_of_aim(fault, record) + _doubts_of_effect(fault, record, len(case.experiment.members), struck)


def _doubts_of_aim(fault: dict[str, Any], record: FaultRecord) -> list[str]:
    """Say what speaks against the fault having hit its target at its time."""
    member, role, doubts = record.member, record.role, []
    wanted = role_of(fault["target"])
    if wanted is not None:
        if role != wanted:
            doubts.append(f"it hit {member}, which was {role or 'of unknown role'} then")
    elif member != fault["target"]:
        doubts.append(f"it hit {member}")
    if fault["target"] == "leader" and record.leader_before != member:
        doubts.append(f"{record.leader_before} led when it hit {member}")
    index_hit = record.index_hit
    if index_hit is None or index_hit < fault["at_index"]:
        doubts.append(f"it struck at operation {index_hit}, not at {fault['at_index']:,} or after")
    return doubts


def _doubts_of_effect(fault: dict[str, Any], record: FaultRecord, members: int, struck: int) -> list[str]:
    """Say which effect, without which the fault shows nothing, was not seen.

    :param struck: how many of the members the data's fault is about; without a majority nobody is elected
    """
    doubts = []
    if record.inject_error:
        doubts.append(f"it is not certain that it was done: {record.inject_error}")
    action = ACTIONS[fault["action"]]
    doubts += action.doubts(record)
    by = record.healed_by
    if not action.comes_back and by is not None and (fault["heal"] == "end" or by != "request"):
        doubts.append(f"it was healed before the workload ended, by {by}")
    if record.role == "leader" and action.ends_process and 2 * struck < members:
        before, after = record.term_before, record.term_after
        if before is None or after is None or after <= before:
            doubts.append(f"no member was seen to lead in a later term than {before}")
    return doubts

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be planted, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from failover.shapes import Event, HistoryRow
from failover.workloads.base import CREATE, DELETE, RETRIEVE
from failover.workloads.packed import Stream
from failover.workloads.stream import cut_stream

from .parts import ADDRESSES, NO_SPACE, REFUSED, Outcomes, Parts, Planted, S


@dataclass(frozen=True)
class Defect:
    """``outcomes`` decides before the run what happens to operations, ``change`` falsifies what was recorded."""

    change: Callable[[Parts, Planted], None] | None = None
    outcomes: Callable[[Stream, Planted], Outcomes] | None = None


def _some_key(parts: Parts) -> str:
    """Return a key that is alive at the end and was created by an operation in the middle of the stream."""
    index = parts.position_of(CREATE, touched_later=False)
    return parts.operations[index][1]


def _lost_key(parts: Parts, planted: Planted) -> None:
    key = _some_key(parts)
    for entries in parts.dumps.values():
        del entries[key]
    planted.details = {"key": key}


def _wrong_value(parts: Parts, planted: Planted) -> None:
    key = _some_key(parts)
    for entries in parts.dumps.values():
        entries[key][0] = "0.0.0.0"
    planted.details = {"key": key, "value": "0.0.0.0"}


def _extra_key(parts: Parts, planted: Planted) -> None:
    for entries in parts.dumps.values():
        entries["Nobody7 toaster"] = ["9.9.9.9", 1, 2] if parts.system == "etcd" else ["9.9.9.9", None, None]
    planted.details = {"key": "Nobody7 toaster", "value": "9.9.9.9"}


def _diverged_node(parts: Parts, planted: Planted) -> None:
    key = _some_key(parts)
    member = list(parts.dumps)[-1]
    parts.dumps[member][key][0] = "0.0.0.0"
    planted.details = {"key": key, "member": member, "value": "0.0.0.0"}


def _resurrected_key(parts: Parts, planted: Planted) -> None:
    index = parts.position_of(DELETE, touched_later=False)
    key = parts.operations[index][1]
    value = next(operation[2] for operation in parts.operations if operation[0] == CREATE and operation[1] == key)  # type: ignore[misc]
    for entries in parts.dumps.values():
        entries[key] = [value, 1, 5] if parts.system == "etcd" else [value, None, None]
    planted.details = {"key": key, "index": index, "value": value}


def _late_duplicate(parts: Parts, planted: Planted) -> None:
    """A key that was deleted is there again, and its CREATE had been sent twice."""
    _resurrected_key(parts, planted)
    key = planted.details["key"]
    created = next(row.index for row in parts.rows if row.kind == CREATE and row.key == key)
    parts.rows = [row._replace(attempts=2) if row.index == created else row for row in parts.rows]
    planted.details["created"] = created


def _late_in_spite_of_the_fence(parts: Parts, planted: Planted) -> None:
    _late_duplicate(parts, planted)
    parts.retry_policy = "safe"


def _settle(word: str) -> Callable[[Parts, Planted], None]:
    """The write of unknown outcome was settled after the last operation."""

    def change(parts: Parts, planted: Planted) -> None:
        at_ns = max(row.complete_ns for row in parts.rows) + S
        parts.retry_policy = "safe"
        parts.rows = [
            row._replace(settled=word, settled_ns=at_ns) if row.index == planted.details["index"] else row
            for row in parts.rows
        ]

    return change


def _ghosts(parts: Parts, planted: Planted) -> None:
    """Two deleted keys are back: attempts that got no answer were passed on in the heal after the first repeat."""
    first = parts.repeats[0]
    created = {operation[1]: index for index, operation in enumerate(parts.operations) if operation[0] == CREATE}
    last_use = {operation[1]: index for index, operation in enumerate(parts.operations)}
    deletes = [
        index
        for index in range(first["first_index"], first["end_index"])
        if parts.operations[index][0] == DELETE and last_use[parts.operations[index][1]] == index
    ][:2]
    keys = [parts.operations[index][1] for index in deletes]
    revision = 1 + sum(row.kind != RETRIEVE for row in parts.rows if row.index < first["end_index"])
    for entries in parts.dumps.values():
        for entry in entries.values():
            entry[2] += len(keys) if entry[2] > revision else 0
        for number, key in enumerate(keys, 1):
            entries[key] = [parts.operations[created[key]][-1], 1, revision + number]
    resent = {created[key] for key in keys}
    for row in [row for row in parts.rows if row.index in resent]:
        at_wall_ns = parts.origin_wall_ns + (row.invoke_ns + row.complete_ns) // 2
        data = {"client": row.client, "index": row.index, "endpoint": f"{ADDRESSES['etcd2']}:2379", "kind": CREATE,
                "error": "DEADLINE_EXCEEDED: Deadline Exceeded", "ambiguous": True}  # fmt: skip
        parts.events.insert(0, Event(at_wall_ns, "client1", "client.attempt_failed", data))
    parts.rows = [row._replace(attempts=2) if row.index in resent else row for row in parts.rows]
    planted.details = {"keys": keys, "created": sorted(resent), "deleted": deletes, "revision": revision}


def _refused_and_resurrected(parts: Parts, planted: Planted) -> None:
    """The same, but the first attempt of the CREATE was refused, so that there is no duplicate to blame."""
    _late_duplicate(parts, planted)
    data = {"client": 0, "index": planted.details["created"], "error": REFUSED, "ambiguous": False}
    parts.events.insert(0, Event(parts.origin_wall_ns, "client1", "client.attempt_failed", data))


def _duplicate_apply(parts: Parts, planted: Planted) -> None:
    key = _some_key(parts)
    for entries in parts.dumps.values():
        entries[key][1] = 2
    planted.details = {"key": key}


def _duplicate_apply_after_retry(parts: Parts, planted: Planted) -> None:
    _duplicate_apply(parts, planted)
    key = planted.details["key"]
    parts.rows = [row._replace(attempts=2, error="UNAVAILABLE: gone") if row.key == key else row for row in parts.rows]


def _change_read(parts: Parts, planted: Planted, value: str | None) -> None:
    index = parts.position_of(RETRIEVE, touched_later=True)
    position = next(at for at, row in enumerate(parts.rows) if row.index == index)
    parts.rows[position] = parts.rows[position]._replace(read=value)
    planted.details = {"key": parts.rows[position].key, "index": index, "value": value}


def _missing_read(parts: Parts, planted: Planted) -> None:
    _change_read(parts, planted, None)


def _wrong_read(parts: Parts, planted: Planted) -> None:
    _change_read(parts, planted, "0.0.0.0")


def _serializable(plant: Callable[[Parts, Planted], None]) -> Callable[[Parts, Planted], None]:
    """The same, of reads that were not asked to be linearizable."""

    def change(parts: Parts, planted: Planted) -> None:
        plant(parts, planted)
        parts.read_consistency = "serializable"

    return change


def _lost_before_delete(parts: Parts, planted: Planted) -> None:
    index = parts.position_of(DELETE, touched_later=False)
    position = next(at for at, row in enumerate(parts.rows) if row.index == index)
    parts.rows[position] = parts.rows[position]._replace(affected=0)
    planted.details = {"key": parts.rows[position].key, "index": index}


def _number_answers(parts: Parts) -> None:
    """Give each acknowledged operation the revision of the store, as etcd does."""
    revision = 1
    for at, row in sorted(enumerate(parts.rows), key=lambda item: item[1].complete_ns):
        if row.outcome == "ok":
            revision += row.kind != RETRIEVE
            parts.rows[at] = row._replace(revision=revision)


def _old_answer(kind: str) -> Callable[[Parts, Planted], None]:
    """One answer in the middle comes from a server that has not seen the 40 changes before it."""

    def change(parts: Parts, planted: Planted) -> None:
        _number_answers(parts)
        at = next(at for at, row in enumerate(parts.rows) if at > len(parts.rows) // 2 and row.kind == kind)
        revision = (parts.rows[at].revision or 0) - 40
        parts.rows[at] = parts.rows[at]._replace(revision=revision)
        planted.details = {"index": parts.rows[at].index, "revision": revision}

    return change


def _old_answer_of(own: bool, kind: str) -> Callable[[Parts, Planted], None]:
    """One read is from before the last answer that its client had, to a write of its own or to a read."""

    def change(parts: Parts, planted: Planted) -> None:
        _number_answers(parts)
        newest: dict[int, HistoryRow] = {}
        for at, row in enumerate(parts.rows):
            before = newest.get(row.client)
            if at > len(parts.rows) // 2 and row.kind == kind and before and (before.kind != RETRIEVE) == own:
                parts.rows[at] = row._replace(revision=(before.revision or 0) - 1)
                planted.details = {"index": row.index, "newer": before.index}
                return
            if before is None or (row.revision or 0) > (before.revision or 0):
                newest[row.client] = row

    return change


def _executed(but: int) -> Callable[[Parts, Planted], None]:
    """Writes are transactions, which the members say they executed, but for so many in the middle."""

    def change(parts: Parts, planted: Planted) -> None:
        series, writes = "5e1f0d0c-0000-0000-0000-1e2a3b4c5d6e", 0
        for at, row in enumerate(parts.rows):
            if row.kind != RETRIEVE:
                writes += 1
                parts.rows[at] = row._replace(transaction=f"{series}:{writes}")
        first = writes // 2
        ends = f"{series}:1-{first - 1}:{first + but}-{writes + 9}" if but else f"{series}:1-{writes}"
        parts.after["gtid_executed"] = f"c0ffee00-0000-0000-0000-000000000001:1-7,{ends}"
        lost = {f"{series}:{number}" for number in range(first, first + but)}
        planted.details = {"indices": sorted(row.index for row in parts.rows if row.transaction in lost)}

    return change


def _numbered(parts: Parts, _planted: Planted) -> None:
    _number_answers(parts)


def _missing_rows(parts: Parts, planted: Planted) -> None:
    start = len(parts.rows) // 3
    planted.details = {"indices": sorted(row.index for row in parts.rows[start : start + 7])}
    del parts.rows[start : start + 7]


def _cut_history(parts: Parts, planted: Planted) -> None:
    keep = len(parts.rows) - 5
    planted.details = {"indices": sorted(row.index for row in parts.rows[keep:])}
    del parts.rows[keep:]


def _repeated_row(parts: Parts, planted: Planted) -> None:
    at = len(parts.rows) // 3
    planted.details = {"index": parts.rows[at].index}
    parts.rows.insert(at, parts.rows[at])


def _reordered_rows(parts: Parts, planted: Planted) -> None:
    """Swap the times of two operations on the same key, so that the second ran before the first."""
    index = parts.position_of(RETRIEVE, touched_later=True, after=0.3)
    first = next(at for at, row in enumerate(parts.rows) if row.index == index)
    key = parts.rows[first].key
    second = next(at for at in range(first + 1, len(parts.rows)) if parts.rows[at].key == key)
    a, b = parts.rows[first], parts.rows[second]
    parts.rows[first] = a._replace(invoke_ns=b.invoke_ns, complete_ns=b.complete_ns, intended_ns=b.intended_ns)
    parts.rows[second] = b._replace(invoke_ns=a.invoke_ns, complete_ns=a.complete_ns, intended_ns=a.intended_ns)
    planted.details = {"indices": [a.index, b.index], "key": key}


def _foreign_row(parts: Parts, planted: Planted) -> None:
    at = len(parts.rows) // 3
    planted.details = {"index": parts.rows[at].index, "key": "Nobody7 toaster"}
    parts.rows[at] = parts.rows[at]._replace(key="Nobody7 toaster")


def _missed_fault(parts: Parts, planted: Planted) -> None:
    """The member that was to be hit was not the leader any more."""
    parts.faults[0]["record"].update(fired=False, reason="etcd2 was not the leader when the fault reached it")
    parts.events = [event for event in parts.events if event.event not in ("fault.signal_sent", "fault.process_gone")]
    planted.details = {"fault": "F1"}


def _held_back_fault(parts: Parts, planted: Planted) -> None:
    """No majority would have been left without its target, as after a fault shortly before it."""
    _missed_fault(parts, planted)
    parts.faults[0]["keep_majority"] = True
    parts.faults[0]["record"]["reason"] = (
        "without etcd2 only 1 of 3 members would be left that count (etcd1 is recovering, as the leader sees it)"
    )


def _fault_on_follower(parts: Parts, planted: Planted) -> None:
    parts.faults[0]["record"].update(role="follower", leader_before="etcd1")
    planted.details = {"fault": "F1"}


def _fault_without_effect(parts: Parts, planted: Planted) -> None:
    parts.faults[0]["record"].update(term_after=4, leader_after="etcd2")
    planted.details = {"fault": "F1"}


def _not_converged(parts: Parts, planted: Planted) -> None:
    assert parts.convergence is not None
    parts.convergence.update(converged=False, duration_ms=None)


def _missing_dump(parts: Parts, planted: Planted) -> None:
    member = list(parts.dumps)[-1]
    del parts.dumps[member]
    planted.details = {"member": member}


def _unknown_create(applied: bool) -> Callable[[Stream, Planted], Outcomes]:
    """A CREATE in the middle ends unknown; its key is looked up later, but never deleted."""

    def outcomes(operations: Stream, planted: Planted) -> Outcomes:
        last = {operation[1]: operation[0] for operation in operations}
        uses = {operation[1]: 0 for operation in operations}
        for operation in operations:
            uses[operation[1]] += 1
        index = next(
            at
            for at in range(len(operations) // 2, len(operations))
            if operations[at][0] == CREATE and last[operations[at][1]] == CREATE and uses[operations[at][1]] == 1
        )
        planted.details = {"index": index, "key": operations[index][1], "applied": applied}
        return {index: ("unknown", applied)}

    return outcomes


def _without_space(applied: bool) -> Defect:
    """A CREATE ends ``fail``, as an earlier client had it, by an answer that etcd gives after applying the key."""
    unknown = _unknown_create(applied)

    def outcomes(operations: Stream, planted: Planted) -> Outcomes:
        return {index: ("fail", took) for index, (_, took) in unknown(operations, planted).items()}

    def change(parts: Parts, planted: Planted) -> None:
        parts.rows = [
            row._replace(attempts=1, error=NO_SPACE) if row.index == planted.details["index"] else row
            for row in parts.rows
        ]

    return Defect(change, outcomes)


def _ended_delete(outcome: str, applied: bool) -> Callable[[Stream, Planted], Outcomes]:
    """The last operation on some key, a DELETE, ends ``outcome``."""

    def outcomes(operations: Stream, planted: Planted) -> Outcomes:
        last_use = {operation[1]: at for at, operation in enumerate(operations)}
        index = next(
            at
            for at in range(len(operations) // 2, len(operations))
            if operations[at][0] == DELETE and last_use[operations[at][1]] == at
        )
        planted.details = {"index": index, "key": operations[index][1], "applied": applied}
        return {index: (outcome, applied)}

    return outcomes


def _no_delete_acknowledged(operations: Stream, _planted: Planted) -> Outcomes:
    """Every DELETE is refused."""
    return {index: ("fail", False) for index, operation in enumerate(operations) if operation[0] == DELETE}


def _left_out_of_the_first(operations: Stream, planted: Planted) -> Outcomes:
    """The first of two repeats is ended by the stall guard: what is left of it is never sent."""
    first = cut_stream(len(operations), 2)[0]
    planted.details = {"indices": list(range(first.start + len(first) * 2 // 3, first.stop))}
    return dict.fromkeys(planted.details["indices"], ("fail", False))


def _stalled(parts: Parts, planted: Planted) -> None:
    left_out = set(planted.details["indices"])
    parts.rows = [row for row in parts.rows if row.index not in left_out]
    done = min(left_out)
    parts.repeats[0]["stalled"] = {"since_ns": 5 * S, "tried_s": 180.2, "done": done, "left_out": len(left_out)}


PLANTS: dict[str, Defect] = {
    "lost_key": Defect(_lost_key),
    "wrong_value": Defect(_wrong_value),
    "extra_key": Defect(_extra_key),
    "diverged_node": Defect(_diverged_node),
    "resurrected_key": Defect(_resurrected_key),
    "late_duplicate": Defect(_late_duplicate),
    "late_in_spite_of_the_fence": Defect(_late_in_spite_of_the_fence),
    "ghosts": Defect(_ghosts),
    "refused_and_resurrected": Defect(_refused_and_resurrected),
    "duplicate_apply": Defect(_duplicate_apply),
    "duplicate_apply_after_retry": Defect(_duplicate_apply_after_retry),
    "missing_read": Defect(_missing_read),
    "wrong_read": Defect(_wrong_read),
    "serializable_missing_read": Defect(_serializable(_missing_read)),
    "serializable_wrong_read": Defect(_serializable(_wrong_read)),
    "lost_before_delete": Defect(_lost_before_delete),
    "numbered": Defect(_numbered),
    "old_read": Defect(_old_answer(RETRIEVE)),
    "old_serializable_read": Defect(_serializable(_old_answer(RETRIEVE))),
    "old_write": Defect(_old_answer(CREATE)),
    "read_behind_own_write": Defect(_old_answer_of(True, RETRIEVE)),
    "read_behind_own_read": Defect(_old_answer_of(False, RETRIEVE)),
    "write_behind_own_write": Defect(_old_answer_of(True, CREATE)),
    "serializable_read_behind_own_write": Defect(_serializable(_old_answer_of(True, RETRIEVE))),
    "executed": Defect(_executed(0)),
    "not_executed": Defect(_executed(5)),
    "missing_rows": Defect(_missing_rows),
    "stalled": Defect(_stalled, outcomes=_left_out_of_the_first),
    "cut_history": Defect(_cut_history),
    "repeated_row": Defect(_repeated_row),
    "reordered_rows": Defect(_reordered_rows),
    "foreign_row": Defect(_foreign_row),
    "missed_fault": Defect(_missed_fault),
    "held_back_fault": Defect(_held_back_fault),
    "fault_on_follower": Defect(_fault_on_follower),
    "fault_without_effect": Defect(_fault_without_effect),
    "not_converged": Defect(_not_converged),
    "missing_dump": Defect(_missing_dump),
    "unknown_applied": Defect(outcomes=_unknown_create(True)),
    "unknown_not_applied": Defect(outcomes=_unknown_create(False)),
    "settled_applied": Defect(_settle("applied"), _unknown_create(True)),
    "settled_not_applied": Defect(_settle("not applied"), _unknown_create(False)),
    "settled_wrongly": Defect(_settle("not applied"), _unknown_create(True)),
    "unknown_delete_applied": Defect(outcomes=_ended_delete("unknown", True)),
    "no_space_applied": _without_space(True),
    "no_space_not_applied": _without_space(False),
    "no_delete_acknowledged": Defect(outcomes=_no_delete_acknowledged),
    "failed_delete": Defect(outcomes=_ended_delete("fail", False)),
    "failed_delete_applied": Defect(outcomes=_ended_delete("fail", True)),
}

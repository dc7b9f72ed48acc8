# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checkers: what a results folder says about one experiment, each statement with its evidence.

They read nothing but the folder: the stream is made again from seed and iterations, so that the history
is held against something that the lab did not write. docs/measuring.md explains every check.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .actions.record import FaultRecord
from .actions.registry import ACTIONS
from .checks.clocks import check_clocks
from .checks.evidence import check_evidence
from .checks.failures import doubtful_failures
from .checks.server_logs import check_server_logs
from .fault_names import FaultId, role_of
from .history_parquet import jsonl_to_parquet
from .judged import combine, judged_of_experiment, judged_of_run
from .model import (
    APPLIED,
    FAIL,
    LATE_DUPLICATE,
    NOT_APPLIED,
    OK,
    UNDETERMINED,
    Answers,
    ExpectedState,
    classify,
    expected_state,
    values_given,
)
from .results import (
    FETCHED_HISTORY_FILE,
    HISTORY_FILE,
    RUN_FILE,
    VERDICT_FILE,
    Dump,
    Experiment,
    load_experiment,
    load_run,
    read_json,
    write_json_atomic,
)
from .shapes import Check, Kind, LabError, Outcome, Verdict, worst
from .stall import check_stalls, stalled_repeats
from .workload import CREATE, DELETE, RETRIEVE, Operation, assign_clients, create_simulation, stream_digest

Ints = npt.NDArray[np.int64]

# Things listed by name in the evidence of one check; the full number always stands beside the list.
MAX_LISTED = 100
# Operations told of one key; what is left out are the oldest.
MAX_OPERATIONS_PER_KEY = 20

_OUTCOMES = tuple(outcome.value for outcome in Outcome)
_KINDS = tuple(kind.value for kind in Kind)
_MS = 1_000_000


@dataclass(frozen=True)
class Recorded:
    """The history in the order of the stream; a position without a row has outcome None."""

    operations: list[Operation]
    meta: dict[str, Any]
    table: pa.Table
    row_of: Ints  # position in the stream -> row of the table, -1 where there is none
    answers: Answers
    # Writes that the history calls failed and that are taken as unknown, with the error that proves nothing.
    doubtful: dict[int, str] = field(default_factory=dict)
    # Operations that were never sent, as the stall guard had ended their repeat (stall.py); their outcome is fail.
    left_out: frozenset[int] = frozenset()

    def span(self, index: int) -> tuple[int, int] | None:
        """Return when an operation was invoked and when it was complete; None where it has no row."""
        row = int(self.row_of[index]) if 0 <= index < len(self.row_of) else -1
        if row < 0:
            return None
        return self.table["invoke_ns"][row].as_py(), self.table["complete_ns"][row].as_py()

    def describe(self, index: int) -> dict[str, Any]:
        """Return what the history has of one operation, for people."""
        operation = self.operations[index]
        told: dict[str, Any] = {"index": index, "kind": operation[0]}
        if operation[0] == CREATE:
            told["value"] = operation[-1]
        row_number = int(self.row_of[index])
        if row_number < 0:
            return {**told, "outcome": "no row in the history"}
        row = self.table.slice(row_number, 1).to_pylist()[0]
        told.update({name: row[name] for name in ("outcome", "attempts", "endpoint")})
        told.update(invoke_ms=row["invoke_ns"] / _MS, complete_ms=row["complete_ns"] / _MS)
        if operation[0] == RETRIEVE:
            told["read"] = row["read"]
        told.update({name: row[name] for name in ("affected", "error") if row[name] is not None})
        return told

    def touching(self, keys: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """Return, for each of ``keys``, its operations in order, the newest where there are many."""
        indices: dict[str, list[int]] = {key: [] for key in keys}
        for index, operation in enumerate(self.operations):
            if operation[1] in indices:
                indices[operation[1]].append(index)
        return {key: [self.describe(i) for i in found[-MAX_OPERATIONS_PER_KEY:]] for key, found in indices.items()}


def verify_experiment(folder: str | Path) -> list[Check]:
    """Return every check of one experiment's folder.

    Raises :class:`LabError` where the experiment's description or its history cannot be read; what else is
    missing or damaged makes the checks that need it ``unknown``.
    """
    experiment = load_experiment(folder, need_verdict=False)
    operations = create_simulation(experiment.info["iterations"], experiment.info["seed"])
    recorded = _record(operations, experiment)
    expected = expected_state(operations, recorded.answers)
    lenient = expected_state(operations, recorded.answers, _resent(recorded, experiment))
    dumps: dict[str, Dump] = {}
    unreadable: dict[str, str] = {}
    for member in experiment.members:
        try:
            dumps[member] = _dump(member, recorded, experiment)
        except LabError as error:
            unreadable[member] = str(error)

    checks = [
        check_history(recorded, experiment),
        *check_stalls(experiment.info),
        check_outcomes(recorded, expected),
        check_evidence([operation[0] for operation in operations], recorded.answers.outcome, experiment.info),
        check_reads(recorded, expected, lenient),
    ]
    for member in experiment.members:
        if member in dumps:
            checks.append(check_keys(dumps[member], recorded, expected, lenient))
        else:
            checks.append(
                Check(
                    f"keys on {member}",
                    Verdict.UNKNOWN,
                    f"The keys of {member} could not be read: {unreadable[member]}",
                )
            )
    if any(entry.version is not None for dump in dumps.values() for entry in dump.entries.values()):
        checks.append(check_applied_once(dumps.values(), recorded))
    if expected.doubtful:
        checks.append(check_unknown_writes(dumps.values(), recorded, expected))
    if len(experiment.members) > 1:
        checks.append(check_members_equal(dumps, recorded, experiment.members))
        checks.append(check_convergence(experiment))
    checks.extend(check_fault(fault, experiment) for fault in experiment.info["faults"])
    try:
        events = experiment.events_as_filed()
        told_of_events = [
            check_server_logs(experiment, events),
            check_clocks(experiment.info, events, recorded.span),
        ]
        checks.extend(check for check in told_of_events if check is not None)
    except LabError as error:
        checks.append(Check("events", Verdict.UNKNOWN, f"What happened besides the operations is unknown: {error}"))
    return checks


# ---------------------------------------------------------------- the history


def _record(operations: list[Operation], experiment: Experiment) -> Recorded:
    """Put the rows of the history into the order of the stream, the first row where an index is repeated."""
    meta, table = experiment.history()
    index = table["index"].to_numpy()
    rows = np.flatnonzero((index >= 0) & (index < len(operations)))
    _, first = np.unique(index[rows], return_index=True)
    rows = rows[first]
    row_of = np.full(len(operations), -1, dtype=np.int64)
    row_of[index[rows]] = rows

    in_order = table.num_rows == len(operations) and bool(np.array_equal(row_of, np.arange(len(operations))))

    def column(name: str, missing: Any) -> list[Any]:
        values = table[name].to_pylist()
        return values if in_order else [values[row] if row >= 0 else missing for row in row_of]

    outcomes = column("outcome", None)
    try:
        events = experiment.events()
    except LabError:
        events = []  # the check of the events says so
    doubtful = doubtful_failures(
        experiment.info["system"], [operation[0] for operation in operations], outcomes, column("error", None), events
    )
    for index in doubtful:
        outcomes[index] = Outcome.UNKNOWN.value
    left_out = _left_out(operations, row_of, experiment)
    for position in left_out:
        outcomes[position] = FAIL
    answers = Answers(outcomes, column("read", None), column("affected", None), column("attempts", 0))
    return Recorded(operations, meta, table, row_of, answers, doubtful, left_out)


def _left_out(operations: list[Operation], row_of: Ints, experiment: Experiment) -> frozenset[int]:
    """Return the operations without a row at the end of what each client did in a repeat that was ended early."""
    stalled = stalled_repeats(experiment.info)
    if not stalled:
        return frozenset()
    found: set[int] = set()
    for indexes in assign_clients(operations, experiment.info["clients"]):
        share = np.asarray(indexes, dtype=np.int64)
        for repeat in stalled:
            part = share[(share >= repeat["first_index"]) & (share < repeat["end_index"])]
            reached = int(np.flatnonzero(row_of[part] >= 0).max(initial=-1))
            found.update(part[reached + 1 :].tolist())
    return frozenset(found)


def _dump(member: str, recorded: Recorded, experiment: Experiment) -> Dump:
    """Return a member's keys; LabError where they cannot be read, or were read before the workload was over."""
    dump = experiment.dump(member)
    ended_ns = experiment.info["origin_wall_ns"] + max(recorded.table["complete_ns"].to_pylist(), default=0)
    if dump.header.get("wall_ns", ended_ns) < ended_ns:
        raise LabError(f"{dump.path} was read before the last operation ended; read the keys again")
    return dump


def _resent(recorded: Recorded, experiment: Experiment) -> set[int]:
    """Return the acknowledged writes of which an earlier attempt may still take effect.

    Those whose failed attempts were all definite (refused, rolled back) are not among them, as far as the events are
    there to tell.
    """
    answers = recorded.answers
    retried = {
        index
        for index, (operation, outcome, attempts) in enumerate(
            zip(recorded.operations, answers.outcome, answers.attempts, strict=True)
        )
        if outcome == OK and attempts > 1 and operation[0] != RETRIEVE
    }
    if not retried:
        return retried
    try:
        events = experiment.events()
    except LabError:
        return retried
    failed = [event.data for event in events if event.event == "client.attempt_failed"]
    definite = {data.get("index") for data in failed} - {data.get("index") for data in failed if data.get("ambiguous")}
    return retried - definite


def check_history(recorded: Recorded, experiment: Experiment) -> Check:
    """Check that every operation of the stream has one row, which says what the stream says, in its order.

    Rows missing only at the end of what a client did are an interrupted run (``unknown``); a hole, a repeated
    or foreign row, or operations that ran in another order make the history ``invalid``.
    """
    operations, table = recorded.operations, recorded.table
    digest = stream_digest(operations)
    index = table["index"].to_numpy()
    evidence: dict[str, Any] = {"operations": len(operations), "rows": table.num_rows, "digest": digest}
    wrong: list[str] = []
    unsettled: list[str] = []

    def found(name: str, what: str, items: list[Any], into: list[str]) -> None:
        if items:
            evidence[name] = _listed(items)
            first = items[0]["index"] if isinstance(items[0], dict) else items[0]
            into.append(f"{what}: {len(items):,}, the first {first}")

    holes, tail = _missing(recorded, experiment.info["clients"])
    found("missing", "operations without a row", holes, wrong)
    found("not_reached", "operations at the end without a row, as after an interruption", tail, unsettled)
    values, counts = np.unique(index, return_counts=True)
    found("repeated", "operations with more than one row", values[counts > 1].tolist(), wrong)
    foreign = index[(index < 0) | (index >= len(operations))]
    found("foreign", "rows with an index outside the stream", foreign.tolist(), wrong)
    found("mismatched", "rows that differ from the stream", _mismatches(recorded), wrong)
    found("out_of_order", "pairs of operations that ran in another order, or at once", _out_of_order(table), wrong)
    backwards = index[table["complete_ns"].to_numpy() < table["invoke_ns"].to_numpy()]
    found("backwards", "operations that end before they begin", backwards.tolist(), wrong)
    no_word = [outcome for outcome in table["outcome"].unique().to_pylist() if outcome not in _OUTCOMES]
    found("outcomes_unknown_to_the_lab", "outcomes that the lab does not know", no_word, wrong)

    stated = experiment.info["workload"].get("digest")
    if stated is not None and stated != digest:
        evidence["digest_of_the_client"] = stated
        wrong.append(f"the client ran another stream, its digest is {stated}")
    if recorded.meta["origin_wall_ns"] != experiment.info["origin_wall_ns"]:
        wrong.append("the history has another origin than the experiment, so it belongs to another run")
    cut = recorded.meta.get("cut")
    if cut:
        evidence["cut"] = cut
        unsettled.append(str(cut))

    if wrong or unsettled:
        return Check(
            "history", Verdict.INVALID if wrong else Verdict.UNKNOWN, f"Found {'; '.join(wrong + unsettled)}.", evidence
        )
    rows = f"All {len(operations):,} operations of the stream have their row"
    if recorded.left_out:
        evidence["left_out"] = _listed(sorted(recorded.left_out))
        left_out = f"{len(recorded.left_out):,} were left out"
        rows = f"All {table.num_rows:,} operations that were sent have their row ({left_out})"
    return Check("history", Verdict.VALID, f"{rows}, in order, with their keys and values.", evidence)


def _missing(recorded: Recorded, clients: int) -> tuple[list[int], list[int]]:
    """Return the operations without a row: holes, and those after the last row of the client they belong to."""
    if (recorded.row_of >= 0).all():
        return [], []
    holes: list[int] = []
    tail: list[int] = []
    for indexes in assign_clients(recorded.operations, clients):
        indexes = [index for index in indexes if index not in recorded.left_out]
        there = recorded.row_of[indexes] >= 0
        reached = int(np.flatnonzero(there).max(initial=-1))
        holes += [index for index, found in zip(indexes[:reached], there[:reached], strict=True) if not found]
        tail += indexes[reached + 1 :]
    return sorted(holes), sorted(tail)


def _mismatches(recorded: Recorded) -> list[dict[str, Any]]:
    """Return the rows whose kind, key or value is not what the stream has at their index."""
    operations = recorded.operations
    columns = [recorded.table[name].to_pylist() for name in ("index", "kind", "key", "value")]
    mismatches = []
    for index, kind, key, value in zip(*columns, strict=True):
        if not 0 <= index < len(operations):
            continue
        operation = operations[index]
        if kind != operation[0] or key != operation[1] or value != (operation[-1] if kind == CREATE else None):
            mismatches.append({"index": index, "stream": list(operation), "row": [kind, key, value]})
    return mismatches


def _out_of_order(table: pa.Table) -> list[tuple[int, int]]:
    """Return pairs of operations, of one client or of one key, whose second began before the first was done."""
    index, invoke_ns, complete_ns = (table[name].to_numpy() for name in ("index", "invoke_ns", "complete_ns"))
    keys = table["key"].combine_chunks().dictionary_encode().indices.to_numpy()
    pairs: set[tuple[int, int]] = set()
    for group in (table["client"].to_numpy(), keys):
        order = np.lexsort((index, group))
        before, after = order[:-1], order[1:]
        overlapping = (group[before] == group[after]) & (invoke_ns[after] < complete_ns[before])
        overlapping &= index[before] != index[after]
        pairs.update(zip(index[before][overlapping].tolist(), index[after][overlapping].tolist(), strict=True))
    return sorted(pairs)


def check_outcomes(recorded: Recorded, expected: ExpectedState) -> Check:
    """Count how the operations ended. Failed and unknown ones are no fault; none acknowledged at all proves nothing."""
    outcomes = [FAIL if i in recorded.doubtful else outcome for i, outcome in enumerate(recorded.answers.outcome)]
    by_kind = {kind: dict.fromkeys(_OUTCOMES, 0) for kind in _KINDS}
    for (kind, outcome), count in Counter(
        (operation[0], outcome)
        for index, (operation, outcome) in enumerate(zip(recorded.operations, outcomes, strict=True))
        if index not in recorded.left_out
    ).items():
        if outcome in _OUTCOMES:
            by_kind[kind][outcome] = count
    totals = {outcome: sum(counts[outcome] for counts in by_kind.values()) for outcome in _OUTCOMES}
    not_ok = [
        index
        for index, outcome in enumerate(outcomes)
        if outcome is not None and outcome != OK and index not in recorded.left_out
    ]
    retried = sum(attempts > 1 for attempts in recorded.answers.attempts)
    least, most = expected.key_count()
    evidence: dict[str, Any] = {
        "totals": totals,
        "by_kind": by_kind,
        "retried": retried,
        "expected_keys": {"least": least, "most": most},
    }
    if not_ok:
        evidence["not_ok"] = _listed(not_ok, recorded.describe)
    ended = ", ".join(f"{count:,} {outcome}" for outcome, count in totals.items())
    summary = f"{ended}; {retried:,} needed more than one attempt; {_range(least, most)} keys have to remain."
    if recorded.doubtful:
        evidence["failures_taken_as_unknown"] = dict(Counter(recorded.doubtful.values()))
        summary += (
            f" {len(recorded.doubtful):,} of the failed writes may have taken effect and are taken as unknown, since "
            f"their error proves nothing: {_names(recorded.doubtful.values())}."
        )
    if totals[OK] == 0:
        return Check("outcomes", Verdict.UNKNOWN, f"No operation was acknowledged: {summary}", evidence)
    return Check("outcomes", Verdict.VALID, summary, evidence)


def check_reads(recorded: Recorded, expected: ExpectedState, lenient: ExpectedState) -> Check:
    """Check that every RETRIEVE returns, and every DELETE finds, what the stream and the outcomes so far allow.

    :param lenient: what is allowed where writes that were sent again may take effect late; answers that only this
        explains make the check ``unknown``.
    """
    answers = recorded.answers
    reads = deletes = 0
    for operation, outcome, affected in zip(recorded.operations, answers.outcome, answers.affected, strict=True):
        if outcome == OK:
            reads += operation[0] == RETRIEVE
            deletes += operation[0] == DELETE and affected is not None
    evidence: dict[str, Any] = {"reads": reads, "deletes": deletes}
    compared = f"{reads:,} values read and {deletes:,} removals reported"
    unexplained = {found.index for found in lenient.contradictions}
    contradictions = [
        found if found.index in unexplained else replace(found, wrong=LATE_DUPLICATE)
        for found in expected.contradictions
    ]
    if contradictions:
        touching = recorded.touching({found.key for found in contradictions[:MAX_LISTED]})
        evidence["by_class"] = dict(Counter(found.wrong for found in contradictions))
        evidence["wrong"] = _listed(
            contradictions,
            lambda found: {
                "key": found.key,
                "class": found.wrong,
                "expected": _states(found.allowed),
                "found": found.found,
                "operation": recorded.describe(found.index),
                "operations": touching[found.key],
            },
        )
        return Check(
            "reads",
            _verdict_of(evidence["by_class"]),
            f"Of {compared}, the stream contradicts {_classes_told(evidence['by_class'])}: "
            f"{_names(found.key for found in contradictions)}.",
            evidence,
        )
    if reads == 0 and any(operation[0] == RETRIEVE for operation in recorded.operations):
        return Check("reads", Verdict.UNKNOWN, "No read was acknowledged, so no value could be compared.", evidence)
    return Check("reads", Verdict.VALID, f"All {compared} are what the stream says they must be.", evidence)


# ---------------------------------------------------------------- the members' data


def _verdict_of(classes: Collection[str]) -> Verdict:
    """Return the verdict on wrong observations: a late duplicate may be the doing of the client alone."""
    return Verdict.UNKNOWN if set(classes) <= {LATE_DUPLICATE} else Verdict.INVALID


def _classes_told(classes: Mapping[str, int]) -> str:
    """Count wrong observations by class, in words."""
    return ", ".join(
        f"{count:,} {'by the late effect of a first attempt' if wrong == LATE_DUPLICATE else wrong}"
        for wrong, count in classes.items()
    )


def check_keys(dump: Dump, recorded: Recorded, expected: ExpectedState, lenient: ExpectedState) -> Check:
    """Check that a member has exactly the keys that must be there, with their values.

    :param lenient: see :func:`check_reads`
    """
    name = f"keys on {dump.member}"
    entries = dump.entries
    doubtful = expected.doubtful
    wrong = [
        key
        for key, value in expected.certain.items()
        if key not in doubtful and ((entry := entries.get(key)) is None or entry.value != value)
    ]
    wrong += [key for key in entries if key not in expected.certain and key not in doubtful]
    wrong += [key for key in doubtful if (entries[key].value if key in entries else None) not in expected.allowed(key)]
    least, most = expected.key_count()
    evidence: dict[str, Any] = {
        "member": dump.member,
        "keys": len(entries),
        "expected_keys": {"least": least, "most": most},
    }
    if not wrong:
        return Check(
            name,
            Verdict.VALID,
            f"{dump.member} has {len(entries):,} keys, the {_range(least, most)} that must be there, all values right.",
            evidence,
        )
    given = values_given(recorded.operations, recorded.answers, wrong)
    found = {key: entries[key].value if key in entries else None for key in wrong}
    class_of = {
        key: LATE_DUPLICATE
        if found[key] in lenient.allowed(key)
        else classify(found[key], expected.allowed(key), given[key])
        for key in wrong
    }
    touching = recorded.touching(wrong[:MAX_LISTED])
    evidence["by_class"] = dict(Counter(class_of.values()))
    evidence["wrong"] = _listed(
        wrong,
        lambda key: {
            "key": key,
            "class": class_of[key],
            "expected": _states(expected.allowed(key)),
            "found": found[key],
            "operations": touching[key],
        },
    )
    return Check(
        name,
        _verdict_of(evidence["by_class"]),
        f"{dump.member} has {len(entries):,} keys where {_range(least, most)} must be; wrong: "
        f"{_classes_told(evidence['by_class'])} ({_names(wrong)}).",
        evidence,
    )


def check_applied_once(dumps: Iterable[Dump], recorded: Recorded) -> Check:
    """Check that no CREATE took effect twice. etcd counts the writes of a key since it was created.

    A write that was sent again after its answer got lost may rightly be there twice: it is named, and the data
    are the same. Twice without a second attempt is wrong. After a DELETE etcd counts anew, but a CREATE of unknown
    outcome before it, or an attempt whose answer was lost, may take effect after it.
    """
    limit: dict[str, int] = {}  # writes that may have taken effect since etcd last began to count
    unknown: dict[str, int] = {}  # those among them that may take effect at any time
    resent: dict[str, int] = {}  # further attempts
    answers = recorded.answers
    for operation, outcome, attempts in zip(recorded.operations, answers.outcome, answers.attempts, strict=True):
        key = operation[1]
        if operation[0] == CREATE and outcome != FAIL:
            limit[key] = limit.get(key, 0) + 1
            unknown[key] = unknown.get(key, 0) + (outcome != OK)
            resent[key] = resent.get(key, 0) + max(0, attempts - 1)
        elif operation[0] == DELETE and outcome == OK:
            limit[key] = unknown.get(key, 0)
    explained: dict[str, list[Any]] = {}
    unexplained: dict[str, list[Any]] = {}
    for dump in dumps:
        for key, entry in dump.entries.items():
            allowed = limit.get(key, 0)
            # A key that nothing may have written is a phantom or resurrected; the keys' own check names it.
            if entry.version is None or allowed == 0 or entry.version <= allowed:
                continue
            within = entry.version <= allowed + resent.get(key, 0)
            (explained if within else unexplained).setdefault(key, [entry.version, []])[1].append(dump.member)
    evidence: dict[str, Any] = {}
    for name, keys in (("after_a_retry", explained), ("unexplained", unexplained)):
        if keys:
            touching = recorded.touching(list(keys)[:MAX_LISTED])
            evidence[name] = _listed(
                list(keys.items()),
                lambda item, touching=touching: {
                    "key": item[0],
                    "version": item[1][0],
                    "members": item[1][1],
                    "operations": touching[item[0]],
                },
            )
    if unexplained:
        summary = f"Written more often than sent: {len(unexplained):,} ({_names(unexplained)})."
        return Check("applied once", Verdict.INVALID, summary, evidence)
    if explained:
        summary = (
            "Written twice, by an operation that was sent again after its answer was lost, with the same value: "
            f"{len(explained):,} ({_names(explained)})."
        )
    else:
        summary = "No write took effect twice."
    return Check("applied once", Verdict.VALID, summary, evidence)


def check_unknown_writes(dumps: Iterable[Dump], recorded: Recorded, expected: ExpectedState) -> Check:
    """Tell which writes with an unknown outcome took effect, by the later answers and the members' data.

    Never a reason for ``invalid`` by itself: the other checks already allow both.
    """
    members = list(dumps)
    by_word: dict[str, list[int]] = {APPLIED: [], NOT_APPLIED: [], UNDETERMINED: []}
    word_of: dict[int, str] = {}
    for index, outcome in enumerate(recorded.answers.outcome):
        kind, key = recorded.operations[index][:2]
        if outcome in (OK, FAIL) or kind == RETRIEVE:
            continue
        observed = {dump.entries[key].value if key in dump.entries else None for dump in members}
        word_of[index] = expected.resolve(key, index, observed)
        by_word[word_of[index]].append(index)
    told = ", ".join(f"{len(indices):,} {word}" for word, indices in by_word.items())
    evidence = {
        "counts": {word: len(indices) for word, indices in by_word.items()},
        "writes": _listed(
            list(word_of),
            lambda index: {
                "key": recorded.operations[index][1],
                "resolved": word_of[index],
                "operation": recorded.describe(index),
            },
        ),
    }
    summary = f"Writes whose outcome the client did not learn: {len(word_of):,}; according to the data, {told}."
    return Check("unknown writes", Verdict.VALID, summary, evidence)


def check_members_equal(dumps: dict[str, Dump], recorded: Recorded, members: list[str]) -> Check:
    """Check that all members have the same keys, values, versions and revisions."""
    name = "members equal"
    missing = [member for member in members if member not in dumps]
    evidence: dict[str, Any] = {"keys": {member: len(dump.entries) for member, dump in dumps.items()}}
    everything = [dump.entries for dump in dumps.values()]
    differing = sorted(
        {
            key
            for entries in everything[1:]
            if entries != everything[0]
            for key in entries.keys() | everything[0].keys()
            if entries.get(key) != everything[0].get(key)
        }
    )
    if differing:
        touching = recorded.touching(differing[:MAX_LISTED])
        evidence["differing"] = _listed(
            differing,
            lambda key: {
                "key": key,
                "members": {
                    member: dump.entries[key]._asdict() if key in dump.entries else None
                    for member, dump in dumps.items()
                },
                "operations": touching[key],
            },
        )
        summary = f"Not the same on {_listing(list(dumps))}: {len(differing):,} ({_names(differing)})."
        return Check(name, Verdict.INVALID, summary, evidence)
    if missing:
        evidence["without_a_dump"] = missing
        return Check(name, Verdict.UNKNOWN, f"The keys of {_listing(missing)} are missing, and not compared.", evidence)
    summary = f"{_listing(members)} have the same {len(everything[0]):,} keys with the same values and revisions."
    return Check(name, Verdict.VALID, summary, evidence)


def check_convergence(experiment: Experiment) -> Check:
    """Check that the members became equal after the heal of each repeat, and tell how soon."""
    checks = [_convergence(repeat["convergence"], experiment) for repeat in experiment.info["repeats"]]
    if len(checks) == 1:
        return checks[0]
    took_ms = [check.evidence.get("duration_ms") for check in checks]
    evidence = {
        "duration_ms": took_ms,
        "repeats": [{"repeat": n, **check.as_dict()} for n, check in enumerate(checks, 1) if check.verdict != "valid"],
    }
    for number, check in enumerate(checks, 1):
        # In the order of the repeats: one after which the members differ is the last one.
        if check.verdict != Verdict.VALID:
            return Check(check.name, check.verdict, f"Repeat {number}: {check.summary}", evidence)
    known_ms = [duration_ms for duration_ms in took_ms if duration_ms is not None]
    return Check(
        "convergence",
        Verdict.VALID,
        f"The members had equal data after each of {len(checks)} repeats, {min(known_ms):,.0f} to "
        f"{max(known_ms):,.0f} ms after {_watched_since(experiment)}.",
        evidence,
    )


def _watched_since(experiment: Experiment) -> str:
    return "the heal was requested" if experiment.info["faults"] else "the watching began, with nothing to heal"


def _convergence(watched: Mapping[str, Any] | None, experiment: Experiment) -> Check:
    """Check one repeat, by what the heal after it saw."""
    name = "convergence"
    if watched is None or watched.get("converged") is None:
        return Check(name, Verdict.UNKNOWN, "Nobody watched whether the members became equal after the workload.")
    samples = watched.get("samples") or []
    errors = watched.get("errors") or {}
    reasons = watched.get("reasons") or []
    evidence = {
        "duration_ms": watched.get("duration_ms"),
        "samples": len(samples),
        "revision": watched.get("revision"),
        "hashes": watched.get("hashes"),
        "reasons": reasons,
        "errors": errors,
    }
    if watched["converged"]:
        summary = f"The members had equal data {watched['duration_ms']:,.0f} ms after {_watched_since(experiment)}."
        return Check(name, Verdict.VALID, summary, evidence)
    last = samples[-1]["members"].values() if samples else []
    why = "; ".join([*(f"{member}: {error}" for member, error in errors.items()), *reasons]) or "no reason was recorded"
    if errors or not all(state.get("reachable", True) for state in last):
        summary = f"Whether the members became equal could not be seen: {why}."
        return Check(name, Verdict.UNKNOWN, summary, evidence)
    return Check(name, Verdict.INVALID, f"The members did not become equal while they were watched: {why}.", evidence)


# ---------------------------------------------------------------- the faults

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


def check_fault(fault: dict[str, Any], experiment: Experiment) -> Check:
    """Check that a fault hit what it was meant for and had the effect that it is there for.

    A fault that missed, or did nothing, makes the experiment say less than it seems to: ``unknown``, never silent.
    The record is the director's; that the signal was sent has to be in the events, too, as the member stamped it.
    """
    name = f"fault {fault['id']}"
    record = FaultRecord.of(fault)
    told = f"{fault['action']} of the {fault['target']} at operation {fault['at_index']:,}"
    if record is None:
        return Check(name, Verdict.UNKNOWN, f"Nothing was recorded of the {told}.")
    evidence: dict[str, Any] = {fact: getattr(record, fact) for fact in _FAULT_FACTS}
    if not record.fired:
        missed = f"The {told} missed: {record.reason}."
        if fault.get("keep_majority"):
            missed += " More iterations or fewer faults leave members more time to return between two of them."
        return Check(name, Verdict.UNKNOWN, missed, evidence)
    try:
        events = [event for event in experiment.events() if event.data.get("fault") == fault["id"]]
    except LabError as error:
        return Check(name, Verdict.UNKNOWN, f"The {told} cannot be proven: {error}", evidence)
    evidence["events"] = [
        {"event": event.event, "source": event.source, "wall_ns": event.wall_ns} for event in events[:MAX_LISTED]
    ]
    own = FaultId.parse(fault["id"])
    struck = sum(1 for other in experiment.info["faults"] if own.strikes_with(FaultId.parse(other["id"])))
    doubts = _doubts_of_aim(fault, record) + _doubts_of_effect(fault, record, len(experiment.members), struck)
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


# ---------------------------------------------------------------- verdicts


def verify(run_dir: str | Path, name: str, *, write: bool = True) -> dict[str, Any]:
    """Check one experiment of a run and write its verdict and, once all experiments have one, the run's.

    A history that was fetched as JSON lines becomes Parquet first. Without ``write`` nothing is changed.

    :returns: ``verdict``, ``summary`` (one line), ``checks`` (name, verdict and summary of each), ``converted`` and
        ``changed`` (whether a file is, or without ``write`` would be, written)
    """
    run_dir = Path(run_dir)
    folder = run_dir / name
    fetched = folder / FETCHED_HISTORY_FILE
    converted = fetched.is_file()
    if converted and write:
        jsonl_to_parquet(fetched, folder / HISTORY_FILE)
        fetched.unlink()
    judged = judged_of_experiment(folder)  # first: what changes meanwhile is not what was judged
    checks = verify_experiment(folder)
    verdict = {
        "verdict": worst([check.verdict for check in checks]).value,
        "experiment": name,
        "checks": [check.as_dict() for check in checks],
        "judged": judged,
    }
    path = folder / VERDICT_FILE
    changed = converted or not path.is_file() or read_json(path, "the verdict") != verdict
    if changed and write:
        write_json_atomic(path, verdict)
    names = read_json(run_dir / RUN_FILE, "the run's description").get("experiments", [])
    if write and all((run_dir / other / VERDICT_FILE).is_file() for other in names):
        write_run_verdict(run_dir)
    return {
        "verdict": verdict["verdict"],
        "summary": _one_line(name, checks),
        "checks": [{"name": c.name, "verdict": c.verdict.value, "summary": c.summary} for c in checks],
        "converted": converted,
        "changed": changed,
    }


def write_run_verdict(run_dir: str | Path) -> dict[str, Any]:
    """Combine the experiments' verdict.json into the run's, write it and return what stands in it."""
    run = load_run(run_dir, need_verdicts=False)
    verdicts = {experiment.name: experiment.read_verdict() for experiment in run.experiments}
    combined = combine(verdicts) | {"judged": judged_of_run(run.path, verdicts)}
    write_json_atomic(run.path / VERDICT_FILE, combined)
    return combined


# ---------------------------------------------------------------- words


def _one_line(name: str, checks: list[Check]) -> str:
    """Say how an experiment ended and, unless it is valid, what is wrong first."""
    verdict = worst([check.verdict for check in checks])
    if verdict is Verdict.VALID:
        return f"{name}: valid, all {len(checks)} checks."
    behind = [check for check in checks if check.verdict is verdict]
    first = behind[0]
    return f"{name}: {verdict.value}, by {len(behind)} of {len(checks)} checks; {first.name}: {first.summary}"


def _listed(items: list[Any], describe: Any = None) -> dict[str, Any]:
    """Return the number of ``items`` and the first of them, each through ``describe``."""
    first = items[:MAX_LISTED]
    return {"count": len(items), "listed": [describe(item) for item in first] if describe else first}


def _states(allowed: Iterable[str | None]) -> list[str | None]:
    """Return the allowed values for JSON, absent (null) first."""
    return sorted(allowed, key=lambda value: (value is not None, value or ""))


def _names(keys: Iterable[str], most: int = 3) -> str:
    """Name the first few of ``keys``, each once."""
    distinct = list(dict.fromkeys(keys))
    more = f" and {len(distinct) - most:,} more" if len(distinct) > most else ""
    return ", ".join(repr(key) for key in distinct[:most]) + more


def _listing(names: list[str]) -> str:
    """Join names as a sentence does."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _range(least: int, most: int) -> str:
    """Write a number of keys that may not be known exactly."""
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"

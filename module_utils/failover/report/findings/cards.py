# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the checks found wrong, as cards: what happened to which keys, whose doing it is, the proof, what to do.

Each wrong key is told once, with what each member holds of it as columns, however many checks name it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...actions.record import FaultRecord
from ...actions.registry import ACTIONS
from ...checks.model import LATE_DUPLICATE
from ...results.entries import Entry
from ...results.read import Dump, Experiment
from ...results.rows import Rows
from ...shapes import Event, Kind, LabError, Outcome, Verdict
from ..system_facts import undurable
from . import blame
from .timeline import Revisions, faults_of, idle_spans, operations_of, under_way

# Keys of a card that have a time line; the table has those that the checks list.
MOST_DRAWN = 4

# A revision is bounded by writes, and those at the edges of a heal were still, or already, under way then.
EDGE_MS = 100.0
# Where a check lists the keys that are wrong: name in its evidence -> class of those that name none themselves.
_LISTED = {"wrong": None, "differing": blame.DIFFER, "unexplained": blame.TWICE}


def _took_unsynced(fault: Mapping[str, Any]) -> bool:
    """Whether a fault of experiment.json took from its member what was not on the disk."""
    record = FaultRecord.of(fault)
    return record is not None and fault["action"] in ACTIONS and ACTIONS[fault["action"]].took_unsynced(record)


def findings_of(
    experiment: Experiment,
    history: Rows,
    events: Sequence[Event],
    anchor: str,
    settings: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return the cards of one experiment, the worst first; none where the checks found nothing wrong.

    A card has ``anchor``, ``experiment``, ``class``, ``verdict``, ``title``, ``count``, ``checks`` (that named its
    keys), ``members``, ``keys``, ``drawn``, ``faults``, and ``owner``, ``whose``, ``proof`` and ``todo`` of
    :func:`.blame.judge`. A key has ``key``, ``expected``, ``members`` (value, version and revision, or None), ``read``
    (values of wrong reads), ``contradiction`` (where the check has it: as its evidence says), ``operations``,
    ``deleted_ms``, ``version`` and ``stray`` (the revision that nobody expected, placed in time).

    :param settings: of the run's servers, by system
    """
    assert experiment.verdict is not None
    checks = experiment.verdict["checks"]
    wrong = _wrong_keys(checks)
    if not wrong:
        return []
    dumps = _dumps(experiment)
    names = experiment.member_at
    around = {key: found["at"] for key, found in wrong.items()}
    operations = operations_of(around, history, events, experiment.info["origin_wall_ns"], names)
    revisions = Revisions(history, list(dumps.values()), experiment.info, wrong)
    whole = all(check["verdict"] == Verdict.VALID for check in checks if check["name"] == "history")
    faults = faults_of(experiment.info)
    cut = any(_took_unsynced(fault) for fault in experiment.info["faults"])
    lax = undurable(experiment.info["system"], settings.get(experiment.info["system"], {})) if cut else []
    cards: list[dict[str, Any]] = []
    for kind in blame.ORDER:
        keys = [
            _key_told(key, found, operations[key], dumps, experiment, revisions, history)
            for key, found in wrong.items()
            if found["class"] == kind
        ]
        if not keys:
            continue
        named_by = dict.fromkeys(name for found in wrong.values() if found["class"] == kind for name in found["checks"])
        count = max(len(keys), max(_count(checks, name, kind) for name in named_by))
        card = {
            "anchor": f"{anchor}-finding{len(cards) + 1}",
            "experiment": experiment.name,
            "class": kind,
            "verdict": Verdict.UNKNOWN.value if kind == LATE_DUPLICATE else Verdict.INVALID.value,
            "title": f"{count:,} {blame.TITLES[kind][count > 1]}",
            "count": count,
            "checks": list(named_by),
            "members": experiment.members,
            "keys": keys,
            "drawn": min(len(keys), MOST_DRAWN),
            "faults": faults,
        }
        cards.append(card | blame.judge(card, whole, lax))
    return cards


def covered(cards: Sequence[Mapping[str, Any]], experiment: str, check: str) -> list[dict[str, str]]:
    """Return title and anchor of the cards that tell what a check found."""
    return [
        {"title": card["title"], "anchor": card["anchor"]}
        for card in cards
        if card["experiment"] == experiment and check in card["checks"]
    ]


def _wrong_keys(checks: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return each key that a check lists, with its worst class, what was expected, and the checks that name it."""
    found: dict[str, dict[str, Any]] = {}
    for check in checks:
        for name, default in _LISTED.items():
            listing = check.get("evidence", {}).get(name)
            for item in listing["listed"] if isinstance(listing, Mapping) else []:
                if "key" not in item:
                    continue  # an operation that is wrong, of whatever keys: its check's evidence tells it
                if item.get("class", default) not in (*blame.ORDER, blame.DIFFER, blame.TWICE, None):
                    continue  # what a watch missed is no state of a key: that check's evidence tells it
                told = {"class": item.get("class", default), "expected": item.get("expected"), "checks": [], "read": []}
                told["at"] = item.get("operation", {}).get("index")
                told["contradiction"] = item.get("contradiction")
                known = found.setdefault(item["key"], told)
                known["checks"].append(check["name"])
                if "operation" in item:
                    known["read"].append(item["found"])
                for name in ("expected", "at", "contradiction"):
                    known[name] = told[name] if known[name] is None else known[name]
                # That the members differ follows where one of them is known to be wrong.
                if known["class"] in (blame.DIFFER, blame.TWICE) and told["class"] is not None:
                    known["class"] = told["class"]
                elif told["class"] not in (blame.DIFFER, blame.TWICE):
                    known["class"] = min(known["class"], told["class"], key=blame.ORDER.index)
    return {key: told for key, told in found.items() if told["class"] in blame.ORDER}


def _count(checks: Sequence[Mapping[str, Any]], name: str, kind: str) -> int:
    """Return how many keys of a class a check counted, also beyond those that it lists."""
    evidence: Mapping[str, Any] = next((check["evidence"] for check in checks if check["name"] == name), {})
    by_class = evidence.get("by_class", {})
    if kind in by_class:
        return int(by_class[kind])
    return next((int(evidence[n]["count"]) for n, k in _LISTED.items() if k == kind and n in evidence), 0)


def _dumps(experiment: Experiment) -> dict[str, Dump]:
    """Return the members' keys, of those whose file can be read."""
    dumps: dict[str, Dump] = {}
    for member in experiment.members:
        try:
            dumps[member] = experiment.dump(member, list(dumps.values()))
        except LabError:
            continue  # its own check says so
    return dumps


def _key_told(
    key: str,
    found: Mapping[str, Any],
    operations: Sequence[Mapping[str, Any]],
    dumps: Mapping[str, Dump],
    experiment: Experiment,
    revisions: Revisions,
    table: Rows,
) -> dict[str, Any]:
    """Tell one key: what each member holds of it, what was done with it, and where its stray revision belongs."""
    held = {member: dump.entries.get(key) for member, dump in dumps.items()}
    deleted = [o["end_ms"] for o in operations if o["kind"] == Kind.DELETE and o["outcome"] == Outcome.OK]
    there = next((entry for entry in held.values() if entry is not None), None)
    stray = None if found["class"] in blame.BY_ANSWERS else there
    contradiction = {"contradiction": found["contradiction"]} if found["contradiction"] else {}
    return {
        **contradiction,
        "key": key,
        "expected": found["expected"],
        "read": found["read"],
        "members": {m: None if entry is None else entry._asdict() for m, entry in held.items()},
        "operations": list(operations),
        "deleted_ms": max(deleted, default=None),
        "version": None if stray is None else stray.version,
        "stray": None if stray is None else _stray(stray, operations, experiment.info, revisions, table),
    }


def _stray(
    entry: Entry,
    operations: Sequence[Mapping[str, Any]],
    info: Mapping[str, Any],
    revisions: Revisions,
    table: Rows,
) -> dict[str, Any] | None:
    """Place the revision of what stands there.

    :returns: ``revision``, ``after_ms``, ``before_ms`` (the bounds of its time), ``own`` and ``others`` (operations of
        the key and of all clients that were under way then) and ``idle_repeat`` (the repeat in whose heal it was given,
        or None). None where the system counts no revisions.
    """
    if entry.mod_revision is None:
        return None
    after, before = revisions.place(entry.mod_revision)
    stray: dict[str, Any] = {"revision": entry.mod_revision, "after_ms": after, "before_ms": before}
    stray |= {"own": None, "others": None, "idle_repeat": None}
    if after is None or before is None:
        return stray
    stray["own"] = sum(o["start_ms"] < before and o["end_ms"] > after for o in operations)
    stray["others"] = under_way(table, after, before)
    for repeat, start, end in idle_spans(info):
        inside = start - EDGE_MS <= after and (end is None or before <= end + EDGE_MS)
        if stray["own"] == 0 and inside and before > start:
            stray["idle_repeat"] = repeat
    return stray

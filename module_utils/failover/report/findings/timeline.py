# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The time line of one key: its operations with their attempts, the faults and heals around them, its stray revision.

All times are in ms since the experiment's origin.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...actions.record import FaultRecord
from ...measured.columns import MS
from ...results.read import Dump
from ...results.rows import Rows
from ...shapes import Event, Kind, Outcome

# Operations of one key that are told.
MOST_TOLD = 8

ACKNOWLEDGED, NO_ANSWER, REFUSED = "acknowledged", "no answer", "refused"


def operations_of(
    around: Mapping[str, int | None],
    table: Rows,
    events: Sequence[Event],
    origin_wall_ns: int,
    names: Mapping[str, str],
) -> dict[str, list[dict[str, Any]]]:
    """Return the operations of each key in order, each with its attempts.

    :param around: the keys, each with the operation of which the checks say that it is wrong, where they name one. Of a
        key that many operations are about, those next to it are told, else the last ones.

    An attempt has ``member``, ``start_ms`` (at the earliest: pauses between attempts are not recorded), ``end_ms``,
    ``ended`` (acknowledged, no answer, refused) and ``error``.
    """
    rows = _near(table, around)
    failed: dict[int, list[Event]] = defaultdict(list)
    indices = {row["index"] for row in rows}
    for event in events:
        if event.event == "client.attempt_failed" and event.data.get("index") in indices:
            failed[event.data["index"]].append(event)
    found: dict[str, list[dict[str, Any]]] = {key: [] for key in around}
    for row in rows:
        found[row["key"]].append(
            {
                **{name: row[name] for name in ("index", "kind", "value", "outcome", "read", "affected")},
                "start_ms": row["invoke_ns"] / MS,
                "end_ms": row["complete_ns"] / MS,
                "sent": row["attempts"],
                "attempts": _attempts(row, failed[row["index"]], origin_wall_ns, names),
            }
        )
    return found


def _near(table: Rows, around: Mapping[str, int | None]) -> list[dict[str, Any]]:
    """Return the rows that are told, by key in the order of the stream: a key of all clients has thousands."""
    by_key: dict[str, list[tuple[int, int]]] = defaultdict(list)  # index and number of each row
    keys = pa.array(list(around), pa.string())
    begin = 0
    for part in table.parts(["key", "index"]):
        own = part.append_column("row", pa.array(np.arange(begin, begin + part.num_rows)))
        for key, *place in zip(*own.filter(pc.is_in(own["key"], keys)).to_pydict().values(), strict=True):
            by_key[key].append((place[0], place[1]))
        begin += part.num_rows
    told: list[int] = []
    for key, places in by_key.items():
        at, places = around[key], sorted(places)
        end = len(places) if at is None else bisect_left(places, (at, 0)) + MOST_TOLD // 4
        end = min(max(end, MOST_TOLD), len(places))
        told += [row for _, row in places[max(0, end - MOST_TOLD) : end]]
    ascending = np.sort(np.array(told, dtype=np.int64))
    rows = dict(zip(ascending.tolist(), table.taken(table.names, ascending).to_pylist(), strict=True))
    return [rows[row] for row in told]


def _attempts(
    row: Mapping[str, Any], failed: Sequence[Event], origin_wall_ns: int, names: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the attempts of one operation; those that the events do not tell of are missing."""
    attempts = []
    start_ms = row["invoke_ns"] / MS
    for event in failed:
        end_ms = max(start_ms, (event.wall_ns - origin_wall_ns) / MS)
        endpoint = str(event.data.get("endpoint"))
        attempts.append(
            {
                "member": names.get(endpoint, endpoint),
                "start_ms": start_ms,
                "end_ms": end_ms,
                "ended": NO_ANSWER if event.data.get("ambiguous") else REFUSED,
                "error": event.data.get("error"),
            }
        )
        start_ms = end_ms
    if row["outcome"] == Outcome.OK:
        member = names.get(row["endpoint"], row["endpoint"])
        ended = {"member": member, "start_ms": min(start_ms, row["complete_ns"] / MS), "ended": ACKNOWLEDGED}
        attempts.append({**ended, "end_ms": row["complete_ns"] / MS, "error": None})
    return attempts


def faults_of(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the faults that struck: ``id``, ``member``, ``action``, ``struck_ms``, ``healed_ms`` (None: not known)."""
    origin = info["origin_wall_ns"]
    faults = []
    for fault in info["faults"]:
        record = FaultRecord.of(fault)
        if record is None or not record.fired or record.signal_sent_wall_ns is None:
            continue
        healed = record.healed_wall_ns
        faults.append(
            {
                "id": fault["id"],
                "member": record.member,
                "action": fault["action"],
                "struck_ms": (record.signal_sent_wall_ns - origin) / MS,
                "healed_ms": None if healed is None else (healed - origin) / MS,
            }
        )
    return faults


class Revisions:
    """Places revisions in time, by the writes whose revision and whose time are both known.

    A revision is given when a write is applied: after the invocation of each write with a smaller one, and before the
    completion of each acknowledged write with a larger one. Samples of the members' revisions bound it as well.

    :param strange: keys that do not count, since what stands there is not what their last operation wrote
    """

    def __init__(self, table: Rows, dumps: Sequence[Dump], info: Mapping[str, Any], strange: Collection[str]) -> None:
        entries = dumps[0].entries if dumps else {}
        columns = ("key", "kind", "value", "outcome", "attempts", "invoke_ns", "complete_ns")
        known: dict[str, tuple[int, float, float]] = {}
        rows = chain.from_iterable(
            zip(*(column.to_pylist() for column in part.columns), strict=True) for part in table.parts(columns)
        )
        for key, kind, value, outcome, attempts, invoke, complete in rows:
            entry = entries.get(key)
            if kind not in (Kind.CREATE, Kind.WRITE) or entry is None or entry.mod_revision is None or key in strange:
                continue
            if outcome == Outcome.OK and attempts == 1 and value == entry.value:
                known[key] = (entry.mod_revision, invoke / MS, complete / MS)
            else:
                known.pop(key, None)
        ordered = sorted(known.values())
        self._revisions = [row[0] for row in ordered]
        self._not_before = list(accumulate((row[1] for row in ordered), max))
        self._not_after = list(accumulate((row[2] for row in reversed(ordered)), min))[::-1]
        self._samples = list(_samples(info))

    def place(self, revision: int) -> tuple[float | None, float | None]:
        """Return the earliest and the latest time at which a revision can have been given; None where not bounded."""
        at = bisect_left(self._revisions, revision)
        after = self._not_before[at - 1] if at else None
        before = self._not_after[at] if at < len(self._revisions) else None
        for at_ms, least, most in self._samples:
            if most >= revision:
                before = at_ms if before is None else min(before, at_ms)
            elif least is not None:
                after = at_ms if after is None else max(after, at_ms)
        if after is not None and before is not None and after > before:
            return None, None  # the clocks disagree
        return after, before


def _samples(info: Mapping[str, Any]) -> list[tuple[float, int | None, int]]:
    """Return (time, smallest revision or None where not all members answered, largest) of each look at the members."""
    looks = [sample for repeat in info["repeats"] for sample in (repeat.get("convergence") or {}).get("samples") or []]
    looks += [observed for observed in [info["after"].get("observation")] if observed]
    found = []
    for look in looks:
        revisions = [(state or {}).get("revision") for state in look["members"].values()]
        there = [revision for revision in revisions if revision is not None]
        if there and look.get("wall_ns"):
            at_ms = (look["wall_ns"] - info["origin_wall_ns"]) / MS
            found.append((at_ms, min(there) if len(there) == len(revisions) else None, max(there)))
    return found


def idle_spans(info: Mapping[str, Any]) -> list[tuple[int, float, float | None]]:
    """Return (repeat, from, until) of the heals, in which no client sends anything; the last has no end."""
    repeats = info["repeats"]
    ends = [repeat["began_ns"] / MS for repeat in repeats[1:]]
    return [(each["repeat"], each["ended_ns"] / MS, end) for each, end in zip(repeats, [*ends, None], strict=True)]


def under_way(table: Rows, after_ms: float, before_ms: float) -> int:
    """Count the operations of all clients that were under way at some time between two moments."""
    count = 0
    for part in table.parts(["invoke_ns", "complete_ns"]):
        invoke, complete = (column.to_numpy() / MS for column in part.columns)
        count += int(np.count_nonzero((invoke < before_ms) & (complete > after_ms)))
    return count

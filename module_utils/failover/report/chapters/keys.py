# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys that each member holds at the end, and how the members became equal."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ...measured.columns import MS
from ...results.entries import Entries, Entry
from ...results.files import keys_file
from ...results.read import Dump, Experiment
from ..examined import Examined, unless_damaged
from ..figures import convergence
from .base import Chapter


class Keys(Chapter):
    """Numbers and digests of keys by member, and the curves of the members that caught up."""

    anchor = "keys"
    title = "Keys on every member"

    def of_experiment(self, examined: Examined) -> dict[str, Any]:
        """Count each member's keys, and turn the watch over the heal into curves."""
        info, outages = examined.info, examined.outages
        hashes = (info["convergence"] or {}).get("hashes") or {}
        recorded, repeat = _shown_convergence(info, outages.repetition)
        return {
            "members": _members(examined.experiment, hashes, examined.notes),
            "convergence": _convergence(recorded, repeat, bool(outages.faults)),
        }

    def draw(self, content: Mapping[str, Any]) -> dict[str, str]:
        """Draw the curves of which there is anything to see."""
        drawings = {}
        for experiment in content["experiments"]:
            name = f"{experiment['anchor']}-convergence"
            if experiment["convergence"] and _varies(experiment["convergence"]):
                drawings[name] = convergence.draw(experiment["convergence"], name)
        return drawings


def _members(experiment: Experiment, hashes: Mapping[str, Any], notes: list[str]) -> list[dict[str, Any]]:
    """Count each member's keys; members with one digest have the same keys with the same values.

    :param hashes: what the servers computed themselves over their data, by member
    :param notes: takes what is damaged
    """
    rows = []
    former: Dump | None = None
    digest = ""
    for name in experiment.members:
        row: dict[str, Any] = {"name": name, "keys": None, "revision": None, "digest": None}
        row["server_hash"] = hashes.get(name)
        dump = None
        if (experiment.path / keys_file(name)).is_file():
            others = [former] if former is not None else []
            dump = unless_damaged(partial(experiment.dump, name, others), experiment, notes)
        if dump is not None:
            if former is None or dump.entries is not former.entries:
                digest = digest_of(dump.entries)
            row |= {"keys": len(dump.entries), "revision": dump.header.get("revision"), "digest": digest}
            former = dump
        rows.append(row)
    return rows


def digest_of(entries: Mapping[str, Entry]) -> str:
    """Return SHA-256 over one line ``key TAB value`` for each key, sorted by key (no prefix)."""
    digest = hashlib.sha256()
    for key, entry in entries.by_key() if isinstance(entries, Entries) else sorted(entries.items()):
        digest.update(f"{key}\t{entry.value}\n".encode())
    return digest.hexdigest()


def _shown_convergence(
    info: Mapping[str, Any], repetition: Sequence[Mapping[str, Any]]
) -> tuple[Mapping[str, Any] | None, int]:
    """Return how the members became equal after the repeat that is shown, and which that is; without any, the last."""
    by_number = {repeat["repeat"]: repeat["convergence"] for repeat in info["repeats"]}
    ids = [group["shown"] for group in repetition]
    shown = {fault["repeat"] for fault in info["faults"] if fault["id"] in ids}
    number = max(shown, default=max(by_number))
    return by_number.get(number), number


def _convergence(recorded: Mapping[str, Any] | None, repeat: int, faulted: bool) -> dict[str, Any] | None:
    """Turn the samples after a repeat's heal into one curve a member: revisions behind the most advanced member.

    Times are in ms since the heal was requested, or since the watching began where nothing was to be healed. The lag
    is None while a member does not answer.
    """
    if recorded is None:
        return None
    samples = sorted(recorded.get("samples") or [], key=lambda sample: int(sample["wall_ns"]))
    started = recorded.get("started_wall_ns")
    zero = int(started if started is not None else samples[0]["wall_ns"] if samples else 0)
    members: dict[str, dict[str, list[float | None]]] = {}
    for sample in samples:
        revisions = {name: (state or {}).get("revision") for name, state in sample["members"].items()}
        newest = max((revision for revision in revisions.values() if revision is not None), default=None)
        for name, revision in revisions.items():
            series = members.setdefault(name, {"t_ms": [], "lag": []})
            series["t_ms"].append((int(sample["wall_ns"]) - zero) / MS)
            series["lag"].append(None if revision is None or newest is None else newest - revision)
    began = "the heal was requested" if faulted else "the watching began"
    return {
        "repeat": repeat,
        "converged": recorded.get("converged"),
        "duration_ms": recorded.get("duration_ms"),
        "on_this_axis": started is not None,
        "reasons": recorded.get("reasons") or [],
        "errors": recorded.get("errors") or {},
        "hash_revision": recorded.get("revision"),
        "samples": len(samples),
        "since": "the first sample" if started is None else began,
        "members": dict(sorted(members.items())),
    }


def _varies(convergence: Mapping[str, Any]) -> bool:
    """Tell whether there is anything to see: a member that was behind or away in some sample."""
    return any(lag != 0 for series in convergence["members"].values() for lag in series["lag"])

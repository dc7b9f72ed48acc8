# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns what was collected from the hosts into one experiment's folder (layout: :mod:`.shapes`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..actions.record import FaultRecord, Stage
from ..clock_steps import SAME_NS
from ..results.files import EVENTS_FILE, EXPERIMENT_FILE, HEAL_EVENTS_FILE, LOG_FILES, SUMMARY_FILE
from ..results.parquet import keep_as_parquet
from ..results.read import read_events
from ..results.watched import keep_watch
from ..results.write import append_events, discard, write_json_atomic
from ..shapes import (
    EXPERIMENT_SETTINGS,
    OWN_SETTINGS,
    SCHEMA_VERSION,
    WRITE_SETTLED,
    Event,
    LabError,
    RunSettings,
    Settled,
)
from ..systems.registry import SYSTEMS
from .skew import Read, put_right

# Of a module's result, what is Ansible's and no observation.
_ANSIBLE_KEYS = ("changed", "failed", "skipped", "invocation", "warnings", "deprecations", "ansible_job_id", "msg")


def assemble(
    folder: Path,
    *,
    definition: Mapping[str, Any],
    settings: RunSettings,
    members: Mapping[str, Any],
    workload: Mapping[str, Any],
    heal: Mapping[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> dict[str, Any]:
    """Write experiment.json, put all events into one file, and convert the history; return experiment.json's object.

    :param definition: the experiment as the plan resolved it
    :param workload: the summary of the workload; :param heal: the result of the heal

    Raises :class:`LabError` where a collected file is missing or damaged.
    """
    summary = _plain(workload)
    records = {record.fault: record for record in map(FaultRecord.from_dict, summary.pop("faults", []))}
    for name in ("unhealed", "unresolved"):  # were for the heal and for settling
        summary.pop(name, None)
    if definition["faults"] and not records:
        raise LabError(f"{definition['name']}: the workload did not report its faults; run the experiment again")
    repeats = [dict(repeat) for repeat in summary.pop("repeats")]
    events = read_events(folder / EVENTS_FILE)
    heal, set_by_ns = on_one_clock(heal, events)
    # It has a word on the repeat already where that ended the workload, as its members did not become equal.
    repeats[-1]["convergence"] = repeats[-1]["convergence"] or _plain(heal)
    heals = [repeat["convergence"] for repeat in repeats if repeat["convergence"] is not None]
    late = _complete(records, heals)
    # Of a fault that is healed at the end, the heal alone knows when that was.
    healed = {given["fault"]: FaultRecord.from_dict(given) for heal in heals for given in heal.get("healed", [])}
    if len(members) == 1:
        repeats = [repeat | {"convergence": None} for repeat in repeats]
    info = _described(definition, settings, members, records, repeats, summary) | {
        "before": _plain(before),
        "after": _plain(after),
        "convergence": repeats[-1]["convergence"],
        **settings.only(OWN_SETTINGS),
        **({"stream": settings.workload} if settings.workload else {}),
    }
    ids = _ids(before) | _ids(after)
    read = partial(_read_logs, definition["system"], members, ids)
    merged = _merge_events(folder, read, ({**records, **healed}).values(), [*events, *late], set_by_ns)
    (folder / SUMMARY_FILE).unlink(missing_ok=True)
    keep_as_parquet(folder, settled=_settlements(merged, summary["origin_wall_ns"]))
    keep_watch(folder, summary["origin_wall_ns"])
    # Last: a folder that has it is whole, and a run that is resumed leaves it alone.
    write_json_atomic(folder / EXPERIMENT_FILE, info)
    return info


def _described(
    definition: Mapping[str, Any],
    settings: RunSettings,
    members: Mapping[str, Any],
    records: Mapping[str, FaultRecord],
    repeats: list[dict[str, Any]],
    summary: dict[str, Any],
) -> dict[str, Any]:
    """Return experiment.json's object as far as it is not what was observed."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": definition["name"],
        "title": definition["title"],
        "system": definition["system"],
        **settings.only(EXPERIMENT_SETTINGS),
        "key_prefix": definition["key_prefix"],
        "members": dict(members),
        "faults": [
            {**fault, "record": record.as_dict() if (record := records.get(fault["id"])) is not None else None}
            for fault in definition["faults"]
        ],
        "repeats": repeats,
        "origin_wall_ns": summary["origin_wall_ns"],
        "workload": summary,
    }


def on_one_clock(heal: Mapping[str, Any], events: Sequence[Event]) -> tuple[Mapping[str, Any], int]:
    """Put the heal's own times on the clock of the workload, which another process of the same host has read earlier.

    :returns: the heal, and by how much the wall clock was set between the two; 0 where one of them does not know
    """
    finished = [event.data.get("clock_base_ns") for event in events if event.event == "experiment.finished"]
    if not finished or finished[-1] is None or heal.get("clock_base_ns") is None:
        return heal, 0
    set_by_ns = int(heal["clock_base_ns"]) - int(finished[-1])
    if abs(set_by_ns) <= SAME_NS:
        return heal, 0
    samples = [{**sample, "wall_ns": sample["wall_ns"] - set_by_ns} for sample in heal["samples"]]
    return {**heal, "samples": samples, "started_wall_ns": heal["started_wall_ns"] - set_by_ns}, set_by_ns


def _complete(records: Mapping[str, FaultRecord], heals: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Complete the records of what happened only after the workload, by what the heals heard from the agents.

    A MySQL primary may take a minute to stop, and a restart may come back between the workload's end and the heal.
    Returns the ends of processes that were not told before.
    """
    events: list[Event] = []
    for told in ("healed", "earlier", "not_healed"):
        for done in (FaultRecord.from_dict(given) for heal in heals for given in heal.get(told, [])):
            record = records.get(done.fault)
            if record is None:
                continue
            if told == "earlier":
                record.take_over(done, Stage.HEALED)
            if record.fired:
                # A heal may find out more of what was done, as what a disk still had.
                record.take_findings(done)
                events += record.note_end(done)
    return events


def _ids(observed: Mapping[str, Any]) -> dict[str, str]:
    """Return member id -> member, of those that answered when the system was observed."""
    members = observed.get("observation", {}).get("members", {})
    return {state["id"]: member for member, state in members.items() if state.get("id")}


def _merge_events(
    folder: Path, read: Read, records: Iterable[FaultRecord], events: list[Event], set_by_ns: int
) -> list[Event]:
    """Bring the client's, the heal's and the servers' events into the order of time, in one file; return them.

    :param read: reads the events out of the servers' logs
    :param records: of the faults, which may have made a clock wrong
    :param events: of the client, and the ends of processes that were told late
    :param set_by_ns: by how much the load generator's wall clock was set before the heal
    """
    healed = folder / HEAL_EVENTS_FILE
    if healed.exists():
        here = {event.source for event in events if event.event == "experiment.finished"}
        events += [
            replace(event, wall_ns=event.wall_ns - set_by_ns) if event.source in here else event
            for event in read_events(healed)
        ]
    # A process that is killed while it writes can leave half a character; the other lines are as good as ever.
    logs = {
        path.stem: path.read_text("utf-8", errors="replace").splitlines() for path in sorted(folder.glob(LOG_FILES))
    }
    events += put_right(logs, records, read)
    events.sort(key=lambda event: event.wall_ns)
    part = folder / f".{EVENTS_FILE}.part"
    discard(part)
    append_events(part, events)
    part.replace(folder / EVENTS_FILE)
    healed.unlink(missing_ok=True)
    return events


def _read_logs(
    system: str, members: Mapping[str, Any], ids: Mapping[str, str], logs: Mapping[str, Sequence[str]]
) -> list[Event]:
    return SYSTEMS[system].events(logs, members, ids)


def _settlements(events: Sequence[Event], origin_wall_ns: int) -> dict[int, tuple[str, int]]:
    """Return what became of writes of unknown outcome, by index, and since when that is known."""
    return {
        int(event.data["write"]): (
            (Settled.APPLIED if event.data["applied"] else Settled.NOT_APPLIED).value,
            event.wall_ns - origin_wall_ns,
        )
        for event in events
        if event.event == WRITE_SETTLED and event.data["write"] is not None
    }


def _plain(result: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in _ANSIBLE_KEYS and not key.startswith("_")}

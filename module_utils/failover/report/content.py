# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything the report says, as one JSON-able object: report.json, and the input of the page's template.

Whatever is shown stands in here, so every number on a page can be found in report.json and recomputed from the
results folder. What a run did not record is None, and shown as such.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..actions.record import FaultRecord
from ..checks.faults import outside_bound
from ..checks.registry import CHECKERS
from ..fault_names import FaultId
from ..results.files import EXPERIMENT_FILE, HISTORY_FILE, RUN_FILE, keys_file
from ..results.read import Experiment, Run
from ..shapes import SCHEMA_VERSION, Kind, LabError, Verdict
from . import figures
from .caveats import caveats
from .chapters import latency as latency_chapter
from .chapters import time as time_chapter
from .columns import KINDS, MS, OUTCOMES, Columns, Ints, S, columns_of_table
from .commands import command, experiments_option
from .findings.cards import covered, findings_of
from .gaps import longest_gap_of
from .incidents import incidents
from .notebook import compare
from .outage import healthy, lanes
from .outage.clocks import measured_clocks, on_one_clock
from .outage.comparison import compared, lost_writes, outages
from .outage.duplicates import duplicates, duplicates_told
from .outage.elections import unprovoked_elections
from .outage.faults import describe_faults
from .outage.length import length_of_one, length_of_repeats
from .outage.repetition import repeated
from .provenance import headline, note_of, provenance, verdict_of
from .repeats import Repeat, repeats_of, without_idle
from .steady import without_steps
from .threats import threats
from .wording import at_least, milliseconds, plural

Step = Callable[[str], None]
T = TypeVar("T")

# What run.json and every experiment.json say alike, unless the folder was put together from two runs.
SAME_IN_A_RUN = ("seed", "iterations", "clients", "rate")

# As many columns as the figure has points (72 an inch): a finer grid could not be seen in print.
LATENCY_BUCKETS = 420
# Fewer where a column would hold fewer operations than this: a percentile of two or three says nothing.
OPERATIONS_PER_BUCKET = 16
# Crosses on the throughput figure's lower edge; more could not be told apart.
MOST_NOT_OK_SHOWN = 400
# Outages that the verdict's sentence tells one by one; more of them as a range.
MOST_OUTAGES_IN_FULL = 3
# Elections without a fault that are told one by one on the cover; report.json has all.
MOST_ELECTIONS_TOLD = 3

# The folder into which the commands to reproduce clone the lab.
CLONE = "failover-lab"

# Versions that the cover shows, as far as they are recorded, whatever the case of their letters; the appendix has all.
COVER_VERSIONS = (
    "etcd",
    "mysql",
    "python",
    "etcd3",
    "grpcio",
    "pymysql",
    "ansible",
    "ansible-core",
    "failover-lab",
)

MOST_COVER_VERSIONS = 12

# Effective settings that decide durability and failover; the cover shows these, the appendix all.
COVER_SETTINGS = (
    "heartbeat_interval",
    "election_timeout",
    "unsafe_no_fsync",
    "pre_vote",
    "snapshot_count",
    "innodb_flush_log_at_trx_commit",
    "sync_binlog",
    "innodb_doublewrite",
    "innodb_flush_method",
    "log_bin",
    "transaction_isolation",
)


def build(run: Run, step: Step) -> tuple[dict[str, Any], dict[str, str]]:
    """Compute the report of a run.

    :param step: told what is being done, before it is done
    :returns: the content of report.json, and the figures as SVG by name

    Raises :class:`LabError` where an experiment is of another run, or its history cannot be read.
    """
    _refuse_a_mixture(run)
    judged, differences = provenance(run)
    drawings: dict[str, str] = {}
    experiments = []
    for number, experiment in enumerate(run.experiments, 1):
        step(f"analyse {experiment.name}")
        experiments.append(_experiment(experiment, f"e{number}", run.info["settings"], drawings))
        experiments[-1]["notes"] += note_of(experiment.name, experiments[-1]["verdict"], differences)
        experiments[-1]["verdict"] = verdict_of(experiments[-1]["verdict"], stale=differences.of(experiment.name))
    cards = [card for experiment in experiments for card in experiment.pop("findings")]
    comparisons = compared(experiments)
    step("draw the figures")
    drawings |= {card["anchor"]: figures.finding.draw(card, card["anchor"]) for card in cards if card["drawn"]}
    _draw(experiments, comparisons, drawings)
    all_outages = outages(experiments)
    faulted = [row for row in all_outages if row["struck"]]
    if faulted:
        drawings["outages"] = figures.outages.draw(faulted, "outages")
    settings = run.info["settings"]
    info = {name: run.info[name] for name in ("run_id", "lab_name", "seed", "iterations", "clients", "rate")}
    info |= {name: run.info[name] for name in ("started_at", "finished_at")}
    content = {
        "schema_version": SCHEMA_VERSION,
        "run": info,
        "verdict": _verdict(run, experiments, judged, cards),
        "findings": cards,
        "judged": judged,
        "controller": run.info["controller"],
        "hosts": run.info["hosts"],
        "versions": run.info["versions"],
        "settings": settings,
        "cover_settings": cover_settings(settings),
        "cover_versions": cover_versions(run.info["versions"]),
        "notebook": compare(run.info, experiments, settings),
        "experiments": experiments,
        "caveats": caveats(run.info["controller"], experiments),
        "outages": all_outages,
        "compared": comparisons,
        "how_checked": how_checked(experiments),
        "threats": threats(run.info["controller"], run.info["hosts"], run.info, experiments),
        "reproduce": _reproduce(run),
    }
    return _rounded(content), drawings


def _refuse_a_mixture(run: Run) -> None:
    """Raise LabError where an experiment is of another run: its figures would stand beside those of this one."""
    for experiment in run.experiments:
        for name in SAME_IN_A_RUN:
            found, wanted = experiment.info[name], run.info[name]
            if found != wanted:
                raise LabError(
                    f"{experiment.path / EXPERIMENT_FILE} has {name} {found}, {run.path / RUN_FILE} has {wanted}: the "
                    "folder mixes two runs; copy the results folder again, or repeat the run"
                )


def attempt_timeout_ms(settings: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Return how long the clients waited for one attempt; None where that was not recorded."""
    # A value that came from the command line is text.
    timeout = settings.get("client", {}).get("attempt_timeout_ms")
    return float(timeout) if timeout else None


# ---------------------------------------------------------------- one experiment


def _experiment(
    experiment: Experiment, anchor: str, settings: Mapping[str, Mapping[str, Any]], drawings: dict[str, str]
) -> dict[str, Any]:
    """Compute one experiment's part, and draw its outages (their operations are too many to keep)."""
    info = experiment.info
    meta, table = experiment.history()
    columns = columns_of_table(table)
    notes = [] if len(columns) else ["no operation was recorded: its history is empty"]
    recorded_events = _unless_damaged(experiment.events, experiment, notes)
    steady = without_steps(experiment, columns) if recorded_events is not None else None
    if steady is not None:
        recorded_events = None
        notes.append(steady.note)
    clocks = measured_clocks(recorded_events or [])
    events = None if recorded_events is None else on_one_clock(recorded_events, clocks)
    repeats = repeats_of(info, columns)
    # The same operations on a time line without the idle time between repeats: that is no outage, and nobody worked.
    worked = without_idle(repeats) or columns
    start = repeats[0].start_ns if repeats else 0
    end = repeats[-1].end_ns - repeats[-1].idle_ns if repeats else 0
    duration_s = (end - start) / S if repeats else None
    gap = longest_gap_of(repeats)
    faults, zoomed = describe_faults(steady.info if steady else info, columns, events, clocks)
    assert experiment.verdict is not None
    healthy_gaps = healthy.healthy_gaps_ns(repeats, faults)
    healthy_gap = healthy.healthy_gap_ms(healthy_gaps)
    attempt_ms = attempt_timeout_ms(settings)
    for fault in faults:
        fault["background"] = healthy.background(fault["gap"], healthy_gaps)
        fault["lanes"] = lanes.lanes_of(fault, settings.get(info["system"], {}), settings.get("client", {}))
        fault["background_told"] = healthy.background_told(fault["background"], healthy_gap)
        outage = f"{fault['id']} of {experiment.name}"
        fault["length"] = length_of_one(outage, fault, attempt_ms) if fault["gap"] else ""
    repetition = _repetition(faults, experiment.verdict["checks"], anchor)
    for group in repetition:
        struck = [fault for fault in faults if fault["id"] in group["faults"] and fault["fired"]]
        group["length"] = length_of_repeats(struck, attempt_ms) if group["repeats"] > 1 else ""
        group["background_told"] = healthy.background_of_repeats_told(group["background"], healthy_gap)
    for fault, operations in zip(faults, zoomed, strict=True):
        if fault["shown"] and operations:
            drawings[fault["anchor"]] = figures.outage.draw(fault, operations, fault["anchor"])
        if fault["shown"] and fault["lanes"]:
            name = f"{fault['anchor']}-lanes"
            drawings[name] = figures.lanes.draw(fault["lanes"], fault["id"], name)
    for group in repetition:
        own = [fault for fault in faults if fault["id"] in group["faults"]]
        group["lanes"] = lanes.lanes_of_repeats(own) if group["repeats"] > 1 else None
        if group["lanes"]:
            name = f"{group['anchor']}-lanes"
            drawings[name] = figures.lanes.draw_repeats(group["lanes"], group["fault"], name)
        if group["repeats"] > 1 and group["struck"]:
            drawings[group["anchor"]] = figures.spreads.draw([(None, group["measures"])], group["anchor"])
    workload = info["workload"]
    cpu = workload.get("client_cpu_s")
    width = time_chapter.window_ms(end - start)
    buckets = max(1, min(LATENCY_BUCKETS, len(columns) // OPERATIONS_PER_BUCKET))
    elections = None if events is None else unprovoked_elections(info, events, repeats)
    notes += _election_notes(elections) + incidents(info)
    return {
        "anchor": anchor,
        "name": experiment.name,
        "title": info["title"],
        "system": info["system"],
        "clients": info["clients"],
        "rate": info["rate"],
        "key_prefix": info["key_prefix"],
        "verdict": experiment.verdict["verdict"],
        "findings": findings_of(experiment, table, events or [], anchor),
        "checks": experiment.verdict["checks"],
        "checks_told": _checks_told(experiment.verdict["checks"]),
        "notes": notes,
        "stream": {kind: int(np.count_nonzero(columns.kind == code)) for code, kind in enumerate(KINDS)},
        "digest": workload.get("digest"),
        "operations": len(columns),
        "not_ok": int(np.count_nonzero(~columns.ok)),
        "start_s": start / S,
        "end_s": end / S,
        "duration_s": duration_s,
        "ops_per_s": len(columns) / duration_s if duration_s else None,
        "client_cpu_s": cpu,
        "client_cpu_share": cpu / duration_s if cpu is not None and duration_s else None,
        "history_cut": meta.get("cut"),
        "outcomes": _outcomes(columns),
        "endpoints": _endpoints(table),
        "latency": _latency(columns, columns.latency_ns),
        "intended_latency": _latency(columns, columns.intended_latency_ns) if info["rate"] else None,
        "throughput": {"window_ms": width, **time_chapter.throughput(worked, start, end, width)},
        "operations_scale": time_chapter.operations_scale(worked),
        "latency_over_time": time_chapter.latency_over_time(worked, start, end, buckets),
        "not_ok_s": _spaced(worked.complete_ns[~worked.ok] / S, MOST_NOT_OK_SHOWN),
        "gap": gap.as_dict() if gap else None,
        # Of the time before the faults struck; without faults, of all of it.
        "healthy_gap_ms": healthy_gap,
        "healthy_ops_per_s": healthy.healthy_ops_per_s(repeats, faults),
        "worst": _worst(worked, table),
        "repeats": len(info["repeats"]),
        "repeats_s": [[repeat.worked_s(repeat.start_ns), repeat.worked_s(repeat.end_ns)] for repeat in repeats],
        "idle_s": repeats[-1].idle_ns / S if repeats else 0.0,
        "faults": faults,
        "repetition": repetition,
        "curve_with": _curve_with(faults, repeats),
        "clocks": [clock.as_dict() for clock in clocks],
        "members": _members(experiment, (info["convergence"] or {}).get("hashes") or {}, notes),
        "convergence": _convergence(*_shown_convergence(info, repetition), bool(faults)),
        "elections_unexplained": elections,
    }


def _unless_damaged(read: Callable[[], T], experiment: Experiment, notes: list[str]) -> T | None:
    """Return what is read; None, and the reason as a note for the reader, where the file is damaged."""
    try:
        return read()
    except LabError as error:
        reason = str(error).replace(f"{experiment.path.parent}/", "")
        notes.append(f"this report lacks a file: {reason}")
        return None


def how_checked(experiments: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return how the checks of these experiments decide, each kind once, in the order in which they come."""
    names = [check["name"] for experiment in experiments for check in experiment["checks"]]
    used = dict.fromkeys(checker for name in names for checker in CHECKERS if name.startswith(checker.name))
    return [{"check": f"{checker.name} …" if checker.each else checker.name, "how": checker.how} for checker in used]


def _checks_told(checks: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return name, verdict and summary of each check; the passed ones of a fault's repeats as one."""
    told: list[dict[str, str]] = []
    repeats: dict[str, list[Mapping[str, Any]]] = {}
    for check in checks:
        name, repeated = _without_repeat(check["name"])
        if repeated and check["verdict"] == Verdict.VALID.value:
            if name not in repeats:
                told.append({"name": name, "verdict": check["verdict"], "summary": ""})
            repeats.setdefault(name, []).append(check)
        else:
            told.append({key: check[key] for key in ("name", "verdict", "summary")})
    for row in told:
        if row["name"] in repeats:
            every = sum(_without_repeat(check["name"])[0] == row["name"] for check in checks)
            row["summary"] = _passed_told(repeats[row["name"]], every)
    return told


def _without_repeat(name: str) -> tuple[str, bool]:
    """Return the name of a check as all repeats share it, and whether it is one of several."""
    what, _, of = name.partition(" ")
    if what != "fault":
        return name, False
    fault = FaultId.parse(of)
    return f"{what} {fault.in_each_repeat}", fault.repeat is not None


def _passed_told(passed: Sequence[Mapping[str, Any]], every: int) -> str:
    """Say in how many repeats a fault did what it was meant for, and in how many of them later than it should."""
    late = sum(outside_bound(FaultRecord.from_dict({"fault": check["name"], **check["evidence"]})) for check in passed)
    bound = f", {late} of them later than the placement bound" if late else ""
    return (
        f"In {len(passed)} of {plural(every, 'repeat')} it struck its target{bound}. The first: {passed[0]['summary']}"
    )


def _outcomes(columns: Columns) -> list[dict[str, Any]]:
    """Count operations by kind and outcome, and those that took more than one attempt; the last row is the sum."""
    rows = []
    for code, kind in [*enumerate(KINDS), (None, "all")]:
        mask = np.ones(len(columns), dtype=bool) if code is None else columns.kind == code
        row: dict[str, Any] = {"kind": kind, "operations": int(np.count_nonzero(mask))}
        for number, outcome in enumerate(OUTCOMES):
            row[outcome] = int(np.count_nonzero(mask & (columns.outcome == number)))
        row["retried"] = int(np.count_nonzero(mask & (columns.attempts > 1)))
        row["attempts"] = int(columns.attempts[mask].sum())
        rows.append(row)
    return rows


def _endpoints(table: Any) -> dict[str, int]:
    """Count operations by the endpoint that answered last, or was tried last."""
    counted = {item["values"]: item["counts"] for item in table["endpoint"].value_counts().to_pylist()}
    return dict(sorted(counted.items()))


def _latency(columns: Columns, latency: Ints) -> dict[str, Any]:
    """Summarise latency of all operations, whatever their outcome, together and by kind, with the curves."""
    by_kind = {kind: latency[columns.kind == code] for code, kind in enumerate(KINDS)}
    return {
        "all": latency_chapter.latency_summary(latency),
        "by_kind": {kind: latency_chapter.latency_summary(values) for kind, values in by_kind.items()},
        "curves": {kind: latency_chapter.survival_curve(values) for kind, values in by_kind.items()},
    }


def _spaced(values: npt.NDArray[np.float64], most: int) -> list[float]:
    """Return the values in order, thinned evenly where there are more than ``most``."""
    ordered = np.sort(values)
    return [float(value) for value in ordered[:: max(1, -(-len(ordered) // most))]]


def _worst(columns: Columns, table: Any) -> dict[str, Any] | None:
    """Describe the operation that took longest."""
    if not len(columns):
        return None
    row = int(np.argmax(columns.latency_ns))
    operation = table.slice(row, 1).to_pylist()[0]
    return {
        "index": operation["index"],
        "kind": operation["kind"],
        "key": operation["key"],
        "latency_ms": int(columns.latency_ns[row]) / MS,
        "at_s": int(columns.invoke_ns[row]) / S,
        "outcome": operation["outcome"],
        "attempts": operation["attempts"],
        "endpoint": operation["endpoint"],
        "error": operation["error"],
    }


def _members(experiment: Experiment, hashes: Mapping[str, Any], notes: list[str]) -> list[dict[str, Any]]:
    """Count each member's keys; members with one digest have the same keys with the same values.

    :param hashes: what the servers computed themselves over their data, by member
    :param notes: takes what is damaged
    """
    rows = []
    for name in experiment.members:
        row: dict[str, Any] = {"name": name, "keys": None, "revision": None, "digest": None}
        row["server_hash"] = hashes.get(name)
        dump = None
        if (experiment.path / keys_file(name)).is_file():
            dump = _unless_damaged(partial(experiment.dump, name), experiment, notes)
        if dump is not None:
            row |= {
                "keys": len(dump.entries),
                "revision": dump.header.get("revision"),
                "digest": digest_of({key: entry.value for key, entry in dump.entries.items()}),
            }
        rows.append(row)
    return rows


def digest_of(values: Mapping[str, str]) -> str:
    """Return SHA-256 over one line ``key TAB value`` for each key, sorted by key (no prefix)."""
    digest = hashlib.sha256()
    for key in sorted(values):
        digest.update(f"{key}\t{values[key]}\n".encode())
    return digest.hexdigest()


def _election_told(row: Mapping[str, Any]) -> str:
    what = "an election was started and not won" if row["leader"] is None else f"{row['leader']} was elected"
    term = "" if row["term"] is None else f" (term {row['term']})"
    return f"{what} at {row['at_s']:,.2f} s{term}"


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


def _repetition(
    faults: Sequence[dict[str, Any]], checks: Sequence[Mapping[str, Any]], anchor: str
) -> list[dict[str, Any]]:
    """Put the repeats of each fault together, and say which of the faults are shown with all their moments."""
    repetition = repeated(faults)
    # Only a whole experiment's keys tell what was lost: the sum over all of its repeats.
    twice = duplicates(checks)
    whole = {"lost": lost_writes(checks), "duplicated": None if twice is None else sum(twice.values())}
    by_id = {fault["id"]: fault for fault in faults}
    for fault in faults:
        fault["shown"] = False
    for number, group in enumerate(repetition, 1):
        outage = f"{anchor}-outage{number}"
        group["anchor"] = f"{anchor}-repeats{number}" if group["repeats"] > 1 else outage
        group["sums"] |= whole
        group["duplicated"] = duplicates_told(twice)
        by_id[group["shown"]] |= {"shown": True, "anchor": outage}
    return repetition


def _curve_with(faults: Sequence[Mapping[str, Any]], repeats: Sequence[Repeat]) -> str | None:
    """Return the id of the fault beside which it is shown how the members became equal: the last one of those shown.

    They are watched after all faults of a repeat. None where no fault is shown with its outage.
    """
    shown = [fault["id"] for fault in faults if fault["shown"] and fault["fired"] and repeats]
    return shown[-1] if shown else None


def _shown_convergence(
    info: Mapping[str, Any], repetition: Sequence[Mapping[str, Any]]
) -> tuple[Mapping[str, Any] | None, int]:
    """Return how the members became equal after the repeat that is shown, and which that is; without any, the last."""
    by_number = {repeat["repeat"]: repeat["convergence"] for repeat in info["repeats"]}
    ids = [group["shown"] for group in repetition]
    shown = {fault["repeat"] for fault in info["faults"] if fault["id"] in ids}
    number = max(shown, default=max(by_number))
    return by_number.get(number), number


def _election_notes(elections: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Warn of elections that no fault caused."""
    if not elections:
        return []
    told = [_election_told(row) for row in elections[:MOST_ELECTIONS_TOLD]]
    more = len(elections) - len(told)
    return [
        f"{plural(len(elections), 'election')} that no fault caused: {'; '.join(told)}"
        f"{f'; {more} more' if more else ''}. A slow disk or a starved CPU does that; the figures of this "
        "experiment include it"
    ]


# ---------------------------------------------------------------- the run


def _verdict(
    run: Run,
    experiments: Sequence[Mapping[str, Any]],
    judged: Mapping[str, Any],
    cards: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Put the verdict in one sentence, and gather the checks that did not pass.

    :param judged: see :func:`.provenance.provenance`; a verdict on other files is not repeated
    """
    assert run.verdict is not None
    checks = [
        {"experiment": experiment["name"], "anchor": experiment["anchor"], **check}
        for experiment in experiments
        for check in experiment["checks"]
    ]
    open_checks = [
        {**check, "cards": covered(cards, check["experiment"], check["name"])}
        for check in checks
        if check["verdict"] != Verdict.VALID.value
    ]
    open_checks.sort(key=lambda check: check["verdict"] != Verdict.INVALID.value)
    counts = {verdict.value: sum(check["verdict"] == verdict.value for check in checks) for verdict in Verdict}
    return {
        "verdict": verdict_of(run.verdict["verdict"], stale=not judged["matches"]),
        "recorded": run.verdict["verdict"],
        "sentence": verdict_sentence(run.verdict["verdict"], checks, experiments)
        if judged["matches"]
        else headline(run, judged),
        "checks": len(checks),
        "counts": counts,
        "open": open_checks,
    }


def verdict_sentence(
    verdict: str, checks: Sequence[Mapping[str, Any]], experiments: Sequence[Mapping[str, Any]]
) -> list[dict[str, str | None]]:
    """Return the sentence in pieces, each with ``text`` and the anchor of its evidence (``href``) or None."""
    failed = [check for check in checks if check["verdict"] == Verdict.INVALID.value]
    undecided = [check for check in checks if check["verdict"] == Verdict.UNKNOWN.value]
    if verdict == Verdict.VALID.value:
        return _valid_sentence(checks, experiments)
    pieces: list[dict[str, str | None]] = [{"text": f"{verdict.capitalize()}: ", "href": None}]
    if verdict == Verdict.INVALID.value:
        pieces.append({"text": _of(len(failed), checks, "failed"), "href": "#open"})
        shown = failed
    else:
        pieces.append({"text": "no check failed, but ", "href": None})
        pieces.append({"text": _of(len(undecided), checks, "could not be decided"), "href": "#open"})
        shown = undecided
    if shown:
        first = shown[0]
        summary = str(first["summary"]).rstrip(". ")
        pieces.append({"text": f"; in {first['experiment']}: {summary}", "href": None})
    if len(shown) > 1:
        pieces.append({"text": f"; {len(shown) - 1} more below", "href": None})
    pieces.append({"text": ".", "href": None})
    return pieces


def _of(number: int, checks: Sequence[Mapping[str, Any]], what: str) -> str:
    if not checks:
        return "no check is recorded"
    return f"{number} of {plural(len(checks), 'check')} {what}"


def _valid_sentence(
    checks: Sequence[Mapping[str, Any]], experiments: Sequence[Mapping[str, Any]]
) -> list[dict[str, str | None]]:
    """Say what passed, how many keys every member holds, and how long the outages were."""
    pieces: list[dict[str, str | None]] = [
        {"text": "Valid: ", "href": None},
        {"text": f"{'' if len(checks) == 1 else 'all '}{plural(len(checks), 'check')} passed", "href": "#checks"},
        {"text": f" over {plural(sum(e['operations'] for e in experiments), 'operation')} in ", "href": None},
        {"text": plural(len(experiments), "experiment"), "href": "#outcomes"},
    ]
    not_ok = sum(experiment["not_ok"] for experiment in experiments)
    if not_ok:
        pieces += [
            {"text": "; ", "href": None},
            {"text": f"{plural(not_ok, 'operation')} {'was' if not_ok == 1 else 'were'} not ok", "href": "#outcomes"},
        ]
    pieces += _keys_told(experiments)
    groups = [(experiment, group) for experiment in experiments for group in experiment["repetition"]]
    briefly = len(groups) > MOST_OUTAGES_IN_FULL or any(group["repeats"] > 1 for _, group in groups)
    pieces += _outages_in_brief(groups) if briefly else _outages_in_full(experiments)
    for experiment in experiments:
        pieces += _longer_gap_told(experiment)
    pieces.append({"text": ".", "href": None})
    return pieces


def _outages_in_full(experiments: Sequence[Mapping[str, Any]]) -> list[dict[str, str | None]]:
    """Say of each fault whom it struck, at which operation, and how long its outage was."""
    pieces: list[dict[str, str | None]] = []
    for experiment in experiments:
        for fault in experiment["faults"]:
            if fault.get("untold"):
                text = f"; the length of the outage of {experiment['name']} is unknown"
                pieces.append({"text": text, "href": f"#{fault['anchor']}"})
            elif not fault["fired"]:
                text = (
                    f"; the {fault['action'].replace('_', ' ')} of the {fault['target']} planned for "
                    f"{experiment['name']} did not strike"
                )
                pieces.append({"text": text, "href": f"#{fault['anchor']}"})
            if fault["gap"] is None:
                continue
            role = "the leader " if fault["target"] == "leader" and fault["member"] else ""
            pieces += [
                {
                    "text": f"; when {role}{fault['member'] or fault['target']} was {fault['past']} at operation "
                    f"{fault['at_index']:,} of {experiment['name']}, no operation was acknowledged for ",
                    "href": None,
                },
                *_length_told(fault["gap"], f"#{fault['anchor']}"),
                {"text": f" ({_background(experiment, [fault])})", "href": None},
            ]
    return pieces


def _background(experiment: Mapping[str, Any], faults: Sequence[Mapping[str, Any]]) -> str:
    return healthy.in_brief(experiment["healthy_gap_ms"], **healthy.background_of_repeats(faults))


def _outages_in_brief(
    groups: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> list[dict[str, str | None]]:
    """Say how many faults struck, and how long the shortest and the longest of their outages were, as medians."""
    planned, struck = (sum(group[name] for _, group in groups) for name in ("repeats", "struck"))
    told = (
        f"all {planned:,} faults struck"
        if planned == struck
        else f"of {planned:,} faults {planned - struck:,} did not strike"
    )
    pieces: list[dict[str, str | None]] = [{"text": f"; {told}", "href": "#outage"}]
    # A median of one value is that value.
    several = any(measure["n"] > 1 for _, group in groups for measure in group["measures"] if measure["name"] == "gap")
    gaps = [
        (
            measure["median_ms"],
            f"{group['what']} in {experiment['name']}; "
            f"{healthy.in_brief(experiment['healthy_gap_ms'], **group['background'])}",
            group["anchor"],
        )
        for experiment, group in groups
        for measure in group["measures"]
        if measure["name"] == "gap" and measure["n"]
    ]
    if not gaps:
        return pieces
    shortest, longest = min(gaps), max(gaps)
    pieces.append({"text": f"; no operation was acknowledged for{' a median of' if several else ''} ", "href": None})
    for number, (length_ms, what, anchor) in enumerate(dict.fromkeys((shortest, longest))):
        pieces.append({"text": " to " if number else "", "href": None})
        pieces.append({"text": f"{milliseconds(length_ms)} ms", "href": f"#{anchor}"})
        pieces.append({"text": f" ({what})", "href": None})
    return pieces


def _keys_told(experiments: Sequence[Mapping[str, Any]]) -> list[dict[str, str | None]]:
    """Say how many keys the members hold, and how many had to remain; nothing where a member's keys are not known."""
    held = [member["keys"] for experiment in experiments for member in experiment["members"]]
    if not held or None in held:
        return []
    bounds = [
        check["evidence"]["expected_keys"]
        for experiment in experiments
        for check in experiment["checks"]
        if check["name"] == "outcomes"
    ]
    least = min((bound["least"] for bound in bounds), default=None)
    most = max((bound["most"] for bound in bounds), default=None)
    certain = least == most == min(held) == max(held)
    keys = plural(held[0], "key") if min(held) == max(held) else f"{min(held):,} to {max(held):,} keys"
    pieces: list[dict[str, str | None]] = [
        {"text": f"; every member of every system ends with {'the expected ' if certain else ''}", "href": None},
        {"text": keys, "href": "#keys"},
    ]
    if bounds and not certain:
        pieces.append({"text": f", where {least:,} to {most:,} may remain", "href": None})
    return pieces


def _length_told(gap: Mapping[str, Any], href: str) -> list[dict[str, str | None]]:
    """Say how long a gap was; of one that did not end, that it was at least so long."""
    length: dict[str, str | None] = {"text": f"{at_least(gap)}{milliseconds(gap['duration_ms'])} ms", "href": href}
    return [length] if gap["ended"] else [length, {"text": ", the service did not come back", "href": None}]


def _longer_gap_told(experiment: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """Name the experiment's longest gap where it is none of its faults': an outage that is worse must not be hidden."""
    struck = [fault for fault in experiment["faults"] if fault["fired"] and not fault.get("untold")]
    gap = experiment["gap"]
    blamed = max((fault["gap"]["duration_ms"] for fault in struck if fault["gap"]), default=0.0)
    if not struck or gap is None or gap["duration_ms"] <= blamed:
        return []
    outages = "that outage" if len(struck) == 1 else "those outages"
    text = f"; outside {outages}, no operation of {experiment['name']} was acknowledged for "
    return [{"text": text, "href": None}, *_length_told(gap, f"#{experiment['anchor']}-worst")]


def normal_name(name: str) -> str:
    """Return a setting's name in one spelling: ETCD_HEARTBEAT_INTERVAL and heartbeat-interval are one setting."""
    return name.lower().removeprefix("etcd_").replace("-", "_")


def cover_settings(settings: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Pick the settings that decide durability and failover, by system."""
    return [
        {"system": system, "name": name, "value": value}
        for system, effective in settings.items()
        for name, value in effective.items()
        if normal_name(name) in COVER_SETTINGS
    ]


def cover_versions(versions: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the versions that matter most; all of them where there are few."""
    if len(versions) <= MOST_COVER_VERSIONS:
        return dict(versions)
    return {name: version for name, version in versions.items() if name.lower() in COVER_VERSIONS}


def _reproduce(run: Run) -> dict[str, Any]:
    """Give the commands that repeat the run with its seed, and those that recompute the report."""
    info = run.info
    options = [f"-e iterations={info['iterations']}", f"-e seed={info['seed']}"]
    if info["clients"] != 1:
        options.append(f"-e clients={info['clients']}")
    if info["rate"]:
        options.append(f"-e rate={info['rate']:g}")
    repeats = info["repeats"]
    if len(set(repeats.values())) > 1:
        options.append(f"-e '{json.dumps({'repeats': repeats})}'")
    elif set(repeats.values()) != {1}:
        options.append(f"-e repeats={next(iter(repeats.values()))}")
    if "mysql" in repeats:
        options.append(f"-e sole_server_heal={info['sole_server_heal']}")
    folder = f"results/{info['run_id']}"
    options.append(experiments_option(info["experiments"]))
    return {
        "checkout": info.get("checkout"),
        "clone": _clone(info.get("checkout")),
        "run": command("./scripts/lab run", *options),
        "stream": f"./scripts/simulate --iterations {info['iterations']} --seed {info['seed']}",
        "report": command("./scripts/report", folder),
        "histories": [
            command("./scripts/check_history", f"{folder}/{name}/{HISTORY_FILE}") for name in info["experiments"]
        ],
    }


def _clone(checkout: Mapping[str, Any] | None) -> str | None:
    """Give the commands that fetch the lab as it was; None where its commit was not recorded.

    :param checkout: as run.json has it; folders of earlier versions have none
    """
    if checkout is None:
        return None
    wanted = f"git checkout {checkout['commit']}"
    if checkout["origin"] is None:
        return wanted
    return "\n".join((command("git clone", shlex.quote(checkout["origin"]), CLONE), f"cd {CLONE}", wanted))


def _draw(
    experiments: Sequence[dict[str, Any]], comparisons: Sequence[dict[str, Any]], drawings: dict[str, str]
) -> None:
    """Draw all figures but the outages; those over time share their scales."""
    rates = [rate for experiment in experiments for rate in experiment["throughput"]["ops_per_s"]]
    lows = [low for experiment in experiments for low in experiment["latency_over_time"]["min_ms"]]
    highs = [high for experiment in experiments for high in experiment["latency_over_time"]["max_ms"]]
    limits = {
        "ops_per_s": max(rates, default=1.0) or 1.0,
        "latency_low_ms": min(lows, default=0.1) * 0.8 or 0.001,
        "latency_high_ms": max(highs, default=10.0) * 3 or 1.0,
    }
    kinds = [kind.value for kind in Kind]
    for experiment in experiments:
        anchor = experiment["anchor"]
        if experiment["operations"]:
            drawings[f"{anchor}-time"] = figures.over_time.draw(experiment, limits, f"{anchor}-time")
        if experiment["convergence"] and _varies(experiment["convergence"]):
            drawings[f"{anchor}-convergence"] = figures.convergence.draw(
                experiment["convergence"], f"{anchor}-convergence"
            )
    for number, comparison in enumerate(comparisons, 1):
        comparison["anchor"] = f"compared{number}"
        if comparison["repeated"]:
            series = [
                (
                    f"{system['system']} ({system['experiment']})",
                    [row["cells"][column] for row in comparison["measures"]],
                )
                for column, system in enumerate(comparison["systems"])
            ]
            drawings[comparison["anchor"]] = figures.spreads.draw(series, comparison["anchor"])
    drawn = [experiment for experiment in experiments if experiment["operations"]]
    if drawn:
        drawings["latency"] = figures.latency.draw(drawn, kinds, "latency", "latency")
    rated = [experiment for experiment in drawn if experiment["intended_latency"]]
    if rated:
        drawings["intended"] = figures.latency.draw(rated, kinds, "intended_latency", "intended")


def _varies(convergence: Mapping[str, Any]) -> bool:
    """Tell whether there is anything to see: a member that was behind or away in some sample."""
    return any(lag != 0 for series in convergence["members"].values() for lag in series["lag"])


def _rounded(value: Any) -> Any:
    """Round floats to six decimals (1 ns where the unit is ms): what follows is an artefact of binary fractions."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value

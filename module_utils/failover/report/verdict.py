# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verdict of a run in one sentence, in pieces that lead to their evidence, and the checks that did not pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..fault_names import towards
from ..results.judged import is_limit
from ..results.read import Run
from ..sentences import at_least, milliseconds, plural
from ..shapes import Verdict
from .findings.cards import covered
from .outage import healthy
from .provenance import headline, verdict_of

# Outages that the verdict's sentence tells one by one; more of them as a range.
MOST_OUTAGES_IN_FULL = 3


def verdict_told(
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
    # Wrong data first, then limits that were missed, then what is not known.
    open_checks.sort(key=lambda check: (check["verdict"] != Verdict.INVALID.value, is_limit(check["name"])))
    missed = sum(check["verdict"] == Verdict.INVALID.value and is_limit(check["name"]) for check in checks)
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
        **({"missed_limits": missed} if missed else {}),
    }


def verdict_sentence(
    verdict: str, checks: Sequence[Mapping[str, Any]], experiments: Sequence[Mapping[str, Any]]
) -> list[dict[str, str | None]]:
    """Return the sentence in pieces, each with ``text`` and the anchor of its evidence (``href``) or None."""
    of_data = [check for check in checks if not is_limit(check["name"])]
    failed = [check for check in of_data if check["verdict"] == Verdict.INVALID.value]
    missed = [check for check in checks if check["verdict"] == Verdict.INVALID.value and check not in of_data]
    undecided = [check for check in checks if check["verdict"] == Verdict.UNKNOWN.value]
    if verdict == Verdict.VALID.value:
        return _valid_sentence(checks, experiments)
    pieces: list[dict[str, str | None]] = [{"text": f"{verdict.capitalize()}: ", "href": None}]
    if verdict == Verdict.INVALID.value and missed and not failed:
        right = all(check["verdict"] == Verdict.VALID.value for check in of_data)
        told = "the data is right, but " if right else "no check found the data wrong, but "
        pieces += [{"text": told, "href": None}, {"text": _missed_told(len(missed)), "href": "#open"}]
        shown = missed
    elif verdict == Verdict.INVALID.value:
        pieces.append({"text": _of(len(failed), of_data, "failed"), "href": "#open"})
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
    if missed and failed:
        pieces.append({"text": f"; {_missed_told(len(missed))}, too", "href": None})
    pieces.append({"text": ".", "href": None})
    return pieces


def _missed_told(number: int) -> str:
    return f"{plural(number, 'limit')} of yours {'was' if number == 1 else 'were'} missed"


def _of(number: int, checks: Sequence[Mapping[str, Any]], what: str) -> str:
    if not checks:
        return "no check is recorded"
    return f"{number} of {plural(len(checks), 'check')} {what}"


def _valid_sentence(
    checks: Sequence[Mapping[str, Any]], experiments: Sequence[Mapping[str, Any]]
) -> list[dict[str, str | None]]:
    """Say what passed, how many keys every member holds, and how long the outages were."""
    of_data = [check for check in checks if not is_limit(check["name"])]
    pieces: list[dict[str, str | None]] = [
        {"text": "Valid: ", "href": None},
        {"text": f"{'' if len(of_data) == 1 else 'all '}{plural(len(of_data), 'check')} passed", "href": "#checks"},
        {"text": f" over {plural(sum(e['operations'] for e in experiments), 'operation')} in ", "href": None},
        {"text": plural(len(experiments), "experiment"), "href": "#outcomes"},
    ]
    kept = len(checks) - len(of_data)
    if kept:
        text = f"{plural(kept, 'limit')} of yours {'was' if kept == 1 else 'were'} kept"
        pieces += [{"text": "; ", "href": None}, {"text": text, "href": "#checks"}]
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


def _keys_told(experiments: Sequence[Mapping[str, Any]]) -> list[dict[str, str | None]]:
    """Say how many keys the members hold, and how many had to remain; nothing where a member's keys are not known."""
    held = [member["keys"] for experiment in experiments for member in experiment["members"]]
    if not held or None in held:
        return []
    bounds = [
        check["evidence"]["expected_keys"]
        for experiment in experiments
        for check in experiment["checks"]
        if check["name"] == "outcomes" and "expected_keys" in check["evidence"]
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


# ---------------------------------------------------------------- outages


def _outages_in_full(experiments: Sequence[Mapping[str, Any]]) -> list[dict[str, str | None]]:
    """Say of each fault whom it struck, at which operation, and how long its outage was."""
    pieces: list[dict[str, str | None]] = []
    for experiment in experiments:
        for fault in experiment["faults"]:
            if fault.get("untold"):
                text = f"; the length of the outage of {experiment['name']} is unknown"
                pieces.append({"text": text, "href": f"#{fault['anchor']}"})
            elif not fault["fired"]:
                to = towards(fault["plan"].get("to"))
                text = (
                    f"; the {fault['action'].replace('_', ' ')} of the {fault['target']}{to} planned for "
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

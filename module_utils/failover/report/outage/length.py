# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What determined the length of an outage, of one and of all repeats together, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from ...moments import OUTAGE_END, OUTAGE_END_LABEL
from ...sentences import milliseconds, plural
from .anatomy import BEFORE, UNEXPLAINED

# What the server's log gives as the cause of an election that began because nothing was heard from the leader.
ELECTION_TIMEOUT = "election timeout"
# An operation that took as long as the client's attempt timeout, give or take this share of it, waited for that one.
TIMEOUT_TOLERANCE = 0.1


def length_of_one(outage: str, fault: Mapping[str, Any], attempt_timeout_ms: float | None) -> str:
    """Say what determined the length of one outage, as far as its moments and its slowest operation tell.

    :param outage: how it is called, as "F1 of E2-etcd"
    :param attempt_timeout_ms: how long a client waits for one attempt; None where it is not known
    :returns: whole sentences; empty for an outage that did not end
    """
    gap = fault["gap"]
    if not gap["ended"]:
        return ""
    sentences = []
    longest = _longest_phase(fault)
    if fault["election_cause"] == ELECTION_TIMEOUT:
        sentences.append(f"In {outage} {_drawn_timeout()}.")
    elif longest is not None:
        waited = "it is unexplained" if longest["part"] == UNEXPLAINED else f"waited for: {longest['waited_for']}"
        sentences.append(
            f"Of the {milliseconds(gap['duration_ms'])} ms of {outage}, the longest phase after the fault took "
            f"{milliseconds(longest['duration_ms'])} ms and ended with “{longest['label']}”; {waited}."
        )
    if attempt_timeout_ms is not None and is_one_timeout(fault, attempt_timeout_ms):
        sentences.append(
            f"The slowest operation in this gap took {milliseconds(fault['slowest']['latency_ms'])} ms, about as long "
            f"as a client waits for one attempt (client_attempt_timeout_ms = {attempt_timeout_ms:g}): this gap "
            "measures that setting of the client rather than the servers."
        )
    return " ".join(sentences)


def length_of_repeats(struck: Sequence[Mapping[str, Any]], attempt_timeout_ms: float | None) -> str:
    """Say what determined the lengths of a fault's outages, over all repeats that have one that ended.

    :param struck: the repeats in which the fault struck, as the report tells them
    :returns: whole sentences; empty where no outage ended
    """
    ended = [fault for fault in struck if fault["gap"] and fault["gap"]["ended"]]
    longest = [phase for fault in ended if (phase := _longest_phase(fault)) is not None]
    if not longest:
        return ""
    sentences: list[str] = []
    for name, times in Counter(phase["name"] for phase in longest).most_common():
        phases = [phase for phase in longest if phase["name"] == name]
        sentences.append(_same_longest(phases, times, len(ended), first=not sentences))
    timed = sum(fault["election_cause"] == ELECTION_TIMEOUT for fault in ended)
    if timed:
        sentences.append(f"{_in_repeats(timed, len(ended))} {_drawn_timeout()}: that alone spreads the lengths.")
    if attempt_timeout_ms is not None:
        clients = sum(is_one_timeout(fault, attempt_timeout_ms) for fault in ended)
        if clients:
            sentences.append(
                f"{_in_repeats(clients, len(ended))} the slowest operation took about as long as a client waits for "
                f"one attempt (client_attempt_timeout_ms = {attempt_timeout_ms:g}): these gaps measure that setting of "
                "the client rather than the servers."
            )
    return " ".join(sentences)


def _same_longest(phases: Sequence[Mapping[str, Any]], times: int, ended: int, *, first: bool) -> str:
    """Tell of the repeats in which the phase of one name was the longest one."""
    lengths = [phase["duration_ms"] for phase in phases]
    if len(lengths) == 1:
        took = f"{milliseconds(lengths[0])} ms"
    else:
        low, middle, high = (milliseconds(of(lengths)) for of in (min, median, max))
        took = f"{low} to {high} ms, median {middle} ms"
    share = median(phase["share"] for phase in phases)
    about = "" if len(phases) == 1 else "about "
    unexplained = sum(phase["part"] == UNEXPLAINED for phase in phases)
    waited = Counter(phase["waited_for"] for phase in phases if phase["part"] != UNEXPLAINED).most_common(1)
    why = "" if not waited else f"; waited for: {_without_operation(waited[0][0])}"
    if unexplained:
        why += "; unexplained" if unexplained == len(phases) else f"; unexplained in {unexplained}"
    label = phases[0]["label"] if phases[0]["name"] != OUTAGE_END else OUTAGE_END_LABEL
    what = "the longest phase after the fault" if first else "it was the one that"
    return (
        f"{_in_repeats(times, ended)} {what} ended with “{label}” ({took}, {about}{share * 100:.0f} % of its outage)"
        f"{why}."
    )


def _without_operation(waited_for: str) -> str:
    """Leave out which operation it was: that differs from repeat to repeat."""
    before, found, rest = waited_for.partition("operation ")
    number, _, tail = rest.partition(" ")
    if not found or not number.rstrip(",").replace(",", "").isdigit():
        return waited_for
    return f"{before}an operation{',' if number.endswith(',') else ''}{' ' + tail if tail else ''}"


def _in_repeats(number: int, of: int) -> str:
    if number == of:
        return "In the one repeat" if of == 1 else f"In all {of} repeats"
    return f"In {number} of {plural(of, 'repeat')}"


def _drawn_timeout() -> str:
    return (
        "the members waited for an election timeout, which each draws at random between one and two times the "
        "configured one"
    )


def _longest_phase(fault: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the longest phase of what came after the fault; an ordinary pause before it explains nothing."""
    phases: Sequence[Mapping[str, Any]] = fault["anatomy"]["phases"] if fault["anatomy"] else []
    return max(
        (phase for phase in phases if phase["part"] != BEFORE), key=lambda phase: phase["duration_ms"], default=None
    )


def is_one_timeout(fault: Mapping[str, Any], timeout_ms: float) -> bool:
    """Tell whether a gap is as long as it is because one attempt of a client waited for its timeout."""
    slowest = fault["slowest"]
    if slowest is None or (slowest["attempts"] == 1 and slowest["outcome"] == "ok"):
        return False
    latency_ms, tolerance_ms = float(slowest["latency_ms"]), timeout_ms * TIMEOUT_TOLERANCE
    # A longer gap is made of more than this one attempt.
    return abs(latency_ms - timeout_ms) <= tolerance_ms and bool(
        fault["gap"]["duration_ms"] <= timeout_ms + tolerance_ms
    )

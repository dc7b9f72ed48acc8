# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the members became equal after the heal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..shapes import Check, Verdict
from .base import Case, Checker


class Convergence(Checker):
    """The members became equal after the heal of each repeat, and how soon."""

    name = "convergence"
    how = "After the heal the members' states are sampled until they are equal, or a time limit passes."

    def applies(self, case: Case) -> bool:
        """Whether there is another one to become equal to."""
        return len(case.experiment.members) > 1

    def judge(self, case: Case) -> list[Check]:
        """Judge by what the heals saw."""
        return [_all(self.name, case.info)]


def _all(name: str, info: Mapping[str, Any]) -> Check:
    since = "the heal was requested" if info["faults"] else "the watching began, with nothing to heal"
    checks = [_one(name, repeat["convergence"], since) for repeat in info["repeats"]]
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
        name,
        Verdict.VALID,
        f"The members had equal data after each of {len(checks)} repeats, {min(known_ms):,.0f} to "
        f"{max(known_ms):,.0f} ms after {since}.",
        evidence,
    )


def _one(name: str, watched: Mapping[str, Any] | None, since: str) -> Check:
    """Check one repeat, by what the heal after it saw.

    :param since: from when on they were watched
    """
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
        summary = f"The members had equal data {watched['duration_ms']:,.0f} ms after {since}."
        return Check(name, Verdict.VALID, summary, evidence)
    last = samples[-1]["members"].values() if samples else []
    # An agent's error goes on with the server's log, which stays in the evidence.
    told = [f"{member}: {error.splitlines()[0].rstrip('.')}" for member, error in errors.items()]
    why = "; ".join([*told, *reasons]) or "no reason was recorded"
    if errors or not all(state.get("reachable", True) for state in last):
        summary = f"Whether the members became equal could not be seen: {why}."
        return Check(name, Verdict.UNKNOWN, summary, evidence)
    return Check(name, Verdict.INVALID, f"The members did not become equal while they were watched: {why}.", evidence)

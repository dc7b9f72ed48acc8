# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from failover.checks.verdict import verify_experiment
from failover.shapes import Check, Verdict
from judged import PlantIt, wrong


def test_convergence(plant: PlantIt, tmp_path: Path) -> None:
    _, checks = plant("not_converged")
    assert wrong(checks) == {"convergence"}
    path = tmp_path / "run" / "E2-etcd" / "experiment.json"
    info = json.loads(path.read_text())

    def verdict_of(convergence: Any) -> Verdict:
        path.write_text(json.dumps({**info, "repeats": [{**info["repeats"][0], "convergence": convergence}]}))
        return next(check.verdict for check in verify_experiment(path.parent) if check.name == "convergence")

    assert verdict_of(None) is Verdict.UNKNOWN
    assert verdict_of({**info["convergence"], "errors": {"etcd2": "connection refused"}}) is Verdict.UNKNOWN
    last = {"wall_ns": 1, "members": {"etcd2": {"reachable": False, "error": "connection refused"}}}
    assert verdict_of({**info["convergence"], "samples": [last]}) is Verdict.UNKNOWN


def test_convergence_is_that_of_every_repeat(plant: PlantIt, tmp_path: Path) -> None:
    plant(None)
    path = tmp_path / "run" / "E2-etcd" / "experiment.json"
    info = json.loads(path.read_text())
    (only,) = info["repeats"]

    def check_of(*convergences: Any) -> Check:
        repeats = [{**only, "repeat": n, "convergence": given} for n, given in enumerate(convergences, 1)]
        path.write_text(json.dumps({**info, "repeats": repeats}))
        return next(check for check in verify_experiment(path.parent) if check.name == "convergence")

    good = {**info["convergence"], "converged": True, "duration_ms": 40.0}
    equal = check_of(good, good | {"duration_ms": 250.0})
    assert equal.verdict is Verdict.VALID
    assert equal.summary == (
        "The members had equal data after each of 2 repeats, 40 to 250 ms after the heal was requested."
    )
    differ = check_of(good, good | {"converged": False, "duration_ms": None, "reasons": ["they differ"]})
    assert differ.verdict is Verdict.INVALID
    assert differ.summary.startswith("Repeat 2: The members did not become equal")
    assert check_of(good, None).verdict is Verdict.UNKNOWN

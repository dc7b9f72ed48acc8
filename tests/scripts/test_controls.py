# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controls: as data, and what becomes of their tries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from _controls import Control, read_controls, run_controls
from _front import warn_of_unknown_variables
from _options import read_options
from catalog import CATALOG
from failover.checks.registry import CHECKERS
from failover.plan.experiments import resolve_experiments
from failover.shapes import LabError, RunSettings, Verdict

GROUPS = {
    "etcd": ["etcd1", "etcd2", "etcd3"],
    "mysql": ["mysql1"],
    "mysql_cluster": ["group1", "group2", "group3"],
}


@pytest.mark.parametrize("control", read_controls(), ids=lambda control: control.name)
def test_every_control_can_be_run(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    given = control.variables
    settings = {name: given[name] for name in ("iterations", "clients", "repeats", "retry_policy") if name in given}
    catalog = given.get("experiment_catalog", CATALOG)
    planned = resolve_experiments(given["experiments"], catalog, RunSettings(seed=1, **settings), GROUPS)
    assert all(experiment["faults"] for experiment in planned["experiments"])
    warn_of_unknown_variables(read_options(["-e", json.dumps(given)]) or [])
    assert capsys.readouterr().err == ""
    assert control.expected in set(Verdict)
    assert control.tries > 0
    assert bool(control.by) == (control.expected != Verdict.VALID)
    begins = tuple(checker.name for checker in CHECKERS)
    assert all(pattern.startswith(begins) for pattern in control.by)


def test_a_control_is_chosen_by_its_name() -> None:
    assert [control.name for control in read_controls(["ghosts", "etcd_durable"])] == ["etcd_durable", "ghosts"]
    with pytest.raises(LabError, match=r"There is no control ghost\. Try one of etcd_without_fsync_all, "):
        read_controls(["ghost"])


BAD = Control("bad", "a bad system", "invalid", "its manual", 3, {}, ("keys on *", "members equal"))
GOOD = Control("good", "a good system", "valid", "its manual", 2, {})


def verdict(word: str, *names: str) -> dict[str, Any]:
    """Return a run's verdict with checks of those names that say so."""
    checks = [{"name": f"P-etcd: {name}", "verdict": word, "summary": f"{name} is {word}."} for name in names]
    return {"verdict": word, "checks": [{"name": "P-etcd: history", "verdict": "valid", "summary": ""}, *checks]}


def tried(tmp_path: Path, *controls: Control, came: list[Any]) -> tuple[int, list[str], Any]:
    """Run controls whose tries come out so; return the exit status, what was said, and controls.json."""
    said: list[str] = []
    tries = iter(enumerate(came, 1))

    def try_once(_control: Control) -> Any:
        number, found = next(tries)
        return found if isinstance(found, int) else (tmp_path / f"run{number}", found)

    status = run_controls(controls, try_once, said.append)
    assert next(tries, None) is None, "a try was left out"
    place = tmp_path / "controls.json"
    return status, said, json.loads(place.read_text()) if place.exists() else None


def test_a_bad_system_is_tried_until_it_shows(tmp_path: Path) -> None:
    came = [verdict("valid"), verdict("invalid", "keys on etcd2", "members equal")]
    status, said, kept = tried(tmp_path, BAD, came=came)
    assert status == 0
    assert said == [
        "control bad, try 1 of 3: a bad system",
        "control bad, try 2 of 3: a bad system",
        "bad: shown in 2 tries: P-etcd: keys on etcd2: keys on etcd2 is invalid.",
        f"1 of 1 controls showed what is known of them: {tmp_path / 'controls.pdf'}",
    ]
    [row] = kept["controls"]
    assert (row["name"], row["expected"], row["found"], row["tries"], row["shown"]) == (
        *("bad", "invalid", ["valid", "invalid"], 2, True),
    )
    assert row["runs"] == ["run1", "run2"]


def test_what_was_never_shown_is_not_passed(tmp_path: Path) -> None:
    # Invalid for another reason than the one that it is known for, once.
    came = [verdict("valid"), verdict("invalid", "fault F1"), verdict("unknown", "keys on etcd2")]
    status, said, kept = tried(tmp_path, BAD, came=came)
    assert status == 1
    assert said[-2] == "bad: not shown in 3 tries (invalid was expected, found: valid, invalid, unknown)"
    assert kept["controls"][0]["shown"] is False


def test_a_good_system_has_to_be_valid_in_every_try(tmp_path: Path) -> None:
    status, said, _ = tried(tmp_path, GOOD, came=[verdict("valid"), verdict("valid")])
    assert (status, said[-2]) == (0, "good: valid in 2 tries, as it has to be")
    status, said, _ = tried(
        tmp_path, GOOD, BAD, came=[verdict("invalid", "keys on a"), verdict("invalid", "keys on a")]
    )
    assert status == 1
    assert said[1] == "good: not shown in 1 try (valid was expected, found: invalid)"
    assert said[-1].startswith("1 of 2 controls ")


def test_a_failure_of_the_lab_ends_it_and_what_was_found_stays(tmp_path: Path) -> None:
    status, _, kept = tried(tmp_path, GOOD, BAD, came=[verdict("valid"), verdict("valid"), 3])
    assert status == 3
    assert [(row["name"], row["tries"]) for row in kept["controls"]] == [("good", 2)]
    # So does the page: it is as new as what it tells.
    assert "1 of 1 controls showed what is known of them" in (tmp_path / "controls.html").read_text()

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run that was interrupted is resumed, and no other one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from failover.plan.run_record import open_run
from failover.shapes import LabError

PLAN: dict[str, Any] = {
    "iterations": 2000,
    "seed": 7,
    "clients": 1,
    "rate": 0.0,
    "retry_policy": "safe",
    "read_consistency": "linearizable",
    "arrivals": "fixed",
    "tls": True,
    "workload": {},
    "repeats": 10,
    "sole_server_heal": "3s",
    "checkout": {"commit": "8f95194", "dirty": False, "origin": None},
    "experiments": [{"name": "E2-etcd", "faults": []}, {"name": "E3-etcd", "faults": [{"id": "F1@1"}]}],
}
BEGAN, LATER = "2026-11-23T04:50:00Z", "2026-11-23T05:50:00Z"


def finish(folder: Path, name: str) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "experiment.json").write_text("{}")


def test_a_new_run_has_everything_before_it(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "run"
    opened = open_run(folder, PLAN, now=BEGAN, resume=False)
    assert opened == {
        "started_at": BEGAN,
        "resumed_at": [],
        "checkout": PLAN["checkout"],
        "pending": ["E2-etcd", "E3-etcd"],
        "limits": {},
    }
    plan = json.loads((folder / "plan.json").read_text())
    assert {name: plan[name] for name in PLAN} == PLAN


def test_what_is_finished_stays_and_the_rest_begins_anew(tmp_path: Path) -> None:
    open_run(tmp_path, PLAN, now=BEGAN, resume=False)
    finish(tmp_path, "E2-etcd")
    (tmp_path / "E3-etcd" / "nodes").mkdir(parents=True)
    (tmp_path / "E3-etcd" / "history.jsonl").write_text("half of it")
    opened = open_run(tmp_path, PLAN, now=LATER, resume=True)
    assert (opened["started_at"], opened["resumed_at"], opened["pending"]) == (BEGAN, [LATER], ["E3-etcd"])
    assert (tmp_path / "E2-etcd" / "experiment.json").exists()
    assert not (tmp_path / "E3-etcd").exists()
    finish(tmp_path, "E3-etcd")
    opened = open_run(tmp_path, PLAN, now="then", resume=True)
    assert (opened["started_at"], opened["resumed_at"], opened["pending"]) == (BEGAN, [LATER, "then"], [])


@pytest.mark.parametrize(
    ("now", "dirty"),
    [
        ({"commit": "8f95194", "dirty": False, "origin": None}, False),
        ({"commit": "8f95194", "dirty": True, "origin": None}, True),
        ({"commit": "d4f16eb", "dirty": False, "origin": None}, True),
        (None, True),
    ],
)
def test_a_run_that_goes_on_with_another_commit_is_not_of_the_first_alone(
    tmp_path: Path, now: dict[str, Any] | None, dirty: bool
) -> None:
    open_run(tmp_path, PLAN, now=BEGAN, resume=False)
    resumed = open_run(tmp_path, PLAN | {"checkout": now}, now=LATER, resume=True)
    assert resumed["checkout"] == {"commit": "8f95194", "dirty": dirty, "origin": None}
    # What was found once stays.
    assert open_run(tmp_path, PLAN, now="then", resume=True)["checkout"] == resumed["checkout"]


def test_a_run_begun_before_commits_were_recorded_goes_on_without(tmp_path: Path) -> None:
    open_run(tmp_path, PLAN, now=BEGAN, resume=False)
    plan = json.loads((tmp_path / "plan.json").read_text())
    del plan["checkout"]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert open_run(tmp_path, PLAN, now=LATER, resume=True)["checkout"] is None


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    assert open_run(tmp_path / "run", PLAN, now=BEGAN, resume=False, dry_run=True)["pending"] == ["E2-etcd", "E3-etcd"]
    assert not (tmp_path / "run").exists()
    open_run(tmp_path, PLAN, now=BEGAN, resume=False)
    (tmp_path / "E3-etcd").mkdir()
    before = (tmp_path / "plan.json").read_text()
    open_run(tmp_path, PLAN, now=LATER, resume=True, dry_run=True)
    assert (tmp_path / "E3-etcd").exists()
    assert (tmp_path / "plan.json").read_text() == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"repeats": 3}, "was started with other settings. Resume it with -e repeats=10, or leave resume out."),
        ({"iterations": 1, "seed": 1}, "Resume it with -e iterations=2000 -e seed=7,"),
        ({"sole_server_heal": "30s"}, "Resume it with -e sole_server_heal=3s,"),
        ({"experiments": PLAN["experiments"][:1]}, "Resume it with -e experiments=E2-etcd,E3-etcd,"),
        (
            {"experiments": [PLAN["experiments"][0], {"name": "E3-etcd", "faults": []}]},
            "E3-etcd of run was defined differently when the run began (plan.json there).",
        ),
    ],
)
def test_another_run_is_not_gone_on_with(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    folder = tmp_path / "run"
    open_run(folder, PLAN, now=BEGAN, resume=False)
    with pytest.raises(LabError) as raised:
        open_run(folder, {**PLAN, **changes}, now=LATER, resume=True)
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_folder_without_a_plan_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"^resume: .* cannot be resumed, as it has no plan\.json\."):
        open_run(tmp_path / "nothing", PLAN, now=LATER, resume=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"experiments": None}, "experiments is None, and has to be a list"),
        ({"experiments": [{}]}, "experiments[0] has no name"),
        ({"resumed_at": "then"}, "resumed_at is 'then', and has to be a list"),
    ],
)
def test_a_plan_that_is_damaged_is_said(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    (tmp_path / "plan.json").write_text(json.dumps({**PLAN, "started_at": BEGAN, "resumed_at": [], **changes}))
    with pytest.raises(LabError) as raised:
        open_run(tmp_path, PLAN, now=LATER, resume=True)
    assert str(raised.value) == f"resume: {tmp_path}/plan.json: {said}. Leave resume out for a new run."


def test_a_plan_without_its_experiments_is_said(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(LabError, match=r"plan\.json lacks experiments, started_at, resumed_at\. Leave resume out"):
        open_run(tmp_path, PLAN, now=LATER, resume=True)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match=r"results folder .*file.*: (not a directory|file exists)"):
        open_run(tmp_path / "file" / "run", PLAN, now=BEGAN, resume=False)


def test_repeats_by_system_are_said_as_an_option_that_can_be_given(tmp_path: Path) -> None:
    open_run(tmp_path, PLAN | {"repeats": {"etcd": 3, "mysql": 1}}, now=BEGAN, resume=False)
    with pytest.raises(LabError) as raised:
        open_run(tmp_path, PLAN, now=LATER, resume=True)
    assert """Resume it with -e '{"repeats": {"etcd": 3, "mysql": 1}}', or leave""" in str(raised.value)


def test_a_run_begun_by_a_version_without_retry_policies_sent_again_blindly(tmp_path: Path) -> None:
    open_run(tmp_path, PLAN, now=BEGAN, resume=False)
    begun = json.loads((tmp_path / "plan.json").read_text())
    (tmp_path / "plan.json").write_text(
        json.dumps(
            {
                name: value
                for name, value in begun.items()
                if name not in ("retry_policy", "read_consistency", "arrivals")
            }
        )
    )
    with pytest.raises(LabError, match="Resume it with -e retry_policy=blind, or leave resume out"):
        open_run(tmp_path, PLAN, now=LATER, resume=True)
    open_run(tmp_path, PLAN | {"retry_policy": "blind"}, now=LATER, resume=True)


def test_limits_are_kept_where_a_run_is_resumed_without_them(tmp_path: Path) -> None:
    """They do not change what is run: others may be given, and none at all takes nothing back."""
    first, second = {"outage_ms": 2000}, {"p99_ms": {"etcd": 5}}
    assert open_run(tmp_path, PLAN | {"limits": first}, now=BEGAN, resume=False)["limits"] == first
    assert open_run(tmp_path, PLAN | {"limits": None}, now=LATER, resume=True)["limits"] == first
    assert open_run(tmp_path, PLAN | {"limits": second}, now=LATER, resume=True)["limits"] == second
    assert json.loads((tmp_path / "plan.json").read_text())["limits"] == second
    assert open_run(tmp_path, PLAN | {"limits": {}}, now=LATER, resume=True)["limits"] == {}
    assert open_run(tmp_path, PLAN, now=LATER, resume=True)["limits"] == {}

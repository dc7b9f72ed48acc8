# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook of a selftest, as Ansible runs it. Needs no host."""

from __future__ import annotations

import json
from pathlib import Path

from playing import ROOT, ansible_playbook
from verified import verified_run

PLAYBOOK = str(ROOT / "playbooks/selftest.yml")


def test_the_table_is_shown_and_kept_beside_the_runs(tmp_path: Path) -> None:
    verified_run(tmp_path / "results/one", iterations=300, experiments=["E1-mysql"])
    few = ("-e", "selftest_plants=2 selftest_histories=20")
    status, output, failures = ansible_playbook(
        tmp_path, PLAYBOOK, "-e", "results_run=results/one", *few, PWD=str(tmp_path)
    )
    assert (status, failures) == (0, []), output
    kept = json.loads((tmp_path / "results/selftest.json").read_text())
    assert (kept["verdict"], kept["run"], kept["seed"]) == ("valid", "one", 123)
    rows = [line.split() for line in output.splitlines()]
    assert all([row["fault"], row["system"], "2", "2", "2"] in rows for row in kept["rows"] if row["planted"])
    one = ("-e", "selftest_only=E1-mysql/cut-file/2", "-e", "selftest_seed=0")
    status, output, _ = ansible_playbook(tmp_path, PLAYBOOK, "-e", "results_run=results/one", *one, PWD=str(tmp_path))
    assert status == 0, output
    kept = json.loads((tmp_path / "results/selftest.json").read_text())
    assert (kept["seed"], kept["only"], [row["planted"] for row in kept["rows"]]) == (0, "E1-mysql/cut-file/2", [1])


def test_a_run_that_is_not_valid_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = verified_run(tmp_path / "run", iterations=300, experiments=["E1-mysql"], plant="lost_key")
    status, output, failures = ansible_playbook(tmp_path, PLAYBOOK, "-e", f"results_run={folder}")
    assert status != 0
    [message] = [failure["message"] for failure in failures]
    assert message.startswith(f"The verdict on {folder} is invalid: a selftest begins from a valid run"), output
    assert not (tmp_path / "selftest.json").exists()

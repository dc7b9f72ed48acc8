# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role etcd refuses before it touches anything, run by Ansible with this machine in the hosts' place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = ("etcd1", "etcd2", "etcd3")
TOKEN = "here-0123abcd"
CLUSTER = ",".join(f"{name}=http://192.0.2.{number}:2380" for number, name in enumerate(MEMBERS, 11))

# Runs part of the role; its answer is the recap and all that was printed.
RunPart = Callable[..., tuple[int, str]]


@pytest.fixture
def run_part(tmp_path: Path) -> RunPart:
    """Run one task file of the role on members that are all this machine; paths lie below ``tmp_path``/MEMBER."""

    def run(part: str, members: tuple[str, ...] = MEMBERS, limit: str = "etcd", **variables: Any) -> tuple[int, str]:
        hosts = {name: {"lab_address": f"192.0.2.{number}"} for number, name in enumerate(members, 11)}
        (tmp_path / "hosts.json").write_text(
            json.dumps(
                {
                    "lab_hosts": {
                        "children": {
                            "etcd": {"hosts": hosts},
                            "load_generators": {"hosts": {"client1": {"lab_address": "192.0.2.99"}}},
                        }
                    }
                }
            )
        )
        play = {
            "name": "Part",
            "hosts": "etcd",
            "gather_facts": False,
            "tasks": [{"name": "Part", "include_role": {"name": "etcd", "tasks_from": part}}],
        }
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        settings = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "lab_name": "here",
            "lab_state_dir": str(tmp_path / "state"),
            "etcd_cluster_token": TOKEN,
            "etcd_data_dir": f"{tmp_path}/{{{{ inventory_hostname }}}}/data",
            "etcd_marker_file": f"{tmp_path}/{{{{ inventory_hostname }}}}/marker",
            **variables,
        }
        done = subprocess.run(
            [
                *(sys.executable, "-m", "ansible", "playbook", "play.yml"),
                *("-i", "hosts.json", "--limit", limit, "-e", json.dumps(settings)),
            ],
            cwd=tmp_path,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    for name in MEMBERS:
        (tmp_path / name).mkdir()
    return run


def own_cluster(folder: Path, token: str = TOKEN) -> None:
    (folder / "data/member").mkdir(parents=True)
    (folder / "marker").write_text(f"{token} {CLUSTER}\n")


def test_empty_hosts_and_own_data_are_taken(run_part: RunPart, tmp_path: Path) -> None:
    status, said = run_part("data")
    assert status == 0, said
    for name in MEMBERS:
        own_cluster(tmp_path / name)
    status, said = run_part("data")
    assert status == 0, said


def test_first_start_that_was_interrupted_goes_on(run_part: RunPart, tmp_path: Path) -> None:
    own_cluster(tmp_path / "etcd1")
    for name in ("etcd2", "etcd3"):
        (tmp_path / name / "marker").write_text(f"{TOKEN} {CLUSTER}\n")
    status, said = run_part("data")
    assert status == 0, said


def test_data_of_another_cluster_is_refused(run_part: RunPart, tmp_path: Path) -> None:
    own_cluster(tmp_path / "etcd2", token="other-99999999")
    status, said = run_part("data")
    assert status != 0
    assert "etcd2 holds the data of another etcd cluster" in said
    assert f'says "other-99999999 {CLUSTER}", this lab is "{TOKEN} {CLUSTER}"' in said
    assert "-e etcd_reset=true" in said
    assert (tmp_path / "etcd2/data/member").is_dir()


def test_data_that_nobody_marked_is_refused(run_part: RunPart, tmp_path: Path) -> None:
    (tmp_path / "etcd3/data/member").mkdir(parents=True)
    status, said = run_part("data")
    assert status != 0
    assert "etcd3 holds etcd data in" in said
    assert "that this lab did not write" in said


def test_member_that_lost_everything_is_refused(run_part: RunPart, tmp_path: Path) -> None:
    own_cluster(tmp_path / "etcd1")
    own_cluster(tmp_path / "etcd3")
    status, said = run_part("data")
    assert status != 0
    assert "etcd2 has neither data nor" in said
    assert "while etcd1, etcd3 have the data of a cluster that it belonged to" in said


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"members": ("etcd1", "etcd2")}, "has 2 members: an even number tolerates no more failures"),
        ({"etcd_election_timeout_ms": "300"}, "etcd_election_timeout_ms is 300: etcd refuses less than 5 heartbeats"),
        ({"etcd_election_timeout_ms": 60000}, "an election timeout of at most 50000"),
        ({"lab_address": "db.example.org"}, "The lab takes IPv4 addresses only"),
        ({"lab_address": "192.0.2.7"}, "etcd1 and etcd2 have the same address"),
        ({"limit": "etcd2", "etcd_reset": "true"}, "etcd1, etcd3 would be left out. Run it again without --limit."),
    ],
)
def test_variables_that_do_not_fit_together_are_refused(
    run_part: RunPart, variables: dict[str, Any], expected: str
) -> None:
    status, said = run_part("validate", **variables)
    assert status != 0
    assert expected in said


def test_variables_of_the_defaults_fit_together(run_part: RunPart) -> None:
    status, said = run_part("validate")
    assert status == 0, said

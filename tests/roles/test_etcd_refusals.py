# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role etcd refuses before it touches anything, run by Ansible with this machine in the hosts' place.

One start of Ansible has all cases; what the settings' own check refuses has its tests in tests/module_utils.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from once import made_once

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = ("etcd1", "etcd2", "etcd3")
TOKEN = "here-0123abcd"
CLUSTER = ",".join(f"{name}=https://192.0.2.{number}:2380" for number, name in enumerate(MEMBERS, 11))
# What each host was told, by case; nothing where it was not refused.
Said = dict[str, dict[str, str]]

# Cases that run the role's check of its variables on etcd2 alone, as with --limit, each with what is not a default.
VARIABLES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "short_timeout": {"etcd_election_timeout_ms": "300"},
    "long_timeout": {"etcd_election_timeout_ms": 60000},
    "reset_of_one": {"etcd_reset": "true"},
}
# Cases that look at the hosts' data.
DATA = ("empty", "own", "interrupted", "foreign", "unmarked", "lost")


# Once a play: its defaults stay, and what it depends on takes a second each time.
ROLE = {"name": "Load the role", "include_role": {"name": "etcd", "tasks_from": "validate", "public": True}}


def case(name: str, part: str, **variables: Any) -> dict[str, Any]:
    """Return the task that runs a part of the role, and notes what it says."""
    noted = "{{ said | default({}) | combine({case: %s}) }}"
    failed = "ansible_failed_result.results | default([ansible_failed_result]) | selectattr('failed') | first"
    return {
        "name": name,
        "vars": {"case": name, **variables},
        "block": [
            {"name": "Run the part", "include_tasks": str(ROOT / f"roles/etcd/tasks/{part}.yml")},
            {"name": "Note that it passed", "set_fact": {"said": noted % "''"}},
        ],
        "rescue": [{"name": "Note why it failed", "set_fact": {"said": noted % f"({failed}).msg"}}],
    }


def play(hosts: str, *tasks: dict[str, Any]) -> dict[str, Any]:
    return {"name": f"Cases on {hosts}", "hosts": hosts, "gather_facts": False, "tasks": list(tasks)}


def own_cluster(folder: Path, token: str = TOKEN) -> None:
    (folder / "data/member").mkdir(parents=True)
    (folder / "marker").write_text(f"{token} {CLUSTER}\n")


def lay_out(folder: Path) -> None:
    """Make what the hosts have in each case of data."""
    for name in DATA:
        for member in MEMBERS:
            (folder / name / member).mkdir(parents=True)
    for member in MEMBERS:
        own_cluster(folder / "own" / member)
    own_cluster(folder / "interrupted/etcd1")
    for member in ("etcd2", "etcd3"):
        (folder / "interrupted" / member / "marker").write_text(f"{TOKEN} {CLUSTER}\n")
    own_cluster(folder / "foreign/etcd2", token="other-99999999")
    (folder / "unmarked/etcd3/data/member").mkdir(parents=True)
    own_cluster(folder / "lost/etcd1")
    own_cluster(folder / "lost/etcd3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all cases were run; the hosts' files are CASE/MEMBER/data and CASE/MEMBER/marker."""
    return made_once("etcd_refusals", tmp_path_factory, run_cases)


@pytest.fixture(scope="module")
def said(folder: Path) -> Said:
    by_host: dict[str, dict[str, str]] = json.loads((folder / "said.json").read_text())
    cases = dict.fromkeys(name for told in by_host.values() for name in told)
    return {name: {host: told[name] for host, told in by_host.items() if name in told} for name in cases}


def run_cases(folder: Path) -> None:
    """Run all cases on members that are all this machine."""
    lay_out(folder)
    hosts = {name: {"lab_address": f"192.0.2.{number}"} for number, name in enumerate(MEMBERS, 11)}
    client = {"client1": {"lab_address": "192.0.2.99"}}
    children = {"etcd": {"hosts": hosts}, "load_generators": {"hosts": client}}
    (folder / "hosts.json").write_text(json.dumps({"lab_hosts": {"children": children}}))
    everything = "{{ dict(groups.etcd | zip(groups.etcd | map('extract', hostvars, 'said'))) | to_json }}"
    note = {
        "name": "Write down what was said",
        "copy": {"content": everything, "dest": str(folder / "said.json"), "mode": "0644"},
        "run_once": True,
    }
    plays = [
        play("etcd2", ROLE, *(case(name, "validate", **given) for name, given in VARIABLES.items())),
        play("etcd", ROLE, *(case(name, "data") for name in DATA), note),
    ]
    (folder / "play.json").write_text(json.dumps(plays))
    settings = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "lab_name": "here",
        "lab_state_dir": str(folder / "state"),
        "etcd_cluster_token": TOKEN,
        "etcd_data_dir": f"{folder}/{{{{ case }}}}/{{{{ inventory_hostname }}}}/data",
        "etcd_marker_file": f"{folder}/{{{{ case }}}}/{{{{ inventory_hostname }}}}/marker",
    }
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "playbook", "play.json"),
            *("-i", "hosts.json", "-e", json.dumps(settings)),
        ],
        cwd=folder,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["empty", "own", "interrupted"])
def test_hosts_are_taken_without_data_or_with_their_own(said: Said, name: str) -> None:
    """Also those of a first start that was interrupted, which goes on."""
    assert said[name] == dict.fromkeys(MEMBERS, "")


def test_data_of_another_cluster_is_refused(said: Said, folder: Path) -> None:
    message = said["foreign"]["etcd2"]
    assert message.startswith("etcd2 holds the data of another etcd cluster: ")
    assert f'says "other-99999999 {CLUSTER}", this lab is "{TOKEN} {CLUSTER}"' in message
    assert "-e etcd_reset=true" in message
    assert (folder / "foreign/etcd2/data/member").is_dir()


def test_data_that_nobody_marked_is_refused(said: Said) -> None:
    message = said["unmarked"]["etcd3"]
    assert message.startswith("etcd3 holds etcd data in ")
    assert "that this lab did not write" in message


def test_member_that_lost_everything_is_refused(said: Said) -> None:
    message = said["lost"]["etcd2"]
    assert message.startswith("etcd2 has neither data nor ")
    assert "while etcd1, etcd3 have the data of a cluster that it belonged to" in message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("short_timeout", "etcd_election_timeout_ms is 300: etcd refuses less than 5 heartbeats"),
        ("long_timeout", "an election timeout of at most 50000"),
        ("reset_of_one", "etcd1, etcd3 would be left out. Run it again without --limit."),
    ],
)
def test_variables_that_do_not_fit_together_are_refused(said: Said, name: str, expected: str) -> None:
    assert expected in said[name]["etcd2"]


def test_variables_of_the_defaults_fit_together(said: Said) -> None:
    assert said["defaults"] == {"etcd2": ""}

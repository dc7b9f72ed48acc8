# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bad input, as a user gives it on the command line: one line that tells what, where and what to try. Needs no host."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
# What no lab has.
NOBODYS = {"lab_name": "nobodys-lab", "lab_subnet": "10.89.251.0/24"}


def ansible_playbook(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, list[dict[str, str]]]:
    """Run ansible-playbook; returns its exit status, what it prints, and the failures that were told."""
    phases = folder / "phases.json"
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "lab_progress",
            "ANSIBLE_NOCOLOR": "1",
            "LAB_PHASES_FILE": str(phases),
            "LC_ALL": "C.UTF-8",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    failures = json.loads(phases.read_text())["failures"] if phases.exists() else []
    return done.returncode, done.stdout + done.stderr, failures


def refusal(folder: Path, playbook: str, variables: dict[str, Any], *options: str) -> str:
    """Return the one line with which a playbook refuses its input; anything else is a failure of the test.

    :param variables: extra variables; None leaves one of the defaults out
    """
    given = {**NOBODYS, "results_dir": str(folder / "results"), **variables}
    given = {name: value for name, value in given.items() if value is not None}
    status, output, failures = ansible_playbook(
        folder, str(ROOT / f"playbooks/{playbook}.yml"), "-e", json.dumps(given), *options
    )
    assert status != 0, output
    assert "Traceback" not in output
    assert len(failures) == 1, output
    message = failures[0]["message"]
    assert "\n" not in message
    # The user sees that line, once, and none beside it but those of the phases and the recap.
    assert len([line for line in output.splitlines() if message in line]) == 1, output
    assert failures[0]["host"] == "localhost"
    assert not (folder / "results").exists()
    return message


def the_example(folder: Path) -> tuple[str, str]:
    """Return the options for hosts that are no containers: such a lab asks nothing of this machine, podman least."""
    inventory = folder / "inventory/ssh/hosts.yml"
    inventory.parent.mkdir(parents=True)
    shutil.copy(ROOT / "inventory/ssh/hosts.yml.example", inventory)
    return "-i", str(inventory)


def experiment(**fault: Any) -> dict[str, Any]:
    """Return the variables of a run of one experiment of one's own."""
    definition = {
        "title": "mine",
        "system": "etcd",
        "key_prefix": "MINE-",
        "faults": [{"action": "stop", "target": "leader", "at": "12%"} | fault],
    }
    return {"iterations": 500, "experiments": ["mine"], "experiment_catalog": {"mine": definition}}


@pytest.mark.parametrize("playbook", ["verdict", "report", "verify"])
def test_a_relative_results_folder_is_so_to_where_the_user_stands(tmp_path: Path, playbook: str) -> None:
    named = f"results/no-such-run-{tmp_path.name}"
    status, output, failures = ansible_playbook(
        tmp_path, str(ROOT / f"playbooks/{playbook}.yml"), "-e", f"results_run={named}", PWD=str(tmp_path)
    )
    assert status != 0
    assert failures[0]["message"].startswith(f"There is no run in {tmp_path}/{named}: it has no run.json."), output


def test_a_run_without_a_verdict_is_to_be_verified_first(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    status, output, failures = ansible_playbook(
        tmp_path, str(ROOT / "playbooks/verdict.yml"), "-e", f"results_run={tmp_path}"
    )
    assert status != 0
    assert failures[0]["message"] == (
        f"The run in {tmp_path} has no verdict yet: ./scripts/lab verify -e results_run={tmp_path} makes one."
    ), output


def listed(folder: Path, *options: str) -> tuple[list[str], list[str]]:
    """Return the names that the playbook experiments lists, and those of them that it marks."""
    status, output, _ = ansible_playbook(folder, str(ROOT / "playbooks/experiments.yml"), *options)
    assert status == 0, output
    assert "WARNING" not in output
    lines = output.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.split()[:2] == ["runs", "name"])
    table = lines[begin + 1 : lines.index("  ", begin)]
    assert max(map(len, table)) <= 100
    assert len({line.index(line.replace("*", " ").split()[0]) for line in table}) == 1
    return [line.replace("*", " ").split()[0] for line in table], [line.split()[1] for line in table if "*" in line]


def test_the_experiments_are_listed_with_those_that_would_run(tmp_path: Path) -> None:
    nowhere = ("-e", f"lab_state_dir={tmp_path}/state")
    names, marked = listed(tmp_path, *nowhere)
    assert len(names) == 33
    assert marked == ["E1-etcd", "E1-mysql", "E2-etcd"]
    assert listed(tmp_path, *nowhere, "-e", "systems=etcd,mysql", "-e", "faults=pause")[1] == ["E5-etcd", "E5-mysql"]
    (tmp_path / "mine.yml").write_text(yaml.safe_dump(experiment()))
    assert listed(tmp_path, *nowhere, "-e", f"@{tmp_path}/mine.yml") == (["mine"], ["mine"])
    assert not (tmp_path / "state").exists()


def test_faults_alone_are_for_the_systems_of_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(machines()))
    assert listed(tmp_path, "-i", f"{tmp_path}/hosts.yml", "-e", "faults=kill,none")[1] == ["E1-etcd", "E3-etcd"]


def test_a_run_without_its_experiments_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, "run", {"iterations": 10, "lab_subnet": None}, "--tags", "etcd", *the_example(tmp_path))
    assert message.startswith("--tags etcd leaves the experiments out, and a run without them has no results.")


def test_syntax(tmp_path: Path) -> None:
    status, output, _ = ansible_playbook(tmp_path, "--syntax-check", *(f"playbooks/{name}.yml" for name in PLAYBOOKS))
    assert status == 0, output
    assert output.count("playbook: ") == len(PLAYBOOKS)


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_plays_say_what_they_are_and_gather_no_facts_unasked(playbook: str) -> None:
    for play in yaml.safe_load((ROOT / f"playbooks/{playbook}.yml").read_text()):
        assert play["name"][0].isupper()
        if "ansible.builtin.import_playbook" not in play:
            assert play["gather_facts"] is False, play["name"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"iterations": 0}, "iterations is 0: it must be a whole number of at least 1. Try -e iterations=2000."),
        ({"iterations": "-1"}, "iterations is -1: it must be a whole number of at least 1. Try -e iterations=2000."),
        ({"iterations": "abc"}, "iterations is abc: it must be a whole number of at least 1. Try -e iterations=2000."),
        ({"iterations": 2.5}, "iterations is 2.5: it must be a whole number of at least 1. Try -e iterations=2000."),
        ({"seed": "now"}, "seed is now: it must be a whole number of at least 0. Try -e seed=123."),
        ({"clients": 65}, "clients is 65: it must be a whole number from 1 to 64. Try -e clients=1."),
        (
            {"sole_server_heal": 30},
            "sole_server_heal is 30: it must be a time with its unit. Try -e sole_server_heal=30s.",
        ),
        (
            {"results_dir": "/nowhere", "resume": "latest"},
            "resume: /nowhere/latest cannot be resumed, as it has no plan.json. Give the name of a folder in "
            "results_dir, or leave resume out for a new run.",
        ),
        (
            {"results_dir": "/nowhere", "resume": "../x"},
            "resume: /nowhere/../x cannot be resumed, as it has no plan.json. Give the name of a folder in "
            "results_dir, or leave resume out for a new run.",
        ),
        (
            {"client_attempt_timeout_ms": "0"},
            "client_attempt_timeout_ms is 0: it must be at least 1. Try -e client_attempt_timeout_ms=500.",
        ),
        (
            {"mysql_port": "70000"},
            "mysql_port is 70000: it must be a port from 1 to 65535 other than ssh's. Try -e mysql_port=3306.",
        ),
        (
            {"etcd_client_port": 2380},
            "etcd_client_port and etcd_peer_port are both 2380, and a host of etcd listens on both. "
            "Try -e etcd_client_port=2379.",
        ),
        (
            {"iterations": "{{ nobodys }}"},
            "iterations cannot be resolved: 'nobodys' is undefined. "
            "Look at what it refers to, in the inventory and in -e.",
        ),
        (
            {"iterations": 10**12},
            "iterations is 1000000000000: checking so many operations takes about 2,384,185,791 MB of memory, and ",
        ),
        ({"rate": "-3"}, "rate is -3: it must be 0 (no limit) or operations per second. Try -e rate=500."),
        (
            {"experiments": ["E99-etcd", "E1-etcd"]},
            "Unknown experiment E99-etcd in the variable experiments: experiment_catalog has E1-etcd, E1-mysql, ",
        ),
        (
            {"systems": "etcd,mysq"},
            "Unknown name mysq in the variable systems: known are etcd, mysql, mysql_cluster. Did you mean mysql?",
        ),
        (
            {"faults": ["kill", "pauze"]},
            "Unknown name pauze in the variable faults: known are none, stop, kill, restart, pause, partition, ",
        ),
        (
            {"faults": "kill", "experiments": "E1-etcd"},
            "experiments names E1-etcd, and there are faults kill beside it: leave out experiments, or systems and "
            "faults.",
        ),
        (
            {"fault_catalog": {"gone": {"number": 12}}},
            "experiment_catalog cannot be resolved: fault_catalog: gone: no title, faults. Its keys are number, title, "
            "faults, takes_away. Look at what it refers to, in the inventory and in -e.",
        ),
        (
            {"experiments": "E1-etcd, E1-etcd"},
            'experiments is "E1-etcd, E1-etcd": it must name at least one experiment, each once. '
            "Try -e experiments=E1-etcd,E2-etcd.",
        ),
        (
            {"experiments": []},
            "experiments is []: it must name at least one experiment, each once. Try -e experiments=E1-etcd,E2-etcd.",
        ),
        ({"results_dir": "here"}, "results_dir is here: it must be an absolute path. Try -e results_dir=$PWD/here."),
        (
            experiment(at=500),
            "Experiment mine: Fault 1 strikes at 500, beyond the stream: its 500 operations have the indexes 0 to 499. "
            "Try an earlier one, or more iterations.",
        ),
        (
            experiment(action="explode"),
            "Experiment mine: Fault 1 has the unknown action 'explode'. Known are ",
        ),
        (
            experiment(target="etcd9"),
            "Experiment mine: Fault 1 has the unknown target 'etcd9'. "
            "Known are leader, follower, majority, all, etcd1, etcd2, etcd3.",
        ),
        (
            {"experiments": ["mine"], "experiment_catalog": {"mine": None}},
            "Experiment mine is None: it must have the keys title, system, key_prefix, faults.",
        ),
    ],
)
def test_variables_are_refused_before_anything_is_touched(
    tmp_path: Path, variables: dict[str, Any], expected: str
) -> None:
    message = refusal(tmp_path, "run", variables)
    assert message == expected if not expected.endswith(" ") else message.startswith(expected)


@pytest.mark.parametrize(("playbook", "name"), [("down", ""), ("down", ".."), ("up", "a/b"), ("check", "a b")])
def test_a_lab_name_that_is_no_name_of_a_folder_is_refused(tmp_path: Path, playbook: str, name: str) -> None:
    """The playbook down removes folders of that name: it must not get one of another meaning."""
    message = refusal(tmp_path, playbook, {"lab_name": name})
    assert message.startswith(f"lab_name is {json.dumps(name)}: ")
    assert message.endswith("Try -e lab_name=second.")


@pytest.mark.parametrize(
    ("subnet", "what"),
    [
        ("garbage", "lab_subnet garbage is not a network"),
        ("10.89.251.0/16", "lab_subnet 10.89.251.0/16 is not a network"),
        ("8.8.8.0/24", "lab_subnet 8.8.8.0/24 is not a private IPv4 network with prefix length 24"),
    ],
)
def test_subnet_is_refused(tmp_path: Path, subnet: str, what: str) -> None:
    message = refusal(tmp_path, "check", {"lab_subnet": subnet})
    assert what in message
    assert "use one like -e lab_subnet=10.89.78.0/24" in message


def test_run_before_up_says_so(tmp_path: Path) -> None:
    state = tmp_path / "state"
    variables = {"iterations": 10, "lab_state_dir": str(state), "lab_subnet": None}
    message = refusal(tmp_path, "run", variables, *the_example(tmp_path))
    assert message == (
        "The lab nobodys-lab is not up: it has no etcd, mysql yet. Bring it up first, for the same experiments: "
        "./scripts/lab up, or ansible-playbook playbooks/up.yml."
    )
    assert not state.exists()


@pytest.mark.parametrize("playbook", ["check", "up"])
def test_even_number_of_members_is_refused(tmp_path: Path, playbook: str) -> None:
    inventory = yaml.safe_load((ROOT / "inventory/containers/hosts.yml").read_text())
    del inventory["lab_hosts"]["children"]["etcd"]["hosts"]["etcd3"]
    inventory["all"] = {"vars": {"lab_state_dir": str(tmp_path / "state")}}
    shutil.copytree(ROOT / "inventory/containers/group_vars", tmp_path / "group_vars")
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    assert refusal(tmp_path, playbook, {}, "-i", str(tmp_path / "hosts.yml")) == (
        "The inventory's group etcd has 2 members: an even number tolerates no more failures than one member fewer. "
        "Use 1, 3 or 5 hosts in the group etcd."
    )


LOCALHOST = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
MACHINES = {"lab_name": "machines", "lab_state_dir": "/nowhere/state"}
HOSTS = {f"etcd{number}": {"ansible_host": f"192.0.2.{number}"} for number in (1, 2, 3)}
CLIENT = {"client1": {"ansible_host": "192.0.2.9"}}


def machines(
    etcd: dict[str, Any] = HOSTS,
    clients: dict[str, Any] | None = CLIENT,
    localhost: dict[str, str] = LOCALHOST,
    variables: dict[str, Any] = MACHINES,
) -> dict[str, Any]:
    """Return an inventory of machines of one's own."""
    children = {"etcd": {"hosts": etcd}} | ({"load_generators": {"hosts": clients}} if clients is not None else {})
    return {
        "all": {"vars": variables},
        "ungrouped": {"hosts": {"localhost": localhost}},
        "lab_hosts": {"children": children},
    }


INVENTORIES = [
    ("run", machines(clients=None), "The inventory's group load_generators is missing: "),
    ("check", machines(clients={}), "The inventory's group load_generators is empty: "),
    ("check", machines(localhost={"ansible_connection": "local"}), "localhost has no ansible_python_interpreter: "),
    (
        "up",
        machines(localhost=LOCALHOST | {"ansible_python_interpreter": "/nowhere/python"}),
        "ansible_python_interpreter of localhost is /nowhere/python, which cannot run the lab's modules: "
        "no such file or directory. ",
    ),
    (
        "check",
        machines(etcd={name: {"ansible_host": f"{name}.example.org"} for name in HOSTS}),
        "The lab takes IPv4 addresses only, and the inventory has etcd1.example.org for etcd1, ",
    ),
    (
        "run",
        machines(etcd=HOSTS | {"etcd2": {"ansible_host": "{{ nobodys }}.example.org"}}),
        "the address of etcd2 cannot be resolved: 'nobodys' is undefined. ",
    ),
    ("up", machines(etcd=HOSTS | {"etcd2": HOSTS["etcd1"]}), "etcd1 and etcd2 have the same address, 192.0.2.1. "),
    *(
        (
            playbook,
            # As other projects have them.
            {"all": {"hosts": HOSTS, "children": {"etcd": {"hosts": dict.fromkeys(HOSTS)}, "kube_node": {}}}},
            "This is not an inventory of this lab: it has no variable lab_name and no lab_state_dir, ",
        )
        for playbook in ("check", "up", "run", "heal", "down")
    ),
]


@pytest.mark.parametrize(("playbook", "inventory", "expected"), INVENTORIES)
def test_an_inventory_is_refused_before_anything_is_touched(
    tmp_path: Path, playbook: str, inventory: dict[str, Any], expected: str
) -> None:
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    status, output, failures = ansible_playbook(
        tmp_path, f"playbooks/{playbook}.yml", "-i", str(tmp_path / "hosts.yml"), "-e", "experiments=E2-etcd"
    )
    assert status != 0, output
    assert [failure["message"][: len(expected)] for failure in failures] == [expected], output
    assert not re.search(r"Traceback|Could not match supplied host pattern", output)


def test_check_passes_where_a_host_of_no_experiment_is_anything(tmp_path: Path) -> None:
    inventory = machines()
    inventory["lab_hosts"]["children"]["mysql_cluster"] = {"hosts": HOSTS}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    given = ["-e", f"lab_state_dir={tmp_path}/state", "-e", "experiments=E2-etcd", "-e", "iterations=500"]
    status, output, _ = ansible_playbook(
        tmp_path, "playbooks/check.yml", "-i", str(tmp_path / "hosts.yml"), "-e", f"results_dir={tmp_path}", *given
    )
    assert status == 0, output


@pytest.mark.parametrize(
    ("playbook", "limit", "left_out"),
    [
        ("run", "etcd", "client1, localhost, mysql1"),
        ("run", "etcd,localhost", "client1, mysql1"),
        ("check", "etcd", "localhost"),
        ("up", "etcd1", "localhost"),
        ("down", "etcd", "localhost"),
    ],
)
def test_a_limit_that_leaves_out_what_is_needed_is_refused(
    tmp_path: Path, playbook: str, limit: str, left_out: str
) -> None:
    """Ansible would leave out every play, and end as if all were well."""
    status, output, failures = ansible_playbook(tmp_path, f"playbooks/{playbook}.yml", "--limit", limit)
    assert status != 0, output
    (failure,) = failures
    assert failure["message"].startswith(f"--limit {limit} leaves out {left_out}, w"), output

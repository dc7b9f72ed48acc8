# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bad input, as a user gives it on the command line: one line that tells what, where and what to try. Needs no host."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from planted.run import make_run
from playing import ROOT, ansible_playbook

PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
# What no lab has.
NOBODYS = {"lab_name": "nobodys-lab", "lab_subnet": "10.89.251.0/24"}


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


def test_a_run_without_a_verdict_is_to_be_verified_first(tmp_path: Path) -> None:
    """A relative results folder is so to where the user stands, and Ansible works elsewhere."""
    (tmp_path / "results/one").mkdir(parents=True)
    (tmp_path / "results/one/run.json").write_text("{}")
    status, output, failures = ansible_playbook(
        tmp_path, str(ROOT / "playbooks/verdict.yml"), "-e", "results_run=results/one", PWD=str(tmp_path)
    )
    assert status != 0
    folder = f"{tmp_path}/results/one"
    assert [failure["message"] for failure in failures] == [
        f"The run in {folder} has no verdict yet: ./scripts/lab verify -e results_run={folder} makes one."
    ], output


def test_limits_are_judged_by_verify_and_by_nothing_else(tmp_path: Path) -> None:
    """Whoever gives limits to verdict or report must not believe that what they say is by those."""
    run = make_run(tmp_path / "run", iterations=200, experiments=["E1-mysql"]).path
    limits = json.dumps({"limits": {"not_ok": 0, "p99_ms": 0.001}, "results_run": str(run)})
    status, output, _ = ansible_playbook(tmp_path, str(ROOT / "playbooks/verify.yml"), "-e", limits)
    assert status == 0, output
    assert "Verdict: invalid, 6 of 7 checks valid. The data is right; a limit of yours was missed." in output
    status, output, failures = ansible_playbook(tmp_path, str(ROOT / "playbooks/verdict.yml"), "-e", limits)
    assert (status, len(failures)) == (2, 1), output
    assert "The data is right; a limit of yours was missed." in failures[0]["message"]
    others = json.dumps({"limits": {"not_ok": 0}, "results_run": str(run)})
    for verb in ("verdict", "report"):
        status, output, failures = ansible_playbook(tmp_path, str(ROOT / f"playbooks/{verb}.yml"), "-e", others)
        assert status != 0
        assert [failure["message"] for failure in failures] == [
            f'The run in {run} was judged with the limits {{"not_ok": 0, "p99_ms": 0.001}}. To judge it with those '
            f'given now: ./scripts/lab verify -e results_run={run} -e \'{{"limits": {{"not_ok": 0}}}}\''
        ], output


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
    """Faults alone are for the systems of the inventory."""
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(machines()))
    inventory = ("-i", f"{tmp_path}/hosts.yml", "-e", f"lab_state_dir={tmp_path}/state")
    names, marked = listed(tmp_path, *inventory, "-e", "faults=kill,none")
    assert len(names) == 51
    assert marked == ["E1-etcd", "E3-etcd"]
    assert not (tmp_path / "state").exists()


def test_a_run_without_its_experiments_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, "run", {"iterations": 10, "lab_subnet": None}, "--tags", "etcd", *the_example(tmp_path))
    assert message.startswith("--tags etcd leaves the experiments out, and a run without them has no results.")


def test_syntax(tmp_path: Path) -> None:
    status, output, _ = ansible_playbook(tmp_path, "--syntax-check", *(f"playbooks/{name}.yml" for name in PLAYBOOKS))
    assert status == 0, output
    assert output.count("playbook: ") == len(PLAYBOOKS)


def plays_of(playbook: str) -> list[dict[str, Any]]:
    plays: list[dict[str, Any]] = yaml.safe_load((ROOT / f"playbooks/{playbook}.yml").read_text())
    return plays


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_plays_say_what_they_are_and_gather_no_facts_unasked(playbook: str) -> None:
    for play in plays_of(playbook):
        assert play["name"][0].isupper()
        if "ansible.builtin.import_playbook" not in play:
            assert play["gather_facts"] is False, play["name"]


@pytest.mark.parametrize("playbook", ["campaign", "check", "down", "experiments", "heal", "run", "site", "up"])
def test_what_touches_a_lab_begins_with_the_check_of_its_settings(playbook: str) -> None:
    """Each verb refuses the same then, so that below each refusal is asked of one verb only."""
    first = plays_of(playbook)[0]
    while "ansible.builtin.import_playbook" in first:
        first = plays_of(first["ansible.builtin.import_playbook"].removesuffix(".yml"))[0]
    if first["name"] == "Preflight":
        assert "settings_check" in first["tasks"][0]
    else:
        assert (first["hosts"], first["roles"]) == ("localhost", [{"role": "settings"}])
    assert first["tags"] == ["always"]


def test_everything_that_is_wrong_with_the_variables_is_told_at_once(tmp_path: Path) -> None:
    """Of each kind of check one; the core's tests have the others."""
    message = refusal(
        tmp_path,
        "run",
        {
            "results_dir": "here",
            "iterations": "abc",
            "container_hosts_data_mb": 0,
            "lab_subnet": "garbage",
            "mysql_port": "70000",
            "systems": "etcd,mysq",
        },
    )
    assert message == (
        "results_dir is here: it must be an absolute path. Try -e results_dir=$PWD/here. "
        "iterations is abc: it must be a whole number of at least 1. Try -e iterations=2000. "
        "container_hosts_data_mb is 0: it must be at least 1. Try -e container_hosts_data_mb=1024. "
        "lab_subnet garbage is not a network ('garbage' does not appear to be an IPv4 or IPv6 network): "
        "use one like -e lab_subnet=10.89.78.0/24. "
        "mysql_port is 70000: it must be a port from 1 to 65535 other than ssh's. Try -e mysql_port=3306. "
        "Unknown name mysq in the variable systems: known are etcd, mysql, mysql_cluster. Did you mean mysql?"
    )


def test_more_iterations_than_there_is_memory_for_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, "run", {"iterations": 10**12}).startswith(
        "iterations is 1000000000000: checking so many operations takes about 114,441,117 MB of memory, and "
    )


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (
            [{"action": "stop", "target": "leader", "at": 500}],
            "Fault 1 strikes at 500, beyond the stream: its 500 operations have the indexes 0 to 499. "
            "Try an earlier one, or more iterations.",
        ),
        (
            {"random": {"actions": [["kill"]]}},
            "faults: random: actions[0] has to be text. Try faults: {random: {count: 3, actions: [kill, pause]}}.",
        ),
    ],
)
def test_an_experiment_that_cannot_be_planned_is_refused(tmp_path: Path, faults: Any, told: str) -> None:
    definition = {"title": "mine", "system": "etcd", "key_prefix": "MINE-", "faults": faults}
    own = {"iterations": 500, "experiments": ["mine"], "experiment_catalog": {"mine": definition}}
    assert refusal(tmp_path, "run", own) == f"Experiment mine: {told}"


def test_down_refuses_a_lab_name_that_is_no_name_of_a_folder(tmp_path: Path) -> None:
    """It removes folders of that name: it must not get one of another meaning."""
    assert refusal(tmp_path, "down", {"lab_name": ".."}) == (
        'lab_name is "..": it names containers and folders, and may have letters, digits and hyphens only. '
        "Try -e lab_name=second."
    )


def test_run_before_up_says_so(tmp_path: Path) -> None:
    state = tmp_path / "state"
    variables = {"iterations": 10, "lab_state_dir": str(state), "lab_subnet": None}
    message = refusal(tmp_path, "run", variables, *the_example(tmp_path))
    assert message == (
        "The lab nobodys-lab is not up: it has no etcd, mysql yet. Bring it up first, for the same experiments: "
        "./scripts/lab up, or ansible-playbook playbooks/up.yml."
    )
    assert not state.exists()


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


# As other projects have them.
FOREIGN = {"all": {"hosts": HOSTS, "children": {"etcd": {"hosts": dict.fromkeys(HOSTS)}, "kube_node": {}}}}
UNRESOLVED = "cannot be resolved: 'nobodys' is undefined. Look at what it refers to, in the inventory and in -e."


@pytest.mark.parametrize(
    ("playbook", "inventory", "variables", "expected"),
    [
        (
            "run",
            machines(
                etcd={name: {"ansible_host": f"{name}.example.org"} for name in HOSTS},
                clients=None,
                localhost={"ansible_connection": "local"},
            ),
            {},
            [
                "localhost has no ansible_python_interpreter: ",
                "The inventory's group load_generators is missing: ",
                "The lab takes IPv4 addresses only, and the inventory has etcd1.example.org for etcd1, ",
            ],
        ),
        (
            "up",
            machines(
                etcd=HOSTS | {"etcd2": HOSTS["etcd1"], "etcd4": {"ansible_host": "door", "lab_address": "192.0.2.4"}},
                clients={},
                localhost=LOCALHOST | {"ansible_python_interpreter": "/nowhere/python"},
            ),
            {},
            [
                "ansible_python_interpreter of localhost is /nowhere/python, which cannot run the lab's modules: "
                "no such file or directory. ",
                "The inventory's group load_generators is empty: ",
                "The inventory's group etcd has 4 members: an even number tolerates no more failures than one ",
                "etcd1 and etcd2 have the same address, 192.0.2.1. ",
            ],
        ),
        (
            "check",
            machines(etcd=HOSTS | {"etcd2": {"ansible_host": "{{ nobodys }}.example.org"}}),
            {"iterations": "{{ nobodys }}", "fault_catalog": {"gone": {"number": 12}}},
            [
                f"iterations {UNRESOLVED}",
                "experiment_catalog cannot be resolved: fault_catalog: gone: no title, faults. Its keys are number, "
                "title, faults, takes_away, several, settings. Look at what it refers to, in the inventory and in -e.",
                f"the address of etcd2 {UNRESOLVED}",
            ],
        ),
        *(
            (
                playbook,
                FOREIGN,
                {},
                ["This is not an inventory of this lab: it has no variable lab_name and no lab_state_dir, "],
            )
            for playbook in ("check", "heal")
        ),
    ],
)
def test_an_inventory_is_refused_before_anything_is_touched(
    tmp_path: Path, playbook: str, inventory: dict[str, Any], variables: dict[str, Any], expected: list[str]
) -> None:
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    given = json.dumps({"experiments": "E2-etcd", **variables})
    status, output, failures = ansible_playbook(
        tmp_path, f"playbooks/{playbook}.yml", "-i", str(tmp_path / "hosts.yml"), "-e", given
    )
    assert status != 0, output
    (failure,) = failures
    # Each line begins where the one before it ends.
    began = [failure["message"].find(line) for line in expected]
    assert began[0] == 0, output
    assert -1 not in began, output
    assert began == sorted(began), output
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
        ("run", "etcd,localhost", "client1, mysql1"),
        ("check", "etcd", "localhost"),
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

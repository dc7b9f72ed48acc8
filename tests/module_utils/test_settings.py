# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused before any host is asked, and what is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from catalog import CATALOG, FAULTS, SYSTEMS
from failover.settings import Given, wrong_settings
from failover.settings.controller import Controller, Folder, look, wrong_controller

DEFAULTS = {
    "iterations": 100000,
    "seed": 123,
    "clients": 1,
    "client_attempt_timeout_ms": 500,
    "client_operation_budget_ms": 10000,
    "fault_agent_port": 7470,
    "fault_agent_hold_ttl_s": 60,
    "etcd_client_port": 2379,
    "etcd_peer_port": 2380,
    "mysql_port": 3306,
    "mysql_group_port": 33061,
    "mysql_group_unreachable_majority_timeout_s": 0,
    "container_hosts_data_mb": 1024,
}
GROUPS = {
    "lab_hosts": ["etcd1", "etcd2", "etcd3", "mysql1", "client1"],
    "etcd": ["etcd1", "etcd2", "etcd3"],
    "mysql": ["mysql1"],
    "load_generators": ["client1"],
}
ADDRESSES = {host: f"192.0.2.{number}" for number, host in enumerate(GROUPS["lab_hosts"], 11)}


def given(**values: Any) -> Given:
    """Return a lab in which everything is right, but for what is named: a variable, or a part of Given."""
    parts = {
        name: values.pop(name)
        for name in ("groups", "addresses", "unresolved", "connection", "interpreter", "interpreter_problem", "alone")
        if name in values
    }
    lab = {"lab_name": "mine", "lab_state_dir": "/state", "results_dir": "/results"}
    lab |= {"experiment_catalog": CATALOG, "fault_catalog": FAULTS, "lab_systems": SYSTEMS, "usual_faults": ["kill"]}
    everything = {**DEFAULTS, **lab, "experiments": ["E1-etcd", "E1-mysql"], **values}
    defaults: dict[str, Any] = {"groups": GROUPS, "addresses": ADDRESSES, "interpreter": "/usr/bin/python3"}
    return Given(everything, DEFAULTS, **{**defaults, **parts})


def only(**values: Any) -> str:
    (line,) = wrong_settings(given(**values))
    assert "\n" not in line
    return line


def test_what_is_right_is_not_refused() -> None:
    assert wrong_settings(given()) == []
    assert wrong_settings(given(experiments="E1-etcd, E1-mysql", mysql_port="3307")) == []
    assert wrong_settings(given(mysql_group_unreachable_majority_timeout_s=0)) == []


@pytest.mark.parametrize("name", [name for name in DEFAULTS if name.endswith(("_ms", "_s", "_mb"))])
def test_durations_and_sizes_are_above_zero(name: str) -> None:
    assert only(**{name: -5}).startswith(f"{name} is -5: it must be at least ")
    zero = wrong_settings(given(**{name: "0"}))
    assert (zero == []) is (DEFAULTS[name] == 0)
    assert only(**{name: "soon"}) == f"{name} is soon: it must be a whole number. Try -e {name}={DEFAULTS[name]}."


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        *(
            ({"iterations": value}, f"iterations is {value}: it must be a whole number of at least 1. "
                                    "Try -e iterations=2000.")
            for value in (0, "-1", "abc", 2.5)
        ),
        ({"seed": "now"}, "seed is now: it must be a whole number of at least 0. Try -e seed=123."),
        ({"clients": 1001}, "clients is 1001: it must be a whole number from 1 to 1000. Try -e clients=1."),
        ({"rate": "-3"}, "rate is -3: it must be 0 (no limit) or operations per second. Try -e rate=500."),
        ({"retry_policy": "brave"}, "retry_policy is brave: it must be one of safe, blind, none, notebook. "
                                    "Try -e retry_policy=safe."),
        ({"read_consistency": "weak"}, "read_consistency is weak: it must be one of linearizable, serializable. "
                                       "Try -e read_consistency=linearizable."),
        ({"sole_server_heal": 30}, "sole_server_heal is 30: it must be a time with its unit. "
                                   "Try -e sole_server_heal=30s."),
        ({"client_attempt_timeout_ms": "0"}, "client_attempt_timeout_ms is 0: it must be at least 1. "
                                             "Try -e client_attempt_timeout_ms=500."),
        ({"mysql_port": "70000"}, "mysql_port is 70000: it must be a port from 1 to 65535 other than ssh's. "
                                  "Try -e mysql_port=3306."),
        ({"results_dir": "here"}, "results_dir is here: it must be an absolute path. Try -e results_dir=$PWD/here."),
    ],
)  # fmt: skip
def test_a_value_out_of_its_bounds_is_one_line(changed: dict[str, Any], said: str) -> None:
    assert only(**changed) == said


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b"])
def test_a_lab_name_that_is_no_name_of_a_folder_is_refused(name: str) -> None:
    assert only(lab_name=name) == (
        f'lab_name is "{name}": it names containers and folders, and may have letters, digits and hyphens only. '
        "Try -e lab_name=second."
    )


@pytest.mark.parametrize("name", ["latest", "../x"])
def test_a_run_that_is_not_there_cannot_be_resumed(name: str) -> None:
    assert only(results_dir="/nowhere", resume=name) == (
        f"resume: /nowhere/{name} cannot be resumed, as it has no plan.json. Give the name of a folder in "
        "results_dir, or leave resume out for a new run."
    )


@pytest.mark.parametrize("value", [0, -1, 22, 65536, 70000, "x", 3.5, True, ""])
def test_ports_are_ports(value: Any) -> None:
    for name in (name for name in DEFAULTS if name.endswith("_port")):
        assert only(**{name: value}).startswith(f"{name} is {value}: it must be a port from 1 to 65535")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"mysql_port": 7470}, "mysql_port and fault_agent_port are both 7470, and a host of mysql listens on both. "
                               "Try -e mysql_port=3306."),
        ({"etcd_client_port": 2380}, "etcd_client_port and etcd_peer_port are both 2380, and a host of etcd listens "
                                     "on both. Try -e etcd_client_port=2379."),
        ({"mysql_port": 33061}, "mysql_port and mysql_group_port are both 33061, and a host of mysql_cluster listens "
                                "on both. Try -e mysql_port=3306."),
    ],
)  # fmt: skip
def test_no_two_servers_of_a_host_have_one_port(changed: dict[str, int], said: str) -> None:
    assert only(**changed) == said


def test_servers_of_different_hosts_may_have_one_port() -> None:
    assert wrong_settings(given(etcd_client_port=4000, mysql_port=4000)) == []


@pytest.mark.parametrize("address", ["2001:db8::11", "etcd1.lab.example.org", "localhost", "10.0.0", "010.0.0.1", 5])
def test_addresses_are_ipv4(address: Any) -> None:
    line = only(addresses=ADDRESSES | {"etcd1": address})
    assert re.match(
        rf"The lab takes IPv4 addresses only, .*{re.escape(str(address))} for etcd1\. Set lab_address", line
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "224.0.0.1"])
def test_others_have_to_reach_an_address(address: str) -> None:
    assert "on which no other host reaches it" in only(addresses=ADDRESSES | {"client1": address})


def test_each_host_has_an_address_of_its_own() -> None:
    assert only(addresses=ADDRESSES | {"etcd2": ADDRESSES["mysql1"]}) == (
        "etcd2 and mysql1 have the same address, 192.0.2.14. Each needs one of its own: "
        "set ansible_host or lab_address."
    )
    # Hosts that no experiment needs may be anything.
    left_alone = {"experiments": ["E1-etcd"], "addresses": ADDRESSES | {"mysql1": ADDRESSES["etcd2"]}}
    assert wrong_settings(given(**left_alone)) == []


def test_containers_have_addresses_of_their_network() -> None:
    inside = {host: f"10.89.78.{number}" for number, host in enumerate(ADDRESSES, 11)}
    assert wrong_settings(given(lab_subnet="10.89.78.0/24", addresses=inside)) == []
    for number in (0, 1, 255):
        outside = inside | {"etcd1": f"10.89.78.{number}"}
        assert "Choose a container_number, or machine_number, from 2 to 254." in only(
            lab_subnet="10.89.78.0/24", addresses=outside
        )


@pytest.mark.parametrize(
    ("subnet", "said"),
    [
        ("garbage", "is not a network ('garbage' does not appear to be an IPv4 or IPv6 network)"),
        ("10.89.251.0/16", "is not a network (10.89.251.0/16 has host bits set)"),
        ("8.8.8.0/24", "is not a private IPv4 network with prefix length 24"),
    ],
)
def test_a_subnet_that_containers_cannot_have_is_refused(subnet: str, said: str) -> None:
    assert only(lab_subnet=subnet) == f"lab_subnet {subnet} {said}: use one like -e lab_subnet=10.89.78.0/24."


@pytest.mark.parametrize("state", ["is empty", "is missing"])
def test_there_are_clients(state: str) -> None:
    groups = {name: hosts for name, hosts in GROUPS.items() if name != "load_generators"}
    line = only(groups=groups | ({"load_generators": []} if state == "is empty" else {}))
    assert line == (
        f"The inventory's group load_generators {state}: the workload's clients run there. Add a host to it, below "
        "lab_hosts, as in inventory/ssh/hosts.yml.example."
    )


@pytest.mark.parametrize(
    ("values", "groups"),
    [({"lab_name": None, "lab_state_dir": None}, {"etcd": ["node1", "node2"]}), ({}, {"etcd": ["node1"]})],
)
def test_an_inventory_of_another_project_is_told_where_to_begin(
    values: dict[str, Any], groups: dict[str, list[str]]
) -> None:
    line = only(groups=groups, **values)
    assert re.fullmatch(
        r"This is not an inventory of this lab: it has no .*\. Start from inventory/ssh/hosts\.yml\.example for "
        r"machines of your own \(copy it to inventory/ssh/hosts\.yml, then -i inventory/ssh\), or leave -i out for "
        r"containers\.",
        line,
    )


def test_members_are_hosts_of_the_lab_and_of_one_system() -> None:
    assert only(groups=GROUPS | {"etcd": ["etcd1", "etcd2", "node9"]}).startswith("node9: not in the inventory's group")
    shared = GROUPS | {"mysql": ["etcd1"]}
    assert only(groups=shared).startswith("etcd1 is in the inventory's groups etcd and mysql: ")
    assert wrong_settings(given(groups=shared, experiments=["E1-etcd"])) == []
    assert only(groups=GROUPS | {"etcd": ["etcd1", "etcd2"]}) == (
        "The inventory's group etcd has 2 members: an even number tolerates no more failures than one member fewer. "
        "Use 1, 3 or 5 hosts in the group etcd."
    )


@pytest.mark.parametrize(
    ("localhost", "said"),
    [
        ({"interpreter": None}, "localhost has no ansible_python_interpreter: "),
        ({"connection": "ssh"}, "localhost is reached by ssh, and has to be this machine. "),
        (
            {"interpreter": "/gone", "interpreter_problem": "no such file or directory"},
            "ansible_python_interpreter of localhost is /gone, which cannot run the lab's modules: no such file",
        ),
    ],
)
def test_the_python_of_localhost_works(localhost: dict[str, Any], said: str) -> None:
    line = only(**localhost)
    assert line.startswith(said)
    assert "ansible_python_interpreter" in line


def test_what_cannot_be_resolved_is_named() -> None:
    assert only(unresolved={"the address of etcd1": "'host_domain' is undefined"}) == (
        "the address of etcd1 cannot be resolved: 'host_domain' is undefined. "
        "Look at what it refers to, in the inventory and in -e."
    )


def test_an_attempt_fits_into_its_operation() -> None:
    assert only(client_attempt_timeout_ms=20000).endswith("Try -e client_operation_budget_ms=400000.")


def test_as_many_iterations_as_there_is_memory_and_space() -> None:
    roomy = Controller(4000, (Folder("results_dir", "/results", None, 4000),))
    assert wrong_controller(given(), roomy) == []
    narrow = Controller(900, (Folder("results_dir", "/results", None, 40_000),))
    (memory,) = wrong_controller(given(iterations=7_000_000), narrow)
    assert "1,001 MB of memory, and 900 MB are available here. Try -e iterations=3000000, or" in memory
    # Where all clients share the keys the checks need more.
    assert "takes about 1,129 MB" in wrong_controller(given(iterations=390_000, workload="register"), narrow)[0]
    (space,) = wrong_controller(given(), Controller(4000, (Folder("results_dir", "/results", None, 100),)))
    assert "leave about 190 MB in /results, and 100 MB are free there" in space
    assert "-e iterations=25000." in space


def test_long_values_need_more_room() -> None:
    roomy = Controller(4000, (Folder("results_dir", "/results", None, 4000),))
    for workload in ("ycsb_a", {"name": "ycsb_a", "value_size": 20}, {"name": "other"}, 5):
        assert wrong_controller(given(workload=workload), roomy) == []
    memory, space = wrong_controller(given(workload={"name": "ycsb_a", "value_size": 20_000}), roomy)
    assert "iterations is 100000: checking so many operations takes about 10,063 MB of memory" in memory
    assert "leave about 15,588 MB in /results" in space
    memory, space = wrong_controller(given(iterations=1000, workload={"name": "ycsb_a", "records": 10_000_000}), roomy)
    assert "takes about 27,859 MB" in memory
    assert "Try fewer iterations, or smaller options of the workload, or a machine" in memory


@pytest.mark.parametrize("folder", ["~nobody-of-that-name/results", "results"])
def test_a_results_folder_that_is_not_absolute_is_one_line(folder: str) -> None:
    assert only(results_dir=folder).startswith(f"results_dir is {folder}: it must be an absolute path. ")


def test_a_run_whose_name_is_too_long_cannot_be_resumed(tmp_path: Path) -> None:
    name = "x" * 300
    assert only(results_dir=str(tmp_path), resume=name).startswith(f"resume: {tmp_path}/{name} cannot be resumed")


def test_folders_have_to_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = look([("results_dir", str(tmp_path / "new")), ("lab_state_dir", str(tmp_path / "file/below"))])
    assert found.memory_available_mb > 0
    (line,) = wrong_controller(given(), found)
    assert line == (
        f"lab_state_dir: {tmp_path}/file/below cannot be written to: {tmp_path}/file is not a folder. "
        "Check its rights, or give another with -e lab_state_dir=FOLDER."
    )
    (line,) = wrong_controller(given(), look([("results_dir", "/proc/sys/results")]))
    assert line.startswith("results_dir: /proc/sys/results cannot be written to: ")


def chosen(*names: str, **choice: Any) -> list[str]:
    """Return what is wrong with a choice that Ansible made these experiments of."""
    return wrong_settings(given(experiments=list(names), **choice))


def test_experiments_may_be_chosen_by_system_and_fault() -> None:
    assert chosen("E3-etcd", "E3-mysql", systems="etcd, mysql", faults=["kill"]) == []
    # One alone: the usual faults, the systems of the inventory.
    assert chosen("E3-etcd", systems=["etcd"]) == []
    assert chosen("E6-etcd", "E6-mysql", faults="partition") == []
    assert chosen("E1-etcd", systems="", faults=[]) == []


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (
            {"systems": "etc,mysql"},
            "Unknown name etc in the variable systems: known are etcd, mysql, mysql_cluster. Did you mean etcd?",
        ),
        (
            {"faults": ["Kil", "pauze"]},
            f"Unknown name Kil, pauze in the variable faults: known are {', '.join(FAULTS)}. "
            "Did you mean kill and pause?",
        ),
        (
            {"usual_faults": ["quux"]},
            f"Unknown name quux in the variable usual_faults: known are {', '.join(FAULTS)}.",
        ),
        (
            # As text, where a list was meant.
            {"container_hosts_data_systems": "[mysql]"},
            "Unknown name [mysql] in the variable container_hosts_data_systems: known are etcd, mysql, mysql_cluster. "
            "Did you mean mysql?",
        ),
        (
            {"systems": {"etcd": 1}},
            'systems is {"etcd": 1}: it must be names, as a list or with commas. Try -e systems=etcd,mysql.',
        ),
        (
            {"systems": "etcd", "faults": "kill"},
            "experiments names E1-etcd, and there are systems etcd and faults kill beside it: leave out experiments, "
            "or systems and faults.",
        ),
    ],
)
def test_a_choice_that_is_none_is_one_line(choice: dict[str, Any], said: str) -> None:
    assert chosen("E1-etcd", **choice) == [said]


@pytest.mark.parametrize("faults", ["kill", ["kill"]])
def test_faults_beside_experiments_are_one_line(faults: Any) -> None:
    assert chosen("E1-etcd", faults=faults) == [
        "experiments names E1-etcd, and there are faults kill beside it: leave out experiments, or systems and faults."
    ]


@pytest.mark.parametrize(("experiments", "shown"), [([], "[]"), ("E1-etcd, E1-etcd", '"E1-etcd, E1-etcd"')])
def test_at_least_one_experiment_each_once(experiments: Any, shown: str) -> None:
    assert only(experiments=experiments) == (
        f"experiments is {shown}: it must name at least one experiment, each once. Try -e experiments=E1-etcd,E2-etcd."
    )


def test_an_unknown_experiment_is_named_with_those_that_are_known() -> None:
    assert chosen("E99-etcd", "E1-etcd") == [
        f"Unknown experiment E99-etcd in the variable experiments: experiment_catalog has {', '.join(CATALOG)}. "
        "Did you mean E9-etcd?"
    ]


def test_what_was_most_likely_meant_is_asked() -> None:
    assert chosen("e3_etcd")[0].endswith("E18-mysql_cluster. Did you mean E3-etcd?")
    assert chosen("quux")[0].endswith("E18-mysql_cluster.")


def test_a_choice_that_ones_own_catalog_does_not_have_is_named() -> None:
    (line,) = chosen("E3-etcd", systems="etcd", faults="kill", experiment_catalog={"mine": CATALOG["E3-etcd"]})
    assert line == (
        "systems and faults choose E3-etcd, which your own experiment_catalog does not have: name experiments of it "
        "with -e experiments=..., or leave it out."
    )


# ---- the role of a system, applied by itself


def alone(**values: Any) -> Given:
    """Return hosts of a system in an inventory that knows no lab."""
    everything = {"groups": {"etcd": ["etcd1"]}, "addresses": {"etcd1": "192.0.2.11"}, "interpreter": None, **values}
    return given(alone=True, lab_state_dir=None, **everything)


def test_a_role_alone_needs_no_labs_inventory() -> None:
    assert wrong_settings(alone()) == []
    assert wrong_settings(given(groups={"etcd": ["etcd1"]}, lab_state_dir=None)) != []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lab_name": None}, "lab_name is not set: each host keeps a note of whose its server is"),
        ({"lab_name": "my store"}, 'lab_name is "my store": it names containers'),
        ({"etcd_client_port": 70000}, "etcd_client_port is 70000: it must be a port"),
        ({"etcd_peer_port": 2379}, "etcd_client_port and etcd_peer_port are both 2379"),
        ({"addresses": {"etcd1": "etcd1.example"}}, "The lab takes IPv4 addresses only"),
        ({"client_attempt_timeout_ms": "long"}, "client_attempt_timeout_ms is long: it must be a whole number"),
    ],
)
def test_what_a_role_relies_on_is_checked_there_too(values: dict[str, Any], said: str) -> None:
    (line,) = wrong_settings(alone(**values))
    assert line.startswith(said)


def test_limits_are_of_figures_and_of_what_there_is() -> None:
    assert wrong_settings(given(limits=None)) == []
    assert wrong_settings(given(limits={"outage_ms": {"E1-etcd": 1, "mysql": 2, "kill": 3}, "not_ok": 0})) == []
    assert only(limits={"outage": 2000}).startswith("limits has no figure outage: figures are outage_ms, ")
    assert only(limits={"outage_ms": "2000"}).startswith('limits: outage_ms is "2000", and has to be a number')
    assert "a limit for E99-etcd, which is no experiment" in only(limits={"outage_ms": {"E99-etcd": 1}})


def test_the_doors_are_locked_or_open() -> None:
    for tls in (True, False, "true", "no"):
        assert wrong_settings(given(tls=tls)) == []
    assert only(tls="maybe") == "tls is maybe: it must be true or false. Try -e tls=true."

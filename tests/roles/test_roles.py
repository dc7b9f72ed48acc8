# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be said of the roles without a host: the same for each role, and what must never change by accident."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir())
ROLES_WITH_DEFAULTS = [role for role in ROLES if (ROOT / "roles" / role / "defaults/main.yml").exists()]
# settings is what the others depend on; diagnose runs after a failure and must not depend on anything; packages is part
# of roles that depend on it.
ROLES_WITHOUT_SETTINGS = {"settings", "diagnose", "packages"}


def load(role: str, name: str) -> Any:
    return yaml.safe_load((ROOT / "roles" / role / name).read_text())


def options_of(role: str) -> dict[str, Any]:
    """Options of all entry points of a role."""
    specs = load(role, "meta/argument_specs.yml")["argument_specs"]
    return {name: option for spec in specs.values() for name, option in spec.get("options", {}).items()}


# Validation would generate them where there is no lab yet.
SECRETS = ("etcd_password", "etcd_root_password", "mysql_password", "mysql_group_password", "fault_agent_key")


def tasks_of(role: str) -> list[dict[str, Any]]:
    """All tasks of a role, those inside blocks too."""

    def flat(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        inner = [flat(task.get(part) or []) for task in tasks for part in ("block", "rescue", "always")]
        return tasks + [task for part in inner for task in part]

    return [
        task
        for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml"))
        for task in flat(yaml.safe_load(path.read_text()) or [])
    ]


@pytest.mark.parametrize("role", ROLES)
def test_role_says_who_it_is(role: str) -> None:
    meta = load(role, "meta/main.yml")
    assert meta["galaxy_info"]["role_name"] == role
    assert meta["galaxy_info"]["license"] == "GPL-3.0-or-later"
    depends = [dependency["role"] for dependency in meta["dependencies"]]
    assert ("settings" in depends) == (role not in ROLES_WITHOUT_SETTINGS)


@pytest.mark.parametrize("role", ROLES_WITH_DEFAULTS)
def test_every_default_is_specified(role: str) -> None:
    options = options_of(role)
    for name, value in load(role, "defaults/main.yml").items():
        if role == "settings" and name in SECRETS:
            continue
        assert name in options, f"{name} of roles/{role}/defaults is not in meta/argument_specs.yml"
        told = options[name].get("default")
        # Where a value is long, or computed, words stand in its place.
        in_words = isinstance(told, str) and (not isinstance(value, str) or "{{" in value)
        assert in_words or told == value, f"{name}: argument_specs.yml tells another default"


@pytest.mark.parametrize("role", ROLES)
def test_every_option_has_a_default_or_is_required(role: str) -> None:
    defaults = load(role, "defaults/main.yml") if role in ROLES_WITH_DEFAULTS else {}
    for name, option in options_of(role).items():
        if role != "settings" and name in options_of("settings"):
            continue  # its default stands there
        assert name in defaults or option.get("required"), f"{name} of roles/{role} has no default and is not required"
        assert option["description"], name


@pytest.mark.parametrize("role", sorted(set(ROLES) - ROLES_WITHOUT_SETTINGS))
def test_a_public_variable_has_the_same_default_wherever_it_is_an_option(role: str) -> None:
    public = options_of("settings")
    for name, option in options_of(role).items():
        if name in public:
            told = None if option.get("required") else option["default"]
            assert told == public[name]["default"], f"{name} of roles/{role}"


@pytest.mark.parametrize("role", ROLES_WITH_DEFAULTS)
def test_every_default_has_a_reason(role: str) -> None:
    """A comment stands above each default, or above the one before it in the same paragraph."""
    commented = False
    for number, line in enumerate((ROOT / "roles" / role / "defaults/main.yml").read_text().splitlines(), 1):
        if not line.strip() or line == "---":
            commented = False
        elif line.startswith("#"):
            commented = True
        elif re.match(r"\w+:", line):
            assert commented, f"roles/{role}/defaults/main.yml:{number}: {line.split(':')[0]} has no comment"


@pytest.mark.parametrize("role", ROLES)
def test_secrets_are_not_logged(role: str) -> None:
    secret = re.compile(r"_password\b|agent_key(?:_text)?\b")
    for task in tasks_of(role):
        written = {key: task[key] for key in ("ansible.builtin.copy", "community.mysql.mysql_user") if key in task}
        values = " ".join(
            str(written[key].get(name, "")) for key in written for name in ("content", "plugin_auth_string")
        )
        if secret.search(values) or "fault_agent_files" in task:
            assert task.get("no_log") is True, f"{task['name']} of roles/{role} would show a secret"


@pytest.mark.parametrize("role", ROLES)
def test_no_command_line_carries_a_password(role: str) -> None:
    """A command line is open to all users of a host."""
    for task in tasks_of(role):
        for name in ("ansible.builtin.command", "ansible.builtin.shell"):
            assert "password" not in str(task.get(name, "")), f"{task['name']} of roles/{role}"


@pytest.mark.parametrize(("role", "template"), [("etcd", "failover-lab.conf.j2"), ("mysql", "failover-lab.conf.j2")])
def test_no_member_comes_back_behind_the_labs_back(role: str, template: str) -> None:
    assert "\nRestart=no\n" in (ROOT / "roles" / role / "templates" / template).read_text()
    services = [
        task["ansible.builtin.systemd_service"] for task in tasks_of(role) if "ansible.builtin.systemd_service" in task
    ]
    assert any(service.get("enabled") is False for service in services)


@pytest.mark.parametrize("role", ["etcd", "mysql"])
def test_packages_do_not_start_what_they_install(role: str) -> None:
    (install,) = [task for task in tasks_of(role) if task.get("ansible.builtin.include_role") == {"name": "packages"}]
    assert install["vars"]["packages_start"] is False
    (apt,) = [task["ansible.builtin.apt"] for task in tasks_of("packages") if "ansible.builtin.apt" in task]
    assert "packages_start | bool | ternary(omit, 101)" in apt["policy_rc_d"]


def test_packages_are_installed_in_one_place_which_check_mode_leaves_out() -> None:
    """apt in check mode needs python3-apt, which a plain machine lacks."""
    users = {role for role in ROLES for task in tasks_of(role) if "ansible.builtin.apt" in task}
    assert users == {"packages"}
    assert ["ansible_check_mode" in str(task["when"]) for task in tasks_of("packages")] == [True, True]


@pytest.mark.parametrize("role", ["etcd", "mysql", "fault_agent", "load_generator"])
def test_a_machine_is_borrowed_before_it_is_changed_and_given_back(role: str) -> None:
    loans = [task["host_loan"] for task in tasks_of(role) if "host_loan" in task]
    assert sorted(loan.get("state", "borrowed") for loan in loans) == ["borrowed", "returned"]
    assert {loan["name"] for loan in loans} == {role}
    assert f"/{role}.json" in load(role, "vars/main.yml")[f"{role}_loan_file"]
    # Nothing of a machine is removed that is not noted as the lab's there.
    removal = yaml.safe_load((ROOT / "roles" / role / "tasks/remove.yml").read_text())
    assert all(f"{role}_lent_to == lab_name" in str(task["when"]) for task in removal[1:])


def test_what_is_acknowledged_is_on_disk() -> None:
    etcd, mysql = load("etcd", "defaults/main.yml"), load("mysql", "defaults/main.yml")
    assert etcd["etcd_unsafe_no_fsync"] is False
    assert mysql["mysql_innodb_flush_log_at_trx_commit"] == 1
    assert mysql["mysql_sync_binlog"] == 1


def test_etcd_accepts_its_default_timing() -> None:
    etcd = load("etcd", "defaults/main.yml")
    assert etcd["etcd_heartbeat_interval_ms"] * 5 <= etcd["etcd_election_timeout_ms"] <= 50000


def test_configuration_of_mysql_sorts_after_debians_own() -> None:
    path = Path(load("mysql", "vars/main.yml")["mysql_config_file"])
    assert path.parent == Path("/etc/mysql/mysql.conf.d")
    assert sorted(["mysqld.cnf", "99-port-backoff.cnf", path.name])[-1] == path.name


def test_clients_packages_are_all_pinned() -> None:
    lines = (ROOT / "roles/load_generator/files/requirements.txt").read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.\[\]-]+==[0-9][0-9.]*", package) for package in packages), packages
    pins = dict(re.split(r"(?:\[\w+\])?==", package) for package in packages)
    assert pins["protobuf"].startswith("3.20."), "etcd3 cannot be imported with a newer one"
    sources = load("load_generator", "defaults/main.yml")["load_generator_source_packages"]
    assert set(sources) <= set(pins)

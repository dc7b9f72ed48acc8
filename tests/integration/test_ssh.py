# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same playbooks on hosts that exist already and are reached by ssh alone, as a user who may use sudo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from clean_debian import CleanDebian, clean_debian
from failover.workloads.registry import create_simulation
from failover.workloads.stream import summarize
from real_lab import ETCD, MEMBERS, RealLab, by_ssh

ITERATIONS, SEED = 500, 11
# What depends on the version of Ansible or of Python.
TESTS = ("tests/plugins", "tests/library", "tests/roles", "tests/playbooks", "tests/test_conventions.py")


@pytest.fixture(scope="module")
def reached(machines: RealLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLab]:
    """The machines as a user of inventory/ssh has them: addresses, a key, and no word of containers."""
    groups = {"etcd": ETCD, "mysql": ("mysql1",), "load_generators": ("client1",)}
    lab = by_ssh(machines, tmp_path_factory.mktemp("inventory"), "machines", groups)
    yield lab
    ended = lab.play("down")
    assert ended.status == 0, ended.output
    assert lab.on("etcd1", "ls", "-A", "/var/lib/etcd") == ""
    assert not lab.state_dir.exists()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CleanDebian]:
    with clean_debian(tmp_path_factory.mktemp("clean")) as made:
        yield made


def test_host_without_sudo_is_named(reached: RealLab) -> None:
    reached.on("etcd3", "mv", "/etc/sudoers.d/failover-lab", "/root/sudoers")
    try:
        said = reached.play("up", "--limit", "etcd,localhost").one_line()
    finally:
        reached.on("etcd3", "mv", "/root/sudoers", "/etc/sudoers.d/failover-lab")
    assert said.startswith("etcd3: ")
    assert "sudo" in said


def test_host_without_python_is_named(reached: RealLab) -> None:
    hide, show = "mv /usr/bin/python3* /root/", "mv /root/python3* /usr/bin/"
    reached.on("etcd2", "sh", "-c", hide)
    try:
        said = reached.play("up", "--limit", "etcd,localhost").one_line()
    finally:
        reached.on("etcd2", "sh", "-c", show)
    assert said.startswith("etcd2: ")
    assert said == "etcd2: answers over ssh, but has no python3. Install it there (apt-get install python3)."


@pytest.mark.long
def test_the_tests_pass_on_a_clean_debian(clean: CleanDebian) -> None:
    done = clean.run(
        "git init -q; git add -A; . scripts/bootstrap.sh; bootstrap '' requirements.txt requirements-test.txt; mypy; "
        'python -m pytest -q -p no:cacheprovider -m "not integration" --numprocesses=2 "$@"',
        *TESTS,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


@pytest.mark.long
def test_run_on_machines_is_valid(reached: RealLab) -> None:
    ended = reached.front("run", iterations=ITERATIONS, seed=SEED)
    assert ended.status == 0, ended.output
    assert "The verdict is valid" in ended.output
    assert reached.verdict() == "valid"
    run: Path = reached.newest_run()
    assert (run / "report.pdf").exists()
    described = json.loads((run / "run.json").read_text())
    assert described["lab_name"] == "machines"
    assert described["controller"]["container_runtime"] is None
    keys = summarize(create_simulation(ITERATIONS, SEED))["expected_keys"]
    for experiment, members in (("E1-mysql", ("mysql1",)), ("E2-etcd", ETCD)):
        for member in members:
            header = json.loads((run / experiment / "nodes" / f"{member}.jsonl").read_text().splitlines()[0])
            assert header["count"] == keys
    assert [member for member in MEMBERS if reached.unit_state(member) != "active"] == []


@pytest.mark.long
def test_a_run_from_a_clean_debian_is_valid(clean: CleanDebian, reached: RealLab) -> None:
    options = reached.options(iterations=ITERATIONS, seed=SEED)
    assert reached.ssh_dir is not None
    folders = [reached.inventory.parent, reached.ssh_dir]
    done = clean.run('./scripts/lab run "$@"', *options, folders=folders)
    assert done.returncode == 0, done.stdout + done.stderr
    assert reached.verdict() == "valid"
    described = json.loads((reached.newest_run() / "run.json").read_text())
    assert described["controller"]["os"].startswith("Debian 13")


@pytest.mark.long
def test_up_from_another_controller_changes_nothing(reached: RealLab) -> None:
    ended = reached.play("up", callback="default")
    assert ended.status == 0, ended.output
    assert set(ended.changed().values()) == {0}

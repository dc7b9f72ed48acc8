# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""scripts/lab in copies of the tree, with programs in place of apt-get, sudo, ansible-playbook and their like."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from _front import JUDGING_TASKS

ROOT = Path(__file__).resolve().parent.parent.parent
VERBS = (
    *("run", "campaign", "controls", "selftest", "experiments", "up", "check", "verify", "verdict", "report", "heal"),
    "down",
)

# In place of ansible-playbook: notes how it was called, then does what the scenario says for that playbook.
ANSIBLE = f"""#!{sys.executable}
import json, os, signal, sys, time
name = os.path.basename(sys.argv[1]).removesuffix(".yml")
if "--syntax-check" in sys.argv:
    name = "syntax"
with open(os.environ["SCENARIO"]) as file:
    scenario = json.load(file).get(name, {{}})
with open(os.environ["SCENARIO"] + ".calls", "a") as calls:
    print(json.dumps([name, sys.argv[2:]]), file=calls)
if "record" in scenario:
    with open(os.environ["LAB_PHASES_FILE"], "w") as file:
        json.dump(scenario["record"], file)
for path, text in scenario.get("files", {{}}).items():
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
if scenario.get("ready"):
    open(scenario["ready"], "w").close()
    try:
        time.sleep(30)
    except KeyboardInterrupt:
        open(scenario["ready"] + ".interrupted", "w").close()
        sys.exit(99)
sys.exit(scenario.get("status", 0))
"""


def phase(play: str, status: str = "ok") -> dict[str, Any]:
    return {"name": play, "play": play, "status": status, "duration_s": 1.0, "tasks": 1, "changed": 0}


def failure(play: str, host: str = "etcd1", message: str = "it says why") -> dict[str, str]:
    task = "results : Say the verdict" if play == "Verdict" else "Start etcd"
    return {"phase": play, "play": play, "task": task, "host": host, "message": message}


DONE = {"phases": [phase("Hosts"), phase("Experiments"), phase("Report"), phase("Verdict")], "failures": []}
CHECK = {"name": "E1-etcd/values", "summary": "1 of 239 keys is wrong", "evidence": {}}


def verdict_text(verdict: str) -> str:
    checks = [CHECK | {"verdict": "valid"}] * 3 + [CHECK | {"verdict": verdict}]
    return json.dumps({"verdict": verdict, "checks": checks})


class Tree:
    """A copy of what scripts/lab needs, with a .venv that has everything, as far as anybody can tell."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in (
            "scripts/lab",
            "scripts/bootstrap.sh",
            "scripts/_front.py",
            "scripts/_controls.py",
            "scripts/controls.yml",
            "scripts/_options.py",
            "scripts/_bootstrap.py",
        ):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
        (root / "module_utils").symlink_to(ROOT / "module_utils")
        for path in [*ROOT.glob("roles/*/meta/argument_specs.yml"), *ROOT.glob("roles/*/defaults/main.yml")]:
            (root / path.relative_to(ROOT)).parent.mkdir(parents=True)
            shutil.copy(path, root / path.relative_to(ROOT))
        (root / "requirements.txt").write_text("ansible==12.3.0\nansible-core==2.19.14\n", encoding="utf-8")
        self.bin = root / "bin"
        self.bin.mkdir()
        self.scenario = root / "scenario.json"
        self.results = root / "results" / "run1"
        self.results.mkdir(parents=True)
        (root / "results" / "latest").symlink_to("run1")

    def fill_venv(self) -> None:
        programs = self.root / ".venv" / "bin"
        programs.mkdir(parents=True)
        (programs / "python").symlink_to(sys.executable)
        # Without these, a Python that is started by a link of another name has the system's packages only.
        (programs.parent / "pyvenv.cfg").symlink_to(Path(sys.prefix) / "pyvenv.cfg")
        packages = Path(sysconfig.get_path("purelib"))
        (programs.parent / packages.relative_to(sys.prefix).parent).mkdir(parents=True)
        (programs.parent / packages.relative_to(sys.prefix)).symlink_to(packages)
        (programs / "ansible-playbook").write_text(ANSIBLE, encoding="utf-8")
        (programs / "ansible-playbook").chmod(0o755)
        digest = hashlib.sha256((self.root / "requirements.txt").read_bytes()).hexdigest()[:16]
        (programs.parent / f".has-requirements.txt-{digest}").touch()
        (programs.parent / ".complete").touch()

    def program(self, name: str, text: str) -> None:
        """Put a shell script in place of a program."""
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def plays(self, **playbooks: dict[str, Any]) -> None:
        """Say what ansible-playbook will do, by playbook; the results folder is the tree's unless it says otherwise."""
        for scenario in playbooks.values():
            if "record" in scenario:
                scenario["record"] = {"results_folder": str(self.results.parent / "latest")} | scenario["record"]
        self.scenario.write_text(json.dumps(playbooks), encoding="utf-8")

    @property
    def calls(self) -> list[list[Any]]:
        """How ansible-playbook was called: playbook and options."""
        path = Path(f"{self.scenario}.calls")
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}", "SCENARIO": str(self.scenario)}

    def lab(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "scripts" / "lab", *arguments],
            cwd=self.root, env=self.environment | environment, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def shell(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script that has the functions of scripts/bootstrap.sh."""
        return subprocess.run(
            ["bash", "-uc", f". scripts/bootstrap.sh\n{script}", "lab"],
            cwd=self.root, env=self.environment | environment, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "lab")
    # Everything is installed, and this is root, unless a test says otherwise.
    tree.program("dpkg-query", 'shift 3; for package in "$@"; do echo "$package installed"; done')
    tree.program("id", "echo 0")
    return tree


@pytest.fixture
def ready(tree: Tree) -> Tree:
    tree.fill_venv()
    return tree


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


# In place of a Python that takes seconds to make a virtual environment.
QUICK_PYTHON = f"""find_python() {{ echo quick-python; }}
quick-python() {{ mkdir -p "$VENV/bin" && ln -s {sys.executable} "$VENV/bin/python"; }}
"""


# ---- verbs


def test_no_verb_is_help_and_installs_nothing(tree: Tree) -> None:
    for arguments in ((), ("help",), ("--help",), ("down", "-v", "--help")):
        done = tree.lab(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert [verb for verb in VERBS if f"\n  {verb} " in done.stdout] == list(VERBS)
    assert not (tree.root / ".venv").exists()


def test_an_unknown_verb_is_one_line_below_the_help(tree: Tree) -> None:
    done = tree.lab("destroy")
    assert done.returncode == 3
    assert last_line(done.stderr) == "lab: there is no verb destroy; the verbs are above"
    assert not (tree.root / ".venv").exists()


def test_every_verb_has_a_playbook() -> None:
    help_text = subprocess.run([ROOT / "scripts" / "lab"], capture_output=True, text=True, check=True).stdout
    offered = re.findall(r"^  (\w+)  ", help_text, re.M)
    assert offered == [*VERBS, "help"]
    for verb in VERBS:
        name = "site" if verb in ("run", "controls") else verb
        assert (ROOT / "playbooks" / f"{name}.yml").exists()


def test_the_plays_that_the_exit_status_depends_on_exist() -> None:
    run, verdict = (yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text()) for name in ("run", "verdict"))
    front = (ROOT / "scripts" / "_front.py").read_text(encoding="utf-8")
    named = dict(re.findall(r'^(\w+_PLAY) = "(.+)"', front, re.M))
    assert named["EXPERIMENTS_PLAY"] in [play["name"] for play in run]
    assert [play["name"] for play in verdict] == [named["VERDICT_PLAY"]]
    [selftest] = yaml.safe_load((ROOT / "playbooks/selftest.yml").read_text())
    assert selftest["name"] == named["SELFTEST_PLAY"]
    for play, tasks in ((named["VERDICT_PLAY"], "verdict"), (named["SELFTEST_PLAY"], "selftest")):
        names = [task["name"] for task in yaml.safe_load((ROOT / f"roles/results/tasks/{tasks}.yml").read_text())]
        assert names[-1] == JUDGING_TASKS[play]


# ---- what is installed


def test_a_start_with_nothing_to_install_installs_nothing_and_says_nothing(ready: Tree) -> None:
    for name in ("apt-get", "sudo", "pip"):
        ready.program(name, 'touch "$SCENARIO.installed"')
    (ready.root / "packages").mkdir()
    (ready.root / "packages" / "pip.py").write_text("raise SystemExit('pip was started')", encoding="utf-8")
    ready.plays(up={"record": {"phases": [phase("Hosts")], "failures": []}})
    done = ready.lab("up", PYTHONPATH=str(ready.root / "packages"))
    assert (done.returncode, done.stderr) == (0, "")
    assert not Path(f"{ready.scenario}.installed").exists()
    assert ready.calls == [["up", []]]


def test_bytecode_is_written_whatever_the_environment_says(ready: Tree) -> None:
    done = ready.shell(
        "bootstrap '' requirements.txt; python -c 'import sys; print(sys.dont_write_bytecode)'",
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert done.stdout == "False\n"


VMS = "{lab_subnet: 10.89.76.0/24, lab_hosts_role: machine_hosts}"


@pytest.mark.parametrize(
    ("verb", "options", "wanted", "unwanted"),
    [
        ("run", (), {"podman", "mmdebstrap", "openssh-client", "libpango-1.0-0"}, set()),
        ("up", (), {"podman", "netavark", "openssh-client"}, {"libpango-1.0-0"}),
        ("run", ("-i", "inventory/ssh"), {"openssh-client", "libpango-1.0-0"}, {"podman"}),
        ("up", ("-iinventory/ssh",), {"openssh-client"}, {"podman"}),
        ("up", ("--inventory=inventory/ssh",), {"openssh-client"}, {"podman"}),
        ("up", ("-i", "inventory/containers"), {"podman"}, set()),
        ("up", ("-i", "inventory/vms"), {"qemu-system-x86", "mmdebstrap", "iproute2"}, {"podman"}),
        ("run", ("-i", "inventory/ssh", "-i", "inventory/vms"), {"qemu-utils", "openssh-client"}, {"podman"}),
        ("report", (), {"libpango-1.0-0", "libharfbuzz-subset0"}, {"podman", "openssh-client"}),
        ("verify", (), set(), {"podman", "openssh-client", "libpango-1.0-0"}),
        ("check", (), set(), {"podman", "openssh-client", "libpango-1.0-0"}),
        ("experiments", (), set(), {"podman", "openssh-client", "libpango-1.0-0"}),
        ("down", (), set(), {"podman", "openssh-client", "libpango-1.0-0"}),
    ],
)
def test_a_verb_installs_what_it_needs_and_no_more(
    ready: Tree, verb: str, options: tuple[str, ...], wanted: set[str], unwanted: set[str]
) -> None:
    for name, text in (("ssh", "etcd: {}"), ("containers", "lab_subnet: 10.89.77.0/24"), ("vms", VMS)):
        (ready.root / "inventory" / name).mkdir(parents=True)
        (ready.root / "inventory" / name / "hosts.yml").write_text(text, encoding="utf-8")
    ready.program("dpkg-query", "true")
    ready.program("apt-get", 'echo "$@" >>"$SCENARIO.apt"')
    ready.plays()
    done = ready.lab(verb, *options)
    log = Path(f"{ready.scenario}.apt")
    installed = set(log.read_text(encoding="utf-8").split()) if log.exists() else set()
    assert wanted <= installed
    assert not unwanted & installed
    if wanted:
        assert "lab: installing the Debian packages " in done.stderr
    assert ready.calls


def test_with_both_cgroups_the_runtime_is_the_one_that_takes_them(tree: Tree) -> None:
    tree.program("stat", "echo tmpfs")
    assert tree.shell("packages_for_containers").stdout.split()[-1] == "runc"
    tree.program("stat", "echo cgroup2fs")
    tree.program("runc", "true")
    assert not {"runc", "crun"} & set(tree.shell("packages_for_containers").stdout.split())
    no_runtime = 'command() { [ "$2" != runc ] && builtin command "$@"; }\n'
    assert tree.shell(f"{no_runtime}packages_for_containers").stdout.split()[-1] == "crun"


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the only line that is not about what was begun."""
    (line,) = [line for line in done.stderr.splitlines() if not re.match("lab: (installing|making) ", line)]
    assert "Traceback" not in line
    return line


def test_without_root_containers_are_refused(ready: Tree) -> None:
    ready.program("id", "echo 1000")
    for verb in ("run", "up"):
        done = ready.lab(verb)
        assert done.returncode == 3
        assert re.match(
            rf"lab: hosts with addresses of their own need root: sudo .*scripts/lab {verb}, or -i inventory/ssh",
            one_line(done),
        )
    assert ready.calls == []


def test_experiments_are_listed_without_root(ready: Tree) -> None:
    ready.program("id", "echo 1000")
    ready.plays(experiments={"record": {"phases": [phase("Catalog")], "failures": []}})
    done = ready.lab("experiments", "-e", "faults=kill")
    assert (done.returncode, done.stderr) == (0, "")
    assert ready.calls == [["experiments", ["-e", "faults=kill"]]]


def test_without_root_missing_packages_are_a_command_to_run(ready: Tree) -> None:
    ready.program("id", "echo 1000")
    ready.program("dpkg-query", "true")
    ready.program("sudo", "exit 1")
    done = ready.lab("report")
    assert done.returncode == 3
    assert one_line(done) == (
        "lab: packages are missing, and installing them needs root; as root: apt-get install --no-install-recommends "
        "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
    )


def test_sudo_is_used_where_it_asks_for_nothing(ready: Tree) -> None:
    ready.program("id", "echo 1000")
    ready.program("dpkg-query", "true")
    ready.program("sudo", 'echo "$@" >>"$SCENARIO.sudo"')
    ready.plays()
    assert ready.lab("report").returncode == 0
    assert "apt-get" in Path(f"{ready.scenario}.sudo").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("E: Failed to fetch x  Temporary failure resolving 'mirror'", "the Debian mirrors cannot be reached"),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "the disk is full"),
        ("dpkg: error: cannot copy: No space left on device", "the disk is full"),
        ("E: Unable to locate package netavark", "this release lacks some of them"),
        ("E: Sub-process returned an error code", "E: Sub-process returned an error code"),
    ],
)
def test_why_apt_get_failed(ready: Tree, output: str, said: str) -> None:
    ready.program("dpkg-query", "true")
    ready.program("apt-get", f'echo "$@" >>"$SCENARIO.apt"; cat <<"EOF"\n{output}\nEOF\nexit 100')
    done = ready.lab("report")
    assert done.returncode == 3
    assert one_line(done).startswith(
        "lab: apt-get could not install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0: "
    )
    assert said in one_line(done)
    # What is known of the mirrors may be old: they are asked before this is given up.
    assert "update" in Path(f"{ready.scenario}.apt").read_text(encoding="utf-8")
    assert ready.calls == []


def test_another_distribution_is_told_what_to_install(tree: Tree) -> None:
    without_apt = 'command() { case $2 in apt-get | dpkg-query | podman) false ;; *) builtin command "$@" ;; esac; }\n'
    done = tree.shell(f'{without_apt} bootstrap "podman libpango-1.0-0" requirements.txt')
    assert done.returncode == 3
    assert one_line(done).startswith("lab: this is neither Debian nor Ubuntu (no apt-get), and podman is missing: ")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("3.15", "the lab runs on Python 3.11 to 3.14, this machine has 3.15 only"),
        ("3.10", "the lab runs on Python 3.11 to 3.14, this machine has 3.10 only"),
        ("3.11", "no Python 3.11 to 3.14 that can make a virtual environment"),
    ],
)
def test_a_python_that_does_not_do_is_named(tree: Tree, version: str, said: str) -> None:
    tree.program("apt-get", "true")
    text = (tree.root / "scripts" / "bootstrap.sh").read_text(encoding="utf-8")
    fake = tree.bin / "system-python3"
    fake.write_text(f"#!/bin/sh\ncase $2 in *print*) echo {version} ;; *) exit 1 ;; esac\n", encoding="utf-8")
    fake.chmod(0o755)
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        # As a version manager's shim for a version that is not there.
        tree.program(name, "echo 'pyenv: command not found' >&2; exit 127")
    (tree.root / "scripts" / "bootstrap.sh").write_text(text.replace("/usr/bin/python3", str(fake)), encoding="utf-8")
    done = tree.lab("check")
    assert done.returncode == 3
    assert said in one_line(done)


def test_a_shim_of_another_version_is_passed_over(tree: Tree) -> None:
    for name in ("python3", "python3.14", "python3.13", "python3.12"):
        tree.program(name, "exit 127")
    found = tree.shell("find_python").stdout.strip()
    assert Path(shutil.which(found) or found).resolve() != tree.bin / Path(found).name
    assert subprocess.run([found, "-c", "import venv, ensurepip"], check=False).returncode == 0


def test_a_disk_that_is_nearly_full_is_noticed_before_it_is_full(tree: Tree) -> None:
    done = tree.shell('VENV_DISK_MB=99999999; bootstrap "" requirements.txt')
    assert done.returncode == 3
    assert one_line(done) == f"lab: the disk is nearly full: .venv needs 99999999 MB in {tree.root}; make room"
    assert not (tree.root / ".venv").exists()


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        ("WARNING: Retrying (Retry(total=1)) after connection broken by 'NewConnectionError'\n"
         "ERROR: No matching distribution found for tqdm", "the package index cannot be reached (ERROR: No matching "),
        ("ERROR: No matching distribution found for tqdm==99", "ERROR: No matching distribution found for tqdm==99"),
    ],
)  # fmt: skip
def test_why_pip_failed(tree: Tree, output: str, said: str) -> None:
    (tree.root / "log").write_text(output + "\n", encoding="utf-8")
    assert tree.shell("reason_of_pip log").stdout.startswith(said)


def test_a_package_index_out_of_reach_is_one_line_and_the_next_start_begins_anew(tree: Tree) -> None:
    nowhere = {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_RETRIES": "0"}
    done = tree.lab("check", **nowhere, PIP_FIND_LINKS="", PIP_EXTRA_INDEX_URL="")
    assert done.returncode == 3
    assert one_line(done).startswith(
        "lab: pip could not fill .venv from requirements.txt: the package index cannot be reached ("
    )
    marker = tree.root / ".venv" / "left-over"
    marker.touch()
    again = tree.shell(QUICK_PYTHON + 'pip_install() { true; }\nbootstrap "" requirements.txt')
    assert again.returncode == 0
    assert not marker.exists()
    assert tree.shell("venv_is_filled requirements.txt").returncode == 0


def test_new_requirements_are_added_to_what_is_there(ready: Tree) -> None:
    with (ready.root / "requirements.txt").open("a", encoding="utf-8") as requirements:
        requirements.write("# why\ntqdm==1\n")
    done = ready.shell('pip_install() { echo "${@:2}" >>calls; }\nbootstrap "" requirements.txt')
    assert done.returncode == 0
    calls = (ready.root / "calls").read_text(encoding="utf-8").splitlines()
    assert sorted(calls) == ["--no-deps ansible==12.3.0", "ansible-core==2.19.14 tqdm==1"]
    assert ready.shell("venv_is_filled requirements.txt").returncode == 0


def await_file(path: Path, text: str = "") -> None:
    """Wait until a file is there, and says something."""
    deadline = time.monotonic() + 60
    while not (path.exists() and text in path.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline, f"no {text} in {path}"
        time.sleep(0.02)


def test_of_two_starts_one_waits_for_the_other(tree: Tree) -> None:
    script = (
        f"{QUICK_PYTHON}pip_install() {{ touch begun; until [ -e go-on ]; do sleep 0.02; done; echo once >>installs; }}"
        '\nbootstrap "" requirements.txt'
    )
    command = ["bash", "-uc", f". scripts/bootstrap.sh\n{script}", "lab"]
    said = tree.root / "said"
    with subprocess.Popen(command, cwd=tree.root, env=tree.environment) as first:
        await_file(tree.root / "begun")
        with (
            said.open("w") as log,
            subprocess.Popen(command, cwd=tree.root, env=tree.environment, stderr=log) as second,
        ):
            await_file(said, "another start of this lab is installing; waiting for it")
            (tree.root / "go-on").touch()
    assert (first.returncode, second.returncode) == (0, 0)
    assert (tree.root / "installs").read_text(encoding="utf-8").split() == ["once", "once"], "one for each of two pips"


def test_an_interrupted_installation_waits_for_apt_get_only(tree: Tree) -> None:
    tree.program("dpkg-query", "true")
    tree.program("apt-get", "until [ -e interrupted ]; do sleep 0.02; done; sleep 0.3; touch apt-is-done")
    script = QUICK_PYTHON + (
        'pip_install() { touch pip-began; sleep 60; touch pip-is-done; }\nbootstrap "podman" requirements.txt'
    )
    with subprocess.Popen(
        # A shell cannot trap what was ignored when it began, as in a background job.
        ["env", "--default-signal=INT", "bash", "-uc", f". scripts/bootstrap.sh\n{script}", "lab"],
        cwd=tree.root, env=tree.environment, stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        await_file(tree.root / "pip-began")
        child.send_signal(signal.SIGINT)
        (tree.root / "interrupted").touch()
        _, said = child.communicate()
    assert child.returncode == 130
    assert last_line(said) == "lab: interrupted while installing; the next start continues from here"
    assert (tree.root / "apt-is-done").exists()
    assert not (tree.root / "pip-is-done").exists()


# ---- how it ends


@pytest.mark.parametrize(("verdict", "status"), [("valid", 0), ("invalid", 1), ("unknown", 2)])
def test_run_ends_with_the_verdict_and_the_report(ready: Tree, verdict: str, status: int) -> None:
    record = DONE | {"failures": [] if verdict == "valid" else [failure("Verdict", "localhost")]}
    files = {
        str(ready.results / "verdict.json"): verdict_text(verdict),
        str(ready.results / "report.pdf"): "%PDF",
    }
    ready.plays(site={"record": record, "files": files, "status": 2 if status else 0})
    done = ready.lab("run", "-e", "iterations=2000")
    assert done.returncode == status
    lines = done.stdout.splitlines()
    valid = 4 if verdict == "valid" else 3
    assert lines[-2:] == [
        f"lab: The verdict is {verdict}: {valid} of 4 checks are valid.",
        "lab: The report is results/run1/report.pdf",
    ]
    amiss = [] if verdict == "valid" else [f"lab: {verdict}: E1-etcd/values: 1 of 239 keys is wrong"]
    assert lines[:-2] == amiss
    assert done.stderr == ""
    assert ready.calls == [["site", ["-e", "iterations=2000"]]]


def test_a_missed_limit_is_told_from_lost_data(ready: Tree) -> None:
    missed = {"name": "E2-etcd: limit outage_ms", "verdict": "invalid", "summary": "outage_ms of F1 is 2,001."}
    text = json.dumps({"verdict": "invalid", "checks": [CHECK | {"verdict": "valid"}, missed]})
    ready.plays(site={"record": DONE, "files": {str(ready.results / "verdict.json"): text}})
    done = ready.lab("run")
    assert done.returncode == 1
    assert done.stdout.splitlines()[:-1] == [
        "lab: invalid: E2-etcd: limit outage_ms: outage_ms of F1 is 2,001.",
        "lab: The data is right; a limit of yours was missed.",
        "lab: The verdict is invalid: 1 of 2 checks are valid.",
    ]


def test_the_verdict_of_an_older_run_does_not_count(ready: Tree) -> None:
    (ready.results / "verdict.json").write_text(verdict_text("valid"), encoding="utf-8")
    long_ago = time.time() - 3600
    os.utime(ready.results / "verdict.json", (long_ago, long_ago))
    ready.plays(site={"record": DONE}, verdict={"record": {"phases": [phase("Verdict")], "failures": []}})
    done = ready.lab("run")
    assert done.returncode == 3
    assert last_line(done.stderr).startswith("lab: run left no verdict in results/run1; ")
    assert "was valid" in ready.lab("verdict").stdout


@pytest.mark.parametrize("text", ["", '{"verdict": "val', '{"verdict": "perhaps", "checks": []}', "[]", "{}"])
def test_a_verdict_that_cannot_be_read_is_a_failure_of_the_lab(ready: Tree, text: str) -> None:
    ready.plays(site={"record": DONE, "files": {str(ready.results / "verdict.json"): text}})
    done = ready.lab("run")
    assert done.returncode == 3
    assert last_line(done.stderr).startswith("lab: run left no verdict in results/run1; ")


def test_results_are_looked_for_where_the_run_left_them(ready: Tree) -> None:
    elsewhere = ready.root / "elsewhere"
    files = {str(elsewhere / "latest" / "verdict.json"): verdict_text("invalid")}
    ready.plays(
        site={"record": DONE | {"results_folder": str(elsewhere / "latest")}, "files": files},
        verify={"record": DONE | {"results_folder": str(elsewhere / "latest")}, "files": files},
    )
    assert ready.lab("run").returncode == 1
    assert ready.lab("verify").returncode == 1


@pytest.mark.parametrize(("verdict", "expected"), [("valid", 0), ("invalid", 1), ("unknown", 2)])
def test_a_selftest_ends_with_what_it_found(ready: Tree, verdict: str, expected: int) -> None:
    files = {str(ready.results.parent / "selftest.json"): json.dumps({"verdict": verdict})}
    missed = {"phase": "Selftest", "play": "Selftest", "task": "results : Say how it ended", "host": "localhost"}
    failures = [] if verdict == "valid" else [{**missed, "message": "900 faults planted, 1 missed."}]
    record = {"phases": [phase("Selftest")], "failures": failures}
    ready.plays(selftest={"record": record, "files": files, "status": 2 if failures else 0})
    done = ready.lab("selftest", "-e", "selftest_plants=100", "-e", "selftest_only=E1-etcd/lost/1")
    assert (done.returncode, done.stderr) == (expected, "")
    assert ready.calls == [["selftest", ["-e", "selftest_plants=100", "-e", "selftest_only=E1-etcd/lost/1"]]]


def test_a_selftest_that_did_not_begin_is_a_failure_of_the_lab(ready: Tree) -> None:
    refused = failure("Selftest", "localhost", "The verdict on results/run1 is invalid: a selftest begins from a valid")
    old = ready.results.parent / "selftest.json"
    old.write_text('{"verdict": "valid"}', encoding="utf-8")
    long_ago = time.time() - 3600
    os.utime(old, (long_ago, long_ago))
    record = {"phases": [phase("Selftest", "failed")], "failures": [refused]}
    ready.plays(selftest={"record": record, "status": 2})
    done = ready.lab("selftest")
    assert done.returncode == 3
    assert "The verdict on results/run1 is invalid" in last_line(done.stderr)
    ready.plays(selftest={"record": {"phases": [phase("Selftest")], "failures": []}})
    done = ready.lab("selftest")
    assert done.returncode == 3
    assert last_line(done.stderr).startswith("lab: selftest left no selftest.json in results; ")


def test_a_verdict_is_not_repeated_on_other_files(ready: Tree) -> None:
    run = ready.results / "run.json"
    run.write_text("{}", encoding="utf-8")
    digest = hashlib.sha256(run.read_bytes()).hexdigest()
    of_experiment = ready.results / "E1-etcd" / "verdict.json"
    of_experiment.parent.mkdir()
    of_experiment.write_text(
        json.dumps({"verdict": "valid", "checks": [CHECK | {"verdict": "valid"}]}), encoding="utf-8"
    )
    found = {
        "verdict": "valid",
        "experiments": {"E1-etcd": "valid"},
        "checks": [CHECK | {"verdict": "valid", "name": f"E1-etcd: {CHECK['name']}"}],
        "judged": {
            "run.json": digest,
            "E1-etcd/verdict.json": hashlib.sha256(of_experiment.read_bytes()).hexdigest(),
        },
    }
    verdict = ready.results / "verdict.json"
    verdict.write_text(json.dumps(found), encoding="utf-8")
    ready.plays(verdict={"record": {"phases": [phase("Verdict")], "failures": []}})
    done = ready.lab("verdict")
    assert done.returncode == 0
    assert "was valid" not in done.stdout
    run.write_text("{ }", encoding="utf-8")
    done = ready.lab("verdict")
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "lab: The verdict was valid; since the verdict, run.json changed. To check the files as they are now: "
        "./scripts/lab verify -e results_run=results/run1"
    ]
    run.write_text("{}", encoding="utf-8")
    assert ready.lab("verdict").returncode == 0
    of_experiment.write_text(
        json.dumps({"verdict": "invalid", "checks": [CHECK | {"verdict": "invalid"}]}), encoding="utf-8"
    )
    assert ready.lab("verdict").returncode == 2
    found["judged"]["E1-etcd/verdict.json"] = hashlib.sha256(of_experiment.read_bytes()).hexdigest()
    verdict.write_text(json.dumps(found), encoding="utf-8")
    done = ready.lab("verdict")
    assert done.returncode == 2
    assert "the run's verdict.json was edited" in done.stdout


def test_a_verdict_that_does_not_say_what_it_judged_is_not_relied_on(ready: Tree) -> None:
    (ready.results / "verdict.json").write_text(verdict_text("valid"), encoding="utf-8")
    ready.plays(verdict={"record": {"phases": [phase("Verdict")], "failures": []}})
    done = ready.lab("verdict")
    assert done.returncode == 2
    assert "the verdict does not say which files it judged" in done.stdout.splitlines()[0]


def test_a_failed_phase_is_a_line_with_host_and_reason(ready: Tree) -> None:
    (ready.results / "verdict.json").write_text(verdict_text("valid"), encoding="utf-8")
    record = {
        "phases": [phase("Hosts"), phase("Etcd", "failed")],
        "failures": [failure("Etcd"), failure("Etcd", "etcd2")],
    }
    ready.plays(site={"record": record, "status": 2}, up={"record": record, "status": 2})
    for verb in ("run", "up"):
        done = ready.lab(verb)
        assert done.returncode == 3
        assert done.stderr == f"lab: {verb} failed in phase Etcd: etcd1: Start etcd: it says why\n"
    assert [name for name, _ in ready.calls] == ["site", "up"], "nothing was to be healed"


def test_a_report_that_fails_is_no_verdict(ready: Tree) -> None:
    record = DONE | {"failures": [failure("Report", "localhost", "no fonts")]}
    files = {str(ready.results / "verdict.json"): verdict_text("valid")}
    ready.plays(site={"record": record, "files": files, "status": 2})
    done = ready.lab("run")
    assert done.returncode == 3
    assert last_line(done.stderr) == "lab: run failed in phase Report: localhost: Start etcd: no fonts"


def test_a_playbook_that_cannot_start_is_said(ready: Tree) -> None:
    ready.plays(site={"status": 4})
    done = ready.lab("run", "-e", "@missing.yml")
    assert done.returncode == 3
    assert last_line(done.stderr) == "lab: run could not start; the lines above say why"


def test_an_experiment_that_fails_is_healed(ready: Tree) -> None:
    record = {"phases": [phase("Experiments", "failed")], "failures": [failure("Experiments", "client1", "lost")]}
    ready.plays(site={"record": record, "status": 2}, heal={"record": {"phases": [phase("Heal")], "failures": []}})
    done = ready.lab(
        "run", "-e", "lab_name=two", "--extra-vars=seed=7", "-i", "inventory/x", "--tags", "experiments", "-v"
    )
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        "lab: an experiment did not finish: healing the members",
        "lab: healed: no workload is running, and every member is up",
        "lab: finished experiments are kept; to run the rest: ./scripts/lab run "
        "-e lab_name=two --extra-vars=seed=7 -i inventory/x --tags=experiments -v -e resume=latest",
        "lab: run failed in phase Experiments: client1: Start etcd: lost",
    ]
    assert ready.calls[1] == ["heal", ["-e", "lab_name=two", "--extra-vars=seed=7", "-i", "inventory/x"]]


def test_the_heal_reaches_the_hosts_as_the_run_did(ready: Tree) -> None:
    record = {"phases": [phase("Hosts"), phase("Experiments", "failed")], "failures": [failure("Experiments")]}
    ready.plays(site={"record": record, "status": 2}, heal={"record": {"phases": [phase("Heal")], "failures": []}})
    kept = ["--ssh-common-args=-o ProxyJump=door", "--become-method=su", "-c", "ssh", "-T", "30"]
    ready.lab("run", *kept, "-t", "all", "-lclient1", "--limit=x", "--skip-tags", "y", "-vv", "-Kv", "--diff")
    assert ready.calls[1] == ["heal", [*kept, "-K"]]


def test_check_mode_heals_nothing(ready: Tree) -> None:
    record = {
        "phases": [phase("Experiments", "failed")],
        "failures": [failure("Experiments")],
        "check_mode": True,
    }
    ready.plays(site={"record": record, "status": 2})
    assert ready.lab("run", "--check").returncode == 3
    assert [name for name, _ in ready.calls] == ["site"]


def test_a_verdict_that_cannot_be_read_by_the_playbook_is_no_judgement(ready: Tree) -> None:
    (ready.results / "verdict.json").write_text(verdict_text("valid"), encoding="utf-8")
    unread = failure("Verdict", "localhost", "File not found") | {"task": "results : Read the verdict"}
    ready.plays(verdict={"record": DONE | {"failures": [unread]}, "status": 2})
    done = ready.lab("verdict")
    assert done.returncode == 3
    assert "File not found" in done.stderr


def test_what_cannot_be_healed_is_said(ready: Tree) -> None:
    record = {"phases": [phase("Experiments", "failed")], "failures": [failure("Experiments", "client1", "lost")]}
    ready.plays(site={"record": record, "status": 2}, heal={"status": 4})
    done = ready.lab("run")
    assert done.returncode == 3
    assert "lab: not everything could be healed; once the hosts answer again: ./scripts/lab heal" in done.stderr


@pytest.mark.parametrize("option", ["--check", "--list-tasks"])
def test_what_ran_nothing_is_not_judged(ready: Tree, option: str) -> None:
    record = {"phases": [phase("Hosts")], "failures": [], "check_mode": True} if option == "--check" else {"phases": []}
    ready.plays(site={"record": record})
    done = ready.lab("run", option)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("verb", ["verify", "verdict", "report", "check"])
def test_a_verb_that_did_nothing_says_so(ready: Tree, verb: str) -> None:
    ready.plays(**{verb: {"record": {"phases": [], "failures": []}}})
    done = ready.lab(verb, "-l", "etcd")
    assert done.returncode == 3
    assert one_line(done).startswith(f"lab: {verb} did nothing: --limit or --tags left no host or task for it; ")


def test_a_variable_that_no_role_has_is_named_and_given(ready: Tree) -> None:
    ready.plays()
    done = ready.lab("up", "-eiteration=2000", "-v")
    assert done.stderr == (
        "lab: unknown variable iteration: it has no effect unless your own inventory uses it; "
        "did you mean iterations?\n"
    )
    assert ready.calls == [["up", ["-eiteration=2000", "-v"]]]


def test_check_reads_every_playbook_first(ready: Tree) -> None:
    ready.plays(syntax={"status": 4})
    assert ready.lab("check", "-e", "seed=7").returncode == 3
    assert ready.calls == [["syntax", ["-e", "seed=7", "--syntax-check"]]]
    ready.plays()
    assert ready.lab("check").returncode == 0
    assert [name for name, _ in ready.calls] == ["syntax", "syntax", "check"]


# ---- interruptions

Interruption = Callable[[str, dict[str, Any], int], tuple[int, list[str]]]


@pytest.fixture
def interrupt(ready: Tree) -> Interruption:
    def run(verb: str, record: dict[str, Any], number: int) -> tuple[int, list[str]]:
        """Interrupt a verb, and with it the playbook, in mid-play; return its status and the lines on stderr."""
        waiting = ready.root / "waiting"
        playbook = {"record": record, "ready": str(waiting)}
        name = verb.split()[0]
        front = ready.root / "scripts" / "_front.py"
        front.write_text(front.read_text(encoding="utf-8").replace("PASS_ON_AFTER_S = 2.0", "PASS_ON_AFTER_S = 0.1"))
        ready.plays(**{"site" if name == "run" else name: playbook})
        with subprocess.Popen(
            [ready.root / "scripts" / "lab", *verb.split()],
            cwd=ready.root, env=ready.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        ) as child:  # fmt: skip
            await_file(waiting)
            child.send_signal(number)
            _, said = child.communicate()
        assert waiting.with_suffix(".interrupted").exists()
        return child.returncode, said.splitlines()

    return run


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_experiment_is_healed(interrupt: Interruption, ready: Tree, number: int, status: int) -> None:
    record = {"phases": [phase("Hosts"), phase("Experiments", "running")], "failures": []}
    ended, lines = interrupt("run", record, number)
    assert ended == status
    assert lines == [
        "lab: run was interrupted in phase Experiments",
        "lab: an experiment did not finish: healing the members",
        "lab: healed: no workload is running, and every member is up",
        "lab: finished experiments are kept; to run the rest: ./scripts/lab run -e resume=latest",
        "lab: what is up stays up; ./scripts/lab down removes it",
    ]
    assert [name for name, _ in ready.calls] == ["site", "heal"]


def test_an_interrupted_campaign_says_how_to_go_on(interrupt: Interruption, ready: Tree) -> None:
    record = {
        "phases": [phase("Experiments", "running")],
        "failures": [],
        "results_folder": "/results/20261123T1-seed7",
    }
    _, lines = interrupt("campaign -e seed=7 -e resume=latest", record, signal.SIGINT)
    assert lines[-2:] == [
        "lab: finished experiments are kept; to run the rest: ./scripts/lab campaign -e seed=7 -e "
        "resume=20261123T1-seed7",
        "lab: what is up stays up; ./scripts/lab down removes it",
    ]
    assert ready.calls[0][0] == "campaign"


def test_an_interruption_before_the_experiments_has_nothing_to_heal(interrupt: Interruption, ready: Tree) -> None:
    status, lines = interrupt("up", {"phases": [phase("Hosts", "running")], "failures": []}, signal.SIGINT)
    assert status == 130
    assert lines == [
        "lab: up was interrupted in phase Hosts",
        "lab: what is up stays up: ./scripts/lab up continues from there, ./scripts/lab down removes it",
    ]
    assert [name for name, _ in ready.calls] == ["up"]


def test_an_interrupted_report_can_be_asked_for_again(interrupt: Interruption) -> None:
    status, lines = interrupt("report", {"phases": [phase("Report", "running")], "failures": []}, signal.SIGINT)
    assert status == 130
    assert lines == ["lab: report was interrupted in phase Report", "lab: ./scripts/lab report finishes it"]

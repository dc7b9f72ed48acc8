# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection, built and installed as a user does it, away from this tree."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
NAME = "failover.lab"
PROGRAMS = Path(sys.executable).parent


class Installed:
    """An installed collection, and programs that know nothing of this tree but what is installed."""

    def __init__(self, folder: Path, dist: Path) -> None:
        self.folder = folder
        self.dist = dist
        self.root = folder / "ansible_collections" / "failover" / "lab"
        (folder / "ansible.cfg").touch()

    def run(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            [str(PROGRAMS / program), *arguments],
            cwd=cwd or self.folder,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
                "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": str(self.folder),
                "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
                "ANSIBLE_NOCOLOR": "1",
                "LC_ALL": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def module(self, name: str, **arguments: object) -> dict[str, object]:
        """Run a module in check mode on localhost; return what it says."""
        said = self.run(
            *("ansible", "localhost", "-m", f"{NAME}.{name}", "-a", json.dumps(arguments), "--check"),
            *("-e", f"ansible_python_interpreter={sys.executable}"),
        )
        result: dict[str, object] = json.loads(said[said.index("{") :])
        return result


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("collections")
    dist = folder / "dist"
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "build_collection"), "--output", str(dist)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    archive, requirements = map(Path, done.stdout.splitlines()[-2:])
    assert re.fullmatch(r"failover-lab-\d+\.\d+\.\d+\.tar\.gz", archive.name)
    assert requirements == dist / "requirements.yml"
    installed = Installed(folder, dist)
    installed.run(
        *("ansible-galaxy", "collection", "install", "--offline", "-r", requirements.name, "-p", str(folder)), cwd=dist
    )
    return installed


def test_every_module_and_filter_is_documented_there(installed: Installed) -> None:
    modules = sorted(path.stem for path in (ROOT / "library").glob("*.py"))
    told = json.loads(installed.run("ansible-doc", "-t", "module", "--json", *(f"{NAME}.{name}" for name in modules)))
    assert sorted(told) == [f"{NAME}.{name}" for name in modules]
    run = told[f"{NAME}.workload_run"]
    # Of a fragment; other modules are named in full, also where a task shows how.
    assert "iterations" in run["doc"]["options"]["settings"]["suboptions"]
    assert f"M({NAME}.workload_wait)" in " ".join(run["doc"]["description"])
    assert f"{NAME}.workload_run:" in run["examples"]
    filters = sorted(path.stem for path in (ROOT / "plugins" / "filter").glob("*.yml"))
    assert len(
        json.loads(installed.run("ansible-doc", "-t", "filter", "--json", *(f"{NAME}.{n}" for n in filters)))
    ) == len(list((ROOT / "plugins" / "filter").glob("*.yml")))


def test_a_module_runs_from_there(installed: Installed) -> None:
    catalog = {"E1": {"title": "x", "system": "etcd", "key_prefix": "X-", "faults": []}}
    said = installed.module(
        "experiment_plan_info",
        experiments=["E1"],
        catalog=catalog,
        settings={"iterations": 20, "seed": 1},
        members={"etcd": ["one"]},
    )
    assert said["operations"] == 20
    # This one finds the core's own sources, wherever they are.
    agent = installed.module("fault_agent_core", folder=str(installed.folder / "agent"))
    assert "agent/server.py" in str(agent["files"])
    assert not (installed.folder / "agent").exists()


def test_the_playbooks_run_from_there(installed: Installed) -> None:
    hosts = installed.root / "inventory" / "ssh" / "hosts.yml.example"
    inventory = installed.folder / "hosts.yml"
    inventory.write_text(hosts.read_text(encoding="utf-8"), encoding="utf-8")
    names = [f"{NAME}.{path.stem}" for path in sorted((ROOT / "playbooks").glob("*.yml"))]
    installed.run("ansible-playbook", "-i", str(inventory), "--syntax-check", *names)
    said = installed.run(
        "ansible-playbook", "-i", str(inventory), f"{NAME}.experiments", "-e", "systems=etcd", "-e", "faults=kill"
    )
    assert re.findall(r"\*\s+(E\S+)", said.partition("runs  name")[2]) == ["E3-etcd"]


def test_nothing_in_it_needs_this_tree(installed: Installed) -> None:
    for path in installed.root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "plugins" in path.parts and "module_utils" not in path.parts:
            assert not re.search(r"^from (ansible\.module_utils\.)?failover\b|^sys\.path\.insert", text, re.M), path
    defaults = yaml.safe_load((installed.root / "roles/settings/defaults/main.yml").read_text(encoding="utf-8"))
    assert "playbook_dir" not in defaults["results_dir"]
    assert (installed.root / "plugins/module_utils/failover/report/templates/cover.html.j2").exists()
    question = f"msg={{{{ 'agent.server' | {NAME}.needed_files }}}}"
    assert "agent/server.py" in installed.run("ansible", "localhost", "-m", "debug", "-a", question)
    runs = [sys.executable, str(installed.root / "scripts" / "report"), "/nowhere", "--quiet"]
    done = subprocess.run(runs, capture_output=True, text=True, check=False)
    assert (done.returncode, "/nowhere does not exist" in done.stderr) == (3, True)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "build_collection"), "--output", str(tmp_path / "file" / "x")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"build_collection: {tmp_path}/file/x cannot be made: Not a directory; give another folder with --output\n"
    )

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection, built and installed as a user does it, away from this tree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from installed import NAME, ROOT, Installed, install


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("collections"))


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
    agent = installed.module("fault_agent_files", folder=str(installed.folder / "agent"))
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


ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


def options_of(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the options of an entry point, or of an option, with those within them."""
    for name, option in entry.get("options", {}).items():
        yield name, option
        yield from ((f"{name}.{inner}", found) for inner, found in options_of(option))


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_a_readme_that_tells_all_of_it(installed: Installed, role: str) -> None:
    folder = installed.root / "roles" / role
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert readme.startswith(f"# {NAME}.{role}\n")
    specs = yaml.safe_load((folder / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    for name, entry in specs.items():
        section = readme.partition(f"\n## {name}: ")[2].partition("\n## ")[0]
        assert section.startswith(entry["short_description"]), name
        same = re.search(r"^Its options are those of `(\w+)`\.$", section, re.M)
        table = readme.partition(f"\n## {same[1]}: ")[2].partition("\n## ")[0] if same else section
        told = re.findall(r"^\| `([\w.]+)` \| ([\w ]+) \| (.+?) \| .+ \|$", table, re.M)
        assert [option for option, *_ in told] == [option for option, _ in options_of(entry)]
        for (option, _, default), (_, spec) in zip(told, options_of(entry), strict=True):
            assert (default == "has to be given") == spec.get("required", False), option
    # Ansible's own markup is not Markdown's.
    assert not re.search(r"\b[A-Z]+\(\w", readme)


@pytest.mark.parametrize("role", ROLES)
def test_every_readme_has_an_example_with_the_roles_full_name(installed: Installed, role: str) -> None:
    readme = (installed.root / "roles" / role / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```$", readme, re.M | re.S)
    assert examples
    for example in examples:
        assert isinstance(yaml.safe_load(example), list)
        assert f"{NAME}.{role}" in example


def test_nothing_in_it_needs_this_tree(installed: Installed) -> None:
    for path in installed.root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "plugins" in path.parts and "module_utils" not in path.parts:
            assert not re.search(r"^from (ansible\.module_utils\.)?failover\b|^sys\.path\.insert", text, re.M), path
    defaults = yaml.safe_load((installed.root / "roles/settings/defaults/main.yml").read_text(encoding="utf-8"))
    assert "playbook_dir" not in defaults["results_dir"]
    assert (installed.root / "plugins/module_utils/failover/report/templates/cover.html.j2").exists()
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

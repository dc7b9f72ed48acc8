# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds for the tree as a whole, and no linter looks at."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from failover.actions.registry import ACTIONS
from failover.checks.registry import CHECKERS
from failover.core_files import needed_files
from failover.report.chapters.registry import CHAPTERS, COVER
from failover.results import files
from failover.selftest.registry import KINDS
from failover.systems.registry import SYSTEMS
from failover.workloads.registry import WORKLOADS

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "module_utils" / "failover"
HEADER = (
    "# Copyright: (c) 2026, the failover lab's authors\n"
    "# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
)
# The host names of registries and mirrors, in halves, so that this file does not name them: which one is used is
# the business of pip's, apt's and podman's own configuration.
REGISTRY_HOSTS = [
    f"{name}.{domain}"
    for domain, names in {
        "org": "pypi files.pythonhosted deb.debian ftp.debian snapshot.debian security.debian registry.npmjs",
        "com": "galaxy.ansible archive.ubuntu registry.hub.docker",
        "io": "docker quay ghcr gcr",
    }.items()
    for name in names.split()
]


def project_files() -> list[Path]:
    """Return the files that are, or are about to be, under version control."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in map(ROOT.joinpath, listed.stdout.splitlines()) if path.is_file()]


def texts() -> Iterator[tuple[Path, str]]:
    """Yield the files that are written by hand, with what is in them."""
    for path in project_files():
        if "fixtures" in path.parts or path.name == "LICENSE":
            continue
        try:
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            assert path.suffix in (".png", ".pdf"), f"{path} is neither text nor a picture"


def found(pattern: str) -> list[str]:
    """Return where a regular expression occurs, as ``file:line: text``."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_no_registry_is_named() -> None:
    assert found("|".join(map(re.escape, REGISTRY_HOSTS))) == []


def test_no_path_of_one_machine_is_named() -> None:
    assert found(r"(?<![\w.-])/(work|shared|home/\w+|Users)/\w") == []


def test_no_linter_reads_what_is_not_under_version_control(tmp_path: Path) -> None:
    """The README's virtual environment has 10,000 YAML files: ansible-lint took ten minutes for them."""
    folders = re.findall(r"^/([\w.]+/)$", (ROOT / ".gitignore").read_text(encoding="utf-8"), re.M)
    assert {".venv/", "venv/", "results/"} <= set(folders)
    assert set(folders) <= set(yaml.safe_load((ROOT / ".ansible-lint").read_text(encoding="utf-8"))["exclude_paths"])
    for name in (".gitignore", ".yamllint", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    for folder in (*folders, "roles/"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "untidy.yml").write_text("a:   1", encoding="utf-8")
        (tmp_path / folder / "untidy.py").write_text("import   os", encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    for command in (["yamllint", "--list-files", "."], ["ruff", "check", "--no-cache", "--show-files"]):
        said = subprocess.run(
            [Path(sys.executable).parent / command[0], *command[1:]],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert [Path(line).name for line in said.splitlines() if "untidy" in line] in (["untidy.yml"], ["untidy.py"])
        assert "roles/untidy" in said


def test_nothing_is_left_to_do() -> None:
    assert found(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b") == []


def is_code(path: Path, text: str) -> bool:
    return path.suffix == ".py" or text.startswith("#!")


def test_every_program_says_its_licence() -> None:
    for path, text in texts():
        if is_code(path, text):
            assert HEADER in "".join(text.splitlines(keepends=True)[:5]), f"{path} has no licence header"


def test_every_program_can_be_started_and_nothing_else() -> None:
    for path, text in texts():
        # Modules are copied to the hosts and started there.
        if path.parts[0] != "library":
            assert bool((ROOT / path).stat().st_mode & 0o100) is text.startswith("#!"), path


def test_the_core_never_imports_ansible_and_imports_its_own_relatively() -> None:
    for path in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                continue
            assert not {"ansible", "failover"} & {name.split(".")[0] for name in names}, path


def literals(path: Path) -> Iterator[str]:
    """Yield the string literals of a program."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


# Where a word that names an action, too, has to stand outside of actions/.
SAME_WORDS = {
    # Verbs of systemctl.
    "module_utils/failover/host/service.py": {"stop", "restart"},
    "module_utils/failover/host_loan.py": {"stop"},
    # A kind of wait, as report.json names it: that for a server's start.
    "module_utils/failover/report/outage/lanes.py": {"restart"},
    # What somebody else's notebook did, once.
    "module_utils/failover/report/chapters/notebook.py": {"stop"},
    # A module of Ansible's.
    "plugins/callback/lab_progress.py": {"pause"},
}


def test_an_action_is_named_in_its_own_file_and_nowhere_else() -> None:
    """Everything else asks the registry: what is known of an action would otherwise be spread over the house again."""
    named = {}
    for folder in ("module_utils", "library", "plugins"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.parent != CORE / "actions" and (names := ACTIONS.keys() & set(literals(path))):
                named[str(path.relative_to(ROOT))] = names
    assert named == SAME_WORDS


# Where a word that names a system, too, has to stand outside of its wing.
SYSTEM_WORDS = {
    # Somebody else's format of a history.
    "module_utils/failover/histories/etcd_operations.py": {"etcd"},
    # What somebody else's notebook did, once.
    "module_utils/failover/report/chapters/notebook.py": {"etcd", "mysql"},
}


def test_a_system_is_named_in_its_wing_and_nowhere_else() -> None:
    """Whoever has to know something of a system asks it: an "else" that silently means one of them is a trap."""
    named = {}
    for path in programs("module_utils", "plugins"):
        if path.is_relative_to(CORE / "systems"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = prose(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node.value in SYSTEMS and node not in documented:
                named.setdefault(str(path.relative_to(ROOT)), set()).add(node.value)
    assert named == SYSTEM_WORDS


# Where YAML has to name systems beside their own roles: their table and their public variables.
NAMING = ("roles/settings/vars/main.yml", "roles/settings/defaults/main.yml", "roles/settings/meta/argument_specs.yml")


def test_no_play_and_no_role_decides_by_the_name_of_a_system() -> None:
    word = re.compile(rf"""['"]({"|".join(SYSTEMS)})['"]|(groups|lab_targets|lab_systems)\.({"|".join(SYSTEMS)})\b""")
    own = {yaml.safe_load((ROOT / NAMING[0]).read_text())["lab_systems"][system]["role"] for system in SYSTEMS}
    for path in sorted([*(ROOT / "playbooks").rglob("*"), *(ROOT / "roles").rglob("*")]):
        name = str(path.relative_to(ROOT))
        if not path.is_file() or name in NAMING or name.split("/")[1] in own:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not word.search(line.partition("#")[0]), f"{name}:{number}: {line}"


# What a file of a results folder is called, where it says what kind of file it is.
RESULTS_FILES = {
    name for constant, name in vars(files).items() if constant.isupper() and isinstance(name, str) and "." in name
}


def programs(*folders: str) -> Iterator[Path]:
    """Yield the Python programs in these folders, also those without a suffix."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix == ".py" or (path.is_file() and path.read_bytes().startswith(b"#!/usr/bin/env python3")):
                yield path


def prose(tree: ast.AST) -> set[ast.expr]:
    """Return what documents a program: the strings that are statements, and the documentation of an Ansible module."""
    told = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return told | {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
    }


def test_the_name_of_a_file_of_results_stands_once() -> None:
    """Who renames one would otherwise have to find it in writers, readers, messages and the front door."""
    assert len(RESULTS_FILES) >= 10
    for path in programs("module_utils", "library", "plugins", "scripts"):
        if path == CORE / "results" / "files.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = prose(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documented:
                assert not [name for name in RESULTS_FILES if name in node.value], f"{path}: {node.lineno}"


DAEMON = {f"agent/{part}.py" for part in ("agent", "config", "server", "store")}


@pytest.mark.parametrize(
    "program",
    [
        "agent.wire",
        "run.assemble",
        "checks.verdict",
        "director.director",
        "plan.experiments",
        "report.content",
        "run.healing",
        "run.runner",
    ],
)
def test_the_fault_agent_is_imported_on_the_hosts_of_members_alone(program: str) -> None:
    """Who talks to one knows its wire, and who reads what it did knows the actions."""
    assert not DAEMON & needed_files(program, "failover").keys()


def test_a_check_needs_nothing_of_the_report() -> None:
    """The report tells what was measured and judged, and nothing flows back."""
    needed = needed_files("checks.verdict", "failover").keys()
    assert "measured/outages.py" in needed
    assert not [file for file in needed if file.startswith("report/")]


def test_a_fault_agent_brings_no_client_along() -> None:
    files = needed_files("agent.server", "failover").keys()
    assert files >= DAEMON
    assert not [file for file in files if file.endswith(("/client.py", "/driver.py", "/system.py", "/loop.py"))]
    assert not any(file.startswith(("checks/", "director/", "plan/", "report/", "run/")) for file in files)
    assert "agent/server.py" not in needed_files("agent.agent", "failover")


@pytest.mark.parametrize(
    "program",
    [
        "agent.server",
        "agent.wire",
        "host_loan",
        "listeners",
        "plan.faults",
        "systems.registry",
        "run.healing",
        "run.runner",
    ],
)
def test_what_runs_on_a_host_does_without_the_controllers_packages(program: str) -> None:
    assert "typed.py" not in needed_files(program, "failover")


# Rooms of which each part has a test.
ROOMS = (
    *("actions", "agent", "checks", "director", "host", "measured", "plan", "report", "results", "run", "selftest"),
    "systems",
    "workloads",
)
# Short enough to be read in one sitting.
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 500, 60


def helpers() -> list[Path]:
    """Return what tests share: the programs beside them."""
    return [path for path in programs("tests") if not path.name.startswith("test_") and "fixtures" not in path.parts]


def test_files_and_functions_stay_short() -> None:
    for path in [*CORE.rglob("*.py"), *helpers()]:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= MOST_LINES, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                assert lines <= MOST_LINES_OF_A_FUNCTION, f"{path}: {node.name} has {lines} lines"


def test_every_module_has_a_test_and_every_test_its_subject() -> None:
    modules = {path.stem for path in (ROOT / "library").glob("*.py")}
    actions = {path.stem for path in (ROOT / "plugins" / "action").glob("*.py")}
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "library").glob("test_*.py")}
    tested_plugins = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "plugins").glob("test_*.py")}
    plugins = {path.stem for path in (ROOT / "plugins").glob("*/*.py")}
    assert tested == modules - actions
    assert tested_plugins == plugins


def parts_of_rooms() -> dict[str, set[str]]:
    """Return the files of each room, and of the rooms within it, by the room's name as imports have it."""
    parts: dict[str, set[str]] = {}
    for room in ROOMS:
        for path in (CORE / room).rglob("*.py"):
            if path.stem != "__init__":
                parts.setdefault(".".join(path.parent.relative_to(CORE).parts), set()).add(path.stem)
    return parts


def file_of(registered: object) -> str:
    """Return which file of its room a row of a registry comes from."""
    return type(registered).__module__.rpartition(".")[2]


def test_every_part_of_the_core_has_a_test() -> None:
    parts = {path.stem for path in CORE.glob("*.py")} - {"__init__"}
    # Actions, checks and chapters are reached by their names, and one test goes through all of them.
    rooms = {room: named for room, named in parts_of_rooms().items() if room != "actions"}
    rooms["checks"] -= {file_of(checker) for checker in CHECKERS}
    rooms["workloads"] -= {file_of(workload) for workload in WORKLOADS.values()}
    rooms["selftest"] -= {file_of(kind) for kind in KINDS}
    rooms["report.chapters"] -= {file_of(chapter) for chapter in (COVER, *CHAPTERS)}
    # A thin module's test is one of the core that it wires.
    users = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "library").glob("*.py"), *(ROOT / "tests/toy").glob("*.py")]
    tests = [path.read_text(encoding="utf-8") for path in users]
    # The registries lead to these, and tests come to them through a registry.
    for system in SYSTEMS:
        rooms[f"systems.{system}"] -= {"system", "member", "watch"}
    for package, names in {"failover": parts, **{f"failover.{room}": found for room, found in rooms.items()}}.items():
        for part in sorted(names):
            named = rf"{re.escape(package)}(\.{part}\b| import .*\b{part}\b)"
            assert any(re.search(named, text) for text in tests), f"{package}.{part}"


def test_every_role_documents_its_arguments() -> None:
    for role in (ROOT / "roles").iterdir():
        specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
        assert all(spec["short_description"] for spec in specs.values()), role
        # What a dependency on settings does has no options: it includes check where nothing was checked yet.
        assert "main" in specs or role.name == "settings" or not (role / "tasks" / "main.yml").exists(), role


def test_requirements_are_pinned_and_say_why() -> None:
    for name in ("requirements.txt", "requirements-test.txt", "roles/load_generator/files/requirements.txt"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        for line in lines:
            assert (
                not line
                or line.startswith("#")
                or re.fullmatch(r"[\w.-]+(\[\w+\])?==[\w.]+(; python_version [<>]=? ?\"3\.\d+\")?", line)
            ), f"{name}: {line}"
    for before, line in zip(
        lines := ["", *(ROOT / "requirements.txt").read_text().splitlines()], lines[1:], strict=False
    ):
        # One reason is enough for a package that has a version for each Python.
        package = line.partition("==")[0]
        assert not re.match(r"\w", line) or before.startswith(("#", f"{package}==")), f"why {line}?"


def test_both_sides_have_the_same_clients() -> None:
    """The load generator's packages are those that the tests on the controller ran with."""
    host, controller = (
        dict(re.findall(r"^([\w.-]+)(?:\[\w+\])?==(.+)$", (ROOT / name).read_text(encoding="utf-8"), re.M))
        for name in ("roles/load_generator/files/requirements.txt", "requirements.txt")
    )
    common = host.keys() & controller.keys()
    assert common >= {"etcd3", "protobuf", "grpcio", "hpack", "PyMySQL"}
    assert {name: host[name] for name in common} == {name: controller[name] for name in common}


def test_the_tests_take_down_the_labs_that_they_make() -> None:
    made = set(re.findall(r'"lab_name": "([\w-]+)"', (ROOT / "tests" / "integration" / "conftest.py").read_text()))
    taken_down = re.search(r'^TEST_LABS="(.*)"$', (ROOT / "scripts" / "test").read_text(), re.M)
    assert made
    assert taken_down is not None
    assert set(taken_down[1].split()) == made


def test_the_readme_knows_every_verb_and_every_public_variable() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    help_text = subprocess.run([ROOT / "scripts" / "lab"], capture_output=True, text=True, check=True).stdout
    for verb in re.findall(r"^  (\w+)  ", help_text, re.M):
        assert f"`{verb}`" in readme
    settings = (ROOT / "roles" / "settings" / "defaults" / "main.yml").read_text(encoding="utf-8")
    for variable in yaml.safe_load(settings):
        assert f"`{variable}`" in readme


def test_every_link_in_the_docs_leads_somewhere() -> None:
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]:
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?://)([^)#\s]*)#?[^)]*\)", text):
            assert (path.parent / target).exists(), f"{path}: {target}"


def test_every_document_is_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert f"docs/{path.name}" in readme

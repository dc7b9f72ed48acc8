# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tests themselves on a clean Debian 13, where nothing is installed but what the README asks for.

They once leaned on packages that one machine's Python happened to have. Only the tests that start programs and Ansible
run there, and mypy, whose answer depends on the Python: the arithmetic is the same everywhere, and a minute is dear.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What scripts/lab and scripts/test would install; git, as the conventions ask it for the project's files.
PACKAGES = (
    *("python3", "python3-venv", "git", "openssh-client", "ca-certificates", "iproute2", "procps"),
    *("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0", "poppler-utils"),
)
TESTS = ("tests/plugins", "tests/library", "tests/roles", "tests/playbooks", "tests/test_conventions.py")
SCRIPT = """
set -eu
cd /lab
git init -q && git add -A
. scripts/bootstrap.sh
bootstrap "" requirements.txt requirements-test.txt
mypy
python -m pytest -q -p no:cacheprovider -m "not integration" --numprocesses=2 "$@"
"""
# Four minutes on a quiet machine; other tests run beside it.
TIMEOUT_S = 1800


def pip_options() -> list[str]:
    """Return podman's options with which pip reaches in there the index that it reaches here.

    Folders with packages for this machine's Python are not passed on, as a clean machine has none.
    """
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    options: list[str] = []
    for line in listed.splitlines():
        key, _, quoted = line.partition("=")
        name, value = key.rpartition(".")[2], quoted.strip("'")
        if name in ("index-url", "trusted-host", "proxy", "cert"):
            options += ["--env", f"PIP_{name.upper().replace('-', '_')}={value}"]
        if name == "cert":
            options += ["--volume", f"{value}:{value}:ro"]
    return options


@pytest.fixture
def clean_root(tmp_path: Path) -> Iterator[Path]:
    """A root of Debian 13 with the project's files in /lab."""
    root = tmp_path / "root"
    made = subprocess.run(
        ["mmdebstrap", "--mode=root", "--variant=minbase", "--quiet", "--dpkgopt=force-unsafe-io",
         "--aptopt=Acquire::Check-Valid-Until \"false\"", f"--include={','.join(PACKAGES)}", "trixie", root],
        capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (root / "lab" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / "lab" / name)
    yield root
    shutil.rmtree(root)


def test_the_tests_pass_on_a_clean_debian(clean_root: Path) -> None:
    done = subprocess.run(
        ["podman", "run", "--rm", "--network=host", *pip_options(), "--env", "HOME=/root",
         # podman's own default is more open files than some machines allow.
         "--ulimit", "nofile=20000:20000", "--ulimit", "nproc=20000:20000",
         "--rootfs", clean_root, "bash", "-c", SCRIPT, "test", *TESTS],
        capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]

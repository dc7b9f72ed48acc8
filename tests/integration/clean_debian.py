# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A clean Debian 13, with its Python 3.13 and the newer Ansible, as somebody's controller."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from failover.host_preflight import cgroup_layout, runtime_here
from real_lab import ROOT

# What scripts/lab and scripts/test would install; git, as the conventions ask it for the project's files.
PACKAGES = (
    *("python3", "python3-venv", "git", "openssh-client", "ca-certificates", "iproute2", "procps"),
    *("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0", "poppler-utils"),
)
# A program in there takes four minutes on a quiet machine; other tests run beside it.
TIMEOUT_S = 1800


@dataclass(frozen=True)
class CleanDebian:
    """Its root, with the project's files in /lab."""

    root: Path

    def run(self, script: str, *arguments: str, folders: Sequence[Path] = ()) -> subprocess.CompletedProcess[str]:
        """Run a script of bash in /lab, in this machine's network; ``folders`` are there, too."""
        mounted = [word for folder in folders for word in ("--volume", f"{folder}:{folder}")]
        return subprocess.run(
            ["podman", f"--runtime={runtime()}", "run", "--rm", "--network=host", *pip_options(), "--env", "HOME=/root",
             "--env", "LC_ALL=C.UTF-8",
             # podman's own default is more open files than some machines allow.
             "--ulimit", "nofile=20000:20000", "--ulimit", "nproc=20000:20000", *mounted,
             "--rootfs", self.root, "bash", "-c", f"set -eu; cd /lab; {script}", "clean-debian", *arguments],
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip


@contextmanager
def clean_debian(folder: Path) -> Iterator[CleanDebian]:
    """Make one, as long as this lasts."""
    root = folder / "root"
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
    yield CleanDebian(root)
    shutil.rmtree(root)


def runtime() -> str:
    """Return the OCI runtime that the lab's own containers have here."""
    found = runtime_here(cgroup_layout(Path("/proc/mounts").read_text(encoding="utf-8")))
    assert found is not None
    return found


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

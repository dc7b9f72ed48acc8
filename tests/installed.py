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

ROOT = Path(__file__).resolve().parents[1]
NAME = "failover.lab"
PROGRAMS = Path(sys.executable).parent
# A program that takes longer has hung, in s.
TIMEOUT_S = 600


class Installed:
    """An installed collection, and programs that know nothing of this tree but what is installed."""

    def __init__(self, folder: Path, dist: Path) -> None:
        self.folder = folder
        self.dist = dist
        self.root = folder / "ansible_collections" / "failover" / "lab"
        (folder / "ansible.cfg").touch()

    def run(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        """Run a program to its end, which is a good one; return what it prints."""
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
            timeout=TIMEOUT_S,
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


def install(folder: Path) -> Installed:
    """Build the collection, and install it into a folder."""
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

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running programs on a terminal, small playbooks with the project's plugins, and the project's playbooks."""

from __future__ import annotations

import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Played:
    """What became of a playbook."""

    status: int
    output: str  # standard output and error, as shown; where they were asked for apart, the first only
    record: dict[str, Any]  # of plugins/callback/lab_progress.py


PlaybookRunner = Callable[..., Played]


def on_terminal(command: list[str], environment: dict[str, str], folder: Path, columns: int) -> tuple[int, str]:
    """Run a command with a terminal of ``columns``; return its status and everything that it sent there."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(command, env=environment, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        sent = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            sent += chunk
    os.close(ours)
    return child.returncode, sent.decode()


def play_in(
    folder: Path, playbook: str, *options: str, columns: int | None = None, apart: bool = False, **environment: str
) -> Played:
    """Run a playbook, given as YAML, on hosts ``one`` and ``two`` (both here) and ``away`` (which nobody reaches).

    :param columns: width of the terminal to run it on; None for none
    :param apart: keep standard error out of what is returned
    """
    (folder / "playbook.yml").write_text(playbook, encoding="utf-8")
    (folder / "hosts.yml").write_text(
        json.dumps(
            {
                "all": {
                    "hosts": {
                        "one": {"ansible_connection": "local"},
                        "two": {"ansible_connection": "local"},
                        "away": {"ansible_host": "127.0.0.1", "ansible_port": 1},
                    },
                    "vars": {"ansible_python_interpreter": sys.executable},
                }
            }
        ),
        encoding="utf-8",
    )
    phases_file = folder / "phases.json"
    env = os.environ | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "lab_progress",
        "ANSIBLE_LIBRARY": f"{ROOT / 'library'}:{folder / 'library'}",
        "ANSIBLE_LOCAL_TEMP": str(folder / "ansible"),
        "ANSIBLE_ASYNC_DIR": str(folder / "jobs"),
        "LAB_PHASES_FILE": str(phases_file),
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm",
        **environment,
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.yml", "playbook.yml", *options]
    if columns is None:
        done = subprocess.run(
            command,
            env=env,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if apart else subprocess.STDOUT,
            check=False,
        )
        status, output = done.returncode, done.stdout.decode()
    else:
        status, output = on_terminal(command, env, folder, columns)
    record = json.loads(phases_file.read_text(encoding="utf-8")) if phases_file.exists() else {}
    return Played(status, output, record)


def ansible_playbook(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, list[dict[str, str]]]:
    """Run ansible-playbook; returns its exit status, what it prints, and the failures that were told."""
    phases = folder / "phases.json"
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "lab_progress",
            "ANSIBLE_NOCOLOR": "1",
            "LAB_PHASES_FILE": str(phases),
            "LC_ALL": "C.UTF-8",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    failures = json.loads(phases.read_text())["failures"] if phases.exists() else []
    return done.returncode, done.stdout + done.stderr, failures

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Second half of scripts/lab, once Python is there: runs a playbook, heals when interrupted, turns verdicts into statuses.

Called as ``_front.py VERB PLAYBOOK [ansible-playbook options]``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from _bootstrap import PROJECT
from failover.shapes import EXIT_LAB_FAILED, EXIT_STATUS, Verdict

# Verbs that end with a verdict; the others end with what Ansible says.
JUDGING_VERBS = ("run", "verdict", "verify")
# Verbs that may leave a fault behind when they are interrupted.
FAULTY_VERBS = ("run",)


def say(line: str) -> None:
    """Print a line to the user, beside what Ansible prints."""
    print(f"lab: {line}", file=sys.stderr, flush=True)


def extra_vars(options: list[str]) -> dict[str, Any]:
    """Return the variables given with -e as ``key=value`` or as JSON; those in files are Ansible's to read."""
    found: dict[str, Any] = {}
    for name, value in zip(options, options[1:], strict=False):
        if name not in ("-e", "--extra-vars"):
            continue
        if value.startswith("{"):
            try:
                found.update(json.loads(value))
            except ValueError:
                continue
        elif not value.startswith("@"):
            found.update(item.split("=", 1) for item in value.split() if "=" in item)
    return found


def results_folder(options: list[str]) -> Path:
    """Return the folder whose verdict counts: the one named, else the newest run's."""
    variables = extra_vars(options)
    if "results_run" in variables:
        return Path(str(variables["results_run"]))
    return Path(str(variables.get("results_dir", PROJECT / "results"))) / "latest"


class Playbook:
    """ansible-playbook as a child; a signal to this program reaches it once."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.interrupted_by: int | None = None
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)

    def run(self, playbook: str, options: list[str]) -> int:
        """Run a playbook to its end and return its exit status."""
        command = [str(Path(sys.prefix) / "bin" / "ansible-playbook"), f"playbooks/{playbook}.yml", *options]
        # A session of its own: the terminal's Ctrl-C reaches this program only, which passes it on, so that
        # ansible-playbook is interrupted once and in either case.
        self.child = subprocess.Popen(command, cwd=PROJECT, process_group=0)
        return self.child.wait()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.interrupted_by is None and self.child is not None and self.child.poll() is None:
            self.interrupted_by = number
            say("stopping; one moment")
            os.killpg(self.child.pid, signal.SIGINT)


def inventory_options(options: list[str]) -> list[str]:
    """Return those options that say which lab is meant, for the healing after an interruption."""
    kept: list[str] = []
    for name, value in zip(options, [*options[1:], ""], strict=True):
        if name in ("-i", "--inventory", "--inventory-file", "-e", "--extra-vars"):
            kept += [name, value]
        elif name.startswith(("--inventory=", "--extra-vars=")):
            kept.append(name)
    return kept


def stamp_of(folder: Path) -> tuple[str, int] | None:
    """Tell one verdict of a folder from another: where it really is, and when it was written."""
    try:
        return str(folder.resolve()), (folder / "verdict.json").stat().st_mtime_ns
    except OSError:
        return None


def judge(folder: Path, before: tuple[str, int] | None, verb: str) -> int | None:
    """Say the verdict in the folder; None where this call did not make one."""
    stamp = stamp_of(folder)
    if stamp is None or (verb != "verdict" and stamp == before):
        return None
    try:
        verdict = json.loads((folder / "verdict.json").read_text("utf-8"))
        status = EXIT_STATUS[Verdict(verdict["verdict"])]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    checks = verdict.get("checks", [])
    valid = sum(check["verdict"] == Verdict.VALID.value for check in checks)
    say(f"verdict {verdict['verdict']}: {valid} of {len(checks)} checks valid")
    for check in checks:
        if check["verdict"] != Verdict.VALID.value:
            say(f"  {check['verdict']}: {check['name']}: {check['summary']}")
    if (folder / "report.pdf").exists():
        say(f"report {folder.resolve() / 'report.pdf'}")
    return status


def main() -> int:
    """Run the verb; the exit status is that of docs/architecture.md."""
    verb, playbook, options = sys.argv[1], sys.argv[2], sys.argv[3:]
    folder = results_folder(options)
    before = stamp_of(folder)
    ansible = Playbook()
    status = ansible.run(playbook, options)
    if ansible.interrupted_by is not None:
        number = ansible.interrupted_by
        if verb in FAULTY_VERBS:
            say("interrupted; healing every fault")
            healed = Playbook().run("heal", inventory_options(options)) == 0
            say(
                "healed; the lab stays up. ./scripts/lab run starts a new run, ./scripts/lab down removes the lab"
                if healed
                else "not everything could be healed; see above, then ./scripts/lab heal or ./scripts/lab up"
            )
        else:
            say(f"interrupted; ./scripts/lab {verb} goes on where it stopped")
        return 128 + number
    if any(option in ("--check", "-C", "--syntax-check", "--list-tasks", "--list-hosts", "--list-tags") for option in options):
        return EXIT_LAB_FAILED if status else 0
    # playbooks/verdict.yml fails where the data is wrong, so that a failure of Ansible's and a verdict go together.
    verdict = judge(folder, before, verb) if verb in JUDGING_VERBS else None
    if verdict is not None and (status == 0 or verdict != 0):
        return verdict
    if status == 0 and verb not in JUDGING_VERBS:
        return 0
    say(f"{verb} failed: the line that begins with a cross above says where and why (-v shows more)")
    return EXIT_LAB_FAILED


if __name__ == "__main__":
    sys.exit(main())

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Second half of scripts/lab, once Python is there: runs a verb's playbook and ends with its exit status.

Called as ``_front.py VERB [ansible-playbook options]`` with the Python of ``.venv``. What the playbook did is read from
the file that plugins/callback/lab_progress.py keeps.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import yaml
from _bootstrap import PROJECT, run
from _controls import Control, read_controls, run_controls
from _options import Option, list_only, naming_the_lab, read_options, variables_given, without_resume, words_of
from failover.results.files import REPORT_PDF_FILE, SELFTEST_FILE, VERDICT_FILE
from failover.results.judged import compare_judged, limits_sentence
from failover.shapes import EXIT_LAB_FAILED, EXIT_STATUS, Verdict

# Playbooks whose name is not their verb.
PLAYBOOKS = {"run": "site"}
MEASURING_VERBS = ("run", "campaign")
SELFTEST_VERB = "selftest"
# Verbs that end with a verdict on data; the others end with what Ansible says.
JUDGING_VERBS = (*MEASURING_VERBS, "verify", "verdict")
# The play that leaves members down when it does not come to its end, and the tasks that fail where data is not valid,
# or something planted was missed, by their plays.
EXPERIMENTS_PLAY = "Experiments"
VERDICT_PLAY = "Verdict"
SELFTEST_PLAY = "Selftest"
JUDGING_TASKS = {VERDICT_PLAY: "Say the verdict", SELFTEST_PLAY: "Say how it ended"}
# The terminal's Ctrl-C reaches ansible-playbook, too. One sent to this process alone is passed on after so many s.
PASS_ON_AFTER_S = 2.0
# The oldest release of ansible-core that its authors still maintain (2.19 ended in November 2026).
OLDEST_MAINTAINED_CORE = (2, 20)
# Checks that are not valid are named up to this number; verdict.json has them all.
MOST_CHECKS = 10


def say(line: str) -> None:
    """Print a line that says how it went."""
    print(f"lab: {line}", flush=True)


def complain(line: str) -> None:
    """Print a line that says what went wrong."""
    print(f"lab: {' '.join(line.split())}", file=sys.stderr, flush=True)


def shown(path: Path) -> str:
    """Return a path as it is best read from where the user is."""
    resolved = path.resolve()
    return str(resolved.relative_to(Path.cwd()) if resolved.is_relative_to(Path.cwd()) else resolved)


class Playbook:
    """One run of ansible-playbook; interrupted when this program is."""

    def __init__(self) -> None:
        self.record: dict[str, Any] = {}
        self.interrupted_by: int | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def run(self, name: str, options: list[str], *, quiet: bool = False) -> int:
        """Run playbooks/NAME.yml to its end; return ansible-playbook's exit status."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)
        with tempfile.TemporaryDirectory(prefix="failover-lab-") as folder:
            phases_file = Path(folder) / "phases.json"
            command = [str(Path(sys.executable).parent / "ansible-playbook"), str(PROJECT / f"playbooks/{name}.yml")]
            self._child = subprocess.Popen(
                [*command, *options],
                env=os.environ | {"ANSIBLE_STDOUT_CALLBACK": "lab_progress", "LAB_PHASES_FILE": str(phases_file)},
                stdout=subprocess.DEVNULL if quiet else None,
            )
            status = self._child.wait()
            if phases_file.exists():
                self.record = json.loads(phases_file.read_text(encoding="utf-8"))
        return status

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.interrupted_by is None:
            self.interrupted_by = number
            timer = threading.Timer(PASS_ON_AFTER_S if number == signal.SIGINT else 0.0, self._interrupt)
            timer.daemon = True
            timer.start()

    def _interrupt(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)

    @property
    def phases(self) -> list[dict[str, Any]]:
        """The phases that began, with their play, status and duration."""
        return list(self.record.get("phases", []))

    @property
    def failures(self) -> list[dict[str, str]]:
        """What failed on which host."""
        return list(self.record.get("failures", []))

    @property
    def left_faults(self) -> bool:
        """Whether an experiment began and did not come to its end; in check mode none begins."""
        return not self.record.get("check_mode") and any(
            phase["play"] == EXPERIMENTS_PLAY and phase["status"] != "ok" for phase in self.phases
        )

    def results_run(self) -> Path | None:
        """Return the results folder that the playbook was about, as it says; None where it did not say."""
        told = self.record.get("results_folder")
        return Path(told) if told else None


def warn_of_unknown_variables(options: list[Option]) -> None:
    """Name the variables that no role has: Ansible takes any, and one that is misspelt would change nothing."""
    given = [name for name in variables_given(options) if not name.startswith("ansible_")]
    if not given:
        return
    known: set[str] = set()
    for path in PROJECT.glob("roles/*/meta/argument_specs.yml"):
        for entry_point in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            known |= entry_point["options"].keys()
    # Secrets have no argument spec: it would be checked, and they generated, where there is no lab yet.
    for path in (*PROJECT.glob("roles/*/defaults/main.yml"), *PROJECT.glob("inventory/*/group_vars/*.yml")):
        known |= yaml.safe_load(path.read_text(encoding="utf-8")).keys()
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {near[0]}?" if near else "all variables: roles/*/defaults/main.yml"
            complain(f"unknown variable {name}: it has no effect unless your own inventory uses it; {meant}")


def warn_of_an_old_core() -> None:
    """Say where Ansible gets no security fixes any more: requirements.txt has another one for newer Pythons."""
    version = importlib.metadata.version("ansible-core")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_MAINTAINED_CORE:
        complain(
            f"ansible-core {version}, the last for Python 3.11, is not maintained any more; with Python 3.12 or newer "
            "on this machine (and .venv removed) the lab takes a newer one"
        )


def heal(options: list[Option]) -> bool:
    """Heal what an experiment that did not come to its end left; say how that went."""
    complain("an experiment did not finish: healing the members")
    healing = Playbook()
    healed = healing.run("heal", words_of(naming_the_lab(options))) == 0 and healing.interrupted_by is None
    if healed:
        complain("healed: no workload is running, and every member is up")
    else:
        complain("not everything could be healed; once the hosts answer again: ./scripts/lab heal")
    return healed


def read_verdict(folder: Path, not_before: float, name: str = VERDICT_FILE) -> tuple[Verdict, dict[str, Any]] | None:
    """Return the verdict in a results folder, or None where there is none that can be read.

    :param name: of the file
    :param not_before: an older one (seconds since the epoch) is that of another run, and counts as none
    """
    path = folder / name
    try:
        if path.stat().st_mtime < not_before:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        return Verdict(found["verdict"]), found
    except (OSError, ValueError, KeyError, TypeError):
        return None


def say_verdict(verdict: Verdict, found: dict[str, Any], folder: Path) -> None:
    """End with the verdict in one sentence and the report's path."""
    checks = [check for check in found.get("checks", []) if isinstance(check, dict)]
    amiss = [check for check in checks if check.get("verdict") != Verdict.VALID.value]
    for check in amiss[:MOST_CHECKS]:
        say(f"{check.get('verdict')}: {check.get('name')}: {check.get('summary', '')}")
    if len(amiss) > MOST_CHECKS:
        say(f"... and {len(amiss) - MOST_CHECKS} more")
    if remark := limits_sentence(found):
        say(remark)
    say(f"The verdict is {verdict.value}: {len(checks) - len(amiss)} of {len(checks)} checks are valid.")
    report = folder / REPORT_PDF_FILE
    if report.exists():
        say(f"The report is {shown(report)}")
    else:
        say(f"The results are in {shown(folder)}; ./scripts/lab report makes the report")


def say_what_changed(found: dict[str, Any], folder: Path) -> bool:
    """Say in one line where a verdict is not known to be of the files that are there; return whether that is so."""
    differences = compare_judged(folder, found)
    if differences.none:
        return False
    say(
        f"The verdict was {found['verdict']}; {differences.sentence}. To check the files as they are now: "
        f"./scripts/lab verify -e results_run={shown(folder)}"
    )
    return True


def is_judgement(failure: dict[str, str]) -> bool:
    """Tell a verdict that is not valid, with which Ansible's run fails, from a failure of the lab."""
    task = JUDGING_TASKS.get(failure["play"])
    return task is not None and failure["task"].endswith(task)


def only_judged(playbook: Playbook) -> bool:
    """Tell whether a playbook failed by nothing but a verdict that is not valid."""
    return bool(playbook.failures) and all(map(is_judgement, playbook.failures))


def explain_failure(verb: str, playbook: Playbook) -> None:
    """Say in one line why the lab failed."""
    failures = [failure for failure in playbook.failures if not is_judgement(failure)]
    if failures:
        first = failures[0]
        complain(f"{verb} failed in phase {first['phase']}: {first['host']}: {first['task']}: {first['message'][:500]}")
    elif playbook.phases:
        complain(f"{verb} failed in phase {playbook.phases[-1]['name']}; the lines above say why, -v says more")
    else:
        complain(f"{verb} could not start; the lines above say why")


def explain_resume(verb: str, options: list[Option], playbook: Playbook) -> bool:
    """Say how a run goes on of which some experiments were not run to their end; return whether this is one."""
    folder = playbook.results_run()
    if verb not in MEASURING_VERBS or not playbook.left_faults or folder is None:
        return False
    again = shlex.join([*words_of(without_resume(options)), "-e", f"resume={folder.name}"])
    complain(f"finished experiments are kept; to run the rest: ./scripts/lab {verb} {again}")
    return True


def explain_interruption(verb: str, options: list[Option], playbook: Playbook) -> None:
    """Put right what an interruption left; say what there is now and how to go on."""
    phase = playbook.phases[-1]["name"] if playbook.phases else "its start"
    complain(f"{verb} was interrupted in phase {phase}" if playbook.phases else f"{verb} was interrupted at its start")
    if playbook.left_faults:
        heal(options)
    if explain_resume(verb, options, playbook):
        complain("what is up stays up; ./scripts/lab down removes it")
    elif verb in MEASURING_VERBS or verb == "up":
        complain(f"what is up stays up: ./scripts/lab {verb} continues from there, ./scripts/lab down removes it")
    else:
        complain(f"./scripts/lab {verb} finishes it")


def conclude(verb: str, options: list[Option], playbook: Playbook, status: int, began: float) -> int:
    """Say how it went; return the exit status of docs/architecture.md."""
    if playbook.interrupted_by is not None:
        explain_interruption(verb, options, playbook)
        return 128 + playbook.interrupted_by
    lab_failed = status != 0 and not (verb in (*JUDGING_VERBS, SELFTEST_VERB) and only_judged(playbook))
    if lab_failed:
        if playbook.left_faults:
            heal(options)
        explain_resume(verb, options, playbook)
        explain_failure(verb, playbook)
        return EXIT_LAB_FAILED
    if playbook.record and not playbook.phases and not list_only(options):
        complain(f"{verb} did nothing: --limit or --tags left no host or task for it; leave them out and try again")
        return EXIT_LAB_FAILED
    folder = playbook.results_run()
    if verb == "report" and folder is not None and (folder / REPORT_PDF_FILE).exists():
        say(f"The report is {shown(folder / REPORT_PDF_FILE)}")
    if verb == SELFTEST_VERB and folder is not None and playbook.phases and not playbook.record.get("check_mode"):
        return selftest_status(folder, began)
    # --list-tasks and its like run nothing, and check mode judges nothing.
    if verb not in JUDGING_VERBS or not playbook.phases or playbook.record.get("check_mode"):
        return 0
    judged = read_verdict(folder, 0.0 if verb == "verdict" else began) if folder is not None else None
    if folder is None or judged is None:
        place = shown(folder) if folder is not None else "any folder"
        complain(f"{verb} left no verdict in {place}; ./scripts/lab verify makes one from a run's results")
        return EXIT_LAB_FAILED
    if verb == "verdict" and say_what_changed(judged[1], folder):
        return EXIT_STATUS[Verdict.UNKNOWN]
    say_verdict(*judged, folder)
    return EXIT_STATUS[judged[0]]


def selftest_status(folder: Path, began: float) -> int:
    """Return the exit status of a selftest of a run, which the playbook has told of."""
    place = folder.resolve().parent
    told = read_verdict(place, began, SELFTEST_FILE)
    if told is None:
        complain(f"selftest left no {SELFTEST_FILE} in {shown(place)}; the lines above say why, -v says more")
        return EXIT_LAB_FAILED
    return EXIT_STATUS[told[0]]


def try_control(control: Control, words: list[str]) -> tuple[Path, dict[str, Any]] | int:
    """Make one run of a control; return its folder and its verdict.json, or the exit status with which all ends."""
    began = time.time() - 1
    # Last, so that what makes it this control cannot be overridden.
    given = [*words, "-e", json.dumps({**control.variables, "lab_controls": True})]
    playbook = Playbook()
    status = playbook.run(PLAYBOOKS["run"], given)
    folder = playbook.results_run()
    judged = read_verdict(folder, began) if folder is not None else None
    ended = status == 0 or only_judged(playbook)
    if folder is None or judged is None or not ended or playbook.interrupted_by is not None:
        return max(EXIT_LAB_FAILED, conclude("run", read_options(given) or [], playbook, status, began))
    return folder.resolve(), judged[1]


def main(arguments: list[str]) -> int:
    """Run a verb; return its exit status."""
    verb, *words = arguments
    names: list[str] = []
    while verb == "controls" and words and not words[0].startswith("-"):
        names.append(words.pop(0))
    # The file system's clock may be a tick behind.
    began = time.time() - 1
    playbook = Playbook()
    options = read_options(words) or []
    warn_of_unknown_variables(options)
    if verb == "controls":
        return run_controls(read_controls(names), lambda control: try_control(control, words), say)
    if verb == "check":
        status = playbook.run("site", [*words, "--syntax-check"], quiet=True)
        if status != 0 or playbook.interrupted_by is not None:
            return conclude(verb, options, playbook, status, began)
    status = playbook.run(PLAYBOOKS.get(verb, verb), words)
    concluded = conclude(verb, options, playbook, status, began)
    if verb == "check" and concluded == 0:
        warn_of_an_old_core()
    return concluded


if __name__ == "__main__":
    run(lambda: main(sys.argv[1:]))

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows a playbook as phases; see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lab_progress
type: stdout
short_description: A playbook as a list of phases
description:
  - Each play is a phase, and within a play each item of a looped C(include_role). A phase is shown with its time when
    it is over; on a terminal the task at work is shown below, elsewhere a line now and then.
  - What is in order is quiet. What failed is one line with host, task and reason; a failure that a rescue section
    takes care of is quiet, too. In check mode and with C(--diff), every change is a line.
  - Messages of C(debug), and those of C(assert) that have a C(success_msg), are shown.
  - With C(-v) everything is shown as by the callback P(ansible.builtin.default#callback).
author: The failover lab's authors (@failover-lab)
options:
  phases_file:
    description:
      - File to keep phases, failures and the hosts' recap in, as JSON, replaced whenever something of it changes.
      - A phase that never ended has the status C(running).
      - Also tells whether this is check mode, and which results folder C(-e) names, so that whoever started the
        playbook finds what it left.
    type: path
    env:
      - name: LAB_PHASES_FILE
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""

import gc
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812 - Ansible's own name for it
from ansible import context
from ansible.playbook.block import Block
from ansible.playbook.role_include import IncludeRole
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as Default

# How often the live line is drawn, in s.
DRAW_INTERVAL_S = 0.25
# How often a task that takes long is named where lines cannot be redrawn, in s.
LINE_INTERVAL_S = 30.0
# What a playbook says with set_stats for who reads phases_file: the results folder that it was about.
FOLDER_STATISTIC = "lab_results_folder"
# Tasks that use the terminal themselves.
OWN_DISPLAY = ("workload_wait", "pause", "ansible.builtin.pause")
DEBUG = ("debug", "ansible.builtin.debug")
ASSERT = ("assert", "ansible.builtin.assert")
# Ansible's wrapping around the reason that a module or an action gave.
WRAPPING = ("Task failed: ", "Action failed: ", "Module failed: ", "Task failed. ")
# Messages that leave the reason to what the command has said; the second is core 2.21's wording.
SAYING_NOTHING = ("non-zero return code", "The command exited with a non-zero return code.", "MODULE FAILURE")
# A message is cut here: whoever wants more of it takes -v.
LONGEST_MESSAGE = 6000
CLEAR_LINE = "\r\x1b[K"
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@dataclass
class Phase:
    """A play, or one item of a play's looped role, and what became of it."""

    name: str
    play: str
    started_at: str  # ISO 8601, UTC
    duration_s: float = 0.0
    status: str = "running"  # running, ok, failed
    tasks: int = 0
    changed: int = 0  # results, one a host and task


@dataclass
class Record:
    """What ``phases_file`` holds."""

    phases: list[Phase] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)  # phase, play, task, host, message
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)  # Ansible's recap, once the playbook is over
    check_mode: bool = False
    results_folder: str | None = None  # as the playbook says


def duration(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def root_cause(summary: Any) -> str:
    """Return the message at the bottom of an exception's chain, as far as Ansible tells of one."""
    event = getattr(summary, "event", None)
    while (below := getattr(getattr(event, "chain", None), "event", None)) is not None:
        event = below
    message = str(getattr(event, "msg", "")).strip()
    return message.splitlines()[-1] if message.startswith("Traceback ") else message


def reason(found: Any, exception: Any = None) -> str:
    """Return why a result is a failure, in words; of a loop, why its first failed item is."""
    failed_items = [item for item in found.get("results") or [] if isinstance(item, dict) and item.get("failed")]
    if failed_items and found.get("msg") != failed_items[0].get("msg"):
        item, *more = failed_items
        also = f" (and {len(more)} more)" if more else ""
        label = str(item.get("_ansible_item_label", item.get("item")))[:60]
        return f"item {label}: {reason(item, item.get('exception'))}{also}"
    message = str(found.get("msg") or "").strip()
    while wrapping := next((text for text in WRAPPING if message.startswith(text)), None):
        message = message.removeprefix(wrapping)
    if message.startswith("Traceback "):
        message = message.splitlines()[-1]
    heard = str(found.get("stderr") or "").strip()
    if message in ("", *SAYING_NOTHING) or message.startswith("MODULE FAILURE\n"):
        said = [heard, *(str(found.get(name) or "").strip() for name in ("stdout", "module_stderr", "module_stdout"))]
        last = next((text.splitlines()[-1] for text in said if text), "")
        status = f"exit status {found['rc']}" if "rc" in found else "no reason given"
        message = f"{last} ({status})" if last else status
    elif (cause := root_cause(exception)) not in message:
        message = f"{message} {cause}"
    elif heard and (last := heard.splitlines()[-1]) not in message:
        message = f"{message}: {last}"  # a module names the program that failed, and leaves the reason to it
    return message[:LONGEST_MESSAGE]


def ancestors(task: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each block and include around a task, innermost first, with the one below it."""
    below, above = task, task._parent
    while above is not None:
        yield above, below
        below, above = above, above._parent


def rescued(task: Any) -> bool:
    """Tell whether a rescue section takes care of this task's failure."""
    return any(
        isinstance(above, Block) and above.rescue and below._uuid in [child._uuid for child in above.block]
        for above, below in ancestors(task)
    )


def item_of_role(task: Any) -> str | None:
    """Return the label of the loop's item that this task's role was included for, or None."""
    labels = (above.vars.get("_ansible_item_label") for above, _ in ancestors(task) if isinstance(above, IncludeRole))
    return next((str(label) for label in labels if label is not None), None)


class LiveLine:
    """The line below all others that is drawn again and again, on a terminal.

    Everything that Ansible shows goes through one method of its Display, here and (over a queue) from its workers.
    That method is wrapped, so that whatever is shown, a warning for instance, takes the place of the live line instead
    of standing behind it. A text without a newline is somebody's live line.
    """

    def __init__(self, display: Any) -> None:
        self._show: Callable[..., None] = display.display
        self._process = os.getpid()
        self._drawn = False
        self._lock = threading.RLock()
        display.display = self.show

    def show(self, msg: str, *args: Any, newline: bool = True, **options: Any) -> None:
        """Display.display, after the live line was cleared."""
        if os.getpid() != self._process:
            self._show(msg, *args, newline=newline, **options)
            return
        with self._lock:
            if newline and self._drawn:
                self._show(CLEAR_LINE, newline=False, screen_only=True)
            self._drawn = not newline
            self._show(msg, *args, newline=newline, **options)

    def draw(self, text: str) -> None:
        """Show ``text`` as the live line, cut to the terminal's width."""
        try:
            columns = os.get_terminal_size(sys.stdout.fileno()).columns
        except (OSError, ValueError):
            columns = 80
        self.show(CLEAR_LINE + text[: columns - 1] + "\r", newline=False, screen_only=True)


def collect_garbage_seldom() -> None:
    """Have Python look for circular garbage seldom, and not at all in the forks that run one task each.

    Ansible's objects live to the end of the playbook, and the controller shares its cores with the lab: the
    collections of an `up` without changes took a fifth of its CPU time, and freed nothing worth it.
    """
    gc.set_threshold(10_000, 20, 20)
    os.register_at_fork(after_in_child=gc.disable)


class CallbackModule(Default):  # type: ignore[misc]
    """Stdout callback: phases instead of tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "lab_progress"

    def __init__(self) -> None:
        super().__init__()
        self._record = Record()
        self._phase: Phase | None = None
        self._phase_began = 0.0
        self._began = time.monotonic()
        self._play_name = ""
        self._at_work: tuple[str, float] | None = None  # the task's name, when it began
        self._said: tuple[str, str] = ("", "")  # the last failure's task and message
        terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not self._verbose
        self._live = LiveLine(self._display) if terminal else None
        self._spinner = itertools.cycle(SPINNER)

    @property
    def _verbose(self) -> bool:
        return bool(self._display.verbosity > 0)

    def _say(self, text: str, color: str | None = None) -> None:
        self._display.display(text, color=color)

    def _save(self) -> None:
        path = self.get_option("phases_file")
        if not path:
            return
        temporary = Path(f"{path}.new")
        try:
            temporary.write_text(json.dumps(asdict(self._record), indent=1), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            self._display.warning(f"{path} cannot be written ({error.strerror}); phases are not recorded")
            self.set_option("phases_file", None)

    @staticmethod
    def host_label(result: Any) -> str:
        """Return the name of the host and of its delegate; of a loop's delegate, Ansible may have a template only."""
        if "{{" not in str(result.task.delegate_to):
            return str(Default.host_label(result))
        delegate = result.result.get("_ansible_delegated_vars", {}).get("ansible_delegated_host")
        return " -> ".join(filter(None, [result.host.get_name(), delegate]))

    # ---- phases

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Begin to show what is at work."""
        collect_garbage_seldom()
        if self._verbose:
            super().v2_playbook_on_start(playbook)
        else:
            threading.Thread(target=self._tick, name="lab_progress", daemon=True).start()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """End the phase before; the new one begins with its first task."""
        self._end_phase()
        self._play_name = play.get_name().strip()
        self._record.check_mode = bool(context.CLIARGS.get("check"))
        if self._verbose:
            super().v2_playbook_on_play_start(play)

    def _enter_phase(self, name: str) -> Phase:
        if self._phase is None or self._phase.name != name:
            self._end_phase()
            self._phase_began = time.monotonic()
            self._phase = Phase(name, self._play_name, datetime.now(UTC).isoformat(timespec="seconds"))
            self._record.phases.append(self._phase)
            self._save()
            if self._live is None and not self._verbose:
                self._say(f"… {name}")
        return self._phase

    def _end_phase(self) -> None:
        phase, self._phase, self._at_work = self._phase, None, None
        if phase is None:
            return
        phase.duration_s = round(time.monotonic() - self._phase_began, 3)
        failed = phase.status == "failed"
        phase.status = "failed" if failed else "ok"
        self._save()
        if not self._verbose:
            mark, color = ("✗", C.COLOR_ERROR) if failed else ("✓", C.COLOR_OK)
            changed = f"   {phase.changed} changed" if phase.changed else ""
            self._say(f"{mark} {phase.name:<30} {duration(phase.duration_s):>12}{changed}", color)

    def _tick(self) -> None:
        next_line = LINE_INTERVAL_S
        while True:
            time.sleep(DRAW_INTERVAL_S)
            phase, at_work = self._phase, self._at_work
            if phase is None or at_work is None:
                next_line = LINE_INTERVAL_S
                continue
            name, began = at_work
            seconds = time.monotonic() - began
            if self._live is not None:
                self._live.draw(f"{next(self._spinner)} {phase.name}: {name} ({seconds:.0f} s)")
            elif seconds < LINE_INTERVAL_S:
                next_line = LINE_INTERVAL_S
            elif seconds >= next_line:
                next_line += LINE_INTERVAL_S
                self._say(f"  {phase.name}: {name} ({seconds:.0f} s)")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Say where the time went and what changed."""
        self._end_phase()
        self._record.hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        self._save()
        if self._verbose:
            super().v2_playbook_on_stats(stats)
        total_s = time.monotonic() - self._began
        if len(self._record.phases) > 1:
            self._say("")
            for phase in self._record.phases:
                share = phase.duration_s / max(total_s, 1e-9)
                self._say(f"  {phase.name:<30} {duration(phase.duration_s):>12} {share:5.0%}  {phase.status}")
            self._say(f"  {'in all':<30} {duration(total_s):>12}")
        changed = [f"{host} {recap['changed']}" for host, recap in self._record.hosts.items() if recap["changed"]]
        if not self._verbose and self._record.hosts:
            self._say(f"  changed: {', '.join(changed) or 'nothing'}")

    # ---- tasks

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Note what is at work."""
        if self._verbose:
            super().v2_playbook_on_task_start(task, is_conditional)
        self._begin_task(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Note what is at work."""
        if self._verbose:
            super().v2_playbook_on_handler_task_start(task)
        self._begin_task(task)

    def _begin_task(self, task: Any) -> None:
        if self._phase is None and isinstance(task, IncludeRole) and task.loop:
            # Each of its items is a phase of its own, and nothing came before them.
            return
        item = item_of_role(task)
        phase = self._enter_phase(f"{self._play_name}: {item}" if item else self._play_name)
        phase.tasks += 1
        own = task.action in OWN_DISPLAY
        self._at_work = None if own else (task.get_name().strip(), time.monotonic())

    def v2_runner_on_ok(self, result: Any) -> None:
        """Count changes; show what a playbook has to say."""
        # Now, not with the recap at the end: a run that is interrupted has none.
        statistics = result.result.get("ansible_stats", {}).get("data", {})
        if FOLDER_STATISTIC in statistics:
            self._record.results_folder = str(statistics[FOLDER_STATISTIC])
        if result.result.get("changed") and self._phase and not isinstance(result.task, TaskInclude):
            self._phase.changed += 1
            if not self._verbose and (result.task.check_mode or result.task.diff):
                would = "would change" if result.task.check_mode else "changed"
                self._say(f"  {would}: {self.host_label(result)}: {result.task.get_name().strip()}", C.COLOR_CHANGED)
        if self._verbose:
            super().v2_runner_on_ok(result)
            return
        self._handle_warnings(result.result)
        if not result.task.loop:
            self._say_message(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Show what a playbook has to say."""
        if self._verbose:
            super().v2_runner_item_on_ok(result)
            return
        self._handle_warnings(result.result)
        self._say_message(result)

    def _say_message(self, result: Any) -> None:
        task, found = result.task, result.result
        if task.action in DEBUG:
            self._clean_results(found, task.action)
            text = str(found["msg"]) if "msg" in found else self._dump_results(found).strip()
        elif task.action in ASSERT and "success_msg" in task.args:
            text = str(found.get("msg", ""))
        else:
            return
        for line in text.strip().splitlines():
            self._say(f"  {line}")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Say what failed and why, unless somebody takes care of it."""
        matters = not ignore_errors and not rescued(result.task)
        if ignore_errors and result.result.get("changed") and self._phase:
            # As in Ansible's own recap.
            self._phase.changed += 1
        if matters:
            self._note_failure(result, reason(result.result, result.exception))
        if self._verbose:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        self._handle_warnings(result.result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Quiet, as the task says what failed."""
        if self._verbose:
            super().v2_runner_item_on_failed(result)
        else:
            self._handle_warnings(result.result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Say which host cannot be reached, unless that does not matter."""
        if not result.task.ignore_unreachable:
            self._note_failure(result, f"cannot be reached. {reason(result.result, result.exception)}")
        if self._verbose:
            super().v2_runner_on_unreachable(result)
        else:
            self._handle_warnings(result.result)

    def _note_failure(self, result: Any, message: str) -> None:
        phase = self._phase or self._enter_phase(self._play_name)
        phase.status = "failed"
        host, task = result.host.get_name(), result.task.get_name().strip()
        self._record.failures.append(
            {"phase": phase.name, "play": phase.play, "task": task, "host": host, "message": message}
        )
        self._save()
        if self._verbose:
            return
        same = self._said == (task, message)
        self._said = (task, message)
        first, *more = message.strip().splitlines() or [""]
        self._say(f"✗ {self.host_label(result)}: {task}: {'the same' if same else first}", C.COLOR_ERROR)
        for line in [] if same else more:
            self._say(f"    {line}", C.COLOR_ERROR)

    def v2_on_file_diff(self, result: Any) -> None:
        """Show what would change in a file, with --diff."""
        if self._verbose:
            super().v2_on_file_diff(result)
            return
        for item in result.result.get("results") or [result.result]:
            if isinstance(item, dict) and item.get("diff") and item.get("changed"):
                self._say(self._get_diff(item["diff"]))

    # ---- shown with -v only


def _with_verbose_only(name: str) -> Callable[..., None]:
    shown: Callable[..., None] = getattr(Default, name)

    def method(self: CallbackModule, *args: Any, **options: Any) -> None:
        if self._verbose:
            shown(self, *args, **options)

    method.__name__ = name
    method.__doc__ = "Quiet without -v."
    return method


for _name in (
    "v2_playbook_on_include",
    "v2_playbook_on_no_hosts_matched",
    "v2_playbook_on_no_hosts_remaining",
    "v2_playbook_on_notify",
    "v2_runner_item_on_skipped",
    "v2_runner_on_async_failed",
    "v2_runner_on_async_ok",
    "v2_runner_on_async_poll",
    "v2_runner_on_skipped",
    "v2_runner_on_start",
    "v2_runner_retry",
):
    setattr(CallbackModule, _name, _with_verbose_only(_name))

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows a playbook as phases; see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lab_progress
type: stdout
short_description: A playbook as a list of phases
description:
  - Each play is a phase, shown when it begins and again, with its time, when it is over.
  - What is in order is quiet; what failed is one line with host, task and reason.
  - With C(-v) everything is shown as by the callback P(ansible.builtin.default#callback).
author: The failover lab's authors (@failover-lab)
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""

import sys
import time
from dataclasses import dataclass
from typing import Any

from ansible import constants as C  # noqa: N812 - Ansible's own name for it
from ansible.plugins.callback.default import CallbackModule as Default

LONGEST_LINE = 2000


@dataclass
class Phase:
    """A play and what became of it."""

    name: str
    began_at: float
    changed: int = 0
    failed: int = 0
    tasks: int = 0
    ended_at: float = 0.0

    @property
    def duration_s(self) -> float:
        """Seconds from its first task to its end."""
        return self.ended_at - self.began_at


class CallbackModule(Default):  # type: ignore[misc]
    """Stdout callback: phases instead of tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "lab_progress"

    def __init__(self) -> None:
        super().__init__()
        self._phases: list[Phase] = []
        self._phase: Phase | None = None
        self._terminal = sys.stdout.isatty()
        self._width = 0
        self._began_at = time.monotonic()

    @property
    def _full(self) -> bool:
        return bool(self._display.verbosity > 0)

    # ---- phases

    def v2_playbook_on_start(self, playbook: Any) -> None:
        if self._full:
            super().v2_playbook_on_start(playbook)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        if self._full:
            super().v2_playbook_on_play_start(play)
            return
        self._end_phase()
        self._phase = Phase(play.get_name().strip() or "play", time.monotonic())

    def _end_phase(self) -> None:
        phase, self._phase = self._phase, None
        if phase is None or not phase.tasks:
            return
        phase.ended_at = time.monotonic()
        self._phases.append(phase)
        self._clear()
        mark, color = ("✗", C.COLOR_ERROR) if phase.failed else ("✓", C.COLOR_OK)
        changed = f"  {phase.changed} changed" if phase.changed else ""
        self._display.display(f"{mark} {phase.name:<32} {phase.duration_s:7.1f} s{changed}", color=color)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if self._full:
            super().v2_playbook_on_stats(stats)
            return
        self._end_phase()
        hosts = sorted(stats.processed)
        totals = [stats.summarize(host) for host in hosts]
        changed = {host: total["changed"] for host, total in zip(hosts, totals, strict=True) if total["changed"]}
        said = ", ".join(f"{host} {count}" for host, count in changed.items()) or "nothing"
        self._display.display(f"  {time.monotonic() - self._began_at:.0f} s in all; changed: {said}")

    # ---- tasks

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        if self._full:
            super().v2_playbook_on_task_start(task, is_conditional)
            return
        if self._phase is None:
            return
        if not self._phase.tasks and not self._terminal:
            self._display.display(f"… {self._phase.name}")
        self._phase.tasks += 1
        if self._terminal:
            text = f"… {self._phase.name}: {task.get_name().strip()}"[: self._columns()]
            self._display.display("\r" + text.ljust(self._width), newline=False)
            self._width = len(text)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        if self._full:
            super().v2_playbook_on_handler_task_start(task)
        else:
            self.v2_playbook_on_task_start(task, False)

    def _columns(self) -> int:
        return max(20, int(self._display.columns))

    def _clear(self) -> None:
        if self._terminal and self._width:
            self._display.display("\r" + " " * self._width + "\r", newline=False)
            self._width = 0

    # ---- results

    def v2_runner_on_ok(self, result: Any) -> None:
        if self._full:
            super().v2_runner_on_ok(result)
            return
        self._count_change(result)
        # What a playbook has to say to its user, it says with debug or assert.
        if result.task.action in ("ansible.builtin.debug", "ansible.builtin.assert") and not result.task.loop:
            message = result.result.get("msg")
            if result.task.get_name().rsplit(": ", 1)[-1].startswith("Say") and message:
                self._clear()
                self._display.display(f"  {message}")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if self._full:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        if not ignore_errors:
            self._say_failure(result, self._reason(result))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        if self._full:
            super().v2_runner_on_unreachable(result)
            return
        self._say_failure(result, f"cannot be reached: {self._reason(result)}")

    def _say_failure(self, result: Any, reason: str) -> None:
        if self._phase:
            self._phase.failed += 1
        self._clear()
        task = result.task.get_name().strip()
        line = " ".join(f"✗ {result.host.get_name()}: {task}: {reason}".split())
        self._display.display(line[:LONGEST_LINE], color=C.COLOR_ERROR, stderr=False)

    def _reason(self, result: Any) -> str:
        """Return why in words: of a loop, the item that failed."""
        found = result.result
        failed_items = [item for item in found.get("results", []) if isinstance(item, dict) and item.get("failed")]
        if failed_items:
            found = failed_items[0]
        message = str(found.get("msg") or "").removeprefix("Task failed: ").removeprefix("Action failed: ")
        if not message or message == "non-zero return code":
            lines = str(found.get("stderr") or found.get("stdout") or message or "no reason given").strip().splitlines()
            message = lines[-1]
        return message

    def _count_change(self, result: Any) -> None:
        if result.result.get("changed") and self._phase:
            self._phase.changed += 1

    # Quiet unless everything is shown.

    def v2_runner_on_skipped(self, result: Any) -> None:
        if self._full:
            super().v2_runner_on_skipped(result)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        if self._full:
            super().v2_playbook_on_include(included_file)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        if self._full:
            super().v2_runner_item_on_ok(result)
        elif result.task.get_name().rsplit(": ", 1)[-1].startswith("Say"):
            self._clear()
            self._display.display(f"  {result.result.get('msg')}")

    def v2_runner_item_on_failed(self, result: Any) -> None:
        if self._full:
            super().v2_runner_item_on_failed(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        if self._full:
            super().v2_runner_item_on_skipped(result)

    def v2_runner_retry(self, result: Any) -> None:
        if self._full:
            super().v2_runner_retry(result)

    def v2_playbook_on_notify(self, handler: Any, host: Any) -> None:
        if self._full:
            super().v2_playbook_on_notify(handler, host)

    def v2_runner_on_async_poll(self, result: Any) -> None:
        if self._full:
            super().v2_runner_on_async_poll(result)

    def v2_runner_on_async_ok(self, result: Any) -> None:
        if self._full:
            super().v2_runner_on_async_ok(result)

    def v2_runner_on_async_failed(self, result: Any) -> None:
        if self._full:
            super().v2_runner_on_async_failed(result)

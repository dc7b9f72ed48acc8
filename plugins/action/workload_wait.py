# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waits for a workload that runs as an asynchronous job, and shows how it goes. Documented in library/workload_wait.py.

An action, not a module: only here is there a way to the terminal while a task runs. Workers have no standard output of
their own, so everything goes through Ansible's Display, as one line redrawn on a terminal and as lines elsewhere.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from tqdm import tqdm

display = Display()

# How often the host is asked, in s, and how often a line is shown where lines cannot be redrawn.
POLL_S = 1.0
LINE_S = 5.0
# How often in a row the host may be out of reach before it is given up.
UNREACHABLE_POLLS = 10


class ActionModule(ActionBase):
    """See DOCUMENTATION of library/workload_wait.py."""

    _VALID_ARGS = frozenset(("jid", "progress_path", "timeout_s"))
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Poll until the job is finished; return its result, or one line that says why there is none."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            argument_spec={
                "jid": {"type": "str", "required": True},
                "progress_path": {"type": "path", "required": True},
                "timeout_s": {"type": "int", "default": 120},
            }
        )
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "nothing runs in check mode"}
        host = (task_vars or {}).get("inventory_hostname", "the host")
        bar = _Bar()
        try:
            job = self._wait(args["jid"], args["progress_path"], args["timeout_s"], host, bar, task_vars or {})
        finally:
            bar.close()
        return {**result, **job}

    def _wait(
        self, jid: str, path: str, timeout_s: int, host: str, bar: _Bar, task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        last_done, moved_at, lost = -1, time.monotonic(), 0
        status = {"module_args": {"jid": jid}, "task_vars": task_vars}
        while True:
            try:
                progress = self._read_progress(path)
                over = not progress or progress.get("phase") != "running"
                # async_status costs a module's start: it is asked when the job says it is over, or says nothing.
                job = self._execute_module(module_name="ansible.legacy.async_status", **status) if over else {}
                lost = 0
            except AnsibleConnectionFailure as error:
                lost += 1
                if lost >= UNREACHABLE_POLLS:
                    return _failure(f"{host} has been out of reach for {lost} polls while its workload ran ({error}).")
                time.sleep(POLL_S)
                continue
            if job.get("finished"):
                if progress:
                    bar.show(progress, final=True)
                return job
            if progress.get("done", 0) != last_done:
                last_done, moved_at = progress.get("done", 0), time.monotonic()
            if time.monotonic() - moved_at > timeout_s:
                return _failure(
                    f"The workload on {host} has made no progress for {timeout_s} s, at operation {last_done} "
                    f"(endpoint {progress.get('endpoint', 'unknown')})."
                )
            if progress:
                bar.show(progress)
            time.sleep(POLL_S)

    def _read_progress(self, path: str) -> dict[str, Any]:
        done = self._low_level_execute_command(f"cat {shlex.quote(path)} 2>/dev/null", sudoable=True)
        try:
            progress = json.loads(done.get("stdout", ""))
        except ValueError:
            return {}
        return progress if isinstance(progress, dict) else {}


def _failure(what: str) -> dict[str, Any]:
    return {"failed": True, "msg": f"{what} Heal the lab with ./scripts/lab heal, then run it again."}


class _Bar:
    """One line on a terminal, redrawn; elsewhere a line every few seconds."""

    def __init__(self) -> None:
        self._terminal = _on_terminal()
        self._shown_at = 0.0
        self._width = 0

    def show(self, progress: dict[str, Any], *, final: bool = False) -> None:
        if self._terminal:
            columns = shutil.get_terminal_size().columns - 1
            text = describe(progress, columns)[:columns]
            display.display("\r" + text.ljust(self._width), newline=False)
            self._width = len(text)
        elif final or time.monotonic() - self._shown_at >= LINE_S:
            self._shown_at = time.monotonic()
            display.display("  " + describe(progress, 118))

    def close(self) -> None:
        if self._terminal and self._width:
            display.display("\r" + " " * self._width + "\r", newline=False)


def _on_terminal() -> bool:
    """Tell whether the controller's terminal takes redrawn lines; a worker, its child, has none of its own."""
    try:
        with open(f"/proc/{os.getppid()}/fd/1", "rb") as output:
            return output.isatty()
    except OSError:
        return False


def describe(progress: dict[str, Any], columns: int) -> str:
    """Return one line: the bar, the rate, errors, the leader and what faults are in force."""
    done, total = progress.get("done", 0), progress.get("total") or 1
    facts = [f"{progress.get('ops_per_s', 0):,.0f} op/s"]
    if progress.get("p99_ms") is not None:
        facts.append(f"p99 {progress['p99_ms']:.1f} ms")
    facts += [f"{progress[name]} {name}" for name in ("fail", "unknown") if progress.get(name)]
    if progress.get("leader"):
        facts.append(f"leader {progress['leader']}")
    facts += [str(fault) for fault in progress.get("faults") or []]
    meter = tqdm.format_meter(
        done, total, progress.get("elapsed_s") or 1e-9, ncols=max(columns, 20),
        bar_format="{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} {elapsed}<{remaining} {postfix}",
        postfix=", ".join(facts),
    )  # fmt: skip
    return str(meter)

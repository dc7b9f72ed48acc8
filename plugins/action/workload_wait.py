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
import time
from pathlib import PurePosixPath
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from tqdm import tqdm

display = Display()

# How often the host is asked, in s: with a terminal to redraw a line on, and without. Each time costs the host a shell,
# beside what is being measured there.
POLL_S = {True: 1.0, False: 5.0}
# The end is awaited more closely, so that no time is lost between the workload and what follows it.
SHORTEST_POLL_S = 0.5
# A job whose progress stands still for so long, in s, is asked for its status: it may have died without a word.
SILENCE_S = 5.0
# How long the host may be out of reach, in s.
LOST_S = 30.0
SHORTEST_BAR = 10


class ActionModule(ActionBase):  # type: ignore[misc]
    """See DOCUMENTATION of library/workload_wait.py."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Poll until the job is finished; return its result, or one line that says why there is none."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _, args = self.validate_argument_spec(
            argument_spec={
                "jid": {"type": "str", "required": True},
                "progress_path": {"type": "path", "required": True},
                "timeout_s": {"type": "int", "default": 120},
            }
        )
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "nothing runs in check mode"}
        meter = Meter(PurePosixPath(args["progress_path"]).parent.name, controller_terminal())
        try:
            job = self._wait(args, variables.get("inventory_hostname", "the host"), meter, variables)
        finally:
            meter.close()
        return {**result, **job}

    def _wait(self, args: dict[str, Any], host: str, meter: Meter, task_vars: dict[str, Any]) -> dict[str, Any]:
        progress: dict[str, Any] = {}
        reached_at = written_at = moved_at = time.monotonic()
        while True:
            now = time.monotonic()
            try:
                latest = self._read_progress(args["progress_path"])
                if latest != progress:
                    written_at = now
                if latest.get("done") != progress.get("done"):
                    moved_at = now
                progress = latest
                # A module's start on the host: only when there is reason to think that the job is over.
                if progress.get("phase") != "running" or now - written_at >= SILENCE_S:
                    job = self._job(args["jid"], task_vars)
                    if job.get("finished"):
                        meter.finish(progress)
                        return explained(job, host, progress)
                reached_at = now
            except AnsibleConnectionFailure as error:
                if now - reached_at >= LOST_S:
                    why = str(error).rstrip(".").splitlines()[-1]
                    return failure(
                        f"{host} has been unreachable for {now - reached_at:.0f} s while its workload was running "
                        f"({why}). Once it is up again: ./scripts/lab heal, then run again."
                    )
            if now - moved_at > args["timeout_s"]:
                return failure(
                    f"The workload on {host} completed no operation for {args['timeout_s']} s, at "
                    f"{progress.get('done', 0):,} of {progress.get('total', 0):,} (endpoint "
                    f"{progress.get('endpoint') or 'unknown'}). Look at the servers' logs, then run again."
                )
            meter.show(progress)
            time.sleep(max(SHORTEST_POLL_S, min(meter.poll_s, remaining_s(progress))))

    def _read_progress(self, path: str) -> dict[str, Any]:
        found = self._low_level_execute_command(f"cat {shlex.quote(path)} 2>/dev/null")
        try:
            progress = json.loads(found.get("stdout", ""))
        except ValueError:
            return {}
        return progress if isinstance(progress, dict) else {}

    def _job(self, jid: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the job as the module async_status tells of it; when it is finished, its file is removed."""
        folder = self._remote_expand_user(self.get_shell_option("async_dir", default="~/.ansible_async"))
        job: dict[str, Any] = self._execute_module(
            module_name="ansible.legacy.async_status",
            module_args={"jid": jid, "_async_dir": folder},
            task_vars=task_vars,
        )
        if job.get("finished"):
            shell = self._connection._shell
            self._low_level_execute_command(shell.remove(shell.join_path(folder, jid)))
        return job


def failure(message: str) -> dict[str, Any]:
    """Return the result of a task that failed."""
    return {"failed": True, "msg": message}


def explained(job: dict[str, Any], host: str, progress: dict[str, Any]) -> dict[str, Any]:
    """Return the job's result; where its process ended without one, with a message that says so."""
    if not str(job.get("msg", "")).startswith(("Traceback", "could not find job")):
        return job
    said = str(job.get("stderr") or "").strip().splitlines() or ["it said nothing"]
    told = {name: value for name, value in job.items() if name != "exception"}
    return told | failure(
        f"The workload's process on {host} ended without a result, at {progress.get('done', 0):,} of "
        f"{progress.get('total', 0):,} operations ({said[-1]}). Was it killed, or is {host} out of memory?"
    )


def controller_terminal() -> int | None:
    """Return a file descriptor of the terminal that ansible-playbook shows its warnings on, or None.

    Progress goes there and not to standard output, which may be a callback's JSON. This is a worker: its own standard
    error leads nowhere, its parent's is the one.
    """
    if os.environ.get("TERM") == "dumb":
        return None
    try:
        output = os.open(f"/proc/{os.getppid()}/fd/2", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return None
    if os.isatty(output):
        return output
    os.close(output)
    return None


def remaining_s(progress: dict[str, Any]) -> float:
    """Return how long the workload will take at its average pace, in s; infinite before its first operation."""
    done, total = progress.get("done", 0), progress.get("total", 0)
    return (total - done) * progress.get("elapsed_s", 0.0) / done if done else float("inf")


def facts(progress: dict[str, Any]) -> list[str]:
    """Return what there is to say beside how far it is, the most important first."""
    errors = progress.get("fail", 0) + progress.get("unknown", 0)
    said = [f"{progress.get('ops_per_s', 0):,.0f} op/s", f"{errors:,} error{'s' if errors != 1 else ''}"]
    if progress.get("leader"):
        said.append(f"leader {progress['leader']}")
    said += [str(fault) for fault in progress.get("faults") or []]
    if progress.get("p99_ms") is not None:
        said.append(f"p99 {progress['p99_ms']:,.1f} ms")
    return said


def describe(name: str, progress: dict[str, Any], columns: int | None) -> str:
    """Return one line about a workload at work.

    :param columns: width to fill with a bar, giving up the least important facts where it is narrow; None for a line
        without a bar, of any width
    """
    done, total = progress.get("done", 0), progress.get("total", 0)
    if not progress:
        return f"{name}: starting"
    if columns is None:
        return f"{name}: {done / max(total, 1):.0%} of {total:,} operations, {', '.join(facts(progress))}"
    left = remaining_s(progress)
    clock = f"{tqdm.format_interval(progress.get('elapsed_s', 0.0))}<{tqdm.format_interval(left) if done else '?'}"
    said = [f"{done:,}/{total:,}", *facts(progress)]
    said.insert(3, clock)
    tail = "  ".join(said)
    while said and len(name) + len(tail) + SHORTEST_BAR + 9 > columns:
        said.pop()
        tail = "  ".join(said)
    width = columns - len(name) - len(tail) - 4
    bar = tqdm.format_meter(min(done, total), max(total, 1), 1, ncols=width, bar_format="{percentage:3.0f}% {bar}")
    return f"{name}  {bar}  {tail}"[:columns]


def summarize(name: str, progress: dict[str, Any]) -> str:
    """Return one line about a workload that is over."""
    errors = progress.get("fail", 0) + progress.get("unknown", 0)
    return (
        f"{name}: {progress.get('done', 0):,} of {progress.get('total', 0):,} operations in "
        f"{progress.get('elapsed_s', 0.0):,.1f} s, {progress.get('ops_per_s', 0):,.0f} op/s, "
        f"{errors:,} error{'s' if errors != 1 else ''}"
    )


class Meter:
    """What is shown of a workload: one line redrawn on a terminal, a line each time elsewhere."""

    def __init__(self, name: str, terminal: int | None) -> None:
        """:param terminal: file descriptor, as controller_terminal returns it."""
        self._name = name
        self._terminal = terminal
        self.poll_s = POLL_S[terminal is not None]
        self._next_line_at = 0.0

    def show(self, progress: dict[str, Any]) -> None:
        """Show how far the workload is."""
        if self._terminal is not None:
            columns = os.get_terminal_size(self._terminal).columns - 3
            text = describe(self._name, progress, columns)
            display.display(f"\r\x1b[K  {text}\r", newline=False, screen_only=True, stderr=True)
        elif time.monotonic() >= self._next_line_at:
            # Half a poll early is in time: polls are as far apart as lines.
            self._next_line_at = time.monotonic() + self.poll_s / 2
            display.display(f"  {describe(self._name, progress, None)}", stderr=True)

    def finish(self, progress: dict[str, Any]) -> None:
        """Show how the workload went."""
        if progress:
            clear = "" if self._terminal is None else "\r\x1b[K"
            display.display(f"{clear}  {summarize(self._name, progress)}", stderr=True)

    def close(self) -> None:
        """Let go of the terminal."""
        if self._terminal is not None:
            display.display("\r\x1b[K", newline=False, screen_only=True, stderr=True)
            os.close(self._terminal)
            self._terminal = None

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One systemd unit and its main process: state, start, stop, kill, suspend, last log lines.

Two ways lead to the service manager. ``systemctl`` waits for jobs and explains failures, but needs about 10 ms to
come up before it asks anything. Where the moment counts (:meth:`Service.stop_soon`, :meth:`Service.restart_soon`)
the manager is asked over D-Bus through libsystemd, which takes about 1 ms, and ``systemctl`` is the fallback.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import select
import shlex
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..clock import CLOCK
from ..shapes import LabError

SYSTEMD = b"org.freedesktop.systemd1"
MANAGER_PATH = b"/org/freedesktop/systemd1"
MANAGER_INTERFACE = b"org.freedesktop.systemd1.Manager"

# Longest wait for systemctl where no job is waited for, in s.
QUERY_TIMEOUT_S = 10.0

# What log lines of the servers mean, the more telling ones first: pattern, cause, what to try.
CAUSES: tuple[tuple[str, str], ...] = (
    (r"attempted too often|start-limit-hit", "systemd's start limit was hit; wait 10 s or run systemctl reset-failed"),
    (r"[Aa]ddress already in use", "another program listens on the port; find it with ss -ltnp and stop it"),
    (r"[Cc]annot assign requested address", "the configured address is not one of this host's; check lab_address"),
    (r"has already been bootstrapped", "the member lost its data directory while the others kept theirs"),
    (r"cluster ID mismatch", "the members hold the data of different clusters"),
    (r"[Nn]o space left on device|ENOSPC", "the disk is full"),
    (r"[Uu]nable to lock \./?ibdata1|is locked by another process|cannot acquire lock", "another process has the data"),
    (r"crc mismatch|checksum mismatch|failed to recover v3 backend|is corrupt", "the data on disk is damaged"),
    (r"[Pp]ermission denied", "the server may not read or write one of its files"),
    (r"[Cc]annot allocate memory|[Oo]ut of memory|oom-kill", "the host has too little memory"),
    (r"error verifying flags|invalid configuration|unknown variable", "the server does not accept its configuration"),
    (
        r"connection refused|i/o timeout|no route to host",
        "the other members do not answer, and without a majority it waits",
    ),
)


# How long a process may take to stand still after SIGSTOP, in s: the kernel stops each thread at its next chance.
FROZEN_TIMEOUT_S = 1.0


def process_state(pid: int) -> str | None:
    """Return the state letter of a process (proc(5): R, S, T, ...), None where there is none."""
    stat = _stat(pid)
    return stat[0] if stat else None


def family(pid: int) -> set[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        stat = _stat(int(entry)) if entry.isdecimal() else None
        if stat:
            children.setdefault(int(stat[1]), []).append(int(entry))
    found, todo = {pid}, [pid]
    while todo:
        new = [child for child in children.get(todo.pop(), []) if child not in found]
        found.update(new)
        todo += new
    return found


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat behind the name: state, parent, ..."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


class ServiceError(LabError):
    """The service manager could not do what it was asked."""


class NotBackError(ServiceError):
    """A server does not come back, although nothing that was done to its host keeps it from that any more."""


@dataclass(frozen=True)
class UnitState:
    """What the service manager says of a unit."""

    load: str  # loaded, not-found, ...
    active: str  # active, activating, deactivating, inactive, failed
    sub: str  # running, dead, failed, ...
    main_pid: int  # 0 where there is no main process
    result: str  # success, exit-code, signal, timeout, ...
    freezer: str  # running, frozen, ...; empty where systemd does not say
    restart_policy: str  # "no", "always", "on-abnormal", ...: what systemd does when the process ends by itself
    started_wall_ns: int | None  # when the newest main process was started

    @property
    def is_active(self) -> bool:
        """Whether the unit has started and not begun to stop."""
        return self.active == "active"


class MainProcess:
    """A process held by a pidfd: the pid cannot become another process behind our back."""

    def __init__(self, pid: int) -> None:
        """Take hold of ``pid``; ProcessLookupError where it does not exist any more."""
        self.pid = pid
        self._fd = os.pidfd_open(pid)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def is_alive(self) -> bool:
        """Whether the process has not ended yet."""
        return not self._poll.poll(0)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; ProcessLookupError where it is gone."""
        signal.pidfd_send_signal(self._fd, number)

    def wait_gone(self, timeout_s: float) -> int | None:
        """Wait for its end and return the wall time (ns) at which it was noticed, None where it lives on."""
        if not self._poll.poll(max(0, timeout_s) * 1000):
            return None
        return CLOCK.now_ns()

    def close(self) -> None:
        """Let go of the process."""
        os.close(self._fd)


class Service:
    """One unit of the local service manager. ``commands`` lists what was done to it, as a shell would show it."""

    def __init__(self, unit: str, *, use_dbus: bool = True) -> None:
        """Name the unit; ``use_dbus`` False keeps to systemctl."""
        self.unit = unit
        self.commands: list[str] = []
        self._use_dbus = use_dbus

    # ------------------------------------------------------------ reading

    def state(self) -> UnitState:
        """Ask for the unit's state."""
        names = "LoadState,ActiveState,SubState,MainPID,Result,FreezerState,Restart,ExecMainStartTimestamp"
        done = self._run(["systemctl", "show", "--timestamp=us+utc", f"--property={names}", self.unit], QUERY_TIMEOUT_S)
        if done.returncode != 0:
            raise ServiceError(f"The state of {self.unit} cannot be read: {_last_line(done)}. Try systemctl status.")
        found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        return UnitState(
            load=found.get("LoadState", ""),
            active=found.get("ActiveState", ""),
            sub=found.get("SubState", ""),
            main_pid=int(found.get("MainPID") or 0),
            result=found.get("Result", ""),
            freezer=found.get("FreezerState", ""),
            restart_policy=found.get("Restart", ""),
            started_wall_ns=parse_timestamp(found.get("ExecMainStartTimestamp", "")),
        )

    def main_process(self, state: UnitState | None = None) -> MainProcess | None:
        """Take hold of the unit's main process, as ``state`` names it or as it is now; None where there is none."""
        pid = (state or self.state()).main_pid
        if pid == 0:
            return None
        try:
            return MainProcess(pid)
        except ProcessLookupError:
            return None

    def log_tail(self, lines: int) -> list[str]:
        """Return the unit's last log lines, oldest first; empty where the journal cannot be read."""
        try:
            done = self._run(
                ["journalctl", f"--unit={self.unit}", f"--lines={lines}", "--output=cat", "--no-pager", "--quiet"],
                QUERY_TIMEOUT_S,
            )
        except ServiceError:
            return []
        return done.stdout.splitlines() if done.returncode == 0 else []

    # ------------------------------------------------------------ acting and waiting

    def start(self, timeout_s: float) -> None:
        """Start the unit and wait until it is active; nothing happens where it is. NotBackError where it does not.

        A unit that was started often within seconds (repeated faults) is over systemd's start limit: the counter is
        cleared first.
        """
        self._run(["systemctl", "reset-failed", self.unit], QUERY_TIMEOUT_S)
        try:
            self._job("start", timeout_s)
        except ServiceError as error:
            raise NotBackError(str(error)) from None

    def stop(self, timeout_s: float) -> None:
        """Stop the unit (SIGTERM, and what the unit says beyond) and wait until it is gone."""
        self._job("stop", timeout_s)

    def restart(self, timeout_s: float) -> None:
        """Stop and start the unit and wait until it is active."""
        self._run(["systemctl", "reset-failed", self.unit], QUERY_TIMEOUT_S)
        self._job("restart", timeout_s)

    def kill(self, process: MainProcess) -> None:
        """Send SIGKILL to the unit's main process; nothing happens where it is gone."""
        self.commands.append(f"kill -KILL {process.pid}")
        with contextlib.suppress(ProcessLookupError):
            process.send(signal.SIGKILL)

    def kill_all(self, process: MainProcess) -> int:
        """Send SIGKILL to a process and all that descend from it; return how many.

        They are stopped first, so that none has time for anything after another one's end.
        """
        with contextlib.suppress(ProcessLookupError, ServiceError):
            self.suspend(process)
        members = family(process.pid)
        self.kill(process)
        for pid in members - {process.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(members)

    def suspend(self, process: MainProcess) -> int:
        """Freeze a process and all that descend from it with SIGSTOP; return how many.

        ``systemctl freeze`` is the service manager's own way, and does not work in every container.
        """
        process.send(signal.SIGSTOP)
        stopped = {process.pid}
        while new := family(process.pid) - stopped:
            # What a process started before it was stopped is found in the next round.
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            stopped |= new
        self.commands.append(f"kill -STOP {' '.join(map(str, sorted(stopped)))}")
        end = time.monotonic() + FROZEN_TIMEOUT_S
        while running := [pid for pid in sorted(stopped) if process_state(pid) not in ("T", "Z", None)]:
            if time.monotonic() > end:
                raise ServiceError(f"The process {running[0]} of {self.unit} still runs after SIGSTOP.")
            time.sleep(0.001)
        return len(stopped)

    def resume(self, process: MainProcess | None = None) -> None:
        """Let the unit's processes go on with SIGCONT; nothing happens where they run.

        :param process: its main process where it is known, as asking for it takes 10 ms
        """
        pid = self.state().main_pid if process is None else process.pid
        if pid == 0:
            return
        for member in sorted(family(pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGCONT)
        self.commands.append(f"kill -CONT {pid}")

    # ------------------------------------------------------------ acting at once

    def stop_soon(self) -> str:
        """Queue a stop job, which sends SIGTERM at once; return the way that was taken (``dbus``, ``systemctl``)."""
        return self._queue("StopUnit", "stop")

    def restart_soon(self) -> str:
        """Queue a restart job, which sends SIGTERM at once; return the way that was taken."""
        return self._queue("RestartUnit", "restart")

    def warm_up(self) -> None:
        """Load now what the first :meth:`stop_soon` would load then (10 ms), where it is there."""
        if self._use_dbus:
            with contextlib.suppress(OSError):
                _libsystemd()

    def _queue(self, method: str, verb: str) -> str:
        if self._use_dbus:
            try:
                ask_manager(method, self.unit)
            except OSError:
                pass
            else:
                self.commands.append(f"{method} {self.unit} (D-Bus)")
                return "dbus"
        self._job(verb, QUERY_TIMEOUT_S, "--no-block")
        return "systemctl"

    # ------------------------------------------------------------ systemctl

    def _job(self, verb: str, timeout_s: float, *options: str) -> None:
        argv = ["systemctl", verb, *options, self.unit]
        self.commands.append(shlex.join(argv))
        done = self._run(argv, timeout_s)
        if done.returncode != 0:
            raise ServiceError(f"systemctl {verb} {self.unit} failed: {_last_line(done)}")

    def _run(self, argv: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                argv, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
            )
        except FileNotFoundError:
            raise ServiceError(f"{argv[0]} is not on this host. The lab needs hosts that run systemd.") from None
        except subprocess.TimeoutExpired:
            raise ServiceError(f"{shlex.join(argv)} did not end within {timeout_s:g} s.") from None

    def explain_failure(self, error: str, log_lines: int = 20) -> str:
        """Tell a failure with the unit's state, the likely cause and the last log lines (several lines of text)."""
        log = [shorten(line) for line in self.log_tail(log_lines)]
        try:
            state = self.state()
            now = f"{self.unit} is {state.active} ({state.sub}, result {state.result})"
            if state.load == "not-found":
                now = f"{self.unit} does not exist on this host"
        except ServiceError as failure:
            now = str(failure)
        cause = likely_cause([error, *log]) or "unknown, read the log lines"
        return "\n".join([f"{error} {now}. Likely cause: {cause}.", "Last log lines:", *(log or ["(none)"])])


def control(service: Service, state: str, timeout_s: float, *, pretend: bool = False) -> dict[str, Any]:
    """Bring a unit into a state and tell what was done; ServiceError where it does not get there.

    :param state: started, stopped, killed or restarted; all but the last do nothing where it is so already.
    :param pretend: only say what would be done.
    :returns: ``changed``, ``unit``, ``active_before``, ``active_after``, ``pid_before``, ``pid_after``,
        ``acted_wall_ns``, ``gone_wall_ns``, ``started_wall_ns``, ``duration_ms``, ``commands``
    """
    before = service.state()
    if before.load == "not-found":
        raise ServiceError(f"There is no unit {service.unit} to be {state}.")
    changed = {
        "started": not before.is_active,
        # A unit that failed has no process either; one that is starting or stopping has.
        "stopped": before.active not in ("inactive", "failed"),
        "killed": before.main_pid != 0,
        "restarted": True,
    }[state]
    result: dict[str, Any] = {
        "changed": changed,
        "unit": service.unit,
        "active_before": before.active,
        "active_after": before.active,
        "pid_before": before.main_pid,
        "pid_after": before.main_pid,
        "acted_wall_ns": None,
        "gone_wall_ns": None,
        "started_wall_ns": before.started_wall_ns if before.main_pid else None,
        "duration_ms": 0.0,
        "commands": service.commands,
    }
    if not changed:
        return result
    if pretend:
        comes_up = state in ("started", "restarted")
        return result | {
            "active_after": "active" if comes_up else "failed" if state == "killed" else "inactive",
            "pid_after": None if comes_up else 0,
            "started_wall_ns": None,
        }
    process = None if state == "started" else service.main_process()
    acted_wall_ns, acted_ns = CLOCK.now_ns(), time.monotonic_ns()
    gone_wall_ns = _act(service, state, timeout_s, process)
    duration_ms = (time.monotonic_ns() - acted_ns) / 1e6
    after = service.state()
    return result | {
        "active_after": after.active,
        "pid_after": after.main_pid,
        "acted_wall_ns": acted_wall_ns,
        "gone_wall_ns": gone_wall_ns,
        "started_wall_ns": after.started_wall_ns if after.main_pid else None,
        "duration_ms": duration_ms,
        "commands": service.commands,
    }


def _act(service: Service, state: str, timeout_s: float, process: MainProcess | None) -> int | None:
    """Do it and return when the process was gone, where there was one to watch."""
    if process is None:
        act = {"started": service.start, "stopped": service.stop, "restarted": service.restart}.get(state)
        if act is not None:
            act(timeout_s)
        return None
    with contextlib.closing(process), ThreadPoolExecutor(max_workers=1) as pool:
        watch = pool.submit(process.wait_gone, timeout_s)
        if state == "killed":
            service.kill(process)
        elif state == "stopped":
            service.stop(timeout_s)
        else:
            service.restart(timeout_s)
        gone_wall_ns = watch.result()
    if gone_wall_ns is None:
        raise ServiceError(f"The process {process.pid} of {service.unit} has not ended within {timeout_s:g} s.")
    # The service manager hears of a process' end a little later than who watches it.
    end = time.monotonic() + QUERY_TIMEOUT_S
    while service.state().main_pid == process.pid and time.monotonic() < end:
        time.sleep(0.01)
    return gone_wall_ns


def likely_cause(lines: list[str]) -> str | None:
    """Return what known error texts in ``lines`` mean and what to try, or None."""
    text = "\n".join(lines)
    return next((cause for pattern, cause in CAUSES if re.search(pattern, text)), None)


def shorten(line: str, length: int = 300) -> str:
    """Cut a log line to a length that fits a message."""
    return line if len(line) <= length else line[: length - 3] + "..."


def parse_timestamp(text: str) -> int | None:
    """Turn what ``systemctl show --timestamp=us+utc`` prints into wall time (ns); None for "never"."""
    match = re.search(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{6}))? UTC", text)
    if match is None:
        return None
    moment = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + int(match[2] or 0) * 1_000


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line a program said, or its exit status."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"


class _BusError(ctypes.Structure):
    """The struct sd_bus_error of libsystemd (sd-bus.h)."""

    _fields_ = (("name", ctypes.c_char_p), ("message", ctypes.c_char_p), ("need_free", ctypes.c_int))


@functools.cache
def _libsystemd() -> ctypes.CDLL:
    return ctypes.CDLL("libsystemd.so.0")


def ask_manager(method: str, unit: str) -> None:
    """Call ``method(unit, "replace")`` of systemd's manager over D-Bus and wait for the answer, not for the job.

    A connection is opened for each call (0.4 ms), as one that is kept dies with the bus daemon. OSError with the
    manager's words where it refuses, or where there is no libsystemd or no bus.
    """
    library = _libsystemd()
    bus, reply, error = ctypes.c_void_p(), ctypes.c_void_p(), _BusError()
    status = library.sd_bus_open_system(ctypes.byref(bus))
    if status < 0:
        raise OSError(-status, f"no system bus: {os.strerror(-status)}")
    try:
        status = library.sd_bus_call_method(
            bus,
            SYSTEMD,
            MANAGER_PATH,
            MANAGER_INTERFACE,
            method.encode(),
            ctypes.byref(error),
            ctypes.byref(reply),
            b"ss",
            unit.encode(),
            b"replace",
        )
        if status < 0:
            message = (error.message or b"").decode(errors="replace") or os.strerror(-status)
            raise OSError(-status, message)
    finally:
        library.sd_bus_error_free(ctypes.byref(error))
        library.sd_bus_message_unref(reply)
        library.sd_bus_flush_close_unref(bus)


def exists(pid: int) -> bool:
    """Whether there is a process of this number, be it one that only waits to be reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

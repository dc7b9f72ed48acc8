# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which TCP ports of other hosts this one reaches, and somebody who listens there before the servers do.

A firewall that drops packets shows only when both ends are there: a port where nobody listens refuses the connection,
and so does a firewall that rejects it. Hence :class:`Doorman`, who listens on the ports until the servers start.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .listeners import listeners
from .shapes import LabError

PID_FILE = Path("/run/failover-lab-doorman.pid")
# How long the process may take to end, in s.
END_TIMEOUT_S = 5.0
# Connections that wait to be accepted.
BACKLOG = 64
# Errors of a connection, in words. ETIMEDOUT: a firewall that drops; the others say that somebody answered.
WORDS = {
    errno.ETIMEDOUT: "no answer, as when a firewall drops the packets",
    errno.ECONNREFUSED: "refused: a firewall rejects, or nothing listens there",
    errno.EHOSTUNREACH: "no route: a firewall rejects, or the host is down",
    errno.ENETUNREACH: "no route to that network",
}


@dataclass(frozen=True)
class Door:
    """A port of another host that this one needs."""

    host: str  # its name
    address: str
    port: int
    purpose: str  # in words


def knock(door: Door, timeout_s: float) -> dict[str, Any]:
    """Try one connection.

    :returns: the door's fields, ``reached``, ``error`` in words (empty where it was reached), and ``source``, the
        address from which this host comes there (empty where it was not)
    """
    error, source = "", ""
    try:
        with socket.create_connection((door.address, door.port), timeout=timeout_s) as connection:
            source = connection.getsockname()[0]
    except TimeoutError:
        error = f"{WORDS[errno.ETIMEDOUT]} (waited {timeout_s:g} s)"
    except OSError as failure:
        error = WORDS.get(failure.errno or 0, failure.strerror or str(failure))
    return {
        "host": door.host,
        "address": door.address,
        "port": door.port,
        "purpose": door.purpose,
        "reached": not error,
        "error": error,
        "source": source,
    }


def knock_all(doors: Sequence[Mapping[str, Any]], timeout_s: float) -> list[dict[str, Any]]:
    """Try all at once; see :func:`knock`.

    :param doors: ``host``, ``address``, ``port`` and ``purpose`` each
    """
    wanted = [Door(str(d["host"]), str(d["address"]), int(d["port"]), str(d["purpose"])) for d in doors]
    if not wanted:
        return []
    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        return list(pool.map(lambda door: knock(door, timeout_s), wanted))


class Doorman:
    """A process that listens on ports for a while, so that others can try to reach them."""

    def __init__(self, pid_file: Path = PID_FILE) -> None:
        """Name the file that says who it is."""
        self._pid_file = pid_file

    def missing(self, address: str, ports: Collection[int]) -> list[int]:
        """Return the ports on which nobody listens yet."""
        taken = {one.port for one in listeners(ports) if one.takes(address)}
        return sorted(set(ports) - taken)

    def open(self, address: str, ports: Collection[int], lifetime_s: float) -> list[int]:
        """Listen on the ports on which nobody does, for a time at most; return them.

        LabError where the address is none of this host.
        """
        self.close()
        wanted = self.missing(address, ports)
        sockets: list[socket.socket] = []
        try:
            for port in wanted:
                try:
                    sockets.append(socket.create_server((address, port), backlog=BACKLOG))
                except OSError as error:
                    raise LabError(
                        f"This host cannot listen on {address} port {port}: {error.strerror or error}. Set lab_address "
                        "in the inventory to an address that ip addr shows there."
                    ) from None
            if sockets:
                self._detach(sockets, lifetime_s)
        finally:
            for one in sockets:
                one.close()
        return wanted

    def is_there(self) -> bool:
        """Tell whether the process lives."""
        pid = self._pid()
        return pid is not None and self._is_doorman(pid)

    def close(self) -> bool:
        """End the process; return whether there was one. LabError where it does not end."""
        pid = self._pid()
        if pid is None:
            return False
        alive = self._is_doorman(pid)
        if alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + END_TIMEOUT_S
            while self._is_doorman(pid):
                if time.monotonic() > end:
                    raise LabError(f"The process {pid} that listened for the lab does not end. Try kill -9 {pid}.")
                time.sleep(0.02)
        self._pid_file.unlink(missing_ok=True)
        self._note(".started").unlink(missing_ok=True)
        return alive

    def _pid(self) -> int | None:
        try:
            return int(self._pid_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def _is_doorman(self, pid: int) -> bool:
        """Tell whether the process is still the one that was left behind: another one may have its number by now."""
        try:
            return self._note(".started").read_text(encoding="ascii") == _started(pid)
        except OSError:
            return False

    def _note(self, suffix: str) -> Path:
        return self._pid_file.with_suffix(suffix)

    def _detach(self, sockets: Sequence[socket.socket], lifetime_s: float) -> None:
        """Leave a process behind that accepts connections; this one's goes on without it."""
        pid = os.fork()
        if pid == 0:
            try:
                _serve(sockets, lifetime_s)
            finally:
                os._exit(0)
        self._note(".started").write_text(_started(pid), encoding="ascii")
        self._pid_file.write_text(str(pid), encoding="ascii")


def _serve(sockets: Sequence[socket.socket], lifetime_s: float) -> None:
    """Accept connections until a signal, or the alarm, ends this process."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, lifetime_s)
    # Whoever started the caller waits for the end of its output.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    while True:
        for ready in select.select(sockets, [], [])[0]:
            ready.accept()[0].close()


def _started(pid: int) -> str:
    """Return when a process was started, in the kernel's ticks; OSError where there is none, or it is a zombie."""
    fields = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    if fields[0] == "Z":
        raise ProcessLookupError
    return fields[19]

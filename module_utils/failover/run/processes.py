# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the processes of a run beside the one that leads it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from ..shapes import LabError
from .channel import Channel


class Serving(Protocol):
    """What such a process does."""

    def serve(self) -> bool:
        """Do what is said over its channel, and tell whether the end was; otherwise who leads is gone."""


# Exit status of a process whose leader was gone before the end.
LEFT_ALONE = 3
# How long a process may take to end once there is nothing left to do for it, in s.
END_TIMEOUT_S = 10.0


def fork_worker(
    connection: socket.socket,
    make_worker: Callable[[Channel], Serving],
    *,
    closed: Iterable[socket.socket] = (),
    ignored: Iterable[signal.Signals] = (),
) -> int:
    """Start a process at its end of a channel, before this one has threads; return its id.

    LabError where there can be no further one.

    :param make_worker: called there
    :param closed: ends of other channels, which would look open as long as it had them, too
    :param ignored: signals that are for who leads to decide about
    """
    try:
        pid = os.fork()
    except OSError as error:
        raise LabError(
            f"a process beside this one cannot be started: {(error.strerror or str(error)).lower()}; "
            "try fewer with client_processes"
        ) from error
    if pid:
        return pid
    for other in closed:
        other.close()
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    status = 1
    try:
        status = 0 if make_worker(Channel(connection)).serve() else LEFT_ALONE
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        # Nothing of what the process above would do at its end is this one's to do.
        os._exit(status)


def end_worker(pid: int) -> None:
    """Wait until a process has ended that has nothing left to do; kill it where it does not, as one that is stopped."""
    end_s = time.monotonic() + END_TIMEOUT_S
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > end_s:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        time.sleep(0.01)

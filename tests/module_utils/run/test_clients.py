# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the clients' threads learn that a run is over."""

from __future__ import annotations

import signal
import threading

from failover.run.clients import Stop
from failover.shapes import LabError


def test_the_first_error_is_the_one_that_counts() -> None:
    stop = Stop()
    assert not stop.event.is_set()
    first = LabError("the disk is full")
    stop.fail(first)
    stop.fail(LabError("the file is closed"))
    assert stop.event.is_set()
    assert stop.error is first


def test_a_signal_is_remembered_by_its_name() -> None:
    stop = Stop()
    stop.on_signal(signal.SIGTERM, None)
    assert (stop.event.is_set(), stop.signal, stop.error) == (True, "SIGTERM", None)


def test_a_signal_in_the_middle_of_another_does_not_wait_for_it() -> None:
    stop = Stop()
    stop.on_signal(signal.SIGTERM, None)
    with stop.event._cond:  # type: ignore[attr-defined]  # as while the first one sets it
        second = threading.Thread(target=stop.on_signal, args=(signal.SIGINT, None), daemon=True)
        second.start()
        second.join(5)
        assert not second.is_alive()
    assert stop.signal == "SIGTERM"

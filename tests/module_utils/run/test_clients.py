# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the clients' threads learn that a run is over, and what they say between two turns."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

from failover.checks.failures import doubtful_failures
from failover.run.clients import ClientThread, Stop
from failover.run.progress import Tally
from failover.run.timeline import Timeline
from failover.shapes import WRITE_SETTLED, Event, HistoryRow, LabError
from failover.systems.base import ClientIdentity, FencedClient
from failover.systems.fence import Change, Moved
from failover.systems.loop import Attempt, AttemptFailedError, FailoverLoop, FailoverPolicy
from run_parts import config


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


class LossyClient(FencedClient):
    """A client whose next requests come to nothing, and of which nobody hears; they take no time."""

    def __init__(self, emit: Any) -> None:
        self.lost = 0  # requests
        self.endpoint = "h:1"
        self._fence_at = ""
        self._now_s = 0.0
        policy = FailoverPolicy(attempt_timeout_ms=1000, operation_budget_ms=2000)
        self._loop = FailoverLoop(["h:1"], policy, emit, 1, clock=lambda: self._now_s, sleep=self._pass)
        self._raise_fence(policy, ClientIdentity("E1/0"), self._move, emit)

    def _pass(self, seconds: float) -> None:
        self._now_s += seconds

    def _unfenced(self, change: Change) -> Attempt:
        raise NotImplementedError

    def _move(self, _endpoint: str, _timeout_s: float, at: str, to: str, _change: Change | None) -> Moved:
        if self.lost:
            self.lost -= 1
            self._pass(1)
            raise AttemptFailedError("DEADLINE_EXCEEDED: Deadline Exceeded", ambiguous=True)
        if self._fence_at != at:
            return Moved(False, self._fence_at)
        self._fence_at = to
        return Moved(True)

    def close(self) -> None:
        pass


def test_what_fails_while_a_doubt_is_settled_is_no_attempt_of_the_operation_before(tmp_path: Path) -> None:
    operations: Any = [("CREATE", "k0", "1"), ("CREATE", "k1", "2")]
    events: list[Event] = []
    rows: list[HistoryRow] = []
    made: list[LossyClient] = []
    thread = ClientThread(0, config(tmp_path), operations, [0, 1], None, Tally(), Stop(), events.append)

    def make(_number: int, emit: Any) -> Any:
        made.append(LossyClient(emit))
        return made[0]

    thread.connect(make)
    timeline = Timeline()
    timeline.start(0)
    made[0].lost = 4  # two attempts of each operation
    thread.begin(rows, timeline)  # type: ignore[arg-type]
    assert thread.take_turn(range(2), 0, lambda _index: None, threading.Event()).over.wait(30)
    assert [row.outcome for row in rows] == ["unknown", "fail"]
    made[0].lost = 1
    thread.settle()
    thread.finish()
    settling = events[next(place for place, event in enumerate(events) if event.data["index"] is None) :]
    assert settling[0].event == "client.attempt_failed"
    assert [event.data["write"] for event in settling if event.event == WRITE_SETTLED] == [0]
    assert thread.unresolved is None
    # The second write was never sent.
    columns = ([getattr(row, name) for row in rows] for name in ("kind", "outcome", "error"))
    assert doubtful_failures("etcd", *columns, events=events) == {}

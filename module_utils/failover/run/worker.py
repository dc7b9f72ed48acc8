# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A process with some clients of a run: it does what the process that leads the run says, and tells it everything.

Rows of the history go there as lines, so that there is one file and one place where a disk may be full. Operations are
told before they are invoked where that matters to the faults: from the next one's index on, and while one is under way.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from ..clock import CLOCK
from ..results.history import FLUSH_INTERVAL_NS, line_of_row
from ..shapes import Event, HistoryRow, LabError
from ..systems.steering import Steering
from .channel import Channel, ChannelClosedError, Message
from .clients import Stop
from .group import LocalGroup
from .progress import Tally
from .timeline import FollowedTimeline

# How often the clients' counts are sent, in s; progress.json is written every 0.5 s of them.
TELL_INTERVAL_S = 0.25
# The same while a fault leads the clients, in s: as often as what waits for them looks; and how soon it is noticed that
# one does.
STEERED_INTERVAL_S = 0.002
LOOK_INTERVAL_S = 0.02
# How often a process says between two turns that it is there, in s.
ALIVE_INTERVAL_S = 5.0
# How long rows may wait to be sent, as long as they may wait to be written; and so many characters are sent at once.
LINES_AT_ONCE = 64 << 10
# Later than any index.
NEVER = 2**62

# Makes the clients, once this process is one of its own.
MakeGroup = Callable[[Stop, Callable[[Event], None]], LocalGroup]


class _Rows:
    """Takes the clients' rows and sends them, many at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._length = 0
        self._sent_ns = time.monotonic_ns()

    def append(self, row: HistoryRow) -> None:
        """Add one row."""
        line = line_of_row(row)
        with self._lock:
            self._lines.append(line)
            self._length += len(line)
            if self._length >= LINES_AT_ONCE or time.monotonic_ns() - self._sent_ns >= FLUSH_INTERVAL_NS:
                self._send()

    def send(self) -> None:
        """Send what is there."""
        with self._lock:
            if self._lines:
                self._send()

    def _send(self) -> None:
        self._channel.send("rows", rows=len(self._lines), lines="".join(self._lines))
        self._lines, self._length, self._sent_ns = [], 0, time.monotonic_ns()


class Worker:
    """Its end of the channel. :meth:`serve` returns when there is nothing left to do, or nobody to do it for."""

    def __init__(
        self,
        channel: Channel,
        make_group: MakeGroup,
        steering: Steering,
        followed: FollowedTimeline | None = None,
    ) -> None:
        """Make the clients.

        :param steering: the one that they look at
        :param followed: the one that they stamp by, on a host that does not lead
        """
        self._channel = channel
        self._followed = followed
        self._steering = steering
        self._steered = 0  # number of the latest thing that the clients were led to
        self._stop = Stop(on_error=self._tell_error)
        self._group = make_group(self._stop, self._emit)
        self._rows = _Rows(channel)
        self._next_at = NEVER  # the index from which on operations are told
        self._tracing = False  # all are, as a fault is under way
        self._turn = threading.Event()  # one is under way, or the end has come
        self._over = False
        self._is_ready = False
        self._teller = threading.Thread(target=self._tell, name="teller", daemon=True)

    def serve(self) -> bool:
        """Do what is said until the end is, and tell whether it was; otherwise who leads is gone."""
        if self._followed is None:
            self._channel.send("ready")
        else:
            self._channel.send("clock", **self._followed.ask())
        self._teller.start()
        was_said = False
        try:
            while (message := self._channel.receive()).name != "close":
                self._do(message)
            was_said = True
        except ChannelClosedError:
            # Nobody leads any more: what is under way may end, nothing else begins.
            self._stop.event.set()
            self._group.end_turn()
        else:
            self._group.close()
        self._over = True
        self._turn.set()
        return was_said

    def _do(self, message: Message) -> None:
        name, told = message.name, message.fields
        if name == "clock":
            self._follow(told)
        elif name == "expect":
            self._next_at, self._tracing = told["next_at"], told["tracing"]
        elif name == "catch_up":
            self._channel.send("caught_up", number=told["number"])
        elif name == "steer":
            getattr(self._steering, told["what"])(*told["arguments"])
            # Behind it: counts that are told with this number have to be of what it led to.
            self._steered = told["number"]
        elif name == "connect":
            self._guard(self._group.connect)
            self._channel.send("connected")
        elif name == "begin":
            # What lives from here on lives to the end (see runner).
            gc.collect()
            gc.freeze()
            self._group.begin(self._rows, told["origin_ns"])
        elif name == "turn":
            self._group.take_turn(range(told["first"], told["end"]), told["began_ns"], self._on_index)
            self._turn.set()
        elif name == "end_turn":
            self._group.end_turn()
        elif name == "settle":
            # Beside this thread, which has to hear that the run is to end: each client may take its whole budget.
            threading.Thread(target=self._settle, name="settle", daemon=True).start()
        elif name == "end_run":
            self._stop.event.set()
        elif name == "finish":
            self._group.finish()
            self._channel.send("finished", unresolved=self._group.unresolved())

    def _follow(self, told: dict[str, Any]) -> None:
        """Take a reading of the clock of who leads; the first ones are asked for at once, later ones by the teller."""
        followed = self._followed
        assert followed is not None
        if followed.note(told):
            self._channel.send("ready", clock={"uncertainty_ns": followed.worst_ns, "moved_ns": followed.moved_ns})
            self._is_ready = True
        elif not self._is_ready:
            self._channel.send("clock", **followed.ask())

    def _guard(self, what: Callable[[], None]) -> None:
        """Do something; an error is told, and ends the run there."""
        try:
            what()
        except LabError as error:
            self._stop.fail(error)
        except Exception as error:
            self._stop.fail(LabError(f"{type(error).__name__}: {error}; this is a bug in the lab, please report it"))

    def _settle(self) -> None:
        with suppress(ChannelClosedError):
            self._guard(self._group.settle)
            self._channel.send("settled")

    def _on_index(self, index: int) -> None:
        if self._tracing or index >= self._next_at:
            self._channel.send("index", index=index, wall_ns=CLOCK.now_ns())

    def _emit(self, event: Event) -> None:
        self._channel.send("event", **asdict(event))

    def _tell_error(self, error: LabError) -> None:
        with suppress(ChannelClosedError):
            self._channel.send("failed", message=str(error))

    # ------------------------------------------------------------ the thread that tells how far they are

    def _tell(self) -> None:
        try:
            while not self._over:
                if not self._turn.wait(ALIVE_INTERVAL_S):
                    self._channel.send("alive")
                elif not self._over:
                    self._tell_turn()
        except ChannelClosedError:
            self._stop.event.set()
        except Exception as error:
            # Nobody would hear of the turn's end: this process ends, and that is noticed.
            self._tell_error(LabError(f"{type(error).__name__}: {error}; this is a bug in the lab, please report it"))
            self._channel.close()

    def _tell_turn(self) -> None:
        next_ns = 0
        while True:
            over = self._group.wait(STEERED_INTERVAL_S if self._steering.active else LOOK_INTERVAL_S)
            if self._steering.active:
                steering, number = self._steering, self._steered
                self._channel.send("steered", number=number, reads=steering.reads_left(), writes=steering.writes())
            if over or time.monotonic_ns() >= next_ns:
                next_ns = time.monotonic_ns() + int(TELL_INTERVAL_S * 1e9)
                self._channel.send("tally", **sum_up(self._group.tallies))
                if self._followed is not None:
                    self._channel.send("clock", **self._followed.ask())
            if over:
                break
        self._rows.send()
        self._turn.clear()
        self._channel.send("over", cpu_s=time.process_time())


def sum_up(tallies: Sequence[Tally]) -> dict[str, Any]:
    """Return what :meth:`.progress.Tally.take_over` takes, of several clients."""
    counts: Counter[tuple[str, str]] = Counter()
    endpoints: Counter[str] = Counter()
    for tally in tallies:
        counts += tally.counts.copy()
        endpoints += tally.endpoints.copy()
    return {
        "counts": [[*what, count] for what, count in counts.items()],
        "endpoints": endpoints,
        "endpoint": tallies[0].endpoint,
        "last_complete_ns": max(tally.last_complete_ns for tally in tallies),
        "started_ns": min((since for tally in tallies if (since := tally.started_ns) is not None), default=None),
        "latencies_ns": [latency for tally in tallies for latency in tally.take_latencies_ns()],
    }

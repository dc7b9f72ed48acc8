# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clients of another process, as the process that leads the run sees them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ..clock import CLOCK
from ..results.history import HistoryWriter
from ..shapes import Emit, Event, LabError
from .channel import Channel, ChannelClosedError, ChannelSilentError, Message
from .clients import Stop
from .progress import Tally

# How long the faults' director waits to hear of operations that have begun, in s; it takes a tenth of a ms.
CATCH_UP_TIMEOUT_S = 0.1
# Without a word for so long a process is given up, in s: it was stopped, or hangs. It says every 5 s that it is there.
SILENCE_TIMEOUT_S = 60.0
# How often is looked, while clients settle what is in doubt, whether the run is to end, in s.
STOP_CHECK_S = 0.1


class WorkerGroup:
    """A :class:`~.group.Group` of another process."""

    def __init__(self, name: str, channel: Channel, *, source: str, stop: Stop, emit: Emit) -> None:
        """Begin to listen to it.

        :param name: of the process, in messages
        :param source: of its events, which it stamps by the clock of this host
        """
        self._source = source
        self.tallies = [Tally()]
        self.cpu_s = 0.0
        self.reads_left = 0
        self.writes = 0
        self._name = name
        self._channel = channel
        channel.connection.settimeout(SILENCE_TIMEOUT_S)
        self._stop = stop
        self._emit = emit
        self._history: HistoryWriter | None = None
        self._on_index: Callable[..., None] | None = None
        self._said = {answer: threading.Event() for answer in ("ready", "connected", "over", "settled", "finished")}
        # Of a process on another host: by how much its stamps may be wrong, and how far the clocks have drifted apart.
        self.clock = {"uncertainty_ns": 0, "moved_ns": 0}
        self._steered = 0  # number of the latest thing that its clients were led to
        self._steered_lock = threading.Lock()  # of that number and the counts that belong to it
        self._caught_up = threading.Condition()
        self._caught_up_to = 0
        self._unresolved: list[dict[str, Any]] = []
        self._gone = False
        self._silent = False
        self._closing = False
        self._reader = threading.Thread(target=self._read, name=f"read-{name}", daemon=True)
        self._reader.start()

    # ------------------------------------------------------------ what it is told

    def _say(self, name: str, **fields: Any) -> None:
        """Tell it something; where it is gone, the reader says so."""
        if self._silent:  # it would be waited for once more
            return
        try:
            self._channel.send(name, **fields)
        except ChannelClosedError as error:
            self._note_gone(error)

    def _ask_for(self, answer: str, name: str, **fields: Any) -> None:
        """Tell it something that it answers."""
        self._said[answer].clear()
        self._say(name, **fields)
        if self._gone:
            # Over TCP even what is sent to one that is gone looks delivered, and nobody else would set it again.
            self._said[answer].set()

    def _ask(self, name: str, answer: str, **fields: Any) -> None:
        """Tell it something and wait until it is done."""
        self._ask_for(answer, name, **fields)
        self._said[answer].wait()

    def await_ready(self) -> None:
        """Wait until the process knows our clock."""
        self._said["ready"].wait()

    def connect(self) -> None:
        """Have the clients connected."""
        self._ask_for("connected", "connect")

    def await_connected(self) -> None:
        """Return when they are; LabError where one is not."""
        self._said["connected"].wait()
        if self._stop.error is not None:
            raise self._stop.error

    def begin(self, history: HistoryWriter, origin_ns: int) -> None:
        """Have the clients' threads started."""
        self._history = history
        self._say("begin", origin_ns=origin_ns)

    def take_turn(self, repeat: range, began_ns: int, on_index: Callable[..., None]) -> None:
        """Have the clients begin with their operations of a repeat."""
        self._on_index = on_index
        self._ask_for("over", "turn", first=repeat.start, end=repeat.stop, began_ns=began_ns)

    def wait(self, timeout_s: float) -> bool:
        """Wait until the turn is over, and tell whether it is."""
        return self._said["over"].wait(timeout_s)

    def end_turn(self) -> None:
        """Let nobody begin another operation of this turn."""
        self._say("end_turn")

    def settle(self) -> None:
        """Have every client settle the write that is in doubt; where the run is to end, the process is told so."""
        settled = self._said["settled"]
        self._ask_for("settled", "settle")
        while not settled.wait(STOP_CHECK_S):
            if self._stop.event.is_set():
                self._say("end_run")
                settled.wait()

    def finish(self) -> None:
        """Have the clients' threads ended."""
        if not self._said["finished"].is_set():
            self._ask("finish", "finished")

    def unresolved(self) -> list[dict[str, Any]]:
        """Return the writes that are still in doubt."""
        return self._unresolved

    def close(self) -> None:
        """Have the clients closed, and the process ended."""
        self._closing = True
        self._say("close")
        if self._silent:
            self._channel.close()
        self._reader.join()
        self._channel.close()

    def expect(self, next_at: int, *, tracing: bool) -> None:
        """Say from which index on operations are to be told, or that all are."""
        self._say("expect", next_at=next_at, tracing=tracing)

    def catch_up(self, number: int) -> None:
        """Ask for a sign behind all that was told of operations; see :meth:`await_caught_up`."""
        self._say("catch_up", number=number)

    def await_caught_up(self, number: int) -> None:
        """Wait until it came, for a little while."""
        with self._caught_up:
            self._caught_up.wait_for(lambda: self._gone or self._caught_up_to >= number, CATCH_UP_TIMEOUT_S)

    def steer(self, what: str, *arguments: str | int) -> None:
        """Lead its clients (see systems.steering)."""
        with self._steered_lock:
            self._steered += 1
            number = self._steered
            self.reads_left, self.writes = int(arguments[1]) if what == "ask_reads" else 0, 0
        self._say("steer", number=number, what=what, arguments=arguments)

    # ------------------------------------------------------------ what it tells

    def _read(self) -> None:
        try:
            while True:
                self._take(self._channel.receive())
        except ChannelClosedError as error:
            self._note_gone(error)
        except LabError as error:
            # Rows that cannot be written: the first of them ends the run, and the others are not waited for.
            self._stop.fail(error)
            self._drain()
        except Exception as error:
            # Of another version, or a bug; nobody listens to it from here on, so it must not be waited for.
            self._stop.fail(
                LabError(
                    f"{self._name} says what is not understood here ({type(error).__name__}: {error}); provision all "
                    "load generators again, and report it if that does not help"
                )
            )
            self._set_gone()

    def _drain(self) -> None:
        """Take what else is told but rows."""
        self._history = None
        self._read()

    def _take(self, message: Message) -> None:
        name, told = message.name, message.fields
        if name == "rows":
            if self._history is not None:
                self._history.append_lines(message.lines, told["rows"])
        elif name == "index":
            if self._on_index is not None:
                self._on_index(told["index"], told["wall_ns"])
        elif name == "tally":
            self.tallies[0].take_over(told)
        elif name == "event":
            self._emit(Event(**{**told, "source": self._source}))
        elif name == "steered":
            with self._steered_lock:
                if told["number"] == self._steered:
                    self.reads_left, self.writes = told["reads"], told["writes"]
        elif name == "caught_up":
            with self._caught_up:
                self._caught_up_to = told["number"]
                self._caught_up.notify_all()
        elif name == "clock":
            self._say("clock", monotonic_ns=time.monotonic_ns(), base_ns=CLOCK.base_ns, **told)
        elif name == "failed":
            self._stop.fail(LabError(told["message"]))
        elif name != "alive":
            self.cpu_s = told.get("cpu_s", self.cpu_s)
            self._unresolved = told.get("unresolved", self._unresolved)
            self.clock = told.get("clock", self.clock)
            self._said[name].set()

    def _note_gone(self, error: ChannelClosedError) -> None:
        self._silent = self._silent or isinstance(error, ChannelSilentError)
        if self._silent:
            what = (
                f"{self._name} has not said a word for {SILENCE_TIMEOUT_S:.0f} s; see on its host whether it is "
                "stopped, or has no CPU time left"
            )
        else:
            what = (
                f"{self._name} ended before its time; look into the journal of its host whether it ran out of "
                "memory, and try fewer clients"
            )
        if not self._closing:
            self._stop.fail(LabError(what))
        self._set_gone()

    def _set_gone(self) -> None:
        """Let nobody wait for it any more."""
        self._gone = True
        for said in self._said.values():
            said.set()
        with self._caught_up:
            self._caught_up.notify_all()

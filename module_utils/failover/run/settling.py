# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settles the writes that were still in doubt when the workload ended, once the faults are healed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ..shapes import WRITE_SETTLED, Event, LabError, LastingError, RunSettings, Settled, Target
from ..systems.base import ClientIdentity
from ..systems.fence import Doubt, Ids
from ..systems.loop import FailoverPolicy
from ..systems.registry import SYSTEMS
from .config import policy_of

# Between two rounds over what is left, in s: a member that has just been healed takes about a second to answer.
PAUSE_S = 0.5


@dataclass
class _Write:
    """A write that is to be settled."""

    given: Mapping[str, Any]
    doubt: Doubt
    error: str | None = "the time was over"  # why it is still in doubt; None: it is not
    lasting: bool = False  # trying again would not change that


class Settling:
    """Settles once; :meth:`run` does it all.

    :param source: who stamps the events
    """

    def __init__(
        self,
        target: Target,
        settings: RunSettings,
        *,
        source: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._target = target
        self._settings = settings
        self._source = source
        self._clock = clock
        self._sleep = sleep
        # Of all tries: where one has moved a fence and did not hear of it, the next finds an id that it knows.
        self._ids = Ids()
        self.events: list[Event] = []

    def run(self, unresolved: Sequence[Mapping[str, Any]], *, timeout_s: float) -> dict[str, Any]:
        """Settle these writes, one after the other, as the workload's summary has them.

        What cannot be settled is tried again until the time is over: members come back when they are ready. Members
        that do not answer are no failure: what could not be settled is returned.

        :param timeout_s: how long all of them may take; the last try begins within it, and has a budget of its own
        :returns: ``settled`` {Settled: n}, ``left`` (those that are still in doubt, each with ``error``)
        """
        deadline = self._clock() + timeout_s
        policy = policy_of(self._settings)
        writes = [_Write(given, Doubt.from_dict(given)) for given in unresolved]
        waiting = writes
        while True:
            for write in waiting:
                if self._clock() >= deadline:
                    break
                self._try(write, policy)
            waiting = [write for write in waiting if write.error is not None and not write.lasting]
            left_s = deadline - self._clock()
            if not waiting or left_s <= 0:
                break
            self._sleep(min(PAUSE_S, left_s))
        settled = {word.value: 0 for word in Settled}
        for event in self.events:
            settled[(Settled.APPLIED if event.data["applied"] else Settled.NOT_APPLIED).value] += 1
        left = [{**write.given, "error": write.error} for write in writes if write.error is not None]
        return {"settled": settled, "left": left}

    def _try(self, write: _Write, policy: FailoverPolicy) -> None:
        """Try once to settle a write; note why that was not possible."""
        given, last = write.given, "no member answered in time"

        def emit(name: str, data: dict[str, Any]) -> None:
            nonlocal last
            last = str(data.get("error", last))
            if name == WRITE_SETTLED:
                told = {"client": given["client"], "index": given["index"], **data, "write": given["index"]}
                self.events.append(Event.now(self._source, name, told))

        seed = self._settings.seed + int(given["client"])
        identity = ClientIdentity(write.doubt.fence, seed, write.doubt, self._ids)
        try:
            system = SYSTEMS[self._target.system]
            with closing(system.client(self._target, policy, emit, identity)) as client:
                write.error = None if client.settle() else last
        except LabError as error:
            write.error, write.lasting = str(error), isinstance(error, LastingError)

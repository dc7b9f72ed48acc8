# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settles the writes that were still in doubt when the workload ended, once the faults are healed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from ..shapes import WRITE_SETTLED, Event, LabError, RunSettings, Settled, Target
from ..systems.base import ClientIdentity
from ..systems.fence import Doubt
from ..systems.registry import SYSTEMS
from .config import policy_of


class Settling:
    """Settles once; :meth:`run` does it all.

    :param source: who stamps the events
    """

    def __init__(self, target: Target, settings: RunSettings, *, source: str) -> None:
        self._target = target
        self._settings = settings
        self._source = source
        self.events: list[Event] = []

    def run(self, unresolved: Sequence[Mapping[str, Any]], *, timeout_s: float) -> dict[str, Any]:
        """Settle these writes, one after the other, as the workload's summary has them.

        Members that do not answer are no failure: what could not be settled is returned.

        :param timeout_s: how long all of them may take; each is tried for an operation's budget
        :returns: ``settled`` {Settled: n}, ``left`` (those that are still in doubt, each with ``error``)
        """
        deadline = time.monotonic() + timeout_s
        settled = {word.value: 0 for word in Settled}
        left: list[dict[str, Any]] = []
        for given in unresolved:
            error = "the time was over" if time.monotonic() >= deadline else self._settle(given)
            if error is not None:
                left.append({**given, "error": error})
        for event in self.events:
            if event.event == WRITE_SETTLED:
                settled[(Settled.APPLIED if event.data["applied"] else Settled.NOT_APPLIED).value] += 1
        return {"settled": settled, "left": left}

    def _settle(self, given: Mapping[str, Any]) -> str | None:
        """Settle one write; return why that was not possible."""
        doubt = Doubt.from_dict(given)
        last = "no member answered in time"

        def emit(name: str, data: dict[str, Any]) -> None:
            nonlocal last
            last = str(data.get("error", last))
            if name == WRITE_SETTLED:
                told = {"client": given["client"], "index": given["index"], **data, "write": given["index"]}
                self.events.append(Event.now(self._source, name, told))

        identity = ClientIdentity(doubt.fence, self._settings.seed + int(given["client"]), doubt)
        try:
            system = SYSTEMS[self._target.system]
            with closing(system.client(self._target, policy_of(self._settings), emit, identity)) as client:
                return None if client.settle() else last
        except LabError as error:
            return str(error)

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stall guard: a repeat in which nothing is acknowledged any more is ended, not waited for.

A heal that is placed at an operation is never reached where each operation before it fails after its budget: 5,000 of
them would take two hours. After ``stall_timeout_s`` without one acknowledged operation, or without one acknowledged
write, longer than any outage that a fault of the experiment may cause, the repeat is over: its faults are healed, and
the next one begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .run.progress import Tally
from .shapes import WRITE_KINDS, FaultSpec, Kind, LabError, Outcome


class _Wait:
    """For how long operations have been tried without one that was acknowledged."""

    def __init__(self, tallies: Sequence[Tally], now_ns: int, *, only_writes: bool) -> None:
        self._tallies = tallies
        self._only_writes = only_writes
        self._acked, self._done = self._counts()
        self._done_then = self._done  # at the last look at which one had been acknowledged
        self.since_ns = now_ns  # that look, or the begin
        self.tried_ns = 0

    def _counts(self) -> tuple[int, int]:
        kinds = WRITE_KINDS if self._only_writes else tuple(Kind)
        counts = sum((tally.outcome_counts(kinds) for tally in self._tallies), Counter[str]())
        return counts[Outcome.OK], counts.total()

    def look(self, now_ns: int, passed_ns: int) -> None:
        """Look once, ``passed_ns`` after the last time."""
        acked, done = self._counts()
        # What is under way may be a read: that writes are tried is known once one has failed.
        is_tried = not self._only_writes or done > self._done_then
        if acked > self._acked:
            self.since_ns, self.tried_ns, self._done_then = now_ns, 0, done
        elif done > self._done or (is_tried and any(tally.started_ns is not None for tally in self._tallies)):
            self.tried_ns += passed_ns
        self._acked, self._done = acked, done


class StallGuard:
    """Adds up for how long operations, and writes alone, have been tried without one that was acknowledged.

    Reads that are answered must not hide writes that hang. Time in which no operation was due, as in an open loop of a
    low rate, is no stall.
    """

    def __init__(self, tallies: Sequence[Tally], timeout_s: float, now_ns: int) -> None:
        """:param now_ns: like all times here since the origin."""
        self._timeout_ns = timeout_s * 1e9
        self._last_ns = now_ns
        self._waits = {
            "operation": _Wait(tallies, now_ns, only_writes=False),
            "write": _Wait(tallies, now_ns, only_writes=True),
        }

    def is_stalled(self, now_ns: int) -> bool:
        """Look once; True where nothing, or no write, has been acknowledged for the timeout."""
        passed_ns, self._last_ns = now_ns - self._last_ns, now_ns
        for wait in self._waits.values():
            wait.look(now_ns, passed_ns)
        return any(wait.tried_ns >= self._timeout_ns for wait in self._waits.values())

    @property
    def stalled(self) -> dict[str, Any]:
        """Return what has been tried in vain the longest: ``what`` (operation, write), ``since_ns`` and ``tried_s``."""
        what, wait = max(self._waits.items(), key=lambda item: item[1].tried_ns)
        return {"what": what, "since_ns": wait.since_ns, "tried_s": wait.tried_ns / 1e9}


def check_stall_timeout(faults: Sequence[FaultSpec], timeout_s: float, operation_budget_ms: int) -> None:
    """Raise LabError where an outage that a fault is meant to cause would be taken for a stall.

    :param operation_budget_ms: so long after a heal the last operation from before it may still be tried
    """
    for fault in faults:
        needed_s = ((fault.heal_after_ms or 0) + operation_budget_ms) / 1000
        if timeout_s <= needed_s:
            raise LabError(
                f"stall_timeout_s is {timeout_s:g}, and fault {fault.id} alone keeps its member away for "
                f"{(fault.heal_after_ms or 0) / 1000:g} s, after which an operation may take another "
                f"{operation_budget_ms / 1000:g} s: the stall guard would end the very outage that the fault is meant "
                "to cause. "
                f"Try -e stall_timeout_s={int(2 * needed_s) + 60}, or an earlier heal."
            )


def describe_stall(repeat: Mapping[str, Any], repeats: int) -> str:
    """Say in one sentence that a repeat was ended by the guard.

    :param repeat: one of experiment.json with ``stalled``
    """
    stalled = repeat["stalled"]
    which = f"Repeat {repeat['repeat']}" if repeats > 1 else "The workload"
    what = stalled.get("what", "operation")
    return (
        f"{which} was ended early: no {what} was acknowledged for {stalled['tried_s']:,.0f} s, so the lab healed "
        f"all faults and left out the remaining {stalled['left_out']:,} operations."
    )


def stalled_repeats(info: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the repeats of experiment.json that the guard ended; those of older folders have no such key."""
    return [repeat for repeat in info["repeats"] if repeat.get("stalled")]

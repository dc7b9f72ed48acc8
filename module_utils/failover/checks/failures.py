# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Failures that a history is too sure of: its error is no answer that proves that nothing was done.

A client of an earlier version of the lab took some of etcd's answers for refusals that were none. Its histories are
judged by the tables of today (``refusals.py`` of each system), so that a write that may have taken
effect accuses nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..shapes import READ_KINDS, Event, Outcome
from ..systems.refusals import FENCE_ELSEWHERE, NOT_SENT
from ..systems.registry import SYSTEMS


def proves_nothing(system: str | None, error: str | None) -> bool:
    """Say whether an attempt that ended with ``error`` may have had an effect. Without system or error: no word."""
    if not error or system not in SYSTEMS:
        return False
    return not (error.startswith((NOT_SENT, FENCE_ELSEWHERE)) or SYSTEMS[system].refused(error))


def doubtful_failures(
    system: str,
    kinds: Sequence[str | None],
    outcomes: Sequence[str | None],
    errors: Sequence[str | None],
    events: Iterable[Event],
) -> dict[int, str]:
    """Return the writes called failed that may have taken effect, by position in the stream, with the error behind it.

    :param errors: the last error of each operation; the earlier ones of an operation stand in the events
    """
    doubtful: dict[int, str] = {}
    writes = {
        index: error
        for index, (kind, outcome, error) in enumerate(zip(kinds, outcomes, errors, strict=True))
        if outcome == Outcome.FAIL and kind not in READ_KINDS
    }
    if not writes:
        return doubtful
    told = [
        (event.data.get("index"), event.data.get("error")) for event in events if event.event == "client.attempt_failed"
    ]
    for index, error in [*writes.items(), *told]:
        if index in writes and error and proves_nothing(system, error):
            doubtful.setdefault(index, error)
    return dict(sorted(doubtful.items()))

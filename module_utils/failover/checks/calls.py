# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the operations of this lab's histories mean to :mod:`.linearizability`.

A list is a text that begins with nothing and grows by a separator and an element.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..shapes import LIST_SEPARATOR, HistoryRow, Kind, Outcome, Settled
from .operations import Action, Call, History

if TYPE_CHECKING:
    from ..results.read import Dump


def call_of(row: HistoryRow) -> Call | None:
    """Return what a row says of its key, None where it says nothing."""
    if row.settled is not None and row.outcome == Outcome.UNKNOWN.value:
        outcome = Outcome.OK if row.settled == Settled.APPLIED.value else Outcome.FAIL
        row = row._replace(outcome=outcome.value, complete_ns=row.settled_ns or row.complete_ns)
    known = row.outcome == Outcome.OK.value
    if row.kind == Kind.SCAN.value:
        return None  # of many keys; the check of scans judges it
    if row.outcome == Outcome.FAIL.value or (row.kind == Kind.RETRIEVE.value and not known):
        return None
    action: Action = Action.WRITE
    argument: Any = row.value
    result: str | None = None
    if row.kind == Kind.RETRIEVE.value:
        action, argument, result = Action.READ, None, row.read
    elif row.kind == Kind.DELETE.value and known and row.affected:
        action = Action.REMOVE
    elif row.kind == Kind.DELETE.value and known and row.affected == 0:
        action = Action.READ  # it found the key absent
    elif row.kind == Kind.CAS.value and known and row.affected == 0:
        action, argument, result = Action.READ, None, row.read
    elif row.kind == Kind.CAS.value:
        action, argument = Action.CAS, (row.expected, row.value)
        # Acknowledged, and whether it set the value was lost with an earlier attempt's answer: it may have.
        known = known and row.affected is not None
    elif row.kind == Kind.APPEND.value:
        action, argument = Action.APPEND, f"{LIST_SEPARATOR}{row.value}"
    label = f"{row.kind} of {row.key!r}, operation {row.index}"
    if action is Action.READ:
        label += f", which found {result!r}"
    return Call(action, argument, result, row.invoke_ns, row.complete_ns if known else None, label)


def add_ends(calls: dict[str, list[Call]], dumps: Iterable[Dump]) -> None:
    """Add what the members held at the end to the calls, as reads behind the last of them.

    Members that hold the same of a key are one read. Others are reads at one time, as nothing says who was asked first.
    """
    dumps = list(dumps)
    over = max((last_moment(call) for own in calls.values() for call in own), default=0)
    for key in dict.fromkeys(calls) | {key: None for dump in dumps for key in dump.entries}:
        calls.setdefault(key, []).extend(ends_of(key, dumps, over))


def last_moment(call: Call) -> int:
    """Return the last moment at which something is known of a call."""
    return call.end or call.begin


def ends_of(key: str, dumps: Iterable[Dump], over: int) -> Iterator[Call]:
    """Yield what the members held of a key at the end, as reads behind a moment.

    :param over: the last moment of all calls
    """
    holders: dict[str | None, list[str]] = {}
    for dump in dumps:
        entry = dump.entries.get(key)
        holders.setdefault(None if entry is None else entry.value, []).append(dump.member)
    for value, members in holders.items():
        held = "nothing" if value is None else repr(value)
        label = f"what {', '.join(members)} held of {key!r} at the end: {held}"
        yield Call(Action.READ, None, value, over + 1, over + 2, label)


def history_of(calls: dict[str, list[Call]], notes: tuple[str, ...] = ()) -> History:
    """Return the history that calls make: every key is absent at first, or a list that is empty."""
    if not any(call.action is Action.APPEND for own in calls.values() for call in own):
        return History(None, calls, notes)
    return History("", {key: [_as_text(call) for call in own] for key, own in calls.items()}, notes)


def _as_text(call: Call) -> Call:
    if call.action is not Action.READ:
        return call
    return call._replace(result="" if call.result is None else f"{LIST_SEPARATOR}{call.result}")

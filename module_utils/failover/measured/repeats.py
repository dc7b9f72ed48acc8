# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The repeats of an experiment as slices of its history, and the time line without the idle time between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .columns import Columns, Ints, S


@dataclass(frozen=True)
class Repeat:
    """One repeat of an experiment's faults: a slice of the stream. Before the next one nobody sends anything."""

    number: int
    start_ns: int  # first invocation
    end_ns: int  # last completion
    idle_ns: int  # how long nobody sent anything before it, since the first operation of all
    columns: Columns  # its own operations
    convergence: Mapping[str, Any] | None  # the heal after it, and how the members became equal

    def worked_s(self, at_ns: int) -> float:
        """Return a moment of this repeat in s of the time in which operations were sent, up to the repeat's end."""
        return (min(at_ns, self.end_ns) - self.idle_ns) / S


def repeats_of(definition: Mapping[str, Any], columns: Columns) -> list[Repeat]:
    """Divide a history into the repeats of its experiment; those of which nothing was recorded are left out.

    :param definition: experiment.json
    """
    found: list[Repeat] = []
    idle_ns = 0
    for repeat in definition["repeats"]:
        chosen = (columns.index >= repeat["first_index"]) & (columns.index < repeat["end_index"])
        own = columns.chosen(chosen)
        if not len(own):
            continue
        start_ns, end_ns = int(own.invoke_ns.min()), int(own.complete_ns.max())
        if found:
            idle_ns += start_ns - found[-1].end_ns
        found.append(Repeat(int(repeat["repeat"]), start_ns, end_ns, idle_ns, own, repeat["convergence"]))
    return found


def worked_span_ns(repeats: Sequence[Repeat]) -> tuple[int, int]:
    """Return the first invocation and the last completion, without idle time; 0 and 0 without any operation."""
    return (repeats[0].start_ns, repeats[-1].end_ns - repeats[-1].idle_ns) if repeats else (0, 0)


def ops_per_s(columns: Columns, repeats: Sequence[Repeat]) -> float | None:
    """Return all operations, whatever their outcome, over the time in which they were sent; None without any."""
    start_ns, end_ns = worked_span_ns(repeats)
    return len(columns) / ((end_ns - start_ns) / S) if end_ns > start_ns else None


def without_idle(repeats: Sequence[Repeat]) -> Columns | None:
    """Return all operations on a time line that goes on only while operations are sent; None without operations."""
    if len(repeats) < 2:
        return repeats[0].columns if repeats else None  # nothing was idle before the first
    joined = {item.name: _joined(repeats, item.name) for item in fields(Columns) if item.name != "intended_ns"}
    as_sent = all(repeat.columns.intended_ns is repeat.columns.invoke_ns for repeat in repeats)
    return Columns(**joined, intended_ns=joined["invoke_ns"] if as_sent else _joined(repeats, "intended_ns"))


def _joined(repeats: Sequence[Repeat], name: str) -> Ints:
    """Return a column of all repeats; of times, without the idle time before each."""
    columns = [getattr(repeat.columns, name) for repeat in repeats]
    joined = np.concatenate(columns)
    if name.endswith("_ns"):
        begin = 0
        for repeat, own in zip(repeats, columns, strict=True):
            joined[begin : begin + len(own)] -= repeat.idle_ns
            begin += len(own)
    return joined

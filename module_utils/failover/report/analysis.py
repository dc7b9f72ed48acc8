# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Numbers out of a history: percentiles, windows, gaps, phases. Arrays in, plain values out; nothing is read or drawn.

All times are nanoseconds since the experiment's origin unless a name ends in another unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..moments import MOMENTS, Moment
from ..shapes import Event, Kind, Outcome

if TYPE_CHECKING:
    import pyarrow

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]

KINDS: tuple[str, ...] = tuple(kind.value for kind in Kind)
OUTCOMES: tuple[str, ...] = tuple(outcome.value for outcome in Outcome)
WRITES = (KINDS.index(Kind.CREATE.value), KINDS.index(Kind.DELETE.value))
READ = KINDS.index(Kind.RETRIEVE.value)
OK = OUTCOMES.index(Outcome.OK.value)

# In thousandths: as fractions of two they would not be exact, and the 999th of 1,000 would become the 1,000th.
QUANTILES: tuple[tuple[str, int], ...] = (("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999))

# A percentile that fewer operations than these decide is another one in the next run: it is shown as uncertain.
LEAST_DECIDING = 10

MS = 1_000_000
S = 1_000_000_000

# Without any event that tells when a fault's effects ended, a gap counts as its outage up to this long after it.
ATTRIBUTION_LIMIT_NS = 5 * S
# The smallest window that still holds enough operations of one serial client (about 1 ms each) to be a rate.
WINDOW_LADDER_MS = (20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000)
PREFERRED_WINDOW_MS = 100

# Windows that tell when latency and throughput are back: 100 ms hold some operations even of a slow serial client. A
# short repeat has narrower ones, as a fault may strike a fifth of a second after its beginning.
WINDOWS_NS = (100 * MS, 50 * MS, 20 * MS, 10 * MS)
ENOUGH_WINDOWS, LEAST_WINDOWS = 10, 3
LEAST_OPERATIONS = 5
# The latency is back when it stays in its band for so many windows; see latency_band.
STAYS_WINDOWS, STAYS_LEAST = 10, 9


@dataclass(frozen=True)
class Columns:
    """The columns of one history that the figures need; all of one length, in the order of the history.

    ``kind`` and ``outcome`` are positions in KINDS and OUTCOMES.
    """

    index: Ints
    client: Ints
    kind: Codes
    outcome: Codes
    intended_ns: Ints
    invoke_ns: Ints
    complete_ns: Ints
    attempts: Ints

    def __len__(self) -> int:
        return len(self.index)

    @property
    def latency_ns(self) -> Ints:
        """Completion minus invocation: what the client waited for each operation."""
        return self.complete_ns - self.invoke_ns

    @property
    def intended_latency_ns(self) -> Ints:
        """Completion minus intended start: what a user waited who came at the planned time."""
        return self.complete_ns - self.intended_ns

    @property
    def ok(self) -> Mask:
        """Whether each operation took effect and was acknowledged."""
        return np.asarray(self.outcome == OK, dtype=np.bool_)

    @property
    def is_write(self) -> Mask:
        """Whether each operation is a CREATE or a DELETE."""
        return np.isin(self.kind, WRITES)


def columns_of_table(table: pyarrow.Table) -> Columns:
    """Take the numeric columns out of a history's table (HISTORY_COLUMNS)."""

    def numbers(name: str) -> Ints:
        return np.asarray(table.column(name).to_numpy(), dtype=np.int64)

    def codes(name: str, words: Sequence[str]) -> Codes:
        column = table.column(name).combine_chunks().dictionary_encode()
        order = [words.index(word) for word in column.dictionary.to_pylist()]
        return np.asarray(order, dtype=np.int8)[np.asarray(column.indices.to_numpy(), dtype=np.int64)]

    return Columns(
        index=numbers("index"),
        client=numbers("client"),
        kind=codes("kind", KINDS),
        outcome=codes("outcome", OUTCOMES),
        intended_ns=numbers("intended_ns"),
        invoke_ns=numbers("invoke_ns"),
        complete_ns=numbers("complete_ns"),
        attempts=numbers("attempts"),
    )


# ---------------------------------------------------------------- repeats


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
        own = _rows(columns, chosen)
        if not len(own):
            continue
        start_ns, end_ns = int(own.invoke_ns.min()), int(own.complete_ns.max())
        if found:
            idle_ns += start_ns - found[-1].end_ns
        found.append(Repeat(int(repeat["repeat"]), start_ns, end_ns, idle_ns, own, repeat["convergence"]))
    return found


def _rows(columns: Columns, chosen: Mask) -> Columns:
    return Columns(**{item.name: getattr(columns, item.name)[chosen] for item in fields(Columns)})


def without_idle(repeats: Sequence[Repeat]) -> Columns | None:
    """Return all operations on a time line that goes on only while operations are sent; None without operations."""
    if not repeats:
        return None
    moved = [
        replace(
            repeat.columns,
            intended_ns=repeat.columns.intended_ns - repeat.idle_ns,
            invoke_ns=repeat.columns.invoke_ns - repeat.idle_ns,
            complete_ns=repeat.columns.complete_ns - repeat.idle_ns,
        )
        for repeat in repeats
    ]
    return Columns(
        **{item.name: np.concatenate([getattr(own, item.name) for own in moved]) for item in fields(Columns)}
    )


def longest_gap_of(repeats: Iterable[Repeat]) -> Gap | None:
    """Return the longest time without an ok completion within one repeat, on the time line without idle time."""
    gaps = []
    for repeat in repeats:
        completions = repeat.columns.complete_ns[repeat.columns.ok]
        gap = longest_gap(completions, repeat.start_ns, repeat.end_ns)
        if gap is not None:
            gaps.append(Gap(gap.start_ns - repeat.idle_ns, gap.end_ns - repeat.idle_ns, gap.ended))
    return max(gaps, key=lambda gap: gap.end_ns - gap.start_ns, default=None)


# ---------------------------------------------------------------- latency


def latency_summary(latency_ns: Ints) -> dict[str, Any]:
    """Return count, p50, p90, p99, p99.9 and max in ms; the figures are None where there is no operation.

    ``thin`` names the percentiles above which fewer than LEAST_DECIDING lie: those few decide them.

    Percentiles are observed values, never values between two operations: the smallest latency that at least
    that share of the operations did not exceed (the inverse of the empirical distribution function; definition 1
    of Hyndman & Fan, "Sample Quantiles in Statistical Packages", 1996).
    """
    summary: dict[str, Any] = {"count": len(latency_ns)}
    if len(latency_ns) == 0:
        return summary | {f"{name}_ms": None for name, _ in QUANTILES} | {"max_ms": None, "thin": []}
    ordered = np.sort(latency_ns)
    for name, thousandths in QUANTILES:
        summary[f"{name}_ms"] = int(ordered[_rank(len(ordered), thousandths)]) / MS
    summary["max_ms"] = int(ordered[-1]) / MS
    summary["thin"] = [
        f"{name}_ms"
        for name, thousandths in QUANTILES
        if decided_by(len(ordered), 1 - thousandths / 1000) < LEAST_DECIDING
    ]
    return summary


def quantile(values: Ints, thousandths: int) -> int | None:
    """Return one quantile of the values as :func:`latency_summary` defines it; None where there is no value."""
    return int(np.sort(values)[_rank(len(values), thousandths)]) if len(values) else None


def decided_by(count: int, longer: Any) -> Any:
    """Return how many operations lie above a percentile: the share of them that took longer, of a number or an array.

    Rounded to whole operations as :func:`survival_curve` has them, so that no binary fraction decides.
    """
    return np.rint(np.asarray(longer) * count)


def _rank(count: Any, thousandths: int) -> Any:
    """Return the position, from 0, of a quantile among ``count`` sorted values; of integers or of arrays of them."""
    return -(-count * thousandths // 1000) - 1


def survival_curve(latency_ns: Ints, points_per_decade: int = 60) -> dict[str, list[float]]:
    """Return the share of operations that took longer than a latency, thinned evenly on a logarithmic scale.

    :returns: ``latency_ms`` (rising) and ``longer`` (the share, falling). The first and the last operation are
        always in it; the slowest is drawn at half of one operation's share, as a logarithmic scale has no zero.
    """
    count = len(latency_ns)
    if count == 0:
        return {"latency_ms": [], "longer": []}
    ordered = np.sort(latency_ns)
    decades = max(np.log10(count), 1.0)
    from_the_end = np.unique(np.round(np.geomspace(1, count, int(points_per_decade * decades))).astype(np.int64))
    ranks = np.sort(count - from_the_end)
    longer = (count - 1 - ranks) / count
    longer[longer == 0] = 0.5 / count
    return {"latency_ms": (ordered[ranks] / MS).tolist(), "longer": longer.tolist()}


def latency_over_time(columns: Columns, start_ns: int, end_ns: int, buckets: int) -> dict[str, list[float]]:
    """Aggregate latency by time of completion: one minimum, p50, p99 and maximum for each column of the picture.

    However many operations there are, no spike is lost: the slowest of every bucket is in ``max_ms``.
    Empty buckets are left out.
    """
    result: dict[str, list[float]] = {name: [] for name in ("t_s", "min_ms", "p50_ms", "p99_ms", "max_ms")}
    if len(columns) == 0 or end_ns <= start_ns:
        return result
    latency = columns.latency_ns
    bucket = np.clip((columns.complete_ns - start_ns) * buckets // (end_ns - start_ns), 0, buckets - 1)
    order = np.lexsort((latency, bucket))
    ordered, counts = latency[order], np.bincount(bucket, minlength=buckets)
    filled = np.flatnonzero(counts)
    first = (np.cumsum(counts) - counts)[filled]
    size = counts[filled]

    centres = start_ns + (filled + 0.5) * (end_ns - start_ns) / buckets
    result["t_s"] = (centres / S).tolist()
    result["min_ms"] = (ordered[first] / MS).tolist()
    result["p50_ms"] = (ordered[first + _rank(size, 500)] / MS).tolist()
    result["p99_ms"] = (ordered[first + _rank(size, 990)] / MS).tolist()
    result["max_ms"] = (ordered[first + size - 1] / MS).tolist()
    return result


@dataclass(frozen=True)
class LatencyBand:
    """The latency that was usual before a fault, and when it was usual again."""

    most_ns: int  # upper end of the band: p95 of the windows' medians before the fault
    windows: int  # windows before the fault that it rests on
    back_ns: int | None  # beginning of the first window from which on it was in the band; None: not while watched


def baseline_window_ns(columns: Columns, start_ns: int, moment_ns: int) -> int:
    """Choose the width of the windows by which the time before a fault is compared with that after its outage.

    The widest of which ENOUGH_WINDOWS lie before the fault, and none that would hold fewer than LEAST_OPERATIONS on
    average: their median would be one operation's.
    """
    span_ns = max(moment_ns - start_ns, 1)
    done = int(np.count_nonzero(columns.complete_ns < moment_ns))
    chosen = WINDOWS_NS[0]
    for width in WINDOWS_NS:
        if done * width < LEAST_OPERATIONS * span_ns:
            break
        chosen = width
        if span_ns // width >= ENOUGH_WINDOWS:
            break
    return chosen


def latency_band(
    columns: Columns, start_ns: int, moment_ns: int, from_ns: int, until_ns: int, window_ns: int
) -> LatencyBand | None:
    """Tell when the latency of all operations, whatever their outcome, came back to what it was before a fault.

    Windows are laid backwards from the fault and forwards from the end of its outage; a window has the
    median latency of the operations completed in it. The band reaches up to p95 of the medians before the fault. Back
    is the first window in the band that begins a stretch of STAYS_WINDOWS windows of which at least STAYS_LEAST are in
    it: one in twenty windows was outside before the fault as well. A window without an operation is outside.

    :param from_ns: end of the outage
    :param until_ns: what comes from here on belongs to something else (the next fault, the end of the run)
    :param window_ns: width of the windows
    :returns: None where fewer than LEAST_WINDOWS windows were before the fault.
    """
    order = np.argsort(columns.complete_ns, kind="stable")
    latency, completed = columns.latency_ns[order], columns.complete_ns[order]

    def median(low: int) -> int | None:
        first, end = np.searchsorted(completed, (low, low + window_ns))
        return quantile(latency[first:end], 500)

    before = [median(low) for low in range(moment_ns - window_ns, start_ns - 1, -window_ns)]
    medians = np.asarray([value for value in before if value is not None], dtype=np.int64)
    if len(medians) < LEAST_WINDOWS:
        return None
    most = quantile(medians, 950)
    assert most is not None
    inside: list[bool] = []
    for low in range(from_ns, until_ns - window_ns + 1, window_ns):
        value = median(low)
        inside.append(value is not None and value <= most)
        first = len(inside) - STAYS_WINDOWS
        if first >= 0 and inside[first] and sum(inside[first:]) >= STAYS_LEAST:
            return LatencyBand(most, len(medians), from_ns + first * window_ns)
    return LatencyBand(most, len(medians), None)


# ---------------------------------------------------------------- throughput


def window_ms(duration_ns: int, most: int = 1_200, fewest: int = 40) -> int:
    """Choose the width of throughput windows: 100 ms, less in a run of a few seconds, more in a long one."""
    duration_ms = duration_ns / MS
    if duration_ms / PREFERRED_WINDOW_MS < fewest:
        fitting = [width for width in WINDOW_LADDER_MS if duration_ms / width >= fewest]
        return max(fitting, default=WINDOW_LADDER_MS[0])
    return next(
        (width for width in WINDOW_LADDER_MS if width >= PREFERRED_WINDOW_MS and duration_ms / width <= most),
        WINDOW_LADDER_MS[-1],
    )


def throughput(columns: Columns, start_ns: int, end_ns: int, width_ms: int) -> dict[str, list[float]]:
    """Count ok completions in windows of ``width_ms``; the last window may be shorter and is scaled by its own length.

    :returns: ``start_s`` and ``end_s`` of each window and its ``ops_per_s``.
    """
    width = width_ms * MS
    if end_ns <= start_ns:
        return {"start_s": [], "end_s": [], "ops_per_s": []}
    edges = np.arange(start_ns, end_ns, width, dtype=np.int64)
    # A sliver at the end would be a rate of two or three operations: it joins the window before it.
    if len(edges) > 1 and end_ns - edges[-1] < width // 2:
        edges = edges[:-1]
    edges = np.append(edges, end_ns)
    completions = np.sort(columns.complete_ns[columns.ok])
    # The last window includes its end, where the last operation completed.
    borders = np.searchsorted(completions, edges, side="left")
    borders[-1] = np.searchsorted(completions, edges[-1], side="right")
    rates = np.diff(borders) / (np.diff(edges) / S)
    return {
        "start_s": (edges[:-1] / S).tolist(),
        "end_s": (edges[1:] / S).tolist(),
        "ops_per_s": rates.tolist(),
    }


def operations_scale(columns: Columns, ticks: int = 5) -> list[tuple[int, float]]:
    """Return (operations completed so far, time in s when that many were) at round numbers, for a second axis."""
    count = len(columns)
    if count < ticks:
        return []
    raw = count / ticks
    magnitude = 10 ** int(np.floor(np.log10(raw)))
    step = int(next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw))
    completions = np.sort(columns.complete_ns)
    return [(n, float(completions[n - 1]) / S) for n in range(step, count + 1, step)]


# ---------------------------------------------------------------- gaps


@dataclass(frozen=True)
class Gap:
    """A time without an ok completion, from the completion before it to the one that ended it.

    One that no completion ended reaches to the end of the run: it lasted at least that long.
    """

    start_ns: int
    end_ns: int
    ended: bool = True

    @property
    def duration_ms(self) -> float:
        """Length in ms."""
        return (self.end_ns - self.start_ns) / MS

    def as_dict(self) -> dict[str, float | bool]:
        """Return start and end in s since the origin, the length in ms, and whether it ended."""
        return {
            "start_s": self.start_ns / S,
            "end_s": self.end_ns / S,
            "duration_ms": self.duration_ms,
            "ended": self.ended,
        }


def longest_gap(completions_ns: Ints, start_ns: int, end_ns: int, within: tuple[int, int] | None = None) -> Gap | None:
    """Find the longest time without a completion between ``start_ns`` and ``end_ns``, both counted as borders.

    :param within: only gaps that overlap this interval count.
    :returns: None where no gap qualifies.
    """
    borders = np.concatenate(([start_ns], np.sort(completions_ns), [end_ns])).astype(np.int64)
    starts, ends = borders[:-1], borders[1:]
    if within is not None:
        keep = (ends > within[0]) & (starts < within[1])
        starts, ends = starts[keep], ends[keep]
    if len(starts) == 0:
        return None
    longest = int(np.argmax(ends - starts))
    end = int(ends[longest])
    return Gap(int(starts[longest]), end, ended=bool((completions_ns >= end).any()))


# ---------------------------------------------------------------- faults


@dataclass(frozen=True)
class Mark:
    """One moment of a failover on the experiment's time line."""

    name: str  # of MOMENTS
    label: str  # what a reader is told
    at_ns: int
    source: str  # who stamped it: a host, or "history"
    detail: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)  # of the event behind it


def fault_id_of(event: Event) -> str | None:
    """Return the fault an event belongs to, where it says so."""
    value = event.data.get("fault")
    return str(value) if value is not None else None


def fault_moment_ns(events: Sequence[Event], fault_id: str) -> int | None:
    """Return the wall time (ns) at which the fault struck, that is, its signal was sent; None where it was not."""
    struck = [
        event.wall_ns for event in events if event.event == "fault.signal_sent" and fault_id_of(event) == fault_id
    ]
    return min(struck, default=None)


@dataclass(frozen=True)
class Clock:
    """A host's clock against that of the load generator, as measured before the experiment."""

    host: str
    offset_ns: int  # positive: the host's clock is ahead
    uncertainty_ns: int

    @property
    def significant(self) -> bool:
        """Whether the offset is larger than the error of its measurement."""
        return abs(self.offset_ns) > self.uncertainty_ns

    def as_dict(self) -> dict[str, Any]:
        """Return host, offset and error in ms, and whether the offset is subtracted."""
        return {
            "host": self.host,
            "offset_ms": self.offset_ns / MS,
            "uncertainty_ms": self.uncertainty_ns / MS,
            "corrected": self.significant,
        }


def measured_clocks(events: Iterable[Event]) -> list[Clock]:
    """Return the clocks that the fault director measured when it armed the faults, by host name."""
    clocks: dict[str, Clock] = {}
    for event in events:
        if event.event != "fault.armed":
            continue
        for host, agent in (event.data.get("agents") or {}).items():
            offset, uncertainty = agent.get("clock_offset_ns"), agent.get("clock_uncertainty_ns")
            if offset is not None and uncertainty is not None:
                clocks[host] = Clock(host, int(offset), int(uncertainty))
    return [clocks[host] for host in sorted(clocks)]


def on_one_clock(events: Sequence[Event], clocks: Iterable[Clock]) -> list[Event]:
    """Put the events of hosts whose clocks are known to differ on the load generator's clock, in order of time."""
    offsets = {clock.host: clock.offset_ns for clock in clocks if clock.significant}
    moved = [replace(event, wall_ns=event.wall_ns - offsets.get(event.source, 0)) for event in events]
    return sorted(moved, key=lambda event: event.wall_ns)


def is_joining(event: Event) -> bool:
    """Tell whether a member that has just started merely heard who leads: that is no election."""
    return bool(event.data.get("joined"))


def fault_marks(
    events: Sequence[Event],
    fault_id: str,
    origin_wall_ns: int,
    until_wall_ns: int,
    member: str | None = None,
    return_wall_ns: int | None = None,
) -> list[Mark]:
    """Place the events of one fault on the experiment's time line, in order of time.

    Of server and client events the first one after the fault counts.

    :param until_wall_ns: events from here on belong to something else (the next fault, the heal).
    :param member: the one that was hit, where it is known.
    :param return_wall_ns: until when the member may return, which its heal is followed by; None: without end.
    """
    moment = fault_moment_ns(events, fault_id)
    if moment is None:
        return []
    marks: list[Mark] = []
    for kind in MOMENTS.values():
        until: float = until_wall_ns
        if kind.returns:
            until = return_wall_ns if return_wall_ns is not None else math.inf
        candidates = [
            event
            for event in events
            if event.event == kind.event
            and not is_joining(event)
            and (not kind.own or event.source == member)
            and (
                fault_id_of(event) == fault_id if event.event.startswith("fault.") else moment <= event.wall_ns < until
            )
        ]
        if candidates:
            first = min(candidates, key=lambda event: event.wall_ns)
            marks.append(_mark_of_event(kind, first, origin_wall_ns))
    return sorted(marks, key=lambda mark: mark.at_ns)


def _mark_of_event(kind: Moment, event: Event, origin_wall_ns: int) -> Mark:
    label = kind.label
    if kind.name == "signal_sent" and event.data.get("signal"):
        label = f"{event.data['signal']} sent (the fault)"
    detail = kind.detail(event) if kind.detail is not None else ""
    return Mark(kind.name, label, event.wall_ns - origin_wall_ns, event.source, detail, event.data)


def mark_of(marks: Iterable[Mark], name: str) -> Mark | None:
    """Return the mark of that name, or None where it was not recorded."""
    return next((mark for mark in marks if mark.name == name), None)


def attribution(moment_ns: int, marks: Iterable[Mark], until_ns: int) -> tuple[int, int]:
    """Return the interval in which a gap counts as the fault's: from the fault to its last recorded effect."""
    at = {mark.name: mark.at_ns for mark in marks}
    effects = [at_ns for name, at_ns in at.items() if MOMENTS[name].effect]
    end = max(effects) if effects else at.get("process_gone", moment_ns + ATTRIBUTION_LIMIT_NS)
    return moment_ns, max(min(end, until_ns), moment_ns + 1)


def first_completion(columns: Columns, mask: Mask, from_ns: int) -> int | None:
    """Return the position in the history of the first masked operation that completed at or after ``from_ns``."""
    chosen = np.flatnonzero(mask & (columns.complete_ns >= from_ns))
    if len(chosen) == 0:
        return None
    return int(chosen[np.argmin(columns.complete_ns[chosen])])


def rate_between(columns: Columns, start_ns: int, end_ns: int) -> float | None:
    """Return ok completions per second in [start, end), or None for an empty interval."""
    if end_ns <= start_ns:
        return None
    completed = columns.complete_ns[columns.ok]
    return float(np.count_nonzero((completed >= start_ns) & (completed < end_ns)) / ((end_ns - start_ns) / S))


def operations_overlapping(columns: Columns, start_ns: int, end_ns: int) -> Ints:
    """Return the positions of all operations that were in flight at some moment of [start, end]."""
    return np.flatnonzero((columns.complete_ns >= start_ns) & (columns.invoke_ns <= end_ns))

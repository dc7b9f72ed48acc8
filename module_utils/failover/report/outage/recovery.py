# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When throughput and latency are back to what they were before a fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...measured.columns import MS, Columns, S, rate_between
from ...measured.gaps import Gap
from ...measured.marks import Mark
from ...measured.percentiles import quantile
from ...moments import MOMENTS

# Windows that tell when latency and throughput are back: 100 ms hold some operations even of a slow serial client. A
# short repeat has narrower ones, as a fault may strike a fifth of a second after its beginning.
WINDOWS_NS = (100 * MS, 50 * MS, 20 * MS, 10 * MS)
ENOUGH_WINDOWS, LEAST_WINDOWS = 10, 3
LEAST_OPERATIONS = 5
# The latency is back when it stays in its band for so many windows; see latency_band.
STAYS_WINDOWS, STAYS_LEAST = 10, 9
# The share of its former median at which the throughput counts as back.
BASELINE_SHARE = 0.9


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


def recovery(columns: Columns, start: int, moment: int, gap: Gap | None, end: int) -> dict[str, float | None] | None:
    """Compare throughput and latency before the fault with those after the gap, and find when they are back.

    Throughput is back at the first window after the gap in which at least 90 % of the former median is
    acknowledged; of latency see :func:`latency_band`. Nothing is back after a gap that did not end.

    :param end: what comes from here on belongs to something else
    """
    if gap is None:
        return None
    width = baseline_window_ns(columns, start, moment)
    completions = np.sort(columns.complete_ns[columns.ok])
    starts = np.arange(start, moment - width, width)
    counted = np.searchsorted(completions, starts + width) - np.searchsorted(completions, starts)
    median = float(np.median(counted)) if len(counted) else None
    back = None
    if median:
        after = completions[completions >= gap.end_ns]
        after = after[after <= end - width]
        inside = np.searchsorted(completions, after + width) - np.searchsorted(completions, after)
        enough = np.flatnonzero(inside >= BASELINE_SHARE * median)
        back = float(after[enough[0]] - moment) / MS if len(enough) else None
    band = latency_band(columns, start, moment, gap.end_ns, end, width) if gap.ended else None
    return {
        "before_ops_per_s": rate_between(columns, start, moment),
        "after_ops_per_s": rate_between(columns, gap.end_ns, end) if gap.ended else None,
        "median_before_ops_per_s": median * S / width if median is not None else None,
        "back_ms": back,
        "window_ms": width / MS,
        "latency_band_ms": band.most_ns / MS if band is not None else None,
        "latency_windows": band.windows if band is not None else None,
        "latency_back_ms": (band.back_ns - moment) / MS if band is not None and band.back_ns is not None else None,
    }


def back_marks(found: Mapping[str, Any] | None, moment: int) -> list[Mark]:
    """Return the moments at which throughput and latency were what they had been."""
    if found is None:
        return []
    marks = []
    if found["back_ms"] is not None:
        detail = f"{found['window_ms']:g} ms with at least {BASELINE_SHARE * 100:.0f} % of the former median"
        at = moment + round(found["back_ms"] * MS)
        marks.append(Mark("throughput_back", MOMENTS["throughput_back"].label, at, "history", detail))
    if found["latency_back_ms"] is not None:
        detail = f"medians of {found['window_ms']:g} ms stay at or below {found['latency_band_ms']:,.2f} ms"
        at = moment + round(found["latency_back_ms"] * MS)
        marks.append(Mark("latency_back", MOMENTS["latency_back"].label, at, "history", detail))
    return marks

# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Events of a server whose clock was wrong for a while: each line says itself when it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from failover.actions.record import FaultRecord
from failover.run.skew import put_right, stamp_of
from failover.shapes import Event

S = 1_000_000_000
ZERO = 1_700_000_000 * S
# When its clock was made wrong, and healed.
FROM, UNTIL = 10, 40


def record(jump_s: float = 0, drift_ppm: float = 0) -> FaultRecord:
    options = {"jump_ms": jump_s * 1000} if jump_s else {"drift_ppm": drift_ppm}
    made = FaultRecord("F1", "t", "clock_skew", member="etcd2", options=options)
    made.signal_sent_wall_ns, made.healed_wall_ns = ZERO + FROM * S, ZERO + UNTIL * S
    made.clock_gained_ns = round(jump_s * S + (UNTIL - FROM) * S * drift_ppm / 1e6)
    return made


def log(times_s: Sequence[float], wrong: FaultRecord | None) -> list[str]:
    """Write a line at each of these times, by the clock of that moment; it also says the time that it really was."""
    lines = []
    for at_s in times_s:
        off_s = 0.0
        if wrong is not None and FROM <= at_s < UNTIL:
            off_s = wrong.options.get("jump_ms", 0) / 1000
            off_s += (at_s - FROM) * wrong.options.get("drift_ppm", 0) / 1e6
        stamp_us = round((ZERO / S + at_s + off_s) * 1e6)
        lines.append(f"{stamp_us // 10**6}.{stamp_us % 10**6:06} etcd2 etcd[1]: {at_s}")
    return lines


def read(logs: Mapping[str, Sequence[str]]) -> list[Event]:
    events = [
        Event(stamp_of(line) or 0, member, "server.said", {"at_s": float(line.rpartition(" ")[2])})
        for member, lines in logs.items()
        for line in lines
    ]
    return sorted(events, key=lambda event: event.wall_ns)


TIMES = [0, 9.5, 10.2, 11, 14, 20, 36, 39.5, 40.5, 41, 44, 50, 75]


@pytest.mark.parametrize(
    "wrong",
    [
        *(record(jump_s=5), record(jump_s=-5), record(jump_s=3600), record(jump_s=-3600)),
        *(record(drift_ppm=50_000), record(drift_ppm=-50_000)),
    ],
    ids=["ahead", "behind", "hour ahead", "hour behind", "fast", "slow"],
)
def test_what_was_logged_meanwhile_is_moved_to_when_it_was(wrong: FaultRecord) -> None:
    logs = {"etcd1": log([1, 15, 45], None), "etcd2": log(TIMES, wrong)}
    found = put_right(logs, [wrong], read)
    assert len(found) == len(TIMES) + 3
    for event in found:
        assert (event.wall_ns - ZERO) / S == pytest.approx(event.data["at_s"], abs=0.002), event


def test_other_faults_move_nothing() -> None:
    stopped = FaultRecord("F1", "t", "stop", member="etcd2", signal_sent_wall_ns=1, healed_wall_ns=2)
    logs = {"etcd2": log(TIMES, None)}
    assert put_right(logs, [stopped], read) == read(logs)


def test_a_log_that_says_nothing_meanwhile_is_left_as_it_is() -> None:
    logs = {"etcd2": log([1, 2, 60], None)}
    assert put_right(logs, [record(jump_s=5)], read) == read(logs)
    assert put_right({}, [record(jump_s=5)], read) == []


@pytest.mark.parametrize(
    ("line", "stamp_ns"),
    [
        ("1700000000.000001 etcd2 etcd[1]: x", 1_700_000_000_000_001_000),
        ("2023-11-14T22:13:20.500000Z 0 [Note] x", 1_700_000_000_500_000_000),
        ("2023-11-14T22:13:20+00:00 x", 1_700_000_000_000_000_000),
        ("-- No entries --", None),
    ],
)
def test_stamps_are_read_from_both_kinds_of_logs(line: str, stamp_ns: int | None) -> None:
    assert stamp_of(line) == stamp_ns

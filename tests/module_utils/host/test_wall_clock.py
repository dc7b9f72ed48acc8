# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Setting a clock: what the kernel is asked for; nobody's clock is set."""

from __future__ import annotations

from pathlib import Path

import pytest
from failover.host import wall_clock
from failover.host.wall_clock import WallClock


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """Take what the kernel would be asked for."""
    done: list[dict[str, int]] = []
    monkeypatch.setattr(wall_clock, "adjust", lambda **fields: done.append(fields))
    return done


@pytest.mark.parametrize(
    ("by_ns", "seconds", "nanoseconds"),
    [(1_500_000_000, 1, 500_000_000), (-1, -1, 999_999_999), (0, 0, 0), (-2_000_000_000, -2, 0)],
)
def test_a_step_has_nanoseconds_that_are_not_negative(
    asked: list[dict[str, int]], by_ns: int, seconds: int, nanoseconds: int
) -> None:
    WallClock().set_by(by_ns)
    assert asked == [{"modes": 0x2100, "tv_sec": seconds, "tv_usec": nanoseconds}]


@pytest.mark.parametrize(
    ("ppm", "tick", "frequency"),
    [(0, 10_000, 0), (100, 10_001, 0), (-30, 10_000, -30 * 65_536), (20_049, 10_200, 49 * 65_536)],
)
def test_a_drift_is_made_of_whole_ticks_and_a_frequency(
    asked: list[dict[str, int]], ppm: float, tick: int, frequency: int
) -> None:
    WallClock().drift(ppm)
    assert asked == [{"modes": 0x4002, "tick": tick, "freq": frequency}]


def programs(folder: Path, monkeypatch: pytest.MonkeyPatch, container: str, active: str) -> None:
    for name, text in (
        ("systemd-detect-virt", f"echo {container}"),
        ("systemctl", f'test "$2" = "{active}" && echo active'),
    ):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_container_has_no_clock_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(tmp_path, monkeypatch, "podman", "")
    assert (WallClock().problem() or "").startswith("a container has no clock of its own")


def test_a_time_service_would_set_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(tmp_path, monkeypatch, "none", "chrony")
    assert WallClock().problem() == "chrony would set the clock back; stop it on the host first (systemctl stop chrony)"


def test_a_machine_without_one_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(tmp_path, monkeypatch, "none", "")
    assert WallClock().problem() is None

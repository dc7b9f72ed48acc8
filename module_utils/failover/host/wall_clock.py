# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets a host's wall clock by so much, or has it gain or lose so many millionths, by adjtimex(2).

A container has the clock of its machine: setting it there would set it for everybody on it. So a host must have a clock
of its own.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from dataclasses import dataclass

from ..shapes import LabError

# How long a program may take to say what the host is, in s.
COMMAND_TIMEOUT_S = 10.0
# Modes of adjtimex(2): the number of microseconds a tick, the frequency, a step, and that it is in nanoseconds.
ADJ_FREQUENCY, ADJ_SETOFFSET, ADJ_NANO, ADJ_TICK = 0x0002, 0x0100, 0x2000, 0x4000
# A tick of the kernel's is 10,000 us: one us more or less is 100 ppm. What is left goes into the frequency, in units of
# 2^-16 ppm, of which the kernel takes 500 ppm.
USUAL_TICK_US, TICK_PPM, FREQUENCY_UNITS = 10_000, 100, 65_536
# Time services that would set it back, by their units.
SERVICES = ("systemd-timesyncd", "chrony", "chronyd", "ntp", "ntpd", "ntpsec", "openntpd")


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2) on 64-bit Linux."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("tv_sec", ctypes.c_long),
        ("tv_usec", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("rest", ctypes.c_long * 16),
    )


class WallClockError(LabError):
    """The clock could not be set."""


def adjust(**fields: int) -> None:
    """Call adjtimex(2) with these fields of its structure; WallClockError where the kernel refuses."""
    given = _Timex(**fields)
    library = ctypes.CDLL(None, use_errno=True)
    if library.adjtimex(ctypes.byref(given)) < 0:
        number = ctypes.get_errno()
        raise WallClockError(f"the kernel does not set its clock: {os.strerror(number).lower()}")


@dataclass(frozen=True)
class WallClock:
    """CLOCK_REALTIME of this host."""

    def problem(self) -> str | None:
        """Return why it may not be set here, None where it may."""
        container = _said("systemd-detect-virt", "--container")
        if container not in ("none", ""):
            return "a container has no clock of its own; use machines (-i inventory/vms or inventory/ssh)"
        running = [unit for unit in SERVICES if _said("systemctl", "is-active", unit) == "active"]
        if running:
            return f"{running[0]} would set the clock back; stop it on the host first (systemctl stop {running[0]})"
        try:
            adjust(modes=0)
        except WallClockError as error:
            return str(error)
        return None

    def set_by(self, by_ns: int) -> None:
        """Set it forward by so much, or back; WallClockError where the kernel refuses."""
        seconds, nanoseconds = divmod(by_ns, 10**9)
        adjust(modes=ADJ_SETOFFSET | ADJ_NANO, tv_sec=seconds, tv_usec=nanoseconds)

    def drift(self, ppm: float) -> None:
        """Have it gain so many millionths from now on, or lose them; 0 gives it its usual pace."""
        ticks = round(ppm / TICK_PPM)
        frequency = round((ppm - ticks * TICK_PPM) * FREQUENCY_UNITS)
        adjust(modes=ADJ_TICK | ADJ_FREQUENCY, tick=USUAL_TICK_US + ticks, freq=frequency)


def _said(*command: str) -> str:
    """Return the line that a program prints; empty where there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()

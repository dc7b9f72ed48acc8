# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Slows a member's network down, for all packets that its host sends, with tc(8).

Delay, jitter, loss, duplicates and another order are the kernel's netem (tc-netem(8)), a rate its token bucket
(tc-tbf(8)). Both act on the interface that
leads to the other members, so that fault agent and ssh become slow, too, and stay reachable.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..shapes import LabError

# The lab's own discipline, so that no other is taken away; the kernel's default ones have the handle 0.
HANDLE, DEFAULT_HANDLE = "7470:", "0:"
# How long tc or ip may take, in s.
COMMAND_TIMEOUT_S = 10.0
# Of a token bucket: what may be sent at once, in bytes, several full packets; and how long a packet waits at most, in
# ms, before it is dropped.
BURST_BYTES = 16_384
LONGEST_WAIT_MS = 1_000


class NetworkError(LabError):
    """The network could not be slowed down."""


@dataclass(frozen=True)
class Network:
    """The way to the others: IPv4 addresses of the peers and of the clients."""

    others: Sequence[str]

    def problem(self, options: Mapping[str, float]) -> str | None:
        """Return why this host cannot be slowed down so, or None where it can. Tried on the loopback interface.

        The kernel loads a module that it has when it is asked for it; that works from within a container, too.
        """
        try:
            self._run("tc", "qdisc", "add", "dev", "lo", "root", *discipline(options))
            self._run("tc", "qdisc", "del", "dev", "lo", "root")
        except NetworkError as error:
            if "kind is unknown" in str(error) or "qdisc not found" in str(error):
                return f"the kernel has no sch_{discipline(options)[0]}"
            if "exists" not in str(error).lower():
                return str(error)
        try:
            interface = self._interface()
            kind, handle = self._root(interface)
        except NetworkError as error:
            return str(error)
        if handle not in (HANDLE, DEFAULT_HANDLE):
            return f"{interface} has a configured queueing discipline ({kind} {handle}), which the fault would replace"
        return None

    def slow(self, options: Mapping[str, float]) -> str:
        """Slow down; return how in words. NetworkError where that fails."""
        interface = self._interface()
        self._run("tc", "qdisc", "replace", "dev", interface, "root", "handle", HANDLE, *discipline(options))
        shown = self._run("tc", "qdisc", "show", "dev", interface, "root").strip().splitlines()
        if not shown or discipline(options)[0] not in shown[0]:
            raise NetworkError(f"tc did not set it on {interface}: {shown[0] if shown else 'nothing is there'}")
        return f"{interface}: {' '.join(shown[0].split())}"

    def hasten(self) -> None:
        """Give the interface its own discipline back; nothing happens where it has it."""
        interface = self._interface()
        if self._root(interface)[1] == HANDLE:
            self._run("tc", "qdisc", "del", "dev", interface, "root")

    def _root(self, interface: str) -> tuple[str, str]:
        """Return kind and handle of an interface's discipline."""
        words = self._run("tc", "qdisc", "show", "dev", interface, "root").split()
        return (words[1], words[2]) if len(words) > 2 else ("none", DEFAULT_HANDLE)

    def _interface(self) -> str:
        """Return the interface that leads to the first of the others."""
        words = self._run("ip", "-o", "route", "get", self.others[0]).split() if self.others else []
        if "dev" not in words:
            raise NetworkError(f"no interface leads to {self.others[0] if self.others else 'anybody'}")
        return words[words.index("dev") + 1]

    @staticmethod
    def _run(*command: str) -> str:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
        except FileNotFoundError:
            raise NetworkError(f"{command[0]} is not on this host (package iproute2)") from None
        except subprocess.TimeoutExpired:
            raise NetworkError(f"{command[0]} did not end within {COMMAND_TIMEOUT_S:g} s") from None
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise NetworkError(f"{command[0]} says: {said[-1]}")
        return done.stdout


def discipline(options: Mapping[str, float]) -> list[str]:
    """Return tc's words for ``rate_kbit``, or for what becomes of packets (tc-netem(8)); shares are in %."""
    if "rate_kbit" in options:
        rate = f"{options['rate_kbit']:g}kbit"
        return ["tbf", "rate", rate, "burst", str(BURST_BYTES), "latency", f"{LONGEST_WAIT_MS}ms"]
    words = ["netem"]
    if "delay_ms" in options:
        words += ["delay", f"{options['delay_ms']:g}ms"]
    if "jitter_ms" in options:
        words += [f"{options['jitter_ms']:g}ms"]
    for key in ("loss", "duplicate", "reorder"):
        if key in options:
            words += [key, f"{options[key]:g}%"]
    return words
